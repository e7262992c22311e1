"""Forks: what is kept, what runs again, what is refused, and what a newer version changes."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.comparing import Changed, OpenLoop, compare
from linkflow.domain.definition import Definition, Edge, Node, Position, Retry, Settings
from linkflow.domain.draft import input_of
from linkflow.domain.effects import orphans
from linkflow.domain.errors import InvalidInput
from linkflow.domain.outcomes import RequestApproval, WaitEvent
from tests.unit.engine.forks import SOURCE, forked, plan_of, planned
from tests.unit.engine.support import Run, asked, brief, calls, done, fails, flow, iterates, sleeps, start

CHAIN = flow("t > a > b > c", "t > x")


def _finished() -> Run:
    return Run.given(CHAIN, done("a", 1), done("b", 2), done("x", 9), done("c", 3), trigger={"q": 1})


def test_a_fork_keeps_all_that_is_not_behind_its_node():
    fork = forked(_finished(), "b")
    assert brief(fork.events) == [
        "ExecutionStarted", "ExecutionForked b", "NodeScheduled a", "NodeScheduled x", "NodeCompleted a",
        "NodeCompleted x", "NodeScheduled b",
    ]  # fmt: skip
    first, told = fork.events[:2]
    assert isinstance(first, e.ExecutionStarted)
    assert (first.mode, first.source_id, first.actor, first.trigger) == ("fork", SOURCE, "ada", {"q": 1})
    assert isinstance(told, e.ExecutionForked)
    assert (told.source_id, told.node, told.from_version, told.to_version, told.kept) == (SOURCE, "b", 1, 1, 4)
    assert (told.actor, told.report, fork.state.source_id) == ("ada", None, SOURCE)
    assert fork.when(done("b", 20), done("c", 30))[-1] == "ExecutionCompleted"
    assert fork.state.result == {"c": 30, "x": 9}


def test_kept_events_carry_their_own_times():
    source = _finished()
    fork = forked(source, "b")
    kept = [event for event in fork.events if event.kept_at]
    assert {type(event) for event in kept} == {e.NodeScheduled, e.NodeCompleted}
    assert all(event.kept_at == source.at < event.at for event in kept)
    again = forked(fork, "b")  # and keep them through a fork of the fork
    assert {event.kept_at for event in again.events if getattr(event, "node", "") == "a" and event.kept_at} == {
        source.at
    }


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ((c.Cancel("ada"),), "cancelled"),
        ((c.Terminate("ada"),), "terminated"),
        ((fails("b"),), "failed"),
        ((c.Pause("ada"),), "paused"),
        ((c.Abort(fails("b").outcome.error),), "failed"),  # type: ignore[union-attr]
        ((), "running"),
    ],
)
def test_a_source_in_any_status(ending: tuple[c.Command, ...], status: str):
    source = Run.given(CHAIN, done("a", 1), *ending)
    assert source.state.status == status
    fork = forked(source, "b")
    assert fork.state.status == "running"
    assert fork.tasks == {"b": 1, "x": 1}  # what had not completed elsewhere runs again
    fork.when(done("x", 9), done("b", 2), done("c", 3))
    assert (fork.state.status, fork.state.result) == ("completed", {"c": 3, "x": 9})


def test_an_edited_input_is_recorded_and_used_for_every_attempt():
    definition = flow("t > a > b > c", b={"retry": Retry(max_attempts=2, initial_interval=1)})
    source = Run.given(definition, done("a", 1), done("b", 2), done("c", 3))
    fork = forked(source, "b", input={"n": None})
    scheduled = fork.last(e.NodeScheduled)
    assert (scheduled.node, scheduled.edited, scheduled.input, scheduled.sources) == ("b", True, {"n": None}, ("a",))
    assert _input(fork, "b") == {"n": None}
    fork.when(fails("b"))
    fork.fire("retry/2/b")
    assert (fork.last(e.NodeScheduled).input, _input(fork, "b")) == ({"n": None}, {"n": None})
    fork.when(fails("b", attempt=2, retryable=False))
    fork.when(c.RetryFailed("ada"))
    assert (fork.last(e.NodeScheduled).attempt, _input(fork, "b")) == (3, {"n": None})
    fork.when(done("b", 5, attempt=3))
    assert _input(fork, "c") == 5  # only that node's


def test_an_edited_input_may_be_null_and_passes_through_waits_and_disabled_nodes():
    definition = flow("t > a > b > c", b={"disabled": True})
    fork = forked(Run.given(definition, done("a", 1), done("c", 3)), "b", input=None)
    assert (fork.output("b"), _input(fork, "c")) == (None, None)
    chain = flow("t > a > b")
    fork = forked(Run.given(chain, done("a", 1), done("b", 1)), "b", input="edited")
    fork.when(sleeps("b", fork.at + 5))
    fork.fire("delay/1/b")
    assert fork.state.result == "edited"


def _input(run: Run, key: str) -> Any:
    return input_of(run.state, run.graph, key)


def test_from_the_trigger_on_nothing_is_kept_and_the_input_is_the_trigger_data():
    fork = forked(_finished(), "t", input={"q": 2})
    assert (fork.state.trigger, fork.tasks) == ({"q": 2}, {"a": 1, "x": 1})
    assert (plan_of(_finished(), "t").kept, fork.state.edited) == ((), {})


def test_branches_that_were_not_taken_are_decided_anew():
    definition = flow("t > if", "if:yes > a > j", "if:no > b > j", "j > z")
    source = Run.given(definition, done("if", 1, "yes"), done("a", 2), done("j", 3), done("z", 4))
    fork = forked(source, "z")
    assert fork.status("b") == "skipped"
    assert not [event for event in fork.events if isinstance(event, e.NodeSkipped) and event.kept_at]
    assert plan_of(source, "z").skipped == ("b",)
    other = forked(source, "if")
    other.when(done("if", 1, "no"))
    assert (other.status("a"), other.tasks) == ("skipped", {"b": 1})


def test_what_failed_or_waits_elsewhere_runs_again():
    definition = flow("t > a > b", "t > w", "t > f > g", f={"on_error": "continue"})
    source = Run.given(
        definition, done("a", 1), done("b", 2), c.Complete("w", 1, WaitEvent("paid")), fails("f"), done("g", 7)
    )
    fork = forked(source, "b")
    assert fork.tasks == {"b": 1, "w": 1}
    assert fork.status("f") == fork.status("g") == "completed"  # an error that was handled is a result
    assert fork.output("f")["error"]["code"] == "boom"


def test_the_answer_of_a_kept_respond_node_stands():
    source = Run.given(flow("t > a > b"), done("a", 1, respond={"ok": True}, answers=True), done("b", 2))
    fork = forked(source, "b")
    fork.when(done("b", 5))
    assert fork.state.result == {"ok": True}


def test_refused():
    source = Run.given(CHAIN, fails("a"), trigger=1)
    for node, code in {
        "c": "never_reached",
        "nope": "unknown_node",
        "a[0]": "unknown_node",
        "": "unknown_node",
    }.items():
        with pytest.raises(InvalidInput) as refused:
            planned(source, node)
        assert [(p.path, p.code) for p in refused.value.problems] == [("/node", code)]
    branch = Run.given(flow("t > if", "if:yes > a", "if:no > b"), done("if", 1, "yes"), done("a"))
    with pytest.raises(InvalidInput, match="another way"):
        planned(branch, "b", input={"what": "if"})


def test_a_node_that_the_source_never_reached_but_could_have():
    source = Run.given(CHAIN, done("a", 1), c.Pause("ada"))
    source.when(done("x", 1))
    assert forked(source, "b").tasks == {"b": 1}
    held = Run.given(flow("t > a > b", "t > x", settings=Settings(max_parallel=1)), c.Terminate("ada"))
    assert forked(held, "x").tasks == {"a": 1}  # its turn comes


# Loops

LOOP = flow("t > loop", "loop:each > p > q", "loop:done > z")


def _looped(*more: c.Command, items: int = 4, concurrency: int = 1, on_item_error: str = "stop") -> Run:
    each = [done for i in range(items) for done in (_item("p", i), _item("q", i))]
    loop = iterates("loop", *range(items), concurrency=concurrency, on_item_error=on_item_error)
    return Run.given(LOOP, loop, *each, *more)


def _item(node: str, index: int) -> c.Complete:
    return done(f"{node}[{index}]", f"{node}{index}")


def test_inside_an_iteration_the_loop_keeps_its_other_iterations():
    source = _looped(done("z", "over"))
    made = plan_of(source, "q[1]")
    assert made.loops == (OpenLoop("loop", 3, (1,)),)
    assert (made.kept, made.runs) == (("p[1]",), ("loop", "z"))
    fork = forked(source, "q[1]", input="mine")
    assert (fork.tasks, _input(fork, "q[1]")) == ({"q[1]": 1}, "mine")
    assert fork.when(done("q[1]", "new"))[-3:] == ["LoopItemCompleted loop 1", "NodeCompleted loop", "NodeScheduled z"]
    assert fork.output("loop") == {"results": ["q0", "new", "q2", "q3"], "count": 4}


def test_an_item_that_failed_the_loop():
    source = Run.given(
        LOOP, iterates("loop", "a", "b", "c"), _item("p", 0), _item("q", 0), _item("p", 1), fails("q[1]")
    )
    assert source.state.status == "failed"
    fork = forked(source, "q[1]")
    assert fork.tasks == {"q[1]": 1}
    fork.when(done("q[1]", "mended"))
    fork.when(_item("p", 2), _item("q", 2))
    assert fork.output("loop")["results"] == ["q0", "mended", "q2"]


def test_a_loop_under_way_keeps_its_bound_where_it_can():
    loop = iterates("loop", *range(5), concurrency=2)
    source = Run.given(LOOP, loop, _item("p", 0), _item("q", 0), _item("p", 1), _item("p", 2))
    fork = forked(source, "p[0]")  # 1 and 2 are under way: with 0 again that would be three
    assert fork.tasks == {"p[0]": 1, "q[1]": 1}
    fork.when(_item("p", 0), _item("q", 0))
    assert fork.tasks == {"q[1]": 1, "p[2]": 1}


def test_collected_errors_are_results_too():
    source = Run.given(
        LOOP, iterates("loop", 0, 1, on_item_error="collect"), fails("p[0]"), _item("p", 1), _item("q", 1), done("z")
    )
    fork = forked(source, "q[1]")
    fork.when(_item("q", 1))
    assert fork.output("loop")["errors"] == 1
    mended = forked(source, "p[0]")
    mended.when(_item("p", 0), _item("q", 0))
    assert mended.output("loop") == {"results": ["q0", "q1"], "count": 2}


def test_nested_loops():
    definition = flow("t > loop", "loop:each > a > loop2", "loop2:each > b", "loop2:done > c", "loop:done > z")
    commands: list[c.Command] = [iterates("loop", 0, 1)]
    for i in range(2):
        commands += [done(f"a[{i}]", i), iterates(f"loop2[{i}]", 0, 1)]
        commands += [done(f"b[{i},{j}]", 10 * i + j) for j in range(2)]
        commands.append(done(f"c[{i}]", f"c{i}"))
    source = Run.given(definition, *commands, done("z"))
    fork = forked(source, "b[1,0]")
    assert fork.tasks == {"b[1,0]": 1}
    fork.when(done("b[1,0]", "new"))
    assert fork.output("loop2[1]")["results"] == ["new", 11]
    fork.when(done("c[1]", "later"))
    assert fork.output("loop")["results"] == ["c0", "later"]
    again = forked(fork, "c[0]")
    again.when(done("c[0]", "once more"))
    assert again.output("loop")["results"] == ["once more", "later"]
    whole = forked(source, "loop2[0]")
    assert (whole.tasks, whole.state.loops["loop"].results) == ({"loop2[0]": 1}, {1: "c1"})


def test_a_loop_that_began_anew_is_seen_as_it_stands():
    source = Run.given(LOOP, iterates("loop", "a", "b"), _item("p", 0), fails("q[0]"), c.RetryFailed("ada"))
    source.when(iterates("loop", "x", "y", "z", attempt=2))
    source.when(done("p[0]", attempt=2), done("q[0]", "second round", attempt=2))
    source.when(done("p[1]", attempt=2), done("q[1]", attempt=2))
    fork = forked(source, "q[1]")
    assert fork.state.loops["loop"].items == ["x", "y", "z"]
    assert fork.state.loops["loop"].results == {0: "second round"}


def test_a_loop_that_is_about_to_begin_anew_is_opened_as_it_was():
    source = Run.given(LOOP, iterates("loop", "a", "b"), _item("p", 0), fails("q[0]"), c.RetryFailed("ada"))
    assert source.status("loop") == "scheduled"
    fork = forked(source, "q[0]")
    fork.when(_item("q", 0))
    assert (fork.state.loops["loop"].results, fork.tasks) == ({0: "q0"}, {"p[1]": 1})


def test_iterations_that_cannot_be():
    source = _looped()
    for node, words in {
        "q": r"name the iteration, as in q\[0\]", "q[9]": "never began iteration 9", "q[0,1]": "name the iteration",
        "z[1]": "in no loop",
    }.items():  # fmt: skip
        with pytest.raises(InvalidInput, match=words):
            planned(source, node)
    with pytest.raises(InvalidInput, match="never began"):
        planned(Run.given(LOOP, fails("loop")), "p[0]")


# Signals, approvals, children


def test_events_that_nobody_took_go_along():
    definition = flow("t > a > w > b")
    source = Run.given(
        definition, c.Signal("s1", "paid", payload=1), c.Signal("s2", "paid", payload=2), done("a"),
        c.Complete("w", 1, WaitEvent("paid")), done("b"),
    )  # fmt: skip
    fork = forked(source, "w")
    assert [signal.id for signal in fork.state.signals] == ["s2"]
    assert fork.when(c.Signal("s2", "paid", payload=9)) == []  # it has that one
    fork.when(c.Complete("w", 1, WaitEvent("paid")))
    assert (fork.output("w"), fork.state.signals) == (2, ())
    kept = forked(source, "b")
    assert (kept.output("w"), kept.tasks) == (1, {"b": 1})


def test_a_decision_stands_and_a_new_one_is_asked_for():
    definition = flow("t > ok > b")
    source = Run.given(
        definition,
        c.Complete("ok", 1, RequestApproval("May I?")),
        c.Decide("ok", 1, "approved", None, "bob"),
        done("b"),
    )
    assert forked(source, "b").output("ok")["decided_by"] == "bob"
    fork = forked(source, "ok")
    fork.when(c.Complete("ok", 1, RequestApproval("May I?")))
    assert fork.when(c.Decide("ok", 1, "rejected", None, "eve"))


def test_children_keep_their_results_and_their_parent():
    definition = flow("t > sub > b", "t > loose")
    source = Run.given(definition, calls("sub"), calls("loose", wait=False, close="terminate"))
    child = source.state.runs["sub"].child
    source.when(c.CloseChild("sub", 1, child, "completed", {"total": 3}))
    source.when(done("b"))
    fork = forked(source, "b")
    assert (fork.output("sub"), fork.all(e.ChildStarted)) == ({"total": 3}, [])
    fork.when(done("b"))
    assert fork.decision is not None
    assert orphans(fork.decision) == ()  # the loose child is the source's, whatever becomes of the fork


def test_clean_up_is_no_part_of_a_fork():
    definition = flow("t > a > b", "a:cancelled > undo")
    source = Run.given(definition, done("a", 1), c.Cancel("ada"), done("undo", "undone"))
    assert source.state.status == "cancelled"
    fork = forked(source, "b")
    assert (fork.tasks, fork.status("undo")) == ({"b": 1}, "")
    fork.when(c.Cancel("ada"))
    assert fork.tasks == {"undo": 1}
    with pytest.raises(InvalidInput, match="cleans up"):
        planned(source, "undo")


# Versions


def test_a_newer_version_is_reported():
    source = _finished()
    newer = flow("t > a > n > b > d", "t > x", "a > y", a={"config": {"url": "b"}}, settings=Settings(timeout=60))
    made = planned(source, "b", by=newer)
    report = made.plan.report
    assert report is not None
    assert (report.added, report.removed) == (("n", "d", "y"), ("c",))
    assert report.changed == (Changed("a", ("config.url",)),)
    assert (report.rewired, report.settings) == (("b",), ("timeout",))
    assert (report.kept_although_changed, report.dropped) == (("a",), ())
    fork = forked(source, "b", by=newer)
    assert fork.last(e.ExecutionForked).report == report
    assert fork.tasks == {"n": 1, "y": 1}  # b waits for its new source
    fork.when(done("n", "new"))
    assert (_input(fork, "b"), fork.state.workflow_version) == ("new", 2)


def test_an_edited_input_waits_with_its_node():
    newer = flow("t > a > n > b", "t > x")
    fork = forked(_finished(), "b", by=newer, input="edited")
    fork.when(done("n", "new"))
    assert (fork.last(e.NodeScheduled).input, _input(fork, "b")) == ("edited", "edited")


def test_results_of_nodes_that_are_gone_are_dropped():
    made = planned(_finished(), "b", by=flow("t > a > b > c"))
    assert made.plan.report is not None
    assert (made.plan.report.removed, made.plan.report.dropped) == (("x",), ("x",))
    assert made.plan.kept == ("a",)


def test_what_was_behind_the_node_in_the_old_wiring_runs_again_too():
    newer = flow("t > a > b", "t > c", "t > x")
    fork = forked(_finished(), "b", by=newer)
    assert fork.tasks == {"b": 1, "c": 1}


def test_a_new_node_can_be_the_one_to_go_on_from():
    newer = flow("t > a > n > b > c", "t > x")
    fork = forked(_finished(), "n", by=newer)
    assert fork.tasks == {"n": 1}


def test_an_iteration_whose_last_node_is_gone_runs_on():
    newer = flow("t > loop", "loop:each > p > r", "loop:done > z")
    source = _looped(done("z"), items=3)
    made = planned(source, "p[1]", by=newer)
    assert made.plan.loops == (OpenLoop("loop", 0, (0, 1)),)
    shorter = flow("t > loop", "loop:each > p", "loop:done > z")
    fork = forked(source, "p[1]", by=shorter)
    fork.when(done("p[1]", "new"))
    fork.when(_item("p", 2))
    assert fork.output("loop")["results"] == ["p0", "new", "p2"]


def test_versions_that_cannot_be():
    with pytest.raises(InvalidInput, match="no node 'b' in version 2"):
        planned(_finished(), "b", by=flow("t > a > c"))
    with pytest.raises(InvalidInput, match="to start from"):
        planned(_finished(), "b", by=flow("tt > a > b"))
    with pytest.raises(InvalidInput, match="another place"):
        planned(_looped(), "q[0]", by=flow("t > loop1", "loop1:each > q", "t > loop"))


def test_a_rename_counts_and_a_move_on_the_canvas_does_not():
    a = Definition("w", (Node("t", "trigger_manual"), Node("a", "noop", "A")), (Edge("e", "t", "a"),))
    b = Definition("v", (Node("t", "trigger_manual", position=Position(5, 5)), Node("a", "log", "B")), a.edges)
    found = compare(a, b)
    assert (found.changed, found.rewired) == ((Changed("a", ("type", "name")),), ())


def test_start_twice_is_once():
    fork = forked(_finished(), "b")
    assert fork.when(start()) == []


# While loops

WHILE = flow("t > while", "while:each > p > q", "while:done > z")


def _turns(count: int) -> Run:
    source = Run.given(WHILE, trigger="in")
    for turn in range(count):
        source.when(asked("while", True, attempt=turn + 1))
        source.when(_item("p", turn))
        source.when(_item("q", turn))
    source.when(asked("while", False, attempt=count + 1))
    source.when(done("z"))
    return source


def test_turns_before_are_kept_and_those_behind_run_again():
    source = _turns(4)
    fork = forked(source, "q[2]")
    assert (fork.tasks, fork.state.loops["while"].results) == ({"q[2]": 1}, {0: "q0", 1: "q1"})
    assert fork.when(done("q[2]", "new"))[-1] == "NodeScheduled while #4"
    fork.when(asked("while", False, attempt=4))
    assert fork.output("while") == {"results": ["q0", "q1", "new"], "count": 3, "output": "new"}
    first = forked(source, "p[0]", input="mine")
    assert (first.tasks, _input(first, "p[0]")) == ({"p[0]": 1}, "mine")
    late = forked(_turns(130), "p[120]")
    assert (_input(late, "p[120]"), late.state.loops["while"].ended) == ("q119", 120)


def test_a_turn_that_rests_on_a_node_that_is_gone():
    newer = flow("t > while", "while:each > p", "while:done > z")
    with pytest.raises(InvalidInput, match="a node that is gone"):
        planned(_turns(3), "p[1]", by=newer)
    assert forked(_turns(3), "p[0]", by=newer).tasks == {"p[0]": 1}
