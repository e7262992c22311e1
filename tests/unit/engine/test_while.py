"""While loops: the condition is asked before every turn, and each turn is given what the one before came to."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import Session
from linkflow.domain.definition import Retry, Settings, Timeout
from linkflow.domain.draft import input_of
from linkflow.domain.state import encode
from tests.unit.engine.support import AT, SECOND, Run, asked, done, fails, flow, iterates, sleeps

PLAIN = ("t > while", "while:each > step", "while:done > after")


def test_the_body_runs_as_long_as_the_condition_holds():
    run = Run.given(flow(*PLAIN), trigger="in")
    assert run.when(asked("while", True)) == [
        "WhileStarted while",
        "LoopItemsStarted while 0+1",
        "NodeScheduled step[0]",
    ]
    assert input_of(run.state, run.graph, "step[0]") == "in"
    assert run.when(done("step[0]", "one")) == [
        "NodeCompleted step[0]", "LoopItemCompleted while 0", "NodeScheduled while #2",
    ]  # fmt: skip
    assert input_of(run.state, run.graph, "while") == "in"
    assert run.when(asked("while", True, attempt=2)) == ["LoopItemsStarted while 1+1", "NodeScheduled step[1]"]
    assert input_of(run.state, run.graph, "step[1]") == "one"
    run.when(done("step[1]", "two"))
    assert run.when(asked("while", False, attempt=3)) == ["NodeCompleted while #3", "NodeScheduled after"]
    assert run.output("while") == {"results": ["one", "two"], "count": 2, "output": "two"}
    assert run.state.loops == {}


def test_without_a_turn_the_input_is_the_output():
    run = Run.given(flow(*PLAIN), trigger="in")
    assert run.when(asked("while", False)) == ["NodeCompleted while", "NodeScheduled after"]
    assert run.output("while") == {"results": [], "count": 0, "output": "in"}


def test_the_bound_is_a_failure_and_never_a_silent_cut():
    run = Run.given(flow(*PLAIN), asked("while", True, most=1), done("step[0]"))
    assert run.when(asked("while", True, most=1, attempt=2)) == ["NodeFailed while #2", "ExecutionFailed while"]
    error = run.state.error
    assert error is not None
    assert (error.code, error.retryable, error.details) == ("while_too_many_iterations", False, {"max_iterations": 1})
    assert run.state.loops == {}


def test_the_bound_itself_is_fine():
    run = Run.given(flow(*PLAIN), asked("while", True, most=1), done("step[0]", 1))
    assert run.when(asked("while", False, most=1, attempt=2))[0] == "NodeCompleted while #2"


def test_the_bound_may_be_handled():
    run = Run.given(
        flow(*PLAIN, **{"while": {"type": "while", "on_error": "continue"}}), asked("while", True, most=1),
        done("step[0]"),
    )  # fmt: skip
    assert run.when(asked("while", True, most=1, attempt=2))[-1] == "NodeScheduled after"
    assert input_of(run.state, run.graph, "after")["error"]["code"] == "while_too_many_iterations"


def test_only_the_latest_results_are_kept_and_all_are_counted():
    run = Run.given(flow(*PLAIN))
    for turn in range(150):
        run.when(asked("while", True, attempt=turn + 1))
        run.when(done(f"step[{turn}]", f"result {turn}"))
    assert len(run.state.loops["while"].results) == 100
    assert len(encode(run.state)) < 4_000
    run.when(asked("while", False, attempt=151))
    output = run.output("while")
    assert (output["count"], output["output"]) == (150, "result 149")
    assert output["results"] == [f"result {turn}" for turn in range(50, 150)]


def test_results_of_an_asking_that_is_over_are_refused():
    run = Run.given(flow(*PLAIN), asked("while", True), done("step[0]"))
    assert run.when(asked("while", True, attempt=1), asked("while", False, attempt=1)) == []
    assert run.when(done("step[0]", "late")) == []
    assert run.tasks == {"while": 2}


def test_a_failed_evaluation_is_retried_by_policy_and_each_asking_has_its_own_attempts():
    run = Run.given(flow(*PLAIN, **{"while": {"type": "while", "retry": Retry(max_attempts=2)}}))
    assert run.when(fails("while")) == ["NodeFailed while", "NodeRetryScheduled while #2"]
    run.fire("retry/2/while")
    run.when(asked("while", True, attempt=2))
    run.when(done("step[0]", 1))
    assert run.when(fails("while", attempt=3)) == ["NodeFailed while #3", "NodeRetryScheduled while #4"]
    assert list(run.timers.values()) == [run.at + SECOND]  # the backoff starts from the beginning
    assert set(run.state.loops) == {"while"}
    run.fire("retry/4/while")
    run.when(asked("while", True, attempt=4))
    assert input_of(run.state, run.graph, "step[1]") == 1
    run.when(done("step[1]"))
    run.when(fails("while", attempt=5))
    run.fire("retry/6/while")
    assert run.when(fails("while", attempt=6)) == ["NodeFailed while #6", "ExecutionFailed while"]
    assert run.state.loops == {}


def test_an_evaluation_that_times_out_counts_as_an_attempt():
    node = {"type": "while", "timeout": Timeout(schedule_to_start=5)}
    run = Run.given(flow(*PLAIN, **{"while": node}), asked("while", True), done("step[0]"))
    assert run.fire("schedule_to_start/2/while") == ["NodeTimedOut while #2", "ExecutionFailed while"]
    assert run.state.loops == {}


def test_a_failed_turn_fails_the_loop():
    run = Run.given(flow(*PLAIN), asked("while", True))
    assert run.when(fails("step[0]")) == ["NodeFailed step[0]", "NodeFailed while", "ExecutionFailed while"]
    assert run.state.error is not None
    assert run.state.error.code == "loop_item_failed"


def test_collect_hands_the_error_on_and_goes_on():
    run = Run.given(flow(*PLAIN), asked("while", True, on_item_error="collect"))
    assert run.when(fails("step[0]")) == ["NodeFailed step[0]", "LoopItemCompleted while 0", "NodeScheduled while #2"]
    run.when(asked("while", True, attempt=2, on_item_error="collect"))
    assert input_of(run.state, run.graph, "step[1]")["error"]["code"] == "boom"
    run.when(done("step[1]", "well"))
    run.when(asked("while", False, attempt=3))
    output = run.output("while")
    assert (output["count"], output["errors"], output["output"]) == (2, 1, "well")


def test_retries_and_delays_inside_a_turn():
    run = Run.given(flow(*PLAIN, step={"retry": Retry(max_attempts=2)}), asked("while", True), fails("step[0]"))
    run.fire("retry/2/step[0]")
    run.when(sleeps("step[0]", AT + 60 * SECOND, "slept", attempt=2))
    assert run.fire("delay/2/step[0]")[-1] == "NodeScheduled while #2"


@pytest.mark.parametrize("body", [{"pinned_output": 1}, {"disabled": True}])
def test_a_body_that_ends_on_the_spot_asks_again(body: dict[str, object]):
    run = Run.given(flow(*PLAIN, step=body), trigger="in")
    for attempt in (1, 2, 3):
        assert run.when(asked("while", True, attempt=attempt))[-1] == f"NodeScheduled while #{attempt + 1}"
    run.when(asked("while", False, attempt=4))
    assert run.output("while")["output"] == body.get("pinned_output", "in")


def test_without_a_body_there_is_nothing_to_hand_on():
    run = Run.given(flow("t > while > after"), trigger="in")
    assert run.when(asked("while", True))[-2:] == ["LoopItemCompleted while 0", "NodeScheduled while #2"]
    run.when(asked("while", False, attempt=2))
    assert run.output("while") == {"results": [None], "count": 1, "output": None}


def test_an_edge_back_to_it_means_nothing():
    run = Run.given(flow("t > while", "while:each > step > while", "while:done > after"), asked("while", True))
    assert run.when(done("step[0]"))[-1] == "NodeScheduled while #2"


def test_a_while_in_a_loop():
    run = Run.given(
        flow("t > loop", "loop:each > while", "while:each > step", "while:done > end"),
        iterates("loop", "x", "y", concurrency=2),
    )
    run.when(asked("while[0]", True), asked("while[1]", False))
    assert input_of(run.state, run.graph, "step[0,0]") == "x"
    assert run.output("while[1]")["output"] == "y"
    run.when(done("step[0,0]", "X"))
    run.when(asked("while[0]", False, attempt=2))
    run.when(done("end[0]", 0), done("end[1]", 1))
    assert run.state.result == {"results": [0, 1], "count": 2}


def test_a_loop_in_a_while():
    run = Run.given(flow("t > while", "while:each > loop", "loop:each > send", "loop:done > end"), asked("while", True))
    run.when(iterates("loop[0]", 1, 2, concurrency=2))
    run.when(done("send[0,0]", 1), done("send[0,1]", 2))
    run.when(done("end[0]", "E"))
    run.when(asked("while", False, attempt=2))
    assert run.state.result["output"] == "E"


def test_two_whiles_in_one_another():
    run = Run.given(flow("t > while1", "while1:each > while2", "while2:each > step"), asked("while1", True))
    run.when(asked("while2[0]", True))
    run.when(done("step[0,0]", "S"))
    assert run.when(asked("while2[0]", False, attempt=2))[-1] == "NodeScheduled while1 #2"
    run.when(asked("while1", True, attempt=2))
    assert run.tasks == {"while2[1]": 1}
    assert input_of(run.state, run.graph, "while2[1]")["output"] == "S"


def test_cancel_reaches_into_a_turn_and_stops_an_asking():
    run = Run.given(flow(*PLAIN), asked("while", True))
    assert run.when(c.Cancel()) == ["NodeCancelled step[0]", "NodeCancelled while", "ExecutionCancelled"]
    run = Run.given(flow(*PLAIN), asked("while", True), done("step[0]"))
    assert run.when(c.Cancel()) == ["NodeCancelled while #2", "ExecutionCancelled"]
    assert run.state.loops == {}


def test_a_paused_run_asks_once_it_is_resumed():
    run = Run.given(flow(*PLAIN), asked("while", True), c.Pause())
    assert run.when(done("step[0]")) == ["NodeCompleted step[0]", "LoopItemCompleted while 0"]
    assert run.when(c.Resume()) == ["ExecutionResumed", "NodeScheduled while #2"]


def test_max_parallel_holds_the_asking_back():
    run = Run.given(flow("t > while", "t > x", "while:each > step", settings=Settings(max_parallel=1)))
    assert run.tasks == {"while": 1}
    run.when(asked("while", True))
    assert run.tasks == {"step[0]": 1}
    run.when(done("step[0]"))
    assert run.tasks == {"while": 2}
    run.when(asked("while", False, attempt=2))
    assert run.tasks == {"x": 1}


def test_retry_by_hand_runs_the_whole_loop_again():
    run = Run.given(flow(*PLAIN), asked("while", True), done("step[0]", 1), asked("while", True, attempt=2))
    run.when(fails("step[1]"))
    assert run.when(c.RetryFailed()) == ["ExecutionRetried", "NodeScheduled while #3"]
    run.when(asked("while", True, attempt=3))
    assert run.tasks == {"step[0]": 2}
    assert run.when(done("step[0]", "late")) == []


def test_a_session_goes_round_as_decide_does():
    run = Run.given(flow(*PLAIN))
    session = Session(run.graph, run.definition.settings, run.state, AT)
    assert session.complete(asked("while", True), AT) == [("step[0]", 1)]
    assert session.complete(done("step[0]", 1), AT) == [("while", 2)]
    assert session.complete(asked("while", False, attempt=2), AT) == [("after", 1)]
    run.when(asked("while", True), done("step[0]", 1), asked("while", False, attempt=2))
    assert session.state == run.state


def test_the_history_of_a_turn_is_short():
    run = Run.given(flow(*PLAIN), asked("while", True), done("step[0]", 1))
    before = len(run.events)
    run.when(asked("while", True, attempt=2))
    run.when(done("step[1]", 1))
    assert len(run.events) - before == 5
    assert [event.first for event in run.all(e.LoopItemsStarted)] == [0, 1]
