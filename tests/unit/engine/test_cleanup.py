"""Cancel with clean-up branches: what had started is cleaned up, then the run is cancelled."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry, Settings
from linkflow.domain.draft import input_of
from linkflow.domain.graph import Graph
from linkflow.domain.outcomes import NodeError
from tests.unit.engine.support import AT, SECOND, Run, calls, done, fails, flow, iterates, sleeps

TRIP = ("t > book > pay > go", "book:cancelled > unbook > tell", "pay:cancelled > refund")


def test_what_had_started_is_cleaned_up_and_then_the_run_is_cancelled():
    run = Run.given(flow(*TRIP), done("book", {"id": 7}))
    assert run.when(c.Cancel("ada", "no more")) == [
        "ExecutionCancelRequested", "NodeCancelled pay", "NodeScheduled unbook", "NodeScheduled refund",
    ]  # fmt: skip
    assert run.state.status == "cancelling"
    assert input_of(run.state, run.graph, "unbook") == {"id": 7}  # what it came to
    assert input_of(run.state, run.graph, "refund") is None  # it had not come to anything
    run.when(done("unbook", "unbooked"))
    assert run.when(done("refund")) == ["NodeCompleted refund"]
    assert run.when(done("tell")) == ["NodeCompleted tell", "ExecutionCancelled"]
    closed = run.last(e.ExecutionCancelled)
    assert (run.state.status, closed.actor, closed.reason, closed.error) == ("cancelled", "ada", "no more", None)
    assert "go" not in run.state.runs


def test_what_had_not_started_needs_no_clean_up():
    run = Run.given(flow(*TRIP))
    assert run.when(c.Cancel()) == [
        "ExecutionCancelRequested", "NodeCancelled book", "NodeScheduled unbook", "NodeSkipped refund",
    ]  # fmt: skip


def test_where_nothing_to_clean_up_had_started_cancel_is_immediate():
    run = Run.given(flow("t > a > b", "b:cancelled > undo"))
    assert run.when(c.Cancel("ada")) == ["NodeCancelled a", "ExecutionCancelled"]


def test_a_skipped_node_is_not_cleaned_up():
    run = Run.given(flow("t > if", "if:x > a > z", "if:y > b > z", "a:cancelled > undo"), done("if", 1, "y"))
    assert run.when(c.Cancel()) == ["NodeCancelled b", "ExecutionCancelled"]


def test_the_trigger_may_lead_a_branch_that_always_runs():
    run = Run.given(flow("t > a", "t:cancelled > log"), trigger={"n": 1})
    assert run.when(c.Cancel())[-1] == "NodeScheduled log"
    assert input_of(run.state, run.graph, "log") == {"n": 1}


def test_a_run_that_is_not_cancelled_knows_nothing_of_it():
    run = Run.given(flow(*TRIP), done("book"), done("pay"))
    assert run.when(done("go", "gone")) == ["NodeCompleted go", "ExecutionCompleted"]
    assert run.state.result == "gone"
    assert set(run.state.runs) == {"t", "book", "pay", "go"}
    failed = Run.given(flow(*TRIP), done("book"), fails("pay"))
    assert failed.state.status == "failed"


def test_a_node_with_only_a_clean_up_branch_ends_the_run():
    run = Run.given(flow("t > a", "a:cancelled > undo"))
    run.when(done("a", "A"))
    assert (run.state.status, run.state.result) == ("completed", "A")


def test_branches_join_and_a_dead_one_does_not_block():
    run = Run.given(flow("t > a > b", "a:cancelled > x > j", "b:cancelled > y > j"))
    assert run.when(c.Cancel())[-2:] == ["NodeScheduled x", "NodeSkipped y"]
    assert run.when(done("x", "X"))[-1] == "NodeScheduled j"
    assert input_of(run.state, run.graph, "j") == "X"
    assert run.when(done("j"))[-1] == "ExecutionCancelled"


def test_one_clean_up_node_for_several_gets_their_outputs_by_id():
    run = Run.given(flow("t > a > b > c", "a:cancelled > undo", "b:cancelled > undo", "c:cancelled > undo"))
    run.when(done("a", "A"))
    run.when(c.Cancel())
    assert input_of(run.state, run.graph, "undo") == {"a": "A", "b": None}


def test_a_failing_clean_up_node_ends_its_branch_and_the_run_carries_the_error():
    run = Run.given(flow(*TRIP), done("book"), c.Cancel("ada"))
    assert run.when(fails("unbook", "gone")) == [
        "NodeFailed unbook", "CleanupFailed unbook", "NodeSkipped tell",
    ]  # fmt: skip
    assert run.when(done("refund")) == ["NodeCompleted refund", "ExecutionCancelled unbook"]
    assert (run.state.status, run.state.failed_node) == ("cancelled", "unbook")
    assert run.state.error is not None
    assert run.state.error.code == "gone"
    closed = run.last(e.ExecutionCancelled)
    assert (closed.node, closed.error.code, closed.actor) == ("unbook", "gone", "ada")


def test_clean_up_nodes_have_retries_and_their_own_on_error():
    run = Run.given(
        flow("t > a", "a:cancelled > x > y", "x:error > z", x={"on_error": "branch", "retry": Retry(max_attempts=2)}),
        c.Cancel(),
    )
    assert run.when(fails("x"))[-1] == "NodeRetryScheduled x #2"
    run.fire("retry/2/x")
    assert run.when(fails("x", attempt=2))[-2:] == ["NodeSkipped y", "NodeScheduled z"]
    assert run.when(done("z"))[-1] == "ExecutionCancelled"
    assert run.state.error is None  # it was handled


def test_a_loop_and_a_delay_in_a_clean_up_branch():
    run = Run.given(flow("t > a", "a:cancelled > loop", "loop:each > undo", "loop:done > w"), c.Cancel())
    run.when(iterates("loop", 1, 2))
    run.when(done("undo[0]"))
    assert run.when(done("undo[1]"))[-1] == "NodeScheduled w"
    run.when(sleeps("w", AT + SECOND))
    assert run.fire("delay/1/w")[-1] == "ExecutionCancelled"


def test_a_failed_item_in_a_clean_up_branch_fails_its_loop_alone():
    run = Run.given(flow("t > a", "a:cancelled > loop", "loop:each > undo", "loop:done > w"), c.Cancel())
    run.when(iterates("loop", 1))
    assert run.when(fails("undo[0]"))[-3:] == ["CleanupFailed loop", "NodeSkipped w", "ExecutionCancelled loop"]


def test_a_loop_is_cleaned_up_as_a_whole():
    run = Run.given(flow("t > loop", "loop:each > a", "loop:cancelled > undo"), iterates("loop", 1, 2))
    assert run.when(c.Cancel()) == [
        "ExecutionCancelRequested", "NodeCancelled a[0]", "NodeCancelled loop", "NodeScheduled undo",
    ]  # fmt: skip
    assert run.state.loops == {}


@pytest.mark.parametrize("node", [{"disabled": True}, {"pinned_output": 1}])
def test_a_branch_that_ends_on_the_spot(node: dict[str, object]):
    run = Run.given(flow("t > a", "a:cancelled > undo", undo=node))
    assert run.when(c.Cancel())[-1] == "ExecutionCancelled"


def test_max_parallel_holds_in_clean_up_too():
    run = Run.given(flow("t > a", "a:cancelled > x", "a:cancelled > y", settings=Settings(max_parallel=1)), c.Cancel())
    assert run.tasks == {"x": 1}
    run.when(done("x"))
    assert run.tasks == {"y": 1}
    assert run.when(done("y"))[-1] == "ExecutionCancelled"


# Verbs meanwhile


def cancelling() -> Run:
    return Run.given(flow("t > a", "a:cancelled > undo", settings=Settings(timeout=60)), c.Cancel("ada"))


@pytest.mark.parametrize("verb", [c.Cancel(), c.Pause(), c.Resume(), c.RetryFailed()])
def test_other_verbs_are_refused(verb: c.Command):
    assert cancelling().when(verb) == []


def test_terminate_is_immediate():
    run = cancelling()
    assert run.when(c.Terminate("eve")) == ["NodeCancelled undo", "ExecutionTerminated"]
    assert run.state.status == "terminated"


def test_the_timeout_closes_it_at_once():
    run = cancelling()
    (timer,) = (id for id in run.timers if id.startswith("execution/"))
    assert run.fire(timer) == ["NodeCancelled undo", "ExecutionTimedOut"]


def test_a_history_that_is_full_ends_it_as_cancelled():
    run = cancelling()
    run.when(c.Abort(NodeError("history_limit", "full", False)))
    assert (run.state.status, run.state.error and run.state.error.code) == ("cancelled", "history_limit")


def test_a_paused_run_can_be_cancelled_and_cleans_up():
    run = Run.given(flow("t > a", "a:cancelled > undo"), c.Pause())
    assert run.when(c.Cancel())[-1] == "NodeScheduled undo"
    assert run.when(done("undo"))[-1] == "ExecutionCancelled"


def test_late_results_of_the_ordinary_flow_are_refused():
    run = cancelling()
    assert run.when(done("a"), fails("a")) == []


def test_a_child_that_is_waited_for_is_told_at_once_and_clean_up_may_call_others():
    run = Run.given(flow("t > call > b", "call:cancelled > undo"), calls("call", close="cancel"))
    run.when(c.Cancel())
    assert run.children == set()  # checked by `Run`: it is among the orphans
    run.when(calls("undo"))
    child = run.state.runs["undo"].child
    assert run.when(c.CloseChild("undo", 1, child, "completed"))[-1] == "ExecutionCancelled"


def test_an_event_reaches_a_clean_up_node_that_waits():
    from linkflow.domain.outcomes import WaitEvent

    run = Run.given(flow("t > a", "a:cancelled > w"), c.Cancel(), c.Complete("w", 1, WaitEvent("undone")))
    assert run.when(c.Signal("s1", "undone"))[-1] == "ExecutionCancelled"


# What a definition that was never checked may say


def test_an_edge_from_a_branch_into_the_ordinary_flow_is_not_there():
    graph = Graph(flow("t > a > b", "a:cancelled > x > b", "a:cancelled > b"), "t")
    assert (graph.top, graph.cleanup) == (("t", "a", "b"), ("x",))
    assert [edge.source for edge in graph.nodes["b"].incoming] == ["a"]


def test_edges_from_inside_a_body_or_a_branch_lead_nothing():
    graph = Graph(flow("t > loop", "loop:each > a", "a:cancelled > x", "t:cancelled > y", "y:cancelled > z"), "t")
    assert set(graph.nodes) == {"t", "loop", "a", "y"}


def test_an_output_that_its_author_named_cancelled_is_an_ordinary_one():
    run = Run.given(flow("t > order", "order:cancelled > refund", order={"type": "switch"}))
    assert run.when(done("order", 1, "cancelled"))[-1] == "NodeScheduled refund"
