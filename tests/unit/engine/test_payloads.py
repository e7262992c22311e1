"""References: what is set aside, what goes on for it, and what nobody may forge."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import decide
from linkflow.domain.errors import InvalidInput
from linkflow.domain.evolve import fold
from linkflow.domain.graph import Graph
from linkflow.domain.outcomes import CallWorkflow, Completed, Iterate, RequestApproval, Sleep
from linkflow.domain.packing import pack, payloads_of
from linkflow.domain.payloads import (
    BLOB,
    LIST,
    Blob,
    Stowage,
    blob_of,
    encode,
    is_intact,
    item_of,
    references,
    refuse_reserved,
    reserved,
    substitute,
    whole,
)
from linkflow.domain.state import encode as encode_state
from linkflow.domain.state import new
from tests.unit.engine.support import AT, ID, WORKSPACE, Run, done, flow, start

BIG = "x" * 40_000
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def stowage(limit: int = 32_768) -> Stowage:
    return Stowage(WORKSPACE, ID, limit)


def read_back(value: object, stow: Stowage) -> object:
    def known(blob: Blob) -> object:
        found = msgspec.json.decode(stow.blobs[blob.key])
        return found if blob.at < 0 else found[blob.at]

    return substitute(value, known)


def test_only_what_is_large_is_set_aside() -> None:
    stow = stowage()
    assert stow.keep("x" * 32_766) == "x" * 32_766  # with its quotes just at the limit
    kept = stow.keep(BIG)
    blob = blob_of(kept)
    assert blob is not None
    assert (blob.size, blob.execution_id) == (40_002, ID)
    assert blob.key.startswith(f"{WORKSPACE}/{ID}/")
    assert is_intact(blob.key, stow.blobs[blob.key])
    assert not is_intact(blob.key, b"else")
    assert stow.keep(BIG) == kept
    assert len(stow.blobs) == 1


@pytest.mark.parametrize(
    "message",
    [
        Completed(BIG),
        Completed(BIG, respond={"status": 200, "headers": {}, "body": BIG}, answers=True),
        Completed(1, respond=BIG, answers=True),
        Sleep(1, BIG),
        CallWorkflow("w", BIG),
        RequestApproval("t", payload=BIG),
        start(BIG),
        c.Signal("s", "n", payload=BIG),
        c.Decide("n", 1, "approved", BIG),
        c.CloseChild("n", 1, ID, "completed", BIG),
        done("n", BIG),
    ],
    ids=lambda message: type(message).__name__,
)
def test_whatever_carries_data_is_packed(message: msgspec.Struct) -> None:
    stow = stowage()
    small = pack(message, stow)
    assert len(encode(small)) < 1000
    assert len(stow.blobs) == 1  # an answer's body is the output: kept once
    assert [read_back(value, stow) for value in payloads_of(small)] == list(payloads_of(message))
    assert pack(small, stowage()) is small


def test_what_is_small_is_handed_on_as_it_is() -> None:
    for message in (Completed({"a": 1}), done("n", [1, 2]), Iterate((1, 2)), start({"a": 1})):
        assert pack(message, stowage()) is message


def test_a_fork_keeps_the_items_of_a_loop_as_its_source_had_them() -> None:
    """Also where the limit is another by now: items are a list, and no reference to one."""
    begun = e.LoopStarted(event_id=3, at=AT, node="loop", attempt=1, items=("x" * 60, "y" * 60), body=("a",))
    fork = c.Fork("a[0]", 1, (begun,))
    command = msgspec.structs.replace(start({"n": 1}), fork=fork)
    assert pack(command, Stowage(WORKSPACE, ID, 100)) == command


def test_items_are_kept_in_parts_and_found_one_by_one() -> None:
    items = tuple({"n": n, "text": "y" * 2000} for n in range(100))
    stow = stowage()
    command = pack(c.Complete("loop", 1, Iterate(items, 5)), stow)
    outcome = command.outcome
    assert isinstance(outcome, Iterate)
    assert (outcome.items, outcome.concurrency) == ((), 5)
    assert 3 <= len(outcome.parts) <= 5
    assert [read_back(item_of(outcome.parts, n), stow) for n in range(100)] == list(items)
    assert read_back(whole(outcome.parts), stow) == list(items)
    with pytest.raises(IndexError):
        item_of(outcome.parts, 100)


def test_one_item_larger_than_a_part_is_a_part_of_its_own() -> None:
    stow = stowage()
    parts = stow.split([1, "z" * 100_000, 2])
    assert [part.count for part in parts] == [1, 1, 1]
    assert read_back(whole(parts), stow) == [1, "z" * 100_000, 2]


@given(json, st.integers(1, 40))
def test_setting_aside_and_reading_back_gives_the_same(value: object, limit: int) -> None:
    stow = stowage(limit)
    kept = stow.keep(value)
    assert read_back(kept, stow) == value
    assert reserved(value) is None
    nested = {"a": [kept, {"b": kept}], "c": 1}
    assert read_back(nested, stow) == {"a": [value, {"b": value}], "c": 1}


@given(json)
def test_what_holds_no_reference_is_handed_on_as_it_is(value: object) -> None:
    assert substitute(value, lambda blob: 1) is value
    assert list(references(value)) == []


@pytest.mark.parametrize(
    "value",
    [{BLOB: 1}, {BLOB: {}}, {BLOB: {"key": 1, "size": 1}}, {BLOB: {"key": "a", "size": 1}}, {BLOB: None}, {LIST: 3}],
)
def test_what_only_looks_like_a_reference_is_none(value: object) -> None:
    assert blob_of(value) is None
    assert list(references(value)) == []
    substitute(value, lambda blob: 1)


def test_a_reserved_name_is_found_wherever_it_stands() -> None:
    assert reserved({"a": [{}, {"b/c": {"$linkflow:x": 1}}]}) == "/a/1/b~1c/$linkflow:x"
    assert reserved({"a": "$linkflow:blob", "b": '{"$linkflow:blob": 1}', "$linkflow": 1}) is None
    with pytest.raises(InvalidInput) as refused:
        refuse_reserved([{LIST: []}], "/input")
    assert [(fault.path, fault.code) for fault in refused.value.problems] == [
        ("/input/0/$linkflow:list", "reserved_name")
    ]


def test_the_decider_moves_references_like_values() -> None:
    """A loop over parts with nothing but references in it: counts are all that the decider needs."""
    run = Run.given(flow("t > loop", "loop:each > a", "loop:done > z"))
    stow = stowage()
    items = tuple(f"{n:05}" * 1000 for n in range(20))
    run.when(pack(c.Complete("loop", 1, Iterate(items, 3)), stow))
    assert run.state.loops["loop"].total == 20
    assert len(encode_state(run.state)) < 3000
    for n in range(20):
        run.when(pack(done(f"a[{n}]", items[n] * 8), stow))
    assert run.status("loop") == "completed"
    assert read_back(run.output("loop"), stow) == {"results": [item * 8 for item in items], "count": 20}
    run.when(done("z"))
    assert run.state.status == "completed"


def test_a_loop_without_a_body_hands_its_items_on() -> None:
    run = Run.given(flow("t > loop", "loop:done > z"))
    stow = stowage()
    items = tuple("q" * 5000 for _ in range(10))
    run.when(pack(c.Complete("loop", 1, Iterate(items)), stow))
    assert read_back(run.output("loop"), stow) == {"results": list(items), "count": 10}


def test_results_that_are_large_together_are_kept_in_parts() -> None:
    definition = flow("t > loop", "loop:each > a", "loop:done > z")
    graph, state, events = Graph(definition, "t"), new(ID), []
    commands: list[c.Command] = [start(), c.Complete("loop", 1, Iterate(tuple(range(40)), 0))]
    commands += [done(f"a[{n}]", f"{n:05}" * 400) for n in range(40)]
    stow = stowage()
    for command in commands:
        decision = decide(graph, definition.settings, state, (command,), AT, stow=stow)
        state, events = decision.state, [*events, *decision.events]
    assert encode_state(fold(ID, e.decode(e.encode(events)))) == encode_state(state)
    output = state.runs["loop"].output
    assert len(encode(output)) < 1000
    assert read_back(output, stow) == {"results": [f"{n:05}" * 400 for n in range(40)], "count": 40}
