"""The run's clock: its timeout counts the time in which something is done."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry, Settings
from linkflow.domain.outcomes import CallWorkflow, Outcome, RequestApproval, Sleep, WaitEvent
from tests.unit.engine.support import AT, SECOND, WORKFLOW, Run, asked, done, fails, flow, iterates, sleeps

MINUTE = Settings(timeout=60)
LATER = AT + 1000 * SECOND


def clock(run: Run) -> list[str]:
    """The run's own timer, if it stands."""
    return [id for id in run.timers if id.startswith("execution/")]


def due(run: Run) -> int:
    (id,) = clock(run)
    return run.timers[id]


@pytest.mark.parametrize(
    "outcome", [Sleep(LATER), WaitEvent("paid"), RequestApproval("May I?")], ids=lambda o: type(o).__name__
)
def test_the_clock_stands_while_the_run_only_waits(outcome: Outcome):
    run = Run.given(flow("t > w > a", settings=MINUTE))
    assert due(run) == AT + 60 * SECOND
    assert run.when(c.Complete("w", 1, outcome), at=AT + 10 * SECOND)[-1] == "TimeoutStopped"
    assert clock(run) == []
    assert run.last(e.TimeoutStopped).left == 50 * SECOND
    assert (run.state.timeout_at, run.state.timeout_left) == (0, 50 * SECOND)


def test_it_goes_on_with_what_was_left():
    run = Run.given(flow("t > w > a", settings=MINUTE))
    run.when(sleeps("w", LATER), at=AT + 10 * SECOND)
    assert run.fire("delay/1/w") == ["TimerFired w", "NodeCompleted w", "NodeScheduled a", "TimeoutResumed"]
    assert due(run) == LATER + 50 * SECOND
    assert run.fire(clock(run)[0])[-1] == "ExecutionTimedOut"
    assert run.state.timeout_left == 0


def test_it_counts_while_anything_else_is_done():
    run = Run.given(flow("t > w", "t > a", settings=MINUTE))
    assert run.when(sleeps("w", LATER)) == ["TimerStarted w"]
    assert run.when(done("a"), at=AT + SECOND) == ["NodeCompleted a", "TimeoutStopped"]
    assert run.fire("delay/1/w")[-1] == "ExecutionCompleted"


def test_backoffs_and_children_count():
    run = Run.given(flow("t > a", settings=MINUTE, a={"retry": Retry(max_attempts=2)}), fails("a"))
    assert due(run) == AT + 60 * SECOND
    run = Run.given(flow("t > call", settings=MINUTE), c.Complete("call", 1, CallWorkflow(WORKFLOW)))
    assert due(run) == AT + 60 * SECOND


def test_it_stands_while_the_run_is_paused():
    run = Run.given(flow("t > a > b", settings=MINUTE))
    assert run.when(c.Pause(), at=AT + 10 * SECOND) == ["ExecutionPaused", "TimeoutStopped"]
    assert run.when(done("a"), at=AT + 100 * SECOND) == ["NodeCompleted a"]
    assert run.when(c.Resume(), at=AT + 200 * SECOND) == ["ExecutionResumed", "NodeScheduled b", "TimeoutResumed"]
    assert due(run) == AT + 250 * SECOND


def test_an_old_timer_of_a_clock_that_stands_or_was_set_anew_is_refused():
    run = Run.given(flow("t > w > a", settings=MINUTE))
    (old,) = clock(run)
    run.when(sleeps("w", LATER), at=AT + 10 * SECOND)
    assert run.when(c.Fire(old), at=AT + 60 * SECOND) == []
    run.fire("delay/1/w")
    assert run.when(c.Fire(old), at=AT + 60 * SECOND) == []


def test_a_clock_that_has_run_out_is_not_stopped():
    run = Run.given(flow("t > w > a", settings=MINUTE))
    (timer,) = clock(run)
    assert run.when(sleeps("w", LATER), at=AT + 61 * SECOND) == ["TimerStarted w"]
    assert run.fire(timer)[-1] == "ExecutionTimedOut"


def test_with_the_setting_waiting_counts():
    run = Run.given(flow("t > w > a", settings=Settings(timeout=60, timeout_counts_waiting=True)))
    assert run.when(sleeps("w", LATER)) == ["TimerStarted w"]
    assert run.when(c.Pause()) == ["ExecutionPaused"]
    assert run.fire(clock(run)[0])[-1] == "ExecutionTimedOut"


def test_a_run_without_a_timeout_has_no_clock():
    run = Run.given(flow("t > w > a"))
    assert run.when(sleeps("w", LATER)) == ["TimerStarted w"]


def test_a_wait_inside_a_loop_stops_it_too():
    run = Run.given(flow("t > loop", "loop:each > w", settings=MINUTE), iterates("loop", 1, 2, concurrency=2))
    assert run.when(sleeps("w[0]", LATER)) == ["TimerStarted w[0]"]
    assert run.when(sleeps("w[1]", LATER))[-1] == "TimeoutStopped"
    run = Run.given(flow("t > while", "while:each > w", settings=MINUTE), asked("while", True))
    assert run.when(sleeps("w[0]", LATER))[-1] == "TimeoutStopped"
    assert run.fire("delay/1/w[0]")[-2:] == ["NodeScheduled while #2", "TimeoutResumed"]


def test_stopping_and_going_on_in_one_transition_leaves_the_timer_as_it_was():
    run = Run.given(flow("t > w > a", settings=MINUTE))
    (before,) = clock(run)
    run.when(c.Pause(), c.Resume())
    assert clock(run) == [before]


def test_retry_by_hand_sets_it_anew_also_where_it_stood():
    run = Run.given(flow("t > a", "t > w", settings=MINUTE), sleeps("w", LATER), fails("a"))
    run.when(c.RetryFailed(), at=AT + 90 * SECOND)
    assert due(run) == AT + 150 * SECOND
    assert run.state.timeout_left == 0


def test_it_goes_while_clean_up_runs():
    run = Run.given(flow("t > w", "w:cancelled > undo", settings=MINUTE), sleeps("w", LATER))
    assert run.when(c.Cancel(), at=AT + 500 * SECOND)[-2:] == ["NodeScheduled undo", "TimeoutResumed"]
    assert run.fire(clock(run)[0])[-1] == "ExecutionTimedOut"
