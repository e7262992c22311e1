"""Steps inside a node run: recorded once, kept over attempts, and workflows among them."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry, Settings, Timeout
from linkflow.domain.effects import orphans
from linkflow.domain.outcomes import CallWorkflow, Failed, NodeError
from linkflow.domain.steps import MAX_STEPS, Spent, Step, Stepped, Usage
from tests.unit.engine.support import AT, SECOND, WORKFLOW, Run, done, fails, flow

AGAIN = {"retry": Retry(max_attempts=2, initial_interval=1)}


def step(id: str, output: object = None, *, attempt: int = 1, **more: object) -> c.Record:
    return c.Record("a", attempt, Stepped(id, "model", "m", output=output, **more), "w1")


def call(id: str = "tool/1", *, attempt: int = 1, parent_close: str = "terminate") -> c.Complete:
    return c.Complete("a", attempt, CallWorkflow(WORKFLOW, {"x": 1}, True, parent_close, id, "ask"))


def closes(run: Run, status: str = "completed", **more: object) -> c.CloseChild:
    at = run.state.runs["a"]
    return c.CloseChild("a", at.attempt, at.child, status, **more)


def steps(run: Run) -> tuple[Step, ...]:
    progress = run.state.runs["a"].progress
    return progress.steps if progress else ()


def test_a_step_is_recorded_once_and_goes_with_its_node_run():
    run = Run.given(flow("t > a > b"))
    assert run.when(step("m/1", "hello")) == ["StepCompleted a"]
    assert run.when(step("m/1", "other")) == []
    assert steps(run) == (Step("m/1", "hello"),)
    run.when(done("a"))
    assert run.state.runs["a"].progress is None
    assert run.when(step("m/2")) == []


def test_later_attempts_find_what_was_recorded():
    run = Run.given(flow("t > a", a=AGAIN), step("m/1", 1))
    run.when(fails("a"))
    assert steps(run) == (Step("m/1", 1),)
    run.fire("retry/2/a")
    assert steps(run) == (Step("m/1", 1),)
    assert run.when(step("m/2", attempt=1)) == [], "the zombie's"
    assert run.when(step("m/2", 2, attempt=2)) == ["StepCompleted a #2"]
    assert run.when(done("a", attempt=2))[-1] == "ExecutionCompleted"


def test_a_timeout_and_a_retry_by_hand_keep_them_too():
    run = Run.given(flow("t > a", a={"timeout": Timeout(start_to_close=5)}), c.Begin("a", 1), step("m/1", 1))
    run.fire("start_to_close/1/a")
    assert run.state.status == "failed"
    run.when(c.RetryFailed("ada"))
    assert steps(run) == (Step("m/1", 1),)


def test_a_failure_that_the_steps_led_to_forgets_them():
    run = Run.given(flow("t > a"), step("m/1", 1))
    run.when(c.Complete("a", 1, Failed(NodeError("ai_invalid_output", "!", False), fresh=True)))
    run.when(c.RetryFailed("ada"))
    assert steps(run) == ()


def test_usage_is_summed_for_the_run_also_of_attempts_that_failed():
    run = Run.given(flow("t > a", a=AGAIN), step("m/1", usage=Usage("m", "p", 10, 5, 2, 700)))
    run.when(fails("a"))
    run.fire("retry/2/a")
    run.when(step("m/2", attempt=2, usage=Usage("m", "p", 1, 1, cost=None)))
    run.when(done("a", attempt=2))
    assert run.state.spent == Spent(2, 11, 6, 2, 700, 1)


def test_numbers_and_names_are_bounded():
    run = Run.given(flow("t > a"), step("m/1", usage=Usage("m\0" * 200, "p", 10**40, -5)))
    used = run.last(e.StepCompleted).usage
    assert (used.model, used.input_tokens, used.output_tokens) == ("m" * 200, 10**12, 0)


def test_a_node_run_has_so_many_steps_and_no_more():
    run = Run.given(flow("t > a"))
    run.when(*[step(str(n)) for n in range(MAX_STEPS)])
    assert run.when(step("one more")) == []


def test_a_workflow_as_a_step_is_a_child_and_the_node_goes_on_in_another_attempt():
    run = Run.given(flow("t > a > b", a=AGAIN), step("m/1", 1))
    assert run.when(call()) == ["ChildStarted a"]
    assert (run.status("a"), run.tasks) == ("calling", {})
    events = run.when(closes(run, result={"y": 2}), at=AT + 7 * SECOND)
    assert events == ["ChildCompleted a", "StepCompleted a", "NodeScheduled a #2"]
    assert steps(run) == (Step("m/1", 1), Step("tool/1", {"y": 2}))
    assert run.tasks == {"a": 2}
    told = run.last(e.StepCompleted)
    assert (told.name, told.started_at, told.duration_us) == ("ask", AT, 7_000_000)
    assert run.when(fails("a", attempt=2))[-1] == "NodeRetryScheduled a #3", "the call was no failed attempt"
    run.fire("retry/3/a")
    run.when(call("tool/2", attempt=3))
    first = {event.execution_id for event in run.all(e.ChildStarted)}
    assert len(first) == 2
    run.when(closes(run))
    assert run.when(done("a", attempt=4)) == ["NodeCompleted a #4", "NodeScheduled b"]


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected", "timed_out"])
def test_a_workflow_that_did_not_complete_is_an_error_that_the_node_sees(status: str):
    run = Run.given(flow("t > a"), call())
    assert run.when(closes(run, status, error=NodeError("boom", "no luck"))) == [
        "ChildFailed a", "StepCompleted a", "NodeScheduled a #2",
    ]  # fmt: skip
    [found] = steps(run)
    assert found.error is not None
    assert (found.error.code, "no luck" in found.error.message) == (f"child_{status}", True)


def test_cancel_and_timeout_go_through_to_the_child():
    for policy in ("terminate", "cancel"):
        run = Run.given(flow("t > a"), call(parent_close=policy))
        child = run.state.runs["a"].child
        run.when(c.Cancel("ada"))
        assert run.decision is not None
        assert orphans(run.decision) == ((child, policy),)
    run = Run.given(flow("t > a", a={"timeout": Timeout(schedule_to_close=60)}), call())
    assert run.timers == {f"schedule_to_close/{AT + 60 * SECOND}/a": AT + 60 * SECOND}
    child = run.state.runs["a"].child
    run.when(closes(run))
    assert run.timers == {f"schedule_to_close/{AT + 60 * SECOND}/a": AT + 60 * SECOND}, "the clock goes on"
    assert child


def test_in_a_pause_the_node_goes_on_when_the_run_does():
    run = Run.given(flow("t > a"), call(), c.Pause("ada"))
    assert run.when(closes(run, result=1)) == ["ChildCompleted a", "StepCompleted a", "NodeHeld a #2"]
    assert run.tasks == {}
    assert run.when(c.Resume("ada"))[-1] == "NodeScheduled a #2"
    assert steps(run) == (Step("tool/1", 1),)


def test_it_keeps_its_place_under_max_parallel():
    run = Run.given(flow("t > a", "t > b", settings=Settings(max_parallel=1)), call())
    assert run.tasks == {}
    run.when(closes(run))
    assert run.tasks == {"a": 2}


def test_a_second_word_from_the_child_changes_nothing():
    run = Run.given(flow("t > a"), call())
    first = closes(run)
    run.when(first)
    assert run.when(first) == []
