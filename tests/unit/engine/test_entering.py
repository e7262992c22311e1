"""Runs that are not let in at once: they wait or collect, may be stopped, and begin with what they came with."""

from __future__ import annotations

import msgspec
import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.admission import Line, key_text, next_turn
from linkflow.domain.definition import RateLimit, Settings
from linkflow.domain.entering import MAX_COLLECTED_BYTES
from linkflow.domain.outcomes import NodeError
from tests.unit.engine.support import AT, ID, SECOND, Run, done, flow, start

LINE = flow("t > a", settings=Settings(timeout=10, max_parallel=1))


def queued(line: str = "concurrency", due_at: int = 0) -> Run:
    run = Run(LINE)
    assert run.when(c.Hold(line, "acme", due_at, start({"n": 1}, key="k"))) == ["ExecutionQueued"]
    return run


def order(n: int, wait: int = 2 * SECOND, **more: int) -> c.Collect:
    return c.Collect(
        msgspec.structs.replace(start({"n": n}), execution_id=f"{ID[:-1]}{n}"), "debounce", "k", wait, **more
    )


def batched(n: int, size: int = 3) -> c.Collect:
    return msgspec.structs.replace(order(n, 60 * SECOND), line="batch", size=size)


def test_a_queued_run_does_nothing_and_begins_with_what_its_start_carried() -> None:
    run = queued()
    assert (run.state.status, run.state.slot, run.state.started_at, run.timers) == ("queued", "acme", 0, {})
    assert run.when(c.Admit("acme", "blue"), at=AT + 7 * SECOND) == ["ExecutionStarted", "NodeScheduled a"]
    began = run.last(e.ExecutionStarted)
    assert (began.trigger, began.actor, began.idempotency_key) == ({"n": 1}, "ada", "k")
    assert (began.slot, began.fairness, began.timeout_at) == ("acme", "blue", AT + 17 * SECOND)
    assert (run.state.status, run.state.entry, run.state.started_at) == ("running", None, AT + 7 * SECOND)
    assert run.when(c.Admit("acme")) == [], "once"


def test_signals_are_kept_for_a_queued_run_and_end_nothing() -> None:
    run = queued()
    assert run.when(c.Signal("s1", "paid")) == ["SignalReceived"]
    assert (run.state.status, len(run.state.signals)) == ("queued", 1)
    assert run.when(c.Pause()) == []
    assert run.when(c.Admit("acme")) == ["ExecutionStarted", "NodeScheduled a"]


@pytest.mark.parametrize(("verb", "status"), [(c.Cancel("ada"), "cancelled"), (c.Terminate("ada"), "terminated")])
def test_a_waiting_run_can_be_stopped_and_never_begins(verb: c.Command, status: str) -> None:
    for run in (queued(), queued("rate", AT + SECOND)):
        run.when(verb)
        assert (run.state.status, run.state.entry, run.timers) == (status, None, {})
        assert run.when(c.Admit("acme")) == []


def test_a_run_that_never_began_has_nothing_to_retry() -> None:
    run = queued()
    run.when(c.Abort(NodeError("bad_key", "no", False)))
    assert run.state.status == "failed"
    assert run.when(c.RetryFailed()) == []


def test_a_turn_by_the_rate_is_a_timer_and_another_limit_may_hold_the_run_then() -> None:
    run = queued("rate", AT + SECOND)
    assert run.timers == {f"enter/{AT + SECOND}/": AT + SECOND}
    assert run.when(c.Hold("concurrency", "acme"), at=AT + SECOND) == ["ExecutionHeld"]
    assert (run.timers, run.state.slot, run.state.status) == ({}, "acme", "queued")
    assert run.when(c.Admit("acme")) == ["ExecutionStarted", "NodeScheduled a"]
    assert run.last(e.ExecutionStarted).idempotency_key == "k"


def test_the_last_of_debounced_starts_counts_and_each_puts_the_begin_off() -> None:
    run = Run(LINE)
    assert run.when(order(1)) == ["ExecutionCollecting"]
    assert run.when(order(2), at=AT + SECOND) == ["StartCollected"]
    assert run.timers == {f"enter/{AT + 3 * SECOND}/": AT + 3 * SECOND}
    assert run.when(order(3), at=AT + 3 * SECOND) == [], "too late: it goes on already"
    run.when(c.Admit())
    assert run.state.trigger == {"n": 2}


def test_a_debounce_ends_when_the_longest_wait_is_over() -> None:
    run = Run(LINE)
    run.when(order(1, max_wait=3 * SECOND))
    for second in (1, 2):
        run.when(order(second + 1, max_wait=3 * SECOND), at=AT + second * SECOND)
    assert run.state.entry is not None
    assert run.state.entry.due_at == AT + 3 * SECOND


def test_a_batch_keeps_the_order_and_is_over_when_it_is_full() -> None:
    run = Run(LINE)
    for n in (1, 2, 3):
        run.when(batched(n), at=AT + n * SECOND)
    assert run.timers == {f"enter/{AT + 3 * SECOND}/": AT + 3 * SECOND}
    assert run.when(batched(4)) == []
    run.when(c.Admit())
    assert run.state.trigger == {"items": [{"n": 1}, {"n": 2}, {"n": 3}], "count": 3}
    assert run.when(done("a", 1)) == ["NodeCompleted a", "ExecutionCompleted"]


def test_a_batch_that_is_held_by_a_limit_keeps_its_items() -> None:
    run = Run(LINE)
    run.when(batched(1))
    run.when(batched(2))
    run.when(c.Hold("concurrency", "k"), at=AT + 60 * SECOND)
    assert run.state.trigger == {"items": [{"n": 1}, {"n": 2}], "count": 2}
    run.when(c.Admit("k"))
    assert run.last(e.ExecutionStarted).trigger == run.state.trigger


def test_a_batch_of_one_and_a_batch_of_too_many_bytes_are_full() -> None:
    run = Run(LINE)
    run.when(batched(1, size=1))
    assert run.state.entry is not None
    assert run.state.entry.due_at == AT
    big = Run(LINE)
    big.when(batched(1, size=1000))
    assert big.when(c.Collect(start("x" * MAX_COLLECTED_BYTES), "batch", "k", 60 * SECOND, 0, 1000), at=AT + 1) != []
    assert big.state.entry is not None
    assert big.state.entry.due_at == AT + 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a b", "a b"), (7, "7"), (True, "true"), (1.5, "1.5"), ({"b": 1, "a": [2]}, '{"a":[2],"b":1}')],
)
def test_keys_are_texts(value: object, text: str) -> None:
    assert key_text(value) == text


@pytest.mark.parametrize("value", ["x" * 201, "a\nb", "a\0b", "\ud800"])
def test_keys_that_cannot_be_shown_are_hashed(value: object) -> None:
    assert key_text(value).startswith("#")
    assert key_text(value) == key_text(value)
    assert key_text(value) != key_text("another")
    assert key_text({"a": value}).isprintable()


@pytest.mark.parametrize(("limit", "per"), [(1, 1.0), (3, 1.0), (7, 60.0), (1_000_000, 60.0)])
def test_no_more_than_the_limit_begin_at_once_and_then_they_are_spread(limit: int, per: float) -> None:
    rate, used, now = RateLimit("", limit, per), 0, 1_000_000_000
    for _ in range(min(limit, 1000)):
        used, due = next_turn(rate, used, now)
        assert due <= now
    if limit <= 1000:
        later, due = next_turn(rate, used, now)
        assert now < due <= now + per * 1_000_000 / limit + 1
        assert next_turn(rate, later, now)[1] > due, "in order"
        assert next_turn(rate, used, due)[1] <= due, "then it is its turn"


def test_a_line_is_first_come_first_served_and_the_newest_stay() -> None:
    line = Line()
    assert [line.join(id, 2) for id in "abc"] == [True, True, False]
    line.open = 1
    assert not line.has_room(2), "c comes first"
    assert line.surplus(2) == ["a", "b"]
    assert line.staying == ["c"]
