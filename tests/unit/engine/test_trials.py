"""Test runs: mocks and pins stand in for nodes, parts of a workflow run, and time is skipped."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.answering import error_calls
from linkflow.domain.decider import Session
from linkflow.domain.definition import Definition, Retry, Settings
from linkflow.domain.draft import input_of
from linkflow.domain.evolve import error_data
from linkflow.domain.graph import Graph
from linkflow.domain.outcomes import NodeError
from linkflow.domain.trial import Answer, Mock, Trial
from tests.unit.engine.drawing import definitions
from tests.unit.engine.support import AT, ID, SECOND, Run, brief, done, fails, flow, iterates, sleeps, start

BOOM = NodeError("boom", "boom!")


def tried(definition: Definition, trial: Trial, *commands: c.Command, trigger: Any = None) -> Run:
    """A test run that has started and taken these commands."""
    run = Run(definition)
    begin = msgspec.structs.replace(start(trigger), mode="test", trial=trial)
    for command in (begin, *commands):
        assert run.when(command), f"{command} led to nothing"
    return run


def says(output: Any, *outputs: str) -> Mock:
    return Mock((Answer(output, outputs),))


def test_a_mock_stands_in_for_its_node():
    run = tried(flow("t > a > b > d"), Trial({"b": says({"id": 7})}), done("a", 1))
    assert run.tasks == {"d": 1}
    assert input_of(run.state, run.graph, "d") == {"id": 7}
    assert run.last(e.NodeCompleted).mocked
    assert not run.last(e.NodeCompleted).pinned


def test_a_run_of_mocks_alone_ends_in_its_first_transition():
    run = tried(flow("t > a > b", "a > d > b"), Trial({id: says(id) for id in "abd"}))
    assert run.state.status == "completed"
    assert run.state.result == "b"
    assert len(run.all(e.NodeScheduled)) == 3


def test_a_mock_takes_the_outputs_that_it_names():
    flows = flow("t > if", "if:true > a", "if:false > b", **{"if": {"type": "condition"}})
    assert tried(flows, Trial({"if": says({"output": "false"})})).tasks == {"b": 1}
    assert tried(flows, Trial({"if": says(None, "true")})).tasks == {"a": 1}


def test_a_mock_goes_before_a_pin_and_a_pin_before_the_node():
    pinned = flow("t > a > b", a={"pinned_output": "pin"})
    assert input_of(*_where(tried(pinned, Trial())), "b") == "pin"
    assert input_of(*_where(tried(pinned, Trial({"a": says("mock")}))), "b") == "mock"


def _where(run: Run) -> tuple[Any, Graph]:
    return run.state, run.graph


@pytest.mark.parametrize("mode", ["webhook", "schedule", "api", "sub_workflow", "error", "rerun", "fork"])
def test_what_is_pinned_never_holds_for_other_runs(mode: str):
    for how in ({"pinned_output": 1}, {"pinned_error": BOOM}):
        run = Run(flow("t > a > b", a=how))
        run.when(msgspec.structs.replace(start(), mode=mode))
        assert run.tasks == {"a": 1}


def test_a_pinned_error_is_final_and_goes_by_the_nodes_rule():
    retry = Retry(max_attempts=5)
    run = Run.given(flow("t > a > b", a={"pinned_error": BOOM, "retry": retry}))
    assert (run.state.status, run.state.error, run.state.failed_node) == ("failed", BOOM, "a")
    assert run.last(e.NodeFailed).pinned
    run = Run.given(flow("t > a > b", a={"pinned_error": BOOM, "on_error": "continue"}))
    assert input_of(run.state, run.graph, "b") == {"error": error_data(BOOM)}
    run = Run.given(flow("t > a", "a:error > b", "a > d", a={"pinned_error": BOOM, "on_error": "branch"}))
    assert (run.tasks, run.status("d")) == ({"b": 1}, "skipped")


def test_a_mock_fails_first_and_then_succeeds():
    mock = Mock((Answer(error=BOOM), Answer(error=BOOM), Answer("third")))
    definition = flow("t > a > b", a={"retry": Retry(max_attempts=3, initial_interval=4)})
    run = tried(definition, Trial({"a": mock}))
    assert list(run.timers.values()) == [AT + 4 * SECOND]
    run.fire("retry/2/a")
    run.fire("retry/3/a")
    assert run.tasks == {"b": 1}
    assert input_of(run.state, run.graph, "b") == "third"
    assert all(event.mocked for event in run.all(e.NodeFailed))


def test_skipped_backoffs_and_delays_are_recorded_as_such():
    definition = flow("t > a > wait > b", a={"retry": Retry(max_attempts=2, initial_interval=60)})
    run = tried(definition, Trial(skip_delays=True), fails("a"))
    assert run.last(e.NodeRetryScheduled).skipped
    assert run.last(e.NodeRetryScheduled).due_at == AT + 60 * SECOND
    assert run.tasks == {"a": 2}
    run.when(done("a", 1, attempt=2))
    run.when(sleeps("wait", AT + 9_000 * SECOND))
    assert run.last(e.TimerFired).skipped
    assert (run.tasks, run.timers) == ({"b": 1}, {})
    assert run.state.at == AT


def test_a_real_failure_of_an_attempt_is_followed_by_a_mocked_one():
    mock = Mock((Answer(error=BOOM), Answer("second")))
    run = tried(flow("t > a", a={"retry": Retry(max_attempts=2)}), Trial({"a": mock}, skip_delays=True))
    assert (run.state.status, run.state.result) == ("completed", "second")


def test_iterations_have_mocks_of_their_own():
    mock = Mock(iterations=(says("zero"), Mock((Answer(error=BOOM),)), says("two")))
    definition = flow("t > loop", "loop:each > a")
    run = tried(definition, Trial({"a": mock}), iterates("loop", 1, 2, 3, on_item_error="collect"))
    assert run.state.status == "completed"
    results = run.state.result["results"]
    assert (results[0], results[2]) == ("zero", "two")
    assert results[1]["error"]["code"] == "boom"


def test_a_mock_of_one_iteration_goes_before_that_of_the_node():
    run = tried(
        flow("t > loop", "loop:each > a"), Trial({"a": says("any"), "a[1]": says("one")}), iterates("loop", 1, 2, 3)
    )
    assert run.state.result["results"] == ["any", "one", "any"]


def test_more_iterations_than_the_mock_has_fail():
    mock = Mock(iterations=(says("zero"),))
    run = tried(flow("t > loop", "loop:each > a"), Trial({"a": mock}), iterates("loop", 1, 2))
    assert run.state.status == "failed"
    assert run.state.error is not None
    assert run.state.error.details["error"]["code"] == "mock_exhausted"


def test_loops_within_loops_take_lists_within_lists():
    mock = Mock(iterations=(Mock(iterations=(says(1), says(2))), Mock(iterations=(says(3), says(4)))))
    definition = flow("t > loop", "loop:each > loop2", "loop2:each > a")
    run = tried(definition, Trial({"a": mock}), iterates("loop", "x", "y", concurrency=0))
    run.when(iterates("loop2[0]", 0, 0))
    run.when(iterates("loop2[1]", 0, 0))
    assert [one["results"] for one in run.state.result["results"]] == [[1, 2], [3, 4]]


def test_a_long_loop_of_mocks_is_no_recursion():
    definition = flow("t > loop", "loop:each > a > b")
    run = tried(definition, Trial({"a": says(1), "b": says(2)}), iterates("loop", *range(3000), concurrency=1))
    assert run.state.status == "completed"


def test_a_chain_of_failing_mocks_is_no_recursion():
    ids = [f"n{i}" for i in range(600)]
    more = {id: {"on_error": "continue"} for id in ids}
    run = tried(flow(" > ".join(["t", *ids]), **more), Trial({id: Mock((Answer(error=BOOM),)) for id in ids}))
    assert run.state.status == "completed"


def test_mocks_under_max_parallel_make_room_for_the_others():
    definition = flow("t > a", "t > b", "t > d", settings=Settings(max_parallel=1))
    run = tried(definition, Trial({"a": says(1), "b": says(2)}))
    assert run.tasks == {"d": 1}


def test_an_unmocked_node_that_acts_fails_the_run_whatever_its_rule():
    definition = flow("t > a > b", a={"on_error": "continue", "retry": Retry(max_attempts=3)})
    run = tried(definition, Trial(blocked=("a",)))
    assert (run.state.status, run.state.failed_node) == ("failed", "a")
    assert run.state.error is not None
    assert run.state.error.code == "not_mocked"
    assert not run.tasks


def test_up_to_a_node_runs_what_leads_to_it_and_nothing_else():
    definition = flow("t > a > b > d", "t > x > b", "a > y", "d > z")
    run = tried(definition, Trial(up_to="b"), done("a", 1), done("x", 2), done("b", 3))
    assert set(run.state.runs) == {"t", "a", "x", "b"}
    assert (run.state.status, run.state.result) == ("completed", 3)


def test_up_to_a_node_behind_a_loop_runs_the_loop_whole():
    definition = flow("t > loop", "loop:each > a > c", "loop:done > b > d")
    run = tried(definition, Trial(up_to="b"), iterates("loop", 1), done("a[0]", 1), done("c[0]", 2))
    assert run.tasks == {"b": 1}
    assert run.last(e.LoopItemCompleted).sources == ("c[0]",)


def test_up_to_a_node_in_a_loop_runs_the_body_up_to_it():
    definition = flow("t > loop", "loop:each > a > b", "loop:done > d")
    run = tried(definition, Trial(up_to="a"), iterates("loop", 1, 2), done("a[0]", "x"), done("a[1]", "y"))
    assert run.state.status == "completed"
    assert run.state.result["results"] == ["x", "y"]


def test_up_to_a_node_that_is_not_reached_skips_it():
    definition = flow("t > if", "if:true > a", "if:false > b", **{"if": {"type": "condition"}})
    run = tried(definition, Trial(up_to="b"), done("if", {"output": "true"}, "true"))
    assert (run.state.status, run.status("b")) == ("completed", "skipped")


def test_a_node_alone_gets_what_it_is_given():
    definition = flow("t > a > b > d", b={"pinned_output": "pin"})
    run = tried(definition, Trial(alone="b", given=True, input={"x": 1}))
    assert run.tasks == {"b": 1}
    assert input_of(run.state, run.graph, "b") == {"x": 1}
    run.when(done("b", "out"))
    assert (run.state.status, run.state.result) == ("completed", "out")


def test_a_node_of_a_loop_alone_is_no_iteration():
    definition = flow("t > loop", "loop:each > a")
    run = tried(definition, Trial({"loop": says({"count": 1})}, alone="a", given=True, input=7))
    assert run.tasks == {"a": 1}
    assert input_of(run.state, run.graph, "a") == 7
    assert run.status("loop") == "completed"


def test_a_test_run_starts_no_error_workflow_by_itself():
    definition = flow("t > a", settings=Settings(error_workflow=ID))
    run = tried(definition, Trial({"a": Mock((Answer(error=BOOM),))}))
    assert run.decision is not None
    assert run.state.trial is not None
    assert not run.state.trial.error_workflow
    assert list(error_calls(run.decision, definition))  # `transition` leaves these out


def test_a_mocked_sub_workflow_starts_no_child():
    run = tried(flow("t > a", a={"type": "sub_workflow"}), Trial({"a": says("child says")}))
    assert not run.all(e.ChildStarted)
    assert run.state.result == "child says"


def test_a_retry_by_hand_goes_on_with_the_next_answer():
    mock = Mock((Answer(error=BOOM), Answer("again")))
    run = tried(flow("t > a"), Trial({"a": mock}))
    assert run.state.status == "failed"
    run.when(c.RetryFailed("ada"))
    assert (run.state.status, run.state.result) == ("completed", "again")


def test_a_paused_test_run_answers_nothing_until_it_is_resumed():
    run = tried(flow("t > a > b"), Trial({"b": says(1)}), c.Pause("ada"), done("a", 1))
    assert run.status("b") == ""
    run.when(c.Resume("ada"))
    assert run.state.status == "completed"


def test_a_test_run_that_waits_for_its_turn_keeps_its_mocks():
    run = Run(flow("t > a"))
    begin = msgspec.structs.replace(start(), mode="test", trial=Trial({"a": says(1)}, limits=True))
    run.when(c.Hold("concurrency", "k", start=begin))
    assert run.state.trial is not None
    run.when(c.Admit("k"))
    assert run.state.status == "completed"
    assert run.last(e.ExecutionStarted).trial == begin.trial


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_with_mocks_for_all_nodes_every_workflow_ends_at_once_and_folds(data: st.DataObject):
    """Mocks, skipped time and parts of any graph: what `Run.check` asks of every transition, and an end."""
    definition = data.draw(definitions())
    trigger = definition.triggers[0].id
    mocks = {
        node.id: Mock(
            tuple(data.draw(st.lists(st.sampled_from([Answer(1), Answer(error=BOOM)]), min_size=1, max_size=3)))
        )
        for node in definition.nodes
        if node.id != trigger
    }
    graph = Graph(definition, trigger)
    up_to = data.draw(st.sampled_from(["", *(id for id in graph.top if id != trigger)]))
    run = Run(definition, trigger)
    trial = Trial(mocks, up_to=up_to, skip_delays=True)
    run.when(msgspec.structs.replace(start(node=trigger), mode="test", trial=trial))
    assert run.state.closed
    assert not run.tasks
    session = Session.of_start(
        Graph(definition, trigger), definition.settings,
        msgspec.structs.replace(start(node=trigger), mode="test", trial=trial), AT, 0.0,
    )  # fmt: skip
    assert brief(session.decision().events) == brief(run.events)
