"""Control verbs, and commands that come twice or too late."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import Session
from linkflow.domain.definition import Retry, Settings, Timeout
from linkflow.domain.outcomes import Failed, NodeError
from tests.unit.engine.support import AT, ID, SECOND, Run, calls, done, fails, flow, iterates, sleeps, start


@pytest.mark.parametrize(
    ("command", "event", "status"),
    [(c.Cancel("ada", "oops"), e.ExecutionCancelled, "cancelled"),
     (c.Terminate("ada", "oops"), e.ExecutionTerminated, "terminated")],
    ids=["cancel", "terminate"],
)  # fmt: skip
def test_stopping_a_run_cancels_what_is_active(command: c.Command, event: type, status: str):
    run = Run.given(flow("t > a", "t > b", "t > w"), sleeps("w", AT + 5))
    assert run.when(command) == [
        "NodeCancelled a", "NodeCancelled b", "TimerCancelled w", "NodeCancelled w", event.__name__,
    ]  # fmt: skip
    assert run.state.status == status
    assert (run.last(event).actor, run.last(event).reason) == ("ada", "oops")
    assert run.when(command) == []  # once is enough


@pytest.mark.parametrize(
    "late",
    [done("a"), fails("a"), sleeps("a", AT + 5), iterates("a", 1), calls("a"), c.Begin("a", 1), c.Cancel(),
     c.Terminate(), c.RetryFailed(), c.Fire("retry/2/a"), c.Fire("delay/1/a"), c.Fire("start_to_close/1/a"),
     c.Fire("execution/0/"), c.CloseChild("a", 1, ID, "completed"), start()],
    ids=lambda command: type(command).__name__,
)  # fmt: skip
def test_a_closed_run_refuses_everything_but_the_retry_of_a_failed_one(late: c.Command):
    run = Run.given(flow("t > a", a={"timeout": Timeout(start_to_close=9)}, settings=Settings(timeout=99)), done("a"))
    assert run.state.status == "completed"
    assert run.when(late) == []
    assert run.decision is not None
    assert run.decision.accepted == (False,)


def test_a_doubled_result_counts_once():
    run = Run.given(flow("t > a > b"))
    assert run.when(done("a", 1), done("a", 2)) == ["NodeCompleted a", "NodeScheduled b"]
    assert run.decision is not None
    assert run.decision.accepted == (True, False)
    assert run.when(done("a", 3)) == []
    assert run.output("a") == 1


def test_a_result_of_an_overtaken_attempt_is_refused():
    run = Run.given(flow("t > a", a={"retry": Retry(max_attempts=3)}), fails("a"))
    assert run.when(done("a", attempt=1)) == []
    run.fire("retry/2/a")
    assert run.when(done("a", attempt=1), fails("a", attempt=3)) == []
    assert run.when(done("a", attempt=2))[-1] == "ExecutionCompleted"


@pytest.mark.parametrize("node", ["b", "nowhere", "a[0]", "t"])
def test_a_result_for_a_node_that_is_not_due_is_refused(node: str):
    run = Run.given(flow("t > a > b"))
    assert run.when(done(node), c.Begin(node, 1)) == []


def test_a_second_start_is_refused():
    run = Run.given(flow("t > a"), trigger=1)
    assert run.when(start(2)) == []
    assert run.state.trigger == 1


@pytest.mark.parametrize("timer", ["delay/1/a", "retry/2/a", "retry/1/a", "delay/9/w", "execution/0/", "other/1/w"])
def test_a_timer_that_stands_for_nothing_is_refused(timer: str):
    run = Run.given(flow("t > a", "t > w"), sleeps("w", AT + 5))
    assert run.when(c.Fire(timer)) == []


def test_a_timer_fires_once():
    run = Run.given(flow("t > w > a"), sleeps("w", AT + 5))
    run.fire("delay/1/w")
    assert run.when(c.Fire("delay/1/w")) == []


def test_time_never_runs_backwards():
    run = Run.given(flow("t > a > b"))
    run.when(done("a"), at=AT - 5 * SECOND)
    assert run.state.at == AT


# Retry of a failed run


def test_retry_runs_the_failed_node_again_and_then_goes_on():
    run = Run.given(flow("t > a > b > z"), done("a", 1), fails("b"))
    assert run.when(c.RetryFailed("ada")) == ["ExecutionRetried", "NodeScheduled b #2"]
    assert (run.state.status, run.state.error, run.state.closed_at) == ("running", None, 0)
    assert run.last(e.ExecutionRetried).nodes == ("b",)
    assert run.last(e.NodeScheduled).sources == ("a",)
    assert run.when(done("b", attempt=1)) == []
    run.when(done("b", attempt=2))
    run.when(done("z", "end"))
    assert (run.state.status, run.state.result) == ("completed", "end")


def test_retry_also_runs_again_what_the_failure_cancelled():
    run = Run.given(flow("t > a > j", "t > b > j", "t > w > j"), sleeps("w", AT + 9), fails("a"))
    assert run.when(c.RetryFailed()) == [
        "ExecutionRetried",
        "NodeScheduled a #2",
        "NodeScheduled b #2",
        "NodeScheduled w #2",
    ]
    assert run.when(done("b", attempt=1)) == []
    run.when(*(done(id, id, attempt=2) for id in "abw"))
    assert run.last(e.NodeScheduled).sources == ("a", "b", "w")


def test_a_retried_run_may_fail_and_be_retried_again():
    run = Run.given(flow("t > a"), fails("a"), c.RetryFailed(), fails("a", attempt=2))
    assert run.state.status == "failed"
    run.when(c.RetryFailed())
    assert run.tasks == {"a": 3}
    run.when(done("a", 1, attempt=3))
    assert run.state.status == "completed"


@pytest.mark.parametrize("verb", [c.Cancel(), c.Terminate()])
def test_only_a_failed_run_can_be_retried(verb: c.Command):
    run = Run.given(flow("t > a"))
    assert run.when(c.RetryFailed()) == []
    run.when(verb)
    assert run.when(c.RetryFailed()) == []


def test_retry_of_a_run_whose_loop_failed_runs_the_whole_loop_again():
    run = Run.given(
        flow("t > loop", "t > x", "loop:each > send", "loop:done > after"),
        iterates("loop", 1, 2, concurrency=2), done("send[0]"), fails("send[1]"),
    )  # fmt: skip
    assert run.when(c.RetryFailed()) == ["ExecutionRetried", "NodeScheduled loop #2", "NodeScheduled x #2"]
    run.when(iterates("loop", 1, attempt=2))
    assert run.when(done("send[0]", "late")) == []  # a result of before
    assert run.tasks == {"send[0]": 2, "x": 2}
    run.when(done("send[0]", "S", attempt=2), done("x", attempt=2))
    assert run.output("loop") == {"results": ["S"], "count": 1}
    run.when(done("after"))
    assert run.state.status == "completed"


def test_attempts_in_a_loop_go_on_over_retries_by_hand_and_each_time_have_the_whole_policy():
    definition = flow("t > loop", "loop:each > send", send={"retry": Retry(max_attempts=2)})
    run = Run.given(definition, iterates("loop", 1), fails("send[0]"))
    run.fire("retry/2/send[0]")
    run.when(fails("send[0]", attempt=2))
    run.when(c.RetryFailed())
    run.when(iterates("loop", 1, attempt=2))
    assert run.tasks == {"send[0]": 3}
    assert run.when(fails("send[0]", attempt=3)) == ["NodeFailed send[0] #3", "NodeRetryScheduled send[0] #4"]
    assert list(run.timers.values()) == [run.at + SECOND]  # and its backoff starts from the beginning
    run.fire("retry/4/send[0]")
    run.when(fails("send[0]", attempt=4))
    run.when(c.RetryFailed())
    run.when(iterates("loop", 1, attempt=3))
    assert run.tasks == {"send[0]": 5}


def test_retry_keeps_to_max_parallel():
    run = Run.given(flow("t > w1", "t > w2", "t > a", settings=Settings(max_parallel=1)))
    for key in ("w1", "w2"):
        run.when(sleeps(key, AT + 9 * SECOND))
    run.when(fails("a"))
    assert run.when(c.RetryFailed()) == ["ExecutionRetried", "NodeScheduled w1 #2", "NodeHeld w2 #2", "NodeHeld a #2"]
    assert run.when(done("w1", attempt=2)) == ["NodeCompleted w1 #2", "NodeScheduled w2 #2"]
    run.when(done("w2", attempt=2))
    assert run.tasks == {"a": 2}
    assert run.when(done("a", attempt=2))[-1] == "ExecutionCompleted"


def test_what_is_held_can_be_cancelled_and_waits_for_resume():
    definition = flow("t > w1", "t > a", settings=Settings(max_parallel=1))
    run = Run.given(definition, sleeps("w1", AT + 9 * SECOND), fails("a"), c.RetryFailed(), c.Pause())
    assert run.when(done("w1", attempt=2)) == ["NodeCompleted w1 #2"]
    assert run.when(c.Resume()) == ["ExecutionResumed", "NodeScheduled a #2"]
    run = Run.given(definition, sleeps("w1", AT + 9 * SECOND), fails("a"), c.RetryFailed())
    assert run.when(c.Cancel()) == ["NodeCancelled w1 #2", "NodeCancelled a #2", "ExecutionCancelled"]


def test_retry_of_a_run_that_cancelled_a_loop_runs_the_loop_again():
    run = Run.given(flow("t > loop", "t > x", "loop:each > send"), iterates("loop", 1, 2), fails("x"))
    assert run.when(c.RetryFailed()) == ["ExecutionRetried", "NodeScheduled loop #2", "NodeScheduled x #2"]
    assert run.state.loops == {}


def test_retry_sets_the_run_s_timeout_anew():
    run = Run.given(flow("t > a", settings=Settings(timeout=10)), fails("a"))
    run.when(c.RetryFailed(), at=AT + 60 * SECOND)
    assert list(run.timers.values()) == [AT + 70 * SECOND]


def test_retry_in_the_transition_of_the_failure_sets_the_timeout_anew_too():
    run = Run.given(flow("t > a", settings=Settings(timeout=10)))
    run.when(fails("a"), c.RetryFailed(), at=AT + 5 * SECOND)
    assert list(run.timers.values()) == [AT + 15 * SECOND]


def test_a_timeout_from_before_the_retry_is_refused():
    run = Run.given(flow("t > a", settings=Settings(timeout=10)))
    (early,) = run.timers
    run.when(fails("a"))
    run.when(c.RetryFailed(), at=AT + 9 * SECOND)
    assert run.when(c.Fire(early), at=AT + 10 * SECOND) == []
    assert list(run.timers.values()) == [AT + 19 * SECOND]


def test_a_retried_node_has_its_policy_s_attempts_again():
    run = Run.given(flow("t > a", a={"retry": Retry(max_attempts=2)}), fails("a"))
    run.fire("retry/2/a")
    run.when(fails("a", attempt=2))
    run.when(c.RetryFailed())
    assert run.when(fails("a", attempt=3)) == ["NodeFailed a #3", "NodeRetryScheduled a #4"]
    assert list(run.timers.values()) == [run.at + SECOND]  # and its backoff starts from the beginning
    run.fire("retry/4/a")
    assert run.when(fails("a", attempt=4))[-1] == "ExecutionFailed a"


def test_a_first_attempt_again_is_refused_if_it_was_overtaken_in_the_same_transition():
    run = Run.given(flow("t > a"))
    run.when(fails("a"), c.RetryFailed(), done("a", 1, attempt=1))
    assert run.tasks == {"a": 2}


# The worker's session


def test_a_session_goes_through_a_chain_as_decide_does():
    run = Run.given(flow("t > a > b > c"))
    session = Session(run.graph, run.definition.settings, run.state, AT)
    assert session.complete(done("a", 1), AT) == [("b", 1)]
    assert session.complete(done("b", 2), AT) == [("c", 1)]
    assert session.complete(done("b", 2), AT) == []
    assert session.complete(done("c", 3), AT) == []
    run.when(done("a", 1), done("b", 2), done("c", 3))
    assert session.state == run.state
    assert run.state.status == "completed"


def test_a_session_leaves_the_state_it_was_given_alone():
    run = Run.given(flow("t > loop", "loop:each > a"), iterates("loop", 1, 2))
    version = run.state.version
    session = Session(run.graph, run.definition.settings, run.state, AT)
    assert session.complete(done("a[0]"), AT) == [("a[1]", 1)]
    assert run.state.version == version
    assert run.state.loops["loop"].results == {}


def test_a_session_hands_out_nothing_once_the_run_failed():
    run = Run.given(flow("t > a", "t > b"))
    session = Session(run.graph, run.definition.settings, run.state, AT)
    assert session.complete(c.Complete("a", 1, Failed(NodeError("x", "x"))), AT) == []
    assert session.complete(done("b"), AT) == []
