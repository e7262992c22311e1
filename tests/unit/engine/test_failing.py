"""Failed attempts: retries and their backoff, what `on_error` leads to, and the timeouts."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry, Settings, Timeout
from linkflow.domain.draft import input_of
from linkflow.domain.outcomes import Failed, NodeError
from linkflow.domain.timing import timer_id
from tests.unit.engine.support import AT, SECOND, Run, done, fails, flow, sleeps, start

THREE = Retry(max_attempts=3, initial_interval=1, backoff_coefficient=2)


def test_a_failure_without_a_policy_fails_the_run_and_cancels_what_is_running():
    run = Run.given(flow("t > a > z", "t > b"))
    assert run.when(fails("a")) == ["NodeFailed a", "NodeCancelled b", "ExecutionFailed a"]
    assert (run.state.status, run.state.failed_node) == ("failed", "a")
    assert run.state.error == NodeError("boom", "boom!")
    assert run.last(e.NodeFailed).final


def test_a_retry_waits_on_a_timer_and_every_attempt_is_an_event():
    run = Run.given(flow("t > a > b", a={"retry": THREE}), trigger="in")
    assert run.when(fails("a")) == ["NodeFailed a", "NodeRetryScheduled a #2"]
    assert not run.last(e.NodeFailed).final
    assert run.timers == {timer_id("retry", "a", 2): AT + SECOND}
    assert run.fire("retry/2/a") == ["NodeScheduled a #2"]
    assert input_of(run.state, run.graph, "a") == "in"
    run.when(fails("a", attempt=2))
    assert run.timers == {"retry/3/a": AT + 3 * SECOND}  # 1 s on from the first failure, and then 2 s
    run.fire("retry/3/a")
    assert run.when(fails("a", attempt=3)) == ["NodeFailed a #3", "ExecutionFailed a"]


def test_a_retry_that_succeeds_goes_on():
    run = Run.given(flow("t > a > b", a={"retry": THREE}), fails("a"))
    run.fire("retry/2/a")
    assert run.when(done("a", 5, attempt=2)) == ["NodeCompleted a #2", "NodeScheduled b"]
    assert run.state.runs["a"].error is None


def test_the_workflow_s_policy_serves_nodes_that_have_none():
    settings = Settings(retry=Retry(max_attempts=2, initial_interval=5))
    run = Run.given(flow("t > a", "t > b", settings=settings, b={"retry": Retry(max_attempts=1)}))
    run.when(fails("a"))
    assert run.timers == {"retry/2/a": AT + 5 * SECOND}
    assert run.when(fails("b"))[-1] == "ExecutionFailed b"


def test_jitter_takes_a_share_off():
    policy = Retry(max_attempts=2, initial_interval=10, jitter=0.5)
    for chance, wait in ((0.0, 10_000), (0.5, 7_500), (0.999, 5_005)):
        run = Run.given(flow("t > a", a={"retry": policy}))
        run.when(fails("a"), chance=chance)
        assert run.timers == {"retry/2/a": AT + wait}


@pytest.mark.parametrize(
    "failure", [fails("a", retryable=False), fails("a", "bad_request")], ids=["not retryable", "non_retryable"]
)
def test_some_errors_are_final_at_once(failure: c.Complete):
    run = Run.given(flow("t > a", a={"retry": Retry(max_attempts=5, non_retryable=("bad_request",))}))
    assert run.when(failure) == ["NodeFailed a", "ExecutionFailed a"]


def test_retry_after_lengthens_the_backoff_and_never_shortens_it():
    for asked, wait in ((30_000, 30_000), (10, 1_000)):
        run = Run.given(flow("t > a", a={"retry": THREE}))
        run.when(fails("a", retry_after=asked))
        assert run.timers == {"retry/2/a": AT + wait}


def test_continue_completes_the_node_with_its_error():
    run = Run.given(flow("t > a > b", a={"on_error": "continue"}))
    assert run.when(fails("a")) == ["NodeFailed a", "NodeCompleted a", "NodeScheduled b"]
    error = {"error": {"code": "boom", "message": "boom!", "retryable": True}}
    assert input_of(run.state, run.graph, "b") == error


def test_branch_takes_the_error_output():
    run = Run.given(flow("t > a > b", "a:error > c", a={"on_error": "branch"}))
    assert run.when(fails("a")) == ["NodeFailed a", "NodeCompleted a", "NodeSkipped b", "NodeScheduled c"]
    run.when(done("c", "mended"))
    assert (run.state.status, run.state.result) == ("completed", "mended")


def test_a_good_end_leaves_the_error_branch_dead():
    run = Run.given(flow("t > a > b", "a:error > c", a={"on_error": "branch"}))
    assert run.when(done("a")) == ["NodeCompleted a", "NodeScheduled b", "NodeSkipped c"]


def test_on_error_comes_after_the_last_attempt():
    run = Run.given(flow("t > a > b", a={"on_error": "continue", "retry": Retry(max_attempts=2)}))
    assert run.when(fails("a")) == ["NodeFailed a", "NodeRetryScheduled a #2"]
    run.fire("retry/2/a")
    assert run.when(fails("a", attempt=2)) == ["NodeFailed a #2", "NodeCompleted a #2", "NodeScheduled b"]


def test_a_failure_cancels_waiting_and_backing_off_nodes_with_their_timers():
    run = Run.given(flow("t > a", "t > b", "t > c", b={"retry": THREE}), sleeps("a", AT + 999), fails("b"))
    assert set(run.timers) == {"delay/1/a", "retry/2/b"}
    events = run.when(fails("c"))
    assert events == [
        "NodeFailed c", "TimerCancelled a", "NodeCancelled a", "NodeCancelled b #2", "ExecutionFailed c",
    ]  # fmt: skip


# Delays


def test_a_delay_holds_a_timer_and_no_task():
    run = Run.given(flow("t > wait > b"), trigger="in")
    assert run.when(sleeps("wait", AT + 60 * SECOND)) == ["TimerStarted wait"]
    assert (run.tasks, run.timers) == ({}, {"delay/1/wait": AT + 60 * SECOND})
    assert run.fire("delay/1/wait") == ["TimerFired wait", "NodeCompleted wait", "NodeScheduled b"]
    assert input_of(run.state, run.graph, "b") == "in"
    assert run.state.at == AT + 60 * SECOND


def test_a_delay_s_own_output_comes_before_its_input():
    run = Run.given(flow("t > wait"), sleeps("wait", AT + 1, {"slept": True}), trigger="in")
    run.fire("delay/1/wait")
    assert run.state.result == {"slept": True}


@pytest.mark.parametrize("until", [0, -5, AT - 1])
def test_a_delay_until_a_time_that_has_passed_wakes_at_once(until: int):
    run = Run.given(flow("t > wait"), sleeps("wait", until))
    assert run.timers == {"delay/1/wait": AT}
    assert run.fire("delay/1/wait")[-1] == "ExecutionCompleted"


def test_a_timer_fired_by_a_clock_that_runs_ahead_is_dated_when_it_was_due():
    run = Run.given(flow("t > wait"), sleeps("wait", AT + 50))
    run.when(c.Fire("delay/1/wait"), at=AT + 48)
    assert run.last(e.TimerFired).at == AT + 50


# Timeouts

LIMIT = {"timeout": Timeout(start_to_close=5)}


def test_the_start_of_a_node_with_a_timeout_sets_its_timer():
    run = Run.given(flow("t > a", a=LIMIT))
    assert run.timers == {}
    assert run.when(c.Begin("a", 1, "w1")) == ["NodeStarted a"]
    assert run.timers == {"start_to_close/1/a": AT + 5 * SECOND}
    run.when(done("a"))
    assert run.timers == {}


def test_a_start_that_no_timeout_depends_on_is_not_recorded():
    run = Run.given(flow("t > a", "t > b", b={"timeout": Timeout(schedule_to_close=1)}))
    assert run.when(c.Begin("a", 1, "w1"), c.Begin("b", 1, "w1")) == []


def test_a_second_start_of_the_same_attempt_changes_nothing():
    run = Run.given(flow("t > a", a=LIMIT), c.Begin("a", 1, "w1"))
    assert run.when(c.Begin("a", 1, "w2"), at=AT + 4 * SECOND) == []
    assert run.timers == {"start_to_close/1/a": AT + 5 * SECOND}


def test_a_timeout_is_an_attempt_that_failed():
    retry = {"retry": Retry(max_attempts=2)}
    run = Run.given(flow("t > a", a=LIMIT | retry), c.Begin("a", 1))
    assert run.fire("start_to_close/1/a") == ["NodeTimedOut a", "NodeRetryScheduled a #2"]
    assert run.when(done("a")) == []  # the worker comes too late
    run.fire("retry/2/a")
    run.when(c.Begin("a", 2))
    assert run.fire("start_to_close/2/a") == ["NodeTimedOut a #2", "ExecutionFailed a"]
    assert run.state.error == NodeError("timeout", "The attempt passed its start_to_close timeout.")
    assert run.state.runs["a"].error == run.state.error


def test_a_timeout_can_be_named_non_retryable_and_can_branch():
    node = LIMIT | {"retry": Retry(max_attempts=2, non_retryable=("timeout",)), "on_error": "branch"}
    run = Run.given(flow("t > a > b", "a:error > c", a=node), c.Begin("a", 1))
    events = run.fire("start_to_close/1/a")
    assert events == ["NodeTimedOut a", "NodeCompleted a", "NodeSkipped b", "NodeScheduled c"]


def test_a_timeout_that_the_worker_saw_keeps_the_worker_s_error():
    run = Run.given(flow("t > a"))
    error = NodeError("timeout", "No heartbeat for 5 s.", False)
    assert run.when(c.Complete("a", 1, Failed(error, timed_out="heartbeat"))) == ["NodeTimedOut a", "ExecutionFailed a"]
    assert run.last(e.NodeTimedOut).timeout == "heartbeat"
    assert run.state.error == error


def test_the_run_s_own_timeout():
    run = Run(flow("t > a > b", settings=Settings(timeout=60)))
    run.when(start())
    assert list(run.timers.values()) == [AT + 60 * SECOND]
    (timer,) = run.timers
    assert run.fire(timer) == ["NodeCancelled a", "ExecutionTimedOut"]
    assert run.state.status == "timed_out"
    assert run.state.error is not None
    assert run.state.error.code == "execution_timeout"


def test_the_run_s_timer_goes_when_the_run_ends():
    run = Run.given(flow("t > a", settings=Settings(timeout=60)))
    run.when(done("a"))
    assert run.timers == {}
