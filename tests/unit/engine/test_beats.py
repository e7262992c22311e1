"""Heartbeats: a timer that beats move without a transition, and what they tell to the next attempt."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry, Timeout
from linkflow.domain.effects import effects
from linkflow.domain.outcomes import Failed, NodeError
from tests.unit.engine.support import AT, SECOND, Run, done, fails, flow

BEATING = {"timeout": Timeout(heartbeat=3, start_to_close=100), "retry": Retry(max_attempts=3, initial_interval=1)}
TIMER = "heartbeat/1/a"


def _begun(**more: object) -> Run:
    return Run.given(flow("t > a > b", a=BEATING | more), c.Begin("a", 1, "w1"))


def _fire(run: Run, due_at: int, beat_at: int = 0, told: object = None) -> list[str]:
    return run.when(c.Fire(TIMER, due_at, beat_at, told), at=max(run.at, due_at))


def test_the_start_sets_the_first_heartbeat_s_timer():
    run = _begun()
    assert run.timers == {TIMER: AT + 3 * SECOND, "start_to_close/1/a": AT + 100 * SECOND}
    run.when(done("a"))
    assert run.timers == {}


def test_a_heartbeat_alone_is_reason_to_record_a_start():
    run = Run.given(flow("t > a", a={"timeout": Timeout(heartbeat=0.5)}))
    assert run.when(c.Begin("a", 1, "w1")) == ["NodeStarted a"]
    assert run.timers == {TIMER: AT + 500}


def test_no_heartbeat_at_all_is_an_attempt_that_failed():
    run = _begun()
    assert _fire(run, AT + 3 * SECOND) == ["NodeTimedOut a", "NodeRetryScheduled a #2"]
    event = run.last(e.NodeTimedOut)
    assert (event.timeout, event.heartbeat, event.beat_at, event.at) == ("heartbeat", None, 0, AT + 3 * SECOND)
    assert run.when(done("a")) == []  # the zombie comes too late
    run.fire("retry/2/a")
    assert run.when(c.Begin("a", 2)) == ["NodeStarted a #2"]
    assert run.timers == {"heartbeat/2/a": run.at + 3 * SECOND, "start_to_close/2/a": run.at + 100 * SECOND}


def test_a_beat_that_the_fired_timer_knows_nothing_of_wins():
    run = _begun()
    assert _fire(run, AT + 3 * SECOND, beat_at=AT + 1) == []
    assert _fire(run, AT + 3 * SECOND + 1, beat_at=AT + 1, told="half") == ["NodeTimedOut a", "NodeRetryScheduled a #2"]
    event = run.last(e.NodeTimedOut)
    assert (event.heartbeat, event.beat_at) == ("half", AT + 1)


def test_the_next_attempt_knows_what_the_last_beat_told():
    run = _begun()
    _fire(run, AT + 4 * SECOND, AT + SECOND, {"page": 7})
    run.fire("retry/2/a")
    assert run.state.runs["a"].beat == {"page": 7}
    run.when(c.Begin("a", 2))
    run.fire("heartbeat/2/a")  # this attempt told nothing: what the first told still holds
    run.fire("retry/3/a")
    assert run.state.runs["a"].beat == {"page": 7}
    run.when(done("a", attempt=3))
    assert run.state.runs["a"].beat is None


@pytest.mark.parametrize("timed_out", ["", "start_to_close"])
def test_an_ordinary_failure_hands_its_heartbeat_on_too(timed_out: str):
    run = _begun()
    run.when(c.Complete("a", 1, Failed(NodeError("boom", "!"), timed_out=timed_out, heartbeat=[1, 2])))
    run.fire("retry/2/a")
    assert run.state.runs["a"].beat == [1, 2]


@pytest.mark.parametrize("kind", ["start_to_close/1/a", "schedule_to_close"])
def test_other_timeouts_hand_it_on_too(kind: str):
    run = _begun(timeout=Timeout(heartbeat=3, start_to_close=10, schedule_to_close=60))
    timer = next(id for id in run.timers if id.startswith(kind))
    run.when(c.Fire(timer, run.timers[timer], AT + SECOND, "so far"), at=run.timers[timer])
    assert run.last(e.NodeTimedOut).heartbeat == "so far"
    assert run.state.runs["a"].beat == "so far"


def test_a_retry_by_hand_knows_it_as_well():
    run = _begun(retry=Retry(max_attempts=1))
    assert _fire(run, AT + 4 * SECOND, AT + SECOND, "half")[-1] == "ExecutionFailed a"
    run.when(c.RetryFailed("ada"))
    assert run.state.runs["a"].beat == "half"


def test_a_heartbeat_timeout_can_be_named_non_retryable():
    run = _begun(retry=Retry(max_attempts=3, non_retryable=("timeout",)))
    assert _fire(run, AT + 3 * SECOND) == ["NodeTimedOut a", "ExecutionFailed a"]


def test_nothing_beats_before_the_start_or_after_the_end():
    run = Run.given(flow("t > a > b", a=BEATING))
    assert run.when(c.Fire(TIMER, AT)) == []
    run.when(c.Begin("a", 1))
    run.when(done("a"))
    assert run.when(c.Fire(TIMER, AT + 3 * SECOND)) == []


@pytest.mark.parametrize("ending", [done("a"), fails("a"), c.Cancel("ada")])
def test_the_row_of_an_attempt_goes_when_it_ends(ending: c.Command):
    run = _begun()
    run.when(ending)
    assert run.decision is not None
    assert effects(run.decision).done_beats == (("a", 1),)


def test_attempts_without_heartbeats_have_no_row_to_go():
    run = Run.given(flow("t > a"))
    run.when(done("a"))
    assert run.decision is not None
    assert effects(run.decision).done_beats == ()
