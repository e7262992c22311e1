"""Expressions for the JavaScript engine, in a run: who evaluates them, and that the run is sound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest

from linkflow.domain import definition as d
from linkflow.domain.outcomes import Completed, Failed
from linkflow.local.trying import NOW_MS, FixedClock
from linkflow.nodes.registry import Registry
from linkflow.sandbox.pool import Pool
from linkflow.services.worker.plans import Plan
from linkflow.services.worker.rehearsal import Played, Rehearsal


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[Pool]:
    made = Pool(1)
    yield made
    await made.close()


def document(*nodes: d.Node, edges: tuple[tuple[str, str, str], ...] = ()) -> d.Definition:
    ids = ["t", *(node.id for node in nodes)]
    wires = edges or tuple((a, "main", b) for a, b in pairwise(ids))
    made = tuple(d.Edge(f"e{at}", a, b, port) for at, (a, port, b) in enumerate(wires))
    return d.Definition("w", nodes=(d.Node("t", "trigger_manual"), *nodes), edges=made)


async def play(pool: Pool | None, definition: d.Definition, data: Any) -> Played:
    return await Rehearsal(Registry.load(), FixedClock(), scripts=pool).play(definition, data)


def output(played: Played, key: str) -> Any:
    outcome = played.outcomes[key]
    assert isinstance(outcome, Completed), outcome
    return outcome.output


async def test_a_node_finds_the_answers(pool: Pool) -> None:
    definition = document(
        d.Node("a", "transform", config={"fields": {
            "word": "{{ input.text.match(/b\\w*/)[0] }}", "n": "{{ input.n + 1 }}",
            "both": "{{ input.n }} and {{ /x/.test(input.text) }}",
            "when": "{{ new Date().toISOString() }}", "same": "{{ Date.now() == new Date(now()).getTime() }}",
        }}),
        d.Node("b", "transform", config={"fields": {"loud": "{{ a.word.replace(/^b/, x => x.toUpperCase()) }}"}}),
    )  # fmt: skip
    played = await play(pool, definition, {"text": "a bee", "n": 1})
    made = {"word": "bee", "n": 2, "both": "1 and false", "when": "2027-01-15T08:00:00.000Z", "same": True}
    assert {name: output(played, "a")[name] for name in made} == made
    assert output(played, "b")["loud"] == "Bee"


async def test_expression_fields_without_braces(pool: Pool) -> None:
    definition = document(
        d.Node("c", "condition", config={"expression": "/^a/.test(input.name) && input.n > 1"}),
        d.Node("yes", "noop"),
        d.Node("no", "noop"),
        edges=(("t", "main", "c"), ("c", "true", "yes"), ("c", "false", "no")),
    )
    assert "yes" in (await play(pool, definition, {"name": "ann", "n": 2})).outcomes
    assert "no" in (await play(pool, definition, {"name": "bob", "n": 2})).outcomes


async def test_a_while_loop_asks_each_time(pool: Pool) -> None:
    definition = document(
        d.Node("w", "while", config={"condition": "[0, 1, 2].findLastIndex(i => i >= loop.index) >= 0"}),
        d.Node("body", "transform", config={"fields": {"i": "{{ loop.index }}"}}),
        edges=(("t", "main", "w"), ("w", "each", "body")),
    )
    played = await play(pool, definition, {})
    assert played.state.runs["w"].output is not None
    assert len([key for key in played.outcomes if key.startswith("body")]) == 3


async def test_what_goes_wrong_is_an_expression_error(pool: Pool) -> None:
    for text, words in (
        ("{{ (() => { while (true) { } })() }}", "over a limit (timeout)"),
        ("{{ (() => { throw new Error('mine') })() }}", "Error: mine (line 1, column 5)"),
        ("{{ input.n.match(/x/) }}", "not a function"),
    ):
        played = await play(pool, document(d.Node("a", "transform", config={"fields": {"x": text}})), {"n": 1})
        outcome = played.outcomes["a"]
        assert isinstance(outcome, Failed)
        assert (outcome.error.code, outcome.error.retryable) == ("expression_error", False)
        assert words in outcome.error.message


async def test_without_an_engine_it_is_said(pool: Pool) -> None:
    played = await play(None, document(d.Node("a", "transform", config={"fields": {"x": "{{ [/a/] }}"}})), {})
    outcome = played.outcomes["a"]
    assert isinstance(outcome, Failed)
    assert outcome.error.code == "no_engine"


def test_only_a_worker_runs_such_a_node() -> None:
    """Neither the head start nor a chain of pure nodes may: both are synchronous, and one is in History."""
    definition = document(
        d.Node("a", "transform", config={"fields": {"x": "{{ input.x }}"}}),
        d.Node("b", "transform", config={"fields": {"x": "{{ /a/.test(input.x) }}"}}),
        d.Node("c", "condition", config={"expression": "/a/.test(input.x)"}),
        d.Node("e", "transform", config={"fields": {"x": "/a/.test(input.x)"}}),
    )
    plan = Plan(definition, "t", Registry.load())
    fusible = {id: step.fusible for id in "abce" if (step := plan.step(id))}
    assert fusible == {"a": True, "b": False, "c": False, "e": True}


async def test_the_same_moment_and_chance_give_the_same(pool: Pool) -> None:
    text = "{{ (() => [Math.random(), Math.random(), Date.now()])() }}"
    definition = document(d.Node("a", "transform", config={"fields": {"x": text}}))
    first, second = [output(await play(pool, definition, {}), "a")["x"] for _ in range(2)]
    assert first == second
    assert first[0] != first[1]
    assert first[2] == NOW_MS
