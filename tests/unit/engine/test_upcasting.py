"""Events of earlier versions: read in today's form, by one door, at no cost for those that never changed."""

from __future__ import annotations

import json
import typing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain import upcasting
from linkflow.domain.errors import Unavailable
from linkflow.domain.outcomes import Failed, NodeError
from linkflow.domain.upcasting import UPCASTERS, current, upcast
from tests.unit.engine.support import Run, flow, start

OLD = {
    "type": "NodeTimedOut",
    "event_id": 3,
    "at": 7,
    "node": "a",
    "attempt": 2,
    "timeout": "heartbeat",
    "final": False,
}
KINDS = {kind.__name__: kind for kind in typing.get_args(e.Event)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def _version_of(kind: type[e.Base]) -> int:
    field = next(field for field in msgspec.structs.fields(kind) if field.name == "version")
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


@pytest.mark.parametrize("name", KINDS)
def test_upcasters_lead_from_every_version_to_the_current_one(name: str):
    steps = {version for kind, version in UPCASTERS if kind == name}
    assert steps == set(range(1, _version_of(KINDS[name])))


def test_a_timeout_of_version_1_gets_the_error_that_it_stood_for():
    (event,) = e.decode(json.dumps([OLD]).encode())
    assert isinstance(event, e.NodeTimedOut)
    assert (event.version, event.final, event.attempt) == (2, False, 2)
    assert event.error == NodeError("timeout", "The attempt passed its heartbeat timeout.")


def test_a_timeout_keeps_what_the_worker_said():
    error = NodeError("timeout", "No answer from the printer.", False, {"pages": 3})
    run = Run.given(flow("t > a"))
    run.when(c.Complete("a", 1, Failed(error, timed_out="start_to_close"), worker="w7"))
    event = run.last(e.NodeTimedOut)
    assert (event.error, event.worker, event.version) == (error, "w7", 2)
    assert run.state.runs["a"].error == error


def test_the_first_version_is_not_written_and_later_ones_are():
    run = Run(flow("t > a"))
    run.when(start())
    run.when(c.Complete("a", 1, Failed(NodeError("x", "y"), timed_out="heartbeat")))
    stored = json.loads(e.encode(run.events))
    assert {event["type"]: event.get("version") for event in stored} == {
        "ExecutionStarted": None, "NodeScheduled": None, "NodeTimedOut": 2, "ExecutionFailed": None,
    }  # fmt: skip
    assert e.public(stored[2])["version"] == 2


def test_a_version_from_the_future_is_refused():
    for event in (OLD | {"version": 3}, {"type": "NodeSkipped", "event_id": 1, "at": 1, "node": "a", "version": 2}):
        with pytest.raises(Unavailable, match="newer version"):
            e.decode(json.dumps([event]).encode())


def test_what_is_broken_is_no_future():
    for event in ({"type": "NodeSkipped"}, OLD | {"node": 3}, {"at": 1}, 7):
        with pytest.raises(ValueError, match=r"missing|Expected"):
            e.decode(json.dumps([event]).encode())


@given(st.lists(st.tuples(JSON, st.booleans()), min_size=1, max_size=4))
def test_neighbours_stay_as_they_are_to_the_byte(drawn: list[tuple[typing.Any, bool]]):
    """Payloads may hold anything, also text that looks like an old event."""
    lookalike = {"type": "NodeTimedOut", "timeout": "x"}
    others: list[e.Event] = [
        e.NodeCompleted(event_id=i, at=1, node="n", attempt=1, output=[lookalike, value] if alike else value)
        for i, (value, alike) in enumerate(drawn, 1)
    ]
    stored = e.encode(others)
    assert current(stored) == stored
    mixed = stored[:-1] + b"," + msgspec.json.encode(OLD) + b"]"
    now = bytes(current(mixed))
    assert now.startswith(stored[:-1] + b",")
    assert current(now) == now
    assert e.decode(mixed)[:-1] == e.decode(stored)


@given(st.text(), st.integers(1, 9), st.booleans())
def test_casting_up_is_done_once(timeout: str, attempt: int, final: bool):
    old = OLD | {"timeout": timeout, "attempt": attempt, "final": final}
    once = upcast(dict(old))
    assert upcast(dict(once)) == once
    assert {key: once[key] for key in old} == old
    (event,) = e.decode(msgspec.json.encode([old]))
    assert e.decode(e.encode([event])) == (event,)


def test_what_needs_nothing_is_handed_on_as_it_is():
    stored = e.encode([e.NodeSkipped(event_id=1, at=1, node="a")])
    assert current(stored) is stored
    raw = msgspec.Raw(stored)
    assert upcasting.current(raw) is raw
