"""What every node type owes: examples that run, configs that it refuses, a test of its own, honest descriptions."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from jsonschema import Draft202012Validator

from linkflow.cli.node_pages import pages
from linkflow.domain.importing import read
from linkflow.local.trying import NOW_MS, FixedClock, try_example, try_refusal
from linkflow.nodes.about import NAMED, Example
from linkflow.nodes.base import NodeType
from linkflow.nodes.credentials import KINDS
from linkflow.nodes.forms import WIDGETS
from linkflow.nodes.registry import Registry
from linkflow.services.worker.rehearsal import Rehearsal
from tests.unit.nodes.mysql_peer import mysql
from tests.unit.nodes.test_messages import Mailbox, serve

ROOT = Path(__file__).parents[3]
TYPES = Registry.load().every()
IDS = [f"{node.type}.v{node.version}" for node in TYPES]
EXAMPLES = [(node, example) for node in TYPES for example in node.examples]
ORIGINAL = {
    "action_http_request": ["action_http", "http"],
    "action_ai": ["ai"],
    "action_email": ["action_send_email", "email"],
    "action_slack": ["action_slack_message", "slack"],
    "action_discord": ["discord"],
    "action_twilio": ["twilio"],
    "action_google_sheets": ["integration_google_sheets"],
    "action_stripe": ["integration_stripe"],
    "action_github": ["integration_github"],
    "action_database": ["database"],
    "action_storage": ["storage"],
    "action_code": ["action_script", "transform_code", "code"],
    "condition": ["logic_condition"],
    "loop": ["logic_loop"],
    "delay": ["logic_delay"],
    "transform": ["transform_set", "transform_filter"],
    "approval": ["action_approval"],
}
"""Types and aliases of the original's catalogue, as far as they are built in."""

each = pytest.mark.parametrize("node", TYPES, ids=IDS)


@pytest.fixture(scope="module")
def mail() -> Iterator[dict[str, Any]]:
    controller = Controller(Mailbox(), hostname="127.0.0.1", port=0)
    yield from serve(controller, {"host": "127.0.0.1", "from": "LinkFlow <flow@example.com>"})


@pytest.fixture(scope="module")
async def servers(
    postgres: Any, valkey: Any, mail: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, dict[str, Any]]]:
    """What examples need. An operator's connection may be on loopback; the clients are the real ones."""
    async with mysql(tmp_path_factory.mktemp("mysql")) as url:
        yield {
            "database": {"connection_string": postgres.url},
            "mysql": {"connection_string": url},
            "redis": {"url": valkey.url},
            "smtp": mail,
        }


@pytest.mark.parametrize(("node", "example"), EXAMPLES, ids=[f"{node.type}: {one.name}" for node, one in EXAMPLES])
async def test_an_example_runs(node: NodeType, example: Example, servers: dict[str, dict[str, Any]]):
    tried = await try_example(Registry.load(), node, example, servers)
    assert (tried.fault, tried.left_out) == ("", "")


@each
def test_bad_configs_are_refused(node: NodeType):
    assert node.examples
    assert node.refuses
    assert [fault for refusal in node.refuses if (fault := try_refusal(Registry.load(), node, refusal))] == []


@each
def test_it_has_a_test_of_its_own(node: NodeType):
    tests = "\n".join(
        path.read_text()
        for folder in ("tests/unit/nodes", "tests/integration", "tests/e2e")
        for path in (ROOT / folder).glob("test_*.py")
        if path.name not in ("test_catalogue.py", "test_registry.py")
    )
    assert re.search("|".join(f'"{name}"' for name in (node.type, *node.aliases)), tests)


@each
def test_its_schemas_are_schemas(node: NodeType):
    [about] = [
        one for one in Registry.load().describe(True) if (one["type"], one["version"]) == (node.type, node.version)
    ]
    Draft202012Validator.check_schema(about["schema"])
    for schema in about["produces"].values():
        Draft202012Validator.check_schema(schema)
    fields = about["schema"].get("properties", {})
    assert {field["widget"] for field in fields.values()} <= set(WIDGETS)
    assert all(field.get("title") for field in fields.values())
    assert node.category in ("trigger", "logic", "data", "action", "message", "ai", "output")
    assert node.description.endswith(".")
    assert {kind for slot in node.slots for kind in slot.kinds} <= KINDS.keys()
    assert json.loads(json.dumps(about)) == about


@pytest.mark.parametrize(("node", "example"), EXAMPLES, ids=[f"{node.type}: {one.name}" for node, one in EXAMPLES])
async def test_an_output_is_what_was_promised(node: NodeType, example: Example):
    """The example's expected output fits the schema of its output, and the output exists."""
    definition, _ = read(example.workflow(node.type, node.version), Registry.load())
    config = next(one.config for one in definition.nodes if one.id == "it")
    assert {*node.outputs(config)} <= {*node.produces} or NAMED in node.produces
    if example.outcome or example.varies:
        return
    port = "done" if "done" in node.produces and example.port == "main" else example.port
    schema = node.produces.get(port) or node.produces[NAMED]
    assert [error.message for error in Draft202012Validator(schema).iter_errors(example.output)] == []


@each
def test_its_faults_are_told(node: NodeType):
    """Every code that the node's file raises is among its faults."""
    tree = ast.parse(inspect.getsource(inspect.getmodule(type(node))))  # type: ignore[arg-type]
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
    raised = {
        call.args[0].value
        for call in calls
        if call.func.id in ("NodeFailure", "failure") and call.args and isinstance(call.args[0], ast.Constant)
    }
    assert raised <= {fault.code for fault in node.faults}


def test_pure_types_need_nothing_from_outside():
    """They run in the head start, where there is no client and there are no secrets."""
    pure = [node for node in TYPES if node.pure]
    assert [node.type for node in pure if node.slots or inspect.iscoroutinefunction(node.run)] == []
    assert [node.type for node in pure for example in node.examples if example.calls or example.needs] == []


async def test_pure_types_give_the_same_every_time():
    for node, example in EXAMPLES:
        if node.pure and not node.type.startswith("trigger_"):
            definition, _ = read(example.workflow(node.type, node.version), Registry.load())
            first, second = [
                (await Rehearsal(Registry.load(), FixedClock()).play(definition, example.input)).outcomes["it"]
                for _ in range(2)
            ]
            assert first == second, node.type
    assert FixedClock().now_ms() == NOW_MS


@pytest.mark.parametrize("type", ORIGINAL)
def test_the_originals_names(type: str):
    assert [Registry.load().canonical(alias) for alias in ORIGINAL[type]] == [type] * len(ORIGINAL[type])


def test_the_pages_are_current():
    """If this fails: make node-docs."""
    found = {path.name: path.read_text() for path in (ROOT / "docs" / "nodes").glob("*.md")}
    assert pages() == found
