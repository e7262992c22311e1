"""Loops: iterations and their order, joins and branches inside a body, failing items, nesting."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Definition, Retry, Settings
from linkflow.domain.draft import input_of
from tests.unit.engine.support import AT, Run, done, fails, flow, iterates, joined, sleeps

PLAIN = ("t > loop", "loop:each > send", "loop:done > after")


def plain(**nodes: Any) -> Definition:
    return flow(*PLAIN, **nodes)


def test_items_run_one_after_another_and_the_results_keep_their_order():
    run = Run.given(plain())
    assert run.when(iterates("loop", "x", "y")) == [
        "LoopStarted loop",
        "LoopItemsStarted loop 0+1",
        "NodeScheduled send[0]",
    ]
    assert input_of(run.state, run.graph, "send[0]") == "x"
    assert run.when(done("send[0]", "X")) == [
        "NodeCompleted send[0]", "LoopItemCompleted loop 0", "LoopItemsStarted loop 1+1", "NodeScheduled send[1]",
    ]  # fmt: skip
    assert run.when(done("send[1]", "Y")) == [
        "NodeCompleted send[1]", "LoopItemCompleted loop 1", "NodeCompleted loop", "NodeScheduled after",
    ]  # fmt: skip
    assert input_of(run.state, run.graph, "after") == {"results": ["X", "Y"], "count": 2}
    run.when(done("after", "end"))
    assert run.state.result == "end"


def test_concurrency_bounds_the_iterations_and_order_is_by_item():
    run = Run.given(plain(), iterates("loop", *"abcd", concurrency=2))
    assert set(run.tasks) == {"send[0]", "send[1]"}
    run.when(done("send[1]", "B"))
    assert set(run.tasks) == {"send[0]", "send[2]"}
    run.when(done("send[2]", "C"))
    run.when(done("send[3]", "D"))
    assert set(run.tasks) == {"send[0]"}
    run.when(done("send[0]", "A"))
    assert run.output("loop")["results"] == ["A", "B", "C", "D"]


def test_concurrency_0_starts_all_at_once():
    run = Run.given(plain(), iterates("loop", *range(5), concurrency=0))
    assert len(run.tasks) == 5
    run.when(*(done(f"send[{i}]", i) for i in reversed(range(5))))
    assert run.output("loop")["results"] == [0, 1, 2, 3, 4]


def test_no_items_complete_the_loop_at_once():
    run = Run.given(plain())
    events = run.when(iterates("loop"))
    assert events == ["LoopStarted loop", "NodeCompleted loop", "NodeScheduled after"]
    assert run.output("loop") == {"results": [], "count": 0}


@pytest.mark.parametrize("concurrency", [0, 1, 2])
def test_without_a_body_each_item_is_its_own_result(concurrency: int):
    run = Run.given(flow("t > loop", "loop:done > after"))
    run.when(iterates("loop", 1, None, {"a": 2}, concurrency=concurrency))
    assert run.output("loop") == {"results": [1, None, {"a": 2}], "count": 3}
    assert run.tasks == {"after": 1}


def test_a_loop_that_ends_the_run_gives_its_result():
    run = Run.given(flow("t > loop", "loop:each > send"), iterates("loop", 1))
    assert run.when(done("send[0]", 2))[-1] == "ExecutionCompleted"
    assert run.state.result == {"results": [2], "count": 1}


def test_main_serves_as_done():
    run = Run.given(flow("t > loop > after", "loop:each > send"), iterates("loop"))
    assert run.tasks == {"after": 1}


def test_a_body_with_a_branch_and_a_join():
    run = Run.given(
        flow("t > loop", "loop:each > cond", "cond:true > yes > end", "cond:false > no > end"),
        iterates("loop", 1, 2, concurrency=2),
    )
    assert run.when(done("cond[1]", 0, "false")) == [
        "NodeCompleted cond[1]",
        "NodeSkipped yes[1]",
        "NodeScheduled no[1]",
    ]
    run.when(done("cond[0]", 0, "true"))
    run.when(done("yes[0]", "Y"))
    run.when(done("no[1]", "N"))
    run.when(done("end[1]", "1"), done("end[0]", "0"))
    assert run.state.result["results"] == ["0", "1"]


def test_a_body_that_ends_in_several_nodes_gives_them_by_id():
    run = Run.given(flow("t > loop", "loop:each > a", "loop:each > b > z"), iterates("loop", "i"))
    assert run.tasks == {"a[0]": 1, "b[0]": 1}
    run.when(done("b[0]"))
    run.when(done("z[0]", "Z"))
    run.when(done("a[0]", "A"))
    assert run.output("loop")["results"] == [{"a": "A", "z": "Z"}]


def test_an_entry_that_also_joins_waits_for_the_rest_of_its_body():
    run = Run.given(flow("t > loop", "loop:each > a > both", "loop:each > both"), iterates("loop", "i"))
    assert run.tasks == {"a[0]": 1}
    run.when(done("a[0]", "A"))
    assert run.last(e.NodeScheduled).sources == ("a[0]", "loop")
    assert input_of(run.state, run.graph, "both[0]") == {"loop": "i", "a": "A"}
    assert run.when(done("both[0]", 1))[-1] == "ExecutionCompleted"


def test_an_entry_with_join_any_starts_with_the_item_and_runs_once():
    run = Run.given(
        flow("t > loop", "loop:each > a > both", "loop:each > both", both={"join": "any"}), iterates("loop", "i")
    )
    assert run.tasks == {"a[0]": 1, "both[0]": 1}
    assert input_of(run.state, run.graph, "both[0]") == "i"
    assert run.when(done("both[0]", "B")) == ["NodeCompleted both[0]"]
    run.when(done("a[0]", "A"))  # its edge into the join was taken, so it is no end of the body
    assert run.state.result["results"] == ["B"]


def test_two_edges_from_each_to_one_node_bring_the_item_once():
    run = Run.given(flow("t > loop", "loop:each > a", "loop:each > a"), iterates("loop", "i"))
    assert run.last(e.NodeScheduled).sources == ("loop",)
    assert input_of(run.state, run.graph, "a[0]") == "i"


def test_join_any_in_a_body_ignores_later_arrivals():
    run = Run.given(
        flow("t > loop", "loop:each > a > j", "loop:each > b > j", j={"join": "any"}), iterates("loop", 1, 2)
    )
    run.when(done("b[0]"))
    assert run.when(done("j[0]", "J")) == ["NodeCompleted j[0]"]  # the iteration is not over: a runs
    assert run.when(done("a[0]"))[1] == "LoopItemCompleted loop 0"
    assert len([event for event in run.all(e.NodeScheduled) if event.node == "j[0]"]) == 1


def test_an_edge_back_to_the_loop_means_nothing():
    run = Run.given(flow("t > loop", "loop:each > a > b > loop", "loop:done > after"), iterates("loop", 1, 2))
    run.when(done("a[0]"))
    run.when(done("b[0]", "B0"))
    run.when(done("a[1]"))
    run.when(done("b[1]", "B1"))
    assert run.output("loop")["results"] == ["B0", "B1"]
    assert run.tasks == {"after": 1}


def test_a_pinned_body_runs_through_without_a_worker():
    run = Run.given(flow("t > loop", "loop:each > a > b", a={"pinned_output": 1}, b={"disabled": True}))
    assert run.when(iterates("loop", *range(50)))[-1] == "ExecutionCompleted"
    assert run.state.result == {"results": [1] * 50, "count": 50}


def test_delays_and_retries_inside_a_body_have_timers_of_their_own():
    run = Run.given(plain(send={"retry": Retry(max_attempts=2)}), iterates("loop", 1, 2, concurrency=2))
    run.when(sleeps("send[0]", AT + 5, "slept"), fails("send[1]"))
    assert set(run.timers) == {"delay/1/send[0]", "retry/2/send[1]"}
    run.fire("delay/1/send[0]")
    run.fire("retry/2/send[1]")
    run.when(done("send[1]", "again", attempt=2))
    assert run.output("loop")["results"] == ["slept", "again"]


def test_an_ended_iteration_leaves_only_its_result():
    run = Run.given(plain(), iterates("loop", *range(100)))
    for index in range(99):
        run.when(done(f"send[{index}]", index))
    assert set(run.state.runs) == {"t", "loop", "send[99]"}


# Failing items


def test_a_failed_item_fails_the_loop_and_the_run():
    run = Run.given(plain(), iterates("loop", 1, 2, 3, concurrency=2))
    assert run.when(fails("send[1]")) == [
        "NodeFailed send[1]", "NodeCancelled send[0]", "NodeFailed loop", "ExecutionFailed loop",
    ]  # fmt: skip
    error = run.state.error
    assert error is not None
    assert (error.code, error.message, error.details["node"]) == ("loop_item_failed", "Item 1 failed: boom!", "send[1]")
    assert error.details["error"]["code"] == "boom"
    assert set(run.state.runs) == {"t", "loop"}


def test_collect_keeps_the_error_as_the_item_s_result_and_cancels_the_rest_of_the_iteration():
    run = Run.given(flow("t > loop", "loop:each > a", "loop:each > b"), iterates("loop", 1, 2, on_item_error="collect"))
    assert run.when(fails("a[0]"))[:3] == ["NodeFailed a[0]", "NodeCancelled b[0]", "LoopItemCompleted loop 0"]
    assert run.when(done("b[0]")) == []
    run.when(done("a[1]", "A"), done("b[1]", "B"))
    assert run.state.result == {
        "results": [{"error": {"code": "boom", "message": "boom!", "retryable": True}}, {"a": "A", "b": "B"}],
        "count": 2,
        "errors": 1,
    }


def test_a_failing_last_item_completes_a_collecting_loop():
    run = Run.given(plain(), iterates("loop", 1, on_item_error="collect"))
    assert run.when(fails("send[0]"))[-2:] == ["NodeCompleted loop", "NodeScheduled after"]


def test_continue_inside_a_body_is_no_failed_item():
    run = Run.given(plain(send={"on_error": "continue"}), iterates("loop", 1))
    run.when(fails("send[0]"))
    assert run.output("loop")["results"][0]["error"]["code"] == "boom"
    assert "errors" not in run.output("loop")


def test_branch_inside_a_body():
    run = Run.given(flow("t > loop", "loop:each > a > b", "a:error > c", a={"on_error": "branch"}), iterates("loop", 1))
    assert run.when(fails("a[0]"))[-2:] == ["NodeSkipped b[0]", "NodeScheduled c[0]"]
    run.when(done("c[0]", "C"))
    assert run.state.result["results"] == ["C"]


def test_a_failed_loop_may_continue():
    run = Run.given(plain(loop={"type": "loop", "on_error": "continue"}), iterates("loop", 1, 2, concurrency=2))
    events = run.when(fails("send[0]"))
    assert events[-3:] == ["NodeFailed loop", "NodeCompleted loop", "NodeScheduled after"]
    assert input_of(run.state, run.graph, "after")["error"]["code"] == "loop_item_failed"
    assert run.state.loops == {}
    assert run.when(done("send[1]")) == []


def test_a_failed_loop_may_branch():
    definition = flow(*PLAIN, "loop:error > mend", loop={"type": "loop", "on_error": "branch"})
    run = Run.given(definition, iterates("loop", 1))
    assert run.when(fails("send[0]"))[-3:] == ["NodeCompleted loop", "NodeSkipped after", "NodeScheduled mend"]


def test_the_loop_node_itself_may_fail_and_be_tried_again():
    run = Run.given(plain(loop={"type": "loop", "retry": Retry(max_attempts=2)}))
    assert run.when(fails("loop", "loop_not_a_list")) == ["NodeFailed loop", "NodeRetryScheduled loop #2"]
    run.fire("retry/2/loop")
    run.when(iterates("loop", 1, attempt=2))
    assert run.tasks == {"send[0]": 1}


def test_a_failed_item_does_not_use_the_loop_s_retries():
    run = Run.given(plain(loop={"type": "loop", "retry": Retry(max_attempts=3)}), iterates("loop", 1))
    assert run.when(fails("send[0]"))[-1] == "ExecutionFailed loop"


# Nesting

NESTED = ("t > loop1", "loop1:each > a > loop2", "loop2:each > b", "loop2:done > c", "loop1:done > z")


def test_loops_nest_and_each_iteration_is_its_own_scope():
    run = Run.given(flow(*NESTED), iterates("loop1", "x", "y", concurrency=2))
    run.when(done("a[0]", "ax"), done("a[1]", "ay"))
    run.when(iterates("loop2[0]", 1, 2, concurrency=2), iterates("loop2[1]", 3))
    assert set(run.tasks) == {"b[0,0]", "b[0,1]", "b[1,0]"}
    assert input_of(run.state, run.graph, "b[0,1]") == 2
    run.when(done("b[0,1]", "b1"), done("b[0,0]", "b0"))
    assert input_of(run.state, run.graph, "c[0]") == {"results": ["b0", "b1"], "count": 2}
    run.when(done("c[0]", "c0"))
    run.when(done("b[1,0]"))
    run.when(done("c[1]", "c1"))
    assert run.output("loop1")["results"] == ["c0", "c1"]
    assert run.tasks == {"z": 1}


def test_a_failure_in_an_inner_loop_fails_all_the_way_out():
    run = Run.given(
        flow(*NESTED), iterates("loop1", 1, 2, concurrency=2), done("a[0]"), iterates("loop2[0]", 1, 2, concurrency=2)
    )
    assert run.when(fails("b[0,0]")) == [
        "NodeFailed b[0,0]", "NodeCancelled b[0,1]", "NodeFailed loop2[0]", "NodeCancelled a[1]", "NodeFailed loop1",
        "ExecutionFailed loop1",
    ]  # fmt: skip


def test_an_inner_loop_s_failure_may_be_collected_outside():
    run = Run.given(
        flow(*NESTED), iterates("loop1", 1, 2, on_item_error="collect"), done("a[0]"), iterates("loop2[0]", 1)
    )
    run.when(fails("b[0,0]"))
    assert run.tasks == {"a[1]": 1}
    assert run.state.loops["loop1"].errors == 1
    assert set(run.state.loops) == {"loop1"}


def test_a_collected_failure_cancels_an_inner_loop_of_its_iteration():
    run = Run.given(
        flow("t > loop1", "loop1:each > loop2", "loop1:each > x", "loop2:each > b"),
        iterates("loop1", 1, on_item_error="collect"), iterates("loop2[0]", 1, 2, concurrency=2),
    )  # fmt: skip
    run.when(sleeps("b[0,1]", AT + 9))
    assert run.when(fails("x[0]")) == [
        "NodeFailed x[0]", "NodeCancelled b[0,0]", "TimerCancelled b[0,1]", "NodeCancelled b[0,1]",
        "NodeCancelled loop2[0]", "LoopItemCompleted loop1 0", "NodeCompleted loop1", "ExecutionCompleted",
    ]  # fmt: skip


def test_cancel_reaches_into_loops():
    run = Run.given(flow(*NESTED), iterates("loop1", 1), done("a[0]"), iterates("loop2[0]", 1))
    assert run.when(c.Cancel("ada")) == [
        "NodeCancelled b[0,0]", "NodeCancelled loop2[0]", "NodeCancelled loop1", "ExecutionCancelled",
    ]  # fmt: skip


# max_parallel


def test_max_parallel_bounds_iterations_too_and_none_ends_before_it_ran():
    run = Run.given(flow(*PLAIN, settings=Settings(max_parallel=2)), iterates("loop", *range(4), concurrency=0))
    assert set(run.tasks) == {"send[0]", "send[1]"}
    assert joined(run.when(done("send[1]", 1)), "NodeScheduled", "LoopItemCompleted") == [
        "LoopItemCompleted loop 1", "NodeScheduled send[2]",
    ]  # fmt: skip
    run.when(done("send[0]", 0))
    run.when(done("send[2]", 2))
    run.when(done("send[3]", 3))
    assert run.output("loop")["results"] == [0, 1, 2, 3]


def test_max_parallel_counts_nodes_outside_the_loop():
    run = Run.given(flow("t > x", "t > loop", "loop:each > send", settings=Settings(max_parallel=1)))
    assert set(run.tasks) == {"x"}
    run.when(done("x"))
    run.when(iterates("loop", 1, 2, concurrency=0))
    assert set(run.tasks) == {"send[0]"}
    run.when(done("send[0]"))
    assert run.when(done("send[1]"))[-1] == "ExecutionCompleted"


def test_a_backoff_keeps_its_place_under_max_parallel():
    run = Run.given(flow("t > a", "t > b", settings=Settings(max_parallel=1, retry=Retry(max_attempts=2))))
    run.when(fails("a"))
    assert run.tasks == {}  # were b let in now, the retry would make two
    run.fire("retry/2/a")
    assert run.tasks == {"a": 2}
    run.when(done("a", attempt=2))
    assert run.tasks == {"b": 1}


def test_a_delay_gives_its_place_up():
    run = Run.given(flow("t > a", "t > b", settings=Settings(max_parallel=1)))
    run.when(sleeps("a", AT + 5))
    assert run.tasks == {"b": 1}


@pytest.mark.parametrize("on_error", ["stop", "continue"])
def test_an_item_that_fails_while_others_wait_for_room(on_error: str):
    run = Run.given(
        flow(*PLAIN, settings=Settings(max_parallel=1), loop={"type": "loop", "on_error": on_error}),
        iterates("loop", *range(3), concurrency=0),
    )
    last = {"stop": "ExecutionFailed loop", "continue": "NodeScheduled after"}[on_error]
    assert run.when(fails("send[0]"))[-1] == last


# Loops side by side


def test_parallel_loops_do_not_wait_for_each_other_s_iterations():
    run = Run.given(
        flow("t > loop1", "t > loop2", "loop1:each > a", "loop2:each > b"),
        iterates("loop1", 1, 2),
        iterates("loop2", 3),
    )
    assert run.when(done("a[0]")) == [
        "NodeCompleted a[0]", "LoopItemCompleted loop1 0", "LoopItemsStarted loop1 1+1", "NodeScheduled a[1]",
    ]  # fmt: skip
    run.when(done("a[1]"))
    assert run.when(done("b[0]"))[-1] == "ExecutionCompleted"


def test_a_loop_without_a_body_runs_beside_one_that_is_busy():
    run = Run.given(flow("t > loop1", "t > loop2", "loop1:each > a"), iterates("loop1", 1))
    assert run.when(iterates("loop2", 1, 2, concurrency=2))[-1] == "NodeCompleted loop2"


def test_an_iteration_that_ends_while_held_nodes_are_let_in_does_not_begin_again():
    pinned = {"pinned_output": "p"}
    run = Run.given(
        flow("t > loop", "loop:each > a > b", "loop:each > c", settings=Settings(max_parallel=1), b=pinned, c=pinned),
        iterates("loop", 1, 2, concurrency=0), sleeps("a[0]", AT),
    )  # fmt: skip
    assert run.fire("delay/1/a[0]") == ["TimerFired a[0]", "NodeCompleted a[0]"]  # no room for b[0]: a[1] runs
    assert run.when(sleeps("a[1]", AT)) == [
        "TimerStarted a[1]", "NodeScheduled b[0]", "NodeCompleted b[0]", "LoopItemCompleted loop 0",
        "NodeScheduled c[1]", "NodeCompleted c[1]",
    ]  # fmt: skip


def test_any_node_may_iterate_and_has_no_body():
    run = Run.given(flow("t > x > y", settings=Settings(max_parallel=1)))
    assert run.when(iterates("x", 1, 2))[-1] == "NodeScheduled y"
    assert run.output("x")["results"] == [1, 2]
