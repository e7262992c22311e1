from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from linkflow.domain.outcomes import Failed
from linkflow.local.trying import try_input
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.noop import NoOp
from linkflow.nodes.registry import Registry
from tests.unit.nodes.peers import codes

TEMPLATE = [
    ("trigger_manual", {}),
    ("trigger_schedule", {"cron": "0 9 * * *"}),
    ("trigger_webhook", {"path": "my-hook", "method": "POST"}),
    ("action_http_request", {"method": "GET", "url": "https://httpbin.org/json"}),
    ("action_ai", {"prompt": "Summarize this: {{ $node.prev.output }}"}),
    ("condition", {"expression": "{{ $node.prev.output.status }} == 200"}),
    ("action_slack", {"channel": "#general", "message": "Success!"}),
    ("action_email", {"to": "admin@example.com", "subject": "Alert", "body": "Something happened."}),
    ("loop", {"items_field": "items"}),
    ("action_database", {"query": "SELECT * FROM users"}),
    ("output_log", {"label": "Final Output"}),
]
"""The original's template of all its nodes."""


@pytest.fixture
def registry() -> Registry:
    return Registry.load()


@pytest.mark.parametrize(("type", "config"), TEMPLATE)
def test_the_originals_template_passes(registry: Registry, type: str, config: dict[str, object]):
    assert registry.canonical(type) == type
    assert registry.check(type, config) == []


@pytest.mark.parametrize(
    ("alias", "type"),
    [
        ("http", "action_http_request"), ("action_http", "action_http_request"), ("ai", "action_ai"),
        ("email", "action_email"), ("action_send_email", "action_email"), ("slack", "action_slack"),
        ("action_slack_message", "action_slack"), ("database", "action_database"), ("logic_condition", "condition"),
        ("logic_loop", "loop"), ("logic_delay", "delay"), ("transform_set", "transform"), ("set", "transform"),
        ("transform_filter", "transform"), ("action_set", "transform"), ("log", "output_log"), ("output", "respond"),
        ("output_respond", "respond"), ("workflow", "sub_workflow"), ("execute_workflow", "sub_workflow"),
        ("no_op", "noop"),
    ],
)  # fmt: skip
def test_aliases(registry: Registry, alias: str, type: str):
    assert registry.canonical(alias) == type
    assert registry.resolve(alias) is registry.resolve(type)


def test_unknown_types_are_unknown(registry: Registry):
    assert registry.canonical("action_telex") is None
    assert registry.resolve("telepathy") is None
    assert registry.outputs("telepathy", {}) == ()
    assert "action_slack" in registry.check("action_slak", {})[0].message


def test_no_types_means_not_installed():
    with pytest.raises(RuntimeError, match="not installed"):
        Registry([])


def test_two_types_of_one_name():
    class Other(NoOp):
        type = "other"
        aliases = ("no_op",)

    with pytest.raises(RuntimeError, match="'no_op'"):
        Registry([NoOp(), Other()])


def test_every_fault_at_once():
    found = codes("http", {"methd": "GET", "timeout": "soon", "headers": {"a b": "x"}})
    assert sorted(found) == [
        ("/headers", "invalid_value"),
        ("/methd", "unknown_field"),
        ("/timeout", "invalid_type"),
        ("/url", "missing_field"),
    ]


def test_values_with_expressions_are_checked_at_run_time():
    assert codes("http", {"url": "{{ input.url }}", "timeout": "{{ vars.T }}", "query": "{{ input.q }}"}) == []
    assert codes("switch", {"field": "a", "cases": [{"value": 1, "output": "{{ x }}"}]}) == []
    assert codes("loop", {"items": "{{ input.items }}", "concurrency": "{{ n }}"}) == []


def test_paths_skip_the_branches_of_unions():
    assert codes("database", {"query": "select 1", "params": 5}) == [("/params", "invalid_type")]
    assert codes("switch", {"value": 1, "cases": [{"value": 1}, {"output": "x"}]}) == [
        ("/cases/1/value", "missing_field")
    ]


def test_a_name_that_there_is_not_is_a_fault_whatever_its_value():
    """It would be one when the node runs."""
    found = Registry.load().check("transform", {"operation": "filter", "condition": "{{ input.a > 1 }}"})
    assert [(one.path, one.code) for one in found] == [("/condition", "unknown_field")]
    assert found[0].message.endswith("Did you mean `conditions`?")
    tools = [{"type": "http", "name": "a", "url": "http://a.example", "head": "{{ input.x }}"}]
    [fault] = Registry.load().check("action_ai_agent", {"prompt": "x", "tools": tools})
    assert (fault.path, fault.code) == ("/tools/0/head", "unknown_field")


def test_what_might_be_meant_is_of_the_same_object():
    config = {"url": "http://a.example", "pagination": {"mode": "page", "max_page": 3, "body_typ": 1}}
    messages = {one.path: one.message for one in Registry.load().check("action_http_request", config)}
    assert messages == {
        "/pagination/max_page": "`pagination` has no field `max_page`. Did you mean `max_pages`?",
        "/pagination/body_typ": "`pagination` has no field `body_typ`.",
    }


async def test_at_run_time_faults_are_told_in_the_same_words(registry: Registry):
    node = registry.resolve("http")
    assert node is not None
    config = {"url": "http://a.example", "batch": {"requests": "{{ input }}"}, "timeout": "{{ 0 - 1 }}"}
    outcome = await try_input(registry, node, config, [{"pth": "/x"}], EgressClient(), {})
    assert isinstance(outcome, Failed)
    assert (outcome.error.code, outcome.error.retryable) == ("invalid_params", False)
    assert [(one["path"], one["code"]) for one in outcome.error.details["problems"]] == [
        ("/timeout", "invalid_value"), ("/batch/requests/0/pth", "unknown_field"),
    ]  # fmt: skip
    assert "/batch/requests/0/pth: `requests` has no field `pth`." in outcome.error.message


def test_secrets_in_the_config_are_warned_about(registry: Registry):
    [fault] = registry.check("email", {"to": "a@b.c", "subject": "x", "password": "hunter2"})
    assert (fault.path, fault.code, fault.severity) == ("/password", "secret_in_config", "warning")
    [fault] = registry.check("http", {"url": "https://x.example", "auth": {"token": "abc"}})
    assert fault.path == "/auth/token"
    assert registry.check("slack", {"text": "x", "token": "{{ credential.slack }}"}) == []


def test_fields_without_a_use_are_warned_about(registry: Registry):
    [fault] = registry.check("loop", {"items_field": "a", "item_alias": "row"})
    assert (fault.code, fault.severity) == ("not_used", "warning")


def test_outputs(registry: Registry):
    assert registry.outputs("condition", {"expression": "a"}) == ("true", "false")
    rules = [{"field": "a", "output": "big"}, {"field": "b", "output": "small"}]
    assert registry.outputs("logic_condition", {"conditions": rules}) == ("big", "small", "else")
    assert registry.outputs("condition", {"mode": "switch", "cases": [{"value": 1, "output": "one"}]}) == (
        "one",
        "default",
    )
    assert registry.outputs("switch", {"cases": [{"value": 1}], "default_output": "rest"}) == ("1", "rest")
    assert registry.outputs("loop", {}) == ("each", "done")
    assert registry.outputs("http", {}) == ("main",)


def test_expression_fields_leave_out_paths(registry: Registry):
    assert registry.expression_fields("condition") == ("expression",)
    assert registry.expression_fields("switch") == ()


def test_the_catalogue_is_json(registry: Registry):
    found = {entry["type"]: entry for entry in json.loads(json.dumps(registry.describe()))}
    assert found.keys() == set(registry.names())
    assert [slot["slot"] for slot in found["action_slack"]["credentials"]] == ["slack"]
    assert [kind["kind"] for kind in found["action_slack"]["credentials"][0]["kinds"]] == ["slack"]
    assert found["action_slack"]["schema"]["properties"]["token"]["writeOnly"] is True
    assert found["action_http_request"]["schema"]["required"] == ["url"]
    assert "from_email" not in found["action_email"]["schema"]["properties"]
    assert "from_email" in found["action_email"]["schema"]["properties"]["sender"]["also"]


def test_loading_is_light():
    """A cold start must not pay for clients that the run may not need."""
    heavy = ("httpx", "aiohttp", "psycopg", "aiosmtplib", "ssl")
    load = "import sys; from linkflow.nodes.registry import Registry; Registry.load().types()"
    code = f"{load}; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert out.stdout.strip() == "[]"


def test_a_type_is_imported_when_it_is_asked_for():
    load = "import sys; from linkflow.nodes.registry import Registry; found = Registry.load()"
    ask = "found.resolve('condition'); found.outputs('condition', {}); found.names()"
    code = f"{load}; {ask}; print([name for name in ('condition', 'slack') if 'linkflow.nodes.' + name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path("/"))
    assert out.stdout.strip() == "['condition']"
