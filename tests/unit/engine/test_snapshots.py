"""Snapshots: wherever one was taken, it and the events since are the state; and what they cost in bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain import events as e
from linkflow.domain.evolve import fold
from linkflow.domain.replay import replay
from linkflow.domain.snapshots import BIG, Stored, restore, restored, snapshot
from linkflow.domain.state import encode
from tests.unit.engine.drawing import definitions
from tests.unit.engine.support import ID, Run, done, flow, iterates, start
from tests.unit.engine.test_properties import ENGINE, SEEDS, play


@ENGINE
@given(definitions(), SEEDS, st.randoms())
def test_a_snapshot_and_what_came_since_are_the_state(definition, seed, random):
    run = play(definition, seed)
    taken = random.randint(0, len(run.events))
    state = encode(fold(ID, run.events[:taken])) if taken else b""
    rows, at = [], max(0, taken - random.randint(0, 3))  # the first row may begin before the snapshot
    while at < len(run.events):
        size = random.randint(1, 4)
        rows.append(e.encode(run.events[at : at + size]))
        at += size
    assert restored(ID, state, rows) == encode(run.state)
    if taken:
        assert replay(ID, e.encode(run.events), state, run.state.version, taken).matches


def test_a_gap_between_snapshot_and_events_is_refused():
    run = Run.given(flow("t > a > b"), done("a"))
    state = encode(fold(ID, run.events[:1]))
    with pytest.raises(ValueError, match="cannot follow"):
        restore(ID, state, [e.encode(run.events[2:])])


def test_replay_finds_what_is_wrong_with_a_snapshot():
    run = Run.given(flow("t > a > b"), done("a", "A"), done("b", "B"))
    events, last = e.encode(run.events), run.state.version
    right = encode(fold(ID, run.events[:3]))
    assert replay(ID, events, right, last, 3).matches
    wrong = replay(ID, events, right.replace(b'"A"', b'"X"'), last, 3)
    assert (wrong.matches, wrong.at) == (False, right.index(b'"A"') + 1)
    assert not replay(ID, events, right, last, 2).matches, "it is of another event"
    assert "should be 99" in replay(ID, events, encode(run.state), 99, 99).fault
    assert replay(ID, events, b"", last, last).matches, "of another format: nothing to compare with"
    assert not replay(ID, events, right, last).matches, "it should know all"


def test_small_states_are_written_every_time():
    assert snapshot(7, BIG - 1) is None
    assert snapshot(7, BIG) == Stored(7, BIG)


def test_a_big_one_is_written_when_the_events_since_outweigh_it():
    stored = Stored(7, 100_000)
    for _ in range(9):
        stored = stored.followed_by(10_000)
        assert stored is not None
    assert (stored.version, stored.tail) == (7, 90_000)
    assert stored.followed_by(10_000) is None


def test_a_long_loop_writes_as_many_bytes_as_its_events_have():
    """By the rule alone: one item a transition, the state grows with each."""
    run = Run(flow("t > loop1", "loop1:each > a"))
    run.when(start())
    run.when(iterates("loop1", *range(600)))
    events = states = 0
    stored = snapshot(run.state.version, len(encode(run.state)))
    for index in range(600):
        before = len(run.events)
        run.when(done(f"a[{index}]", {"row": index, "text": "x" * 250}))
        size = len(e.encode(run.events[before:]))
        events += size
        stored = stored.followed_by(size) if stored else None
        if stored is None:
            state = len(encode(run.state))
            states += state
            stored = snapshot(run.state.version, state)
    while_small = BIG * BIG // 100  # each of them whole, up to the size from which on they are big
    assert states < while_small + 3 * events
    assert states < 600 * len(encode(run.state)) / 4
