"""Names: what they stand for, in which order, and what is known of them before the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from linkflow.domain.expressions import ExpressionSyntaxError, Scope, compile_expression, compile_value

NODES: dict[str, dict[str, Any]] = {
    "fetch_order": {"output": {"total": 5}, "status": "completed"},
    "my-node": {"output": [1], "status": "completed"},
    "1": {"output": "first", "json": {"raw": True}},
    "Fetch it": {"output": None, "status": "failed", "error": {"code": "timeout"}},
}
SCOPE = Scope(
    trigger={"body": {"id": 9}},
    input={"a": 1},
    node=NODES.get,
    prev={"output": {"status": 200}},
    loop={"item": "x", "index": 2, "output": [1], "items": ["w", "x"]},
    vars={"REGION": "eu", "fetch_order": "hidden", "input": "hidden too"},
    workflow={"id": "w1", "name": "W", "version": 3},
    execution={"id": "e1", "started_at": "2024-01-01T00:00:00Z"},
    credentials={"api": "secret"},
    approvals={"ask": {"url": "https://l/1"}, "Ask us": {"url": "https://l/2"}}.get,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trigger.body.id", 9),
        ("input.a + $input.a + $json.a", 3),
        ("fetch_order.total", 5),
        ('$node["fetch_order"].output.total', 5),
        ("$node.fetch_order.json.total", 5),
        ('$node["my-node"].output[0]', 1),
        ('$node["1"].json.raw', True),
        ('$node["Fetch it"].error.code', "timeout"),
        ('$node["Fetch it"].status', "failed"),
        ('$node["Nobody"].output.x', None),
        ('$node["fetch_order"]', {"output": {"total": 5}, "status": "completed", "json": {"total": 5}}),
        ('$node["fetch" + "_order"].output.total', 5),
        ("$node.prev.output.status", 200),
        ('$node["prev"].output.status', 200),
        ("loop.item + loop.index + loop.output[0] + loop.items.length", "x212"),
        ('$approval.ask.url + " " + $approval["Ask us"].url', "https://l/1 https://l/2"),
        ("$approval.nobody.url", None),
        ("vars.REGION + env.REGION + REGION", "eueueu"),
        ("vars", {"REGION": "eu", "fetch_order": "hidden", "input": "hidden too"}),
        ("vars['RE' + 'GION']", "eu"),
        ("workflow.name + workflow.version", "W3"),
        ("execution.id", "e1"),
        ("credential.api", "secret"),
        ("credential.other", None),
        ("nobody", None),
        ("[1].map(input => input)", [1]),
        ("[{x: 1}].map(vars => vars.x)", [1]),
        ("[1, 2].map(fetch_order => fetch_order * 2).concat(fetch_order.total)", [2, 4, 5]),
    ],
)
def test_what_a_name_stands_for(text: str, expected: Any) -> None:
    assert compile_expression(text).evaluate(SCOPE) == expected


def test_nothing_is_there_by_default() -> None:
    for name in ("trigger", "input.x", "loop.item", "workflow.id", "credential.api", "$node.prev.output", "a_node.x"):
        assert compile_expression(name).evaluate(Scope()) is None


def test_credentials_stay_out_of_reach_as_a_whole() -> None:
    for text in ("credential", "credential['a' + 'pi']", "JSON.stringify(credential)", "[credential]", "{credential}"):
        with pytest.raises(ExpressionSyntaxError, match="credential needs a name"):
            compile_value("{{ " + text + " }}")
    assert compile_expression("credential.api").evaluate(Scope()) is None


def test_links_to_approvals_need_a_name() -> None:
    for text in (
        "$approval",
        "$approval['a' + 'sk']",
        "JSON.stringify($approval)",
        "[$approval]",
        "/a/.test($approval)",
    ):
        with pytest.raises(ExpressionSyntaxError, match="name of an approval node"):
            compile_value("{{ " + text + " }}")
    script = compile_value("{{ $approval.ask.url.replace(/l/, 'x') }}").scripts[0]
    assert script.data(SCOPE)["approvals"] == {"ask": {"url": "https://l/1"}}


def test_nodes_are_looked_up_only_when_needed() -> None:
    asked: list[str] = []

    def node(name: str) -> Mapping[str, Any] | None:
        asked.append(name)
        return NODES.get(name)

    compiled = compile_expression("input.a == 1 ? 'no need' : fetch_order.total")
    assert compiled.evaluate(Scope(input={"a": 1}, node=node)) == "no need"
    assert asked == []


def test_static_facts() -> None:
    compiled = compile_value(
        {
            "a": "{{ fetch_order.total }} {{ REGION }} {{ input.x }}",
            "b": ['{{ $node["My node"].output }}', "{{ $node.other.error }}", "{{ $node.prev.output }}"],
            "{{ key }}": "{{ items.map(i => i.x + outer) }}",
            "c": "{{ credential.api }}",
        }
    )
    assert compiled.nodes == {"My node", "other"}
    assert compiled.names == {"fetch_order", "REGION", "key", "items", "outer"}
    assert compiled.references == compiled.nodes | compiled.names
    assert compiled.credentials == {"api"}
    assert not compiled.uses_clock
    assert not compiled.uses_random


@pytest.mark.parametrize(
    ("text", "clock", "random"),
    [
        ("now()", True, False), ("[1].map(x => now())", True, False), ("randint(1, 2)", False, True),
        ("Math.random()", False, True), ("random() + now()", True, True), ("now", False, False),
        ("input.now", False, False),
    ],
)  # fmt: skip
def test_clock_and_random(text: str, clock: bool, random: bool) -> None:
    compiled = compile_expression(text)
    assert (compiled.uses_clock, compiled.uses_random) == (clock, random)
