"""Edges, joins, skips and results: which nodes a run goes through, in which order, and what it comes to."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain import events as e
from linkflow.domain.decider import decide
from linkflow.domain.definition import Settings
from linkflow.domain.draft import input_of
from linkflow.domain.graph import Graph
from linkflow.domain.state import new
from tests.unit.engine.support import AT, ID, Run, done, flow, joined, start


def test_a_chain_runs_one_node_after_another():
    run = Run(flow("t > a > b"))
    assert run.when(start({"x": 1})) == ["ExecutionStarted", "NodeScheduled a"]
    assert input_of(run.state, run.graph, "a") == {"x": 1}
    assert run.when(done("a", 2)) == ["NodeCompleted a", "NodeScheduled b"]
    assert run.last(e.NodeScheduled).sources == ("a",)
    assert run.when(done("b", 3)) == ["NodeCompleted b", "ExecutionCompleted"]
    assert (run.state.status, run.state.result) == ("completed", 3)


def test_a_lone_trigger_completes_at_once_with_its_data():
    run = Run(flow("t"))
    assert run.when(start([1])) == ["ExecutionStarted", "ExecutionCompleted"]
    assert run.state.result == [1]


def test_parallel_nodes_are_scheduled_together():
    run = Run.given(flow("t > a", "t > b", "t > c"))
    assert run.tasks == {"a": 1, "b": 1, "c": 1}
    run.when(done("c", 3), done("a", 1))
    run.when(done("b", 2))
    assert run.state.result == {"a": 1, "b": 2, "c": 3}  # in the definition's order, not that of arrival


def test_an_untaken_branch_is_skipped_and_the_join_behind_runs_once():
    run = Run.given(flow("t > cond", "cond:true > yes > after", "cond:false > no > after"))
    events = run.when(done("cond", {"result": True}, "true"))
    assert events == ["NodeCompleted cond", "NodeScheduled yes", "NodeSkipped no"]
    assert run.when(done("yes", 1)) == ["NodeCompleted yes", "NodeScheduled after"]
    assert run.last(e.NodeScheduled).sources == ("yes",)
    assert input_of(run.state, run.graph, "after") == 1  # one taken edge: its output as it is
    assert run.when(done("after", 9)) == ["NodeCompleted after", "ExecutionCompleted"]
    assert run.state.result == 9


def test_skipping_cascades_and_a_join_with_only_dead_edges_is_skipped():
    run = Run.given(flow("t > cond", "cond:a > p > q > join", "cond:b > r > join", "join > z"))
    events = run.when(done("cond", None, "other"))
    skipped = [f"NodeSkipped {id}" for id in ("p", "r", "q", "join", "z")]
    assert events == ["NodeCompleted cond", *skipped, "ExecutionCompleted"]


def test_a_run_whose_branch_has_no_edge_ends_with_the_last_node_that_ran():
    run = Run.given(flow("t > cond", "cond:false > no"))
    run.when(done("cond", "answer", "true"))
    assert run.state.result == "answer"


def test_a_diamond_joins_once_with_both_outputs_in_the_order_of_its_edges():
    run = Run.given(flow("t > a > d", "t > b > d"))
    assert run.when(done("b", "B")) == ["NodeCompleted b"]
    assert run.when(done("a", "A")) == ["NodeCompleted a", "NodeScheduled d"]
    assert run.last(e.NodeScheduled).sources == ("a", "b")
    assert input_of(run.state, run.graph, "d") == {"a": "A", "b": "B"}


def test_join_any_runs_on_the_first_arrival_and_ignores_later_ones():
    run = Run.given(flow("t > a > d", "t > b > d", d={"join": "any"}))
    assert run.when(done("b", "B")) == ["NodeCompleted b", "NodeScheduled d"]
    assert run.when(done("d", "D")) == ["NodeCompleted d"]  # a is still running
    assert run.when(done("a", "A")) == ["NodeCompleted a", "ExecutionCompleted"]
    assert run.state.result == "D"


def test_join_any_waits_while_the_first_arrivals_are_dead():
    run = Run.given(flow("t > a", "a:no > d", "t > b > d", d={"join": "any"}))
    assert run.when(done("a")) == ["NodeCompleted a"]
    assert run.when(done("b")) == ["NodeCompleted b", "NodeScheduled d"]


def test_join_any_with_only_dead_edges_is_skipped():
    run = Run.given(flow("t > a", "a:no > d", "t > b", "b:no > d", d={"join": "any"}))
    run.when(done("a"))
    assert run.when(done("b")) == ["NodeCompleted b", "NodeSkipped d", "ExecutionCompleted"]


def test_two_edges_from_one_source_are_one_source():
    run = Run.given(flow("t > a", "a:x > b", "a:y > b"))
    run.when(done("a", 1, "x", "y"))
    assert run.last(e.NodeScheduled).sources == ("a",)
    assert input_of(run.state, run.graph, "b") == 1


def test_several_outputs_may_be_taken():
    run = Run.given(flow("t > s", "s:x > a", "s:y > b", "s:z > c"))
    events = run.when(done("s", 0, "x", "z"))
    assert events == ["NodeCompleted s", "NodeScheduled a", "NodeSkipped b", "NodeScheduled c"]


def test_other_roots_are_no_part_of_the_run():
    definition = flow("t > a > both", "t2 > b > both")
    run = Run.given(definition)
    run.when(done("a", 1))
    assert run.last(e.NodeScheduled).node == "both"  # b will never come
    run.when(done("both", 2))
    assert set(run.state.runs) == {"t", "a", "both"}
    other = decide(Graph(definition, "t2"), definition.settings, new(ID), (start(node="t2"),), AT)
    assert set(other.state.runs) == {"t2", "b"}


def test_a_disabled_node_hands_its_input_on():
    run = Run(flow("t > a > b", a={"disabled": True}))
    events = run.when(start("in"))
    assert events == ["ExecutionStarted", "NodeScheduled a", "NodeCompleted a", "NodeScheduled b"]
    assert input_of(run.state, run.graph, "b") == "in"
    assert run.last(e.NodeCompleted).pinned


def test_a_pinned_node_gives_what_is_pinned():
    run = Run.given(flow("t > a > b", a={"pinned_output": {"id": 7}}), trigger="in")
    assert input_of(run.state, run.graph, "b") == {"id": 7}


def test_a_pinned_end_ends_the_run():
    run = Run(flow("t > a", a={"pinned_output": 1}))
    assert run.when(start())[-1] == "ExecutionCompleted"
    assert run.state.result == 1


def test_a_disabled_or_pinned_loop_goes_on_from_done():
    for how in ({"disabled": True}, {"pinned_output": {"results": [1]}}):
        run = Run(flow("t > loop", "loop:each > body", "loop:done > after", loop={"type": "loop"} | how))
        events = run.when(start("in"))
        assert events[-1] == "NodeScheduled after", how
        assert "body" not in run.state.runs
        assert input_of(run.state, run.graph, "after") == how.get("pinned_output", "in")


def test_an_answer_is_the_result_and_the_first_one_counts():
    run = Run.given(flow("t > a > b > c"))
    run.when(done("a", 1, respond={"status": 200}, answers=True))
    assert (run.state.answered, run.state.result) == (True, {"status": 200})
    run.when(done("b", 2, respond="late", answers=True))
    run.when(done("c", 3))
    assert run.state.result == {"status": 200}


def test_an_answer_of_null_is_an_answer():
    run = Run.given(flow("t > a > b"))
    run.when(done("a", 1, respond=None, answers=True))
    run.when(done("b", 2))
    assert run.state.result is None


def test_a_terminal_node_that_was_skipped_is_no_part_of_the_result():
    run = Run.given(flow("t > cond", "cond:x > a", "cond:y > b"))
    run.when(done("cond", 0, "x"))
    run.when(done("a", "A"))
    assert run.state.result == "A"


def test_no_output_where_every_terminal_is_empty():
    run = Run.given(flow("t > a", "t > b"))
    run.when(done("a"))
    run.when(done("b"))
    assert run.state.result == {"a": None, "b": None}


def test_max_parallel_holds_ready_nodes_back():
    run = Run.given(flow("t > a", "t > b", "t > c > d", settings=Settings(max_parallel=2)))
    assert run.tasks == {"a": 1, "b": 1}
    assert joined(run.when(done("b")), "NodeScheduled") == ["NodeScheduled c"]
    assert joined(run.when(done("a")), "NodeScheduled") == []
    assert joined(run.when(done("c")), "NodeScheduled") == ["NodeScheduled d"]
    assert run.when(done("d"))[-1] == "ExecutionCompleted"


# Nodes that do not run themselves


@pytest.mark.parametrize(
    ("type", "how", "taken"),
    [
        ("condition", {"disabled": True}, "true"),
        ("switch", {"disabled": True}, "default"),
        ("condition", {"pinned_output": {"output": "false"}}, "false"),
        ("switch", {"pinned_output": {"output": "a"}}, "a"),
        ("switch", {"pinned_output": {"output": "a"}, "disabled": True}, "default"),
        ("switch", {"pinned_output": "whatever"}, "default"),
        ("approval", {"disabled": True}, "approved main"),
        ("approval", {"pinned_output": {"decision": "approved"}}, "approved main"),
        ("approval", {"pinned_output": {"decision": "rejected"}}, "rejected"),
    ],
)
def test_a_decision_that_is_disabled_or_pinned_takes_one_way(type: str, how: dict[str, Any], taken: str):
    ways = {
        "condition": ("false", "true"),
        "switch": ("a", "b", "default"),
        "approval": ("approved", "rejected", "main"),
    }
    chains = [f"x:{way} > to_{way}" for way in ways[type]]
    run = Run.given(flow("t > x", *chains, x={"type": type, **how}), trigger="in")
    assert set(run.tasks) == {f"to_{way}" for way in taken.split()}


def test_a_disabled_choice_without_a_default_takes_its_first_edge():
    run = Run.given(flow("t > x", "x:b > y", "x:a > z", x={"type": "switch", "disabled": True}))
    assert run.tasks == {"y": 1}


def test_a_disabled_node_takes_main_and_never_its_error_branch():
    run = Run.given(flow("t > x", "x:error > y", "x > z", x={"disabled": True, "on_error": "branch"}))
    assert run.tasks == {"z": 1}
    run = Run.given(flow("t > x", "x:error > y", x={"disabled": True, "on_error": "branch"}), trigger=1)
    assert (run.state.status, run.state.result) == ("completed", 1)
