"""Code nodes and expressions for the JavaScript engine, as their author sees them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import edge, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound
from tests.e2e.topologies import Topology


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("scripts")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "scripts"), folder) as made:
            yield made
        assert_sound(database_url, expect=5)


def test_scripts_and_expressions_in_one_run(person: Person) -> None:
    saved = workflow(
        node("pure", "transform", {"fields": {"n": "{{ trigger.n + 1 }}"}}),
        node("words", "transform", {"fields": {"words": "{{ trigger.text.match(/\\w+/g) }}"}}),
        node("js", "code", {"code": "console.log('n is', input.n);\nreturn { ...input, sum: input.n + rate }",
                            "variables": {"rate": "{{ input.words.length }}"}}),
        node("py", "action_script", {"language": "python", "code": "print(len(input))\nreturn sorted(input['words'])"}),
    )  # fmt: skip
    run = person.run(saved, {"n": 1, "text": "to be or"}).check()
    assert run.result == ["be", "or", "to"]
    assert run.nodes["js"]["output"]["sum"] == 5
    assert run.nodes["js"]["logs"] == ["n is 2"]
    assert run.nodes["py"]["logs"] == ["4"]


def test_a_loop_whose_condition_needs_the_engine(person: Person) -> None:
    saved = workflow(
        node("again", "while", {"condition": "![3, 4].includes(loop.index) && /^t/.test(trigger.text)"}),
        node("body", "code", {"code": "return trigger.text.repeat(2)"}),
        edges=[edge("begin", "again"), edge("again", "body", "each")],
    )
    run = person.run(saved, {"text": "to"}).check()
    assert run.nodes["body[2]"]["output"] == "toto"
    assert "body[3]" not in run.nodes


def test_a_script_that_fails_takes_the_error_branch(person: Person) -> None:
    saved = workflow(
        node("js", "code", {"code": "console.log('before');\nthrow new Error('no stock')"}, on_error="branch"),
        node("other", "transform", {"fields": {"why": "{{ js.error.message }}"}}),
        edges=[edge("begin", "js"), edge("js", "other", "error")],
    )
    run = person.run(saved).check()
    assert run.result["why"].startswith("Error: no stock (line 2, column ")
    assert run.nodes["js"]["logs"] == ["before"]


def test_a_script_without_end_costs_its_own_run_alone(person: Person) -> None:
    endless = workflow(node("js", "code", {"code": "while (true) { }", "timeout": 0.3}))
    first = person.start(person.save(endless)["id"])
    assert person.run(workflow(node("js", "code", {"code": "return 1"}))).check().result == 1
    failed = person.end(first).check("failed")
    assert failed.error["code"] == "script_timeout"


def test_every_fault_is_told_when_it_is_saved(person: Person) -> None:
    saved = workflow(
        node("a", "transform", {"fields": {"x": "{{ toUper(input.a) }}", "y": "{{ 1 + }}"}}),
        node("b", "transform", {"fields": {"deep": ["{{ 'a'.map(x => x) }}", "ok\n{{ $node.nowhere.output }}"]}}),
        node("c", "condition", {"expression": "/a(/.test(input)"}),
    )
    answer = person.send("POST", f"{person.base}/workflows", json=saved)
    assert answer.status_code == 422
    told = {
        (one["pointer"], one["code"], one["detail"].rpartition("(")[2].rstrip(".")) for one in answer.json()["errors"]
    }
    where, syntax = "/nodes/{}/config/{}".format, "expression_syntax"
    assert told == {
        (where(1, "fields/x"), syntax, "line 1, column 4)"),
        (where(1, "fields/y"), syntax, "line 1, column 8)"),
        (where(2, "fields/deep/0"), syntax, "line 1, column 7)"),
        (where(2, "fields/deep/1"), "unknown_node_in_expression", "line 2, column 9)"),
        (where(3, "expression"), syntax, "line 1, column 1)"),
    }
