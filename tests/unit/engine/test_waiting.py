"""Waiting for events and for people, pausing, and the timeouts around a node's start."""

from __future__ import annotations

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry, Timeout
from linkflow.domain.effects import orphans
from linkflow.domain.limits import Limits
from linkflow.domain.outcomes import RequestApproval, WaitEvent
from tests.unit.engine.support import AT, Run, calls, done, fails, flow, iterates


def waits(key: str, name: str, correlation: str = "", until: int = 0) -> c.Complete:
    return c.Complete(key, 1, WaitEvent(name, correlation, until))


def asks(key: str, **more: object) -> c.Complete:
    return c.Complete(key, 1, RequestApproval("Ship it?", **more))  # type: ignore[arg-type]


def signal(id: str, name: str, key: str = "", payload: object = None) -> c.Signal:
    return c.Signal(id, name, key, payload, "ada")


def test_a_wait_ends_with_its_event_and_holds_no_task():
    run = Run.given(flow("t > w > a"), waits("w", "paid", "42"))
    assert run.tasks == {}
    assert run.when(signal("s1", "paid", "41")) == ["SignalReceived"]
    assert run.when(signal("s2", "paid", "42", {"sum": 3})) == ["SignalReceived", "NodeCompleted w", "NodeScheduled a"]
    assert run.output("w") == {"sum": 3}
    assert [kept.id for kept in run.state.signals] == ["s1"]


def test_an_event_that_comes_first_is_kept_for_the_wait():
    run = Run.given(flow("t > a > w > z"), signal("s1", "paid", "42", 1), signal("s2", "paid", "42", 2))
    run.when(done("a"))
    assert run.when(waits("w", "paid")) == ["WaitStarted w", "NodeCompleted w", "NodeScheduled z"]
    assert run.output("w") == 1
    assert [kept.payload for kept in run.state.signals] == [2]


def test_one_event_wakes_the_wait_that_is_oldest():
    run = Run.given(flow("t > a", "t > b"), waits("a", "go"), waits("b", "go"))
    run.when(signal("s1", "go", payload="first"))
    assert (run.status("a"), run.status("b")) == ("completed", "waiting")
    run.when(signal("s2", "go", payload="second"))
    assert run.state.status == "completed"


def test_the_oldest_wait_is_the_one_that_began_first_wherever_its_node_stands():
    run = Run.given(flow("t > a", "t > b"), waits("b", "go"), waits("a", "go"))
    run.when(signal("s1", "go"))
    assert (run.status("a"), run.status("b")) == ("waiting", "completed")


def test_an_event_that_comes_twice_came_once():
    run = Run.given(flow("t > w"), signal("s1", "go"))
    assert run.when(signal("s1", "go")) == []
    assert run.when(signal("s2", "go"), signal("s2", "go")) == ["SignalReceived"]


def test_an_event_that_somebody_else_keeps_is_taken_or_refused():
    elsewhere = c.Signal("s1", "go", "", "first", "ada", keep=False)
    run = Run.given(flow("t > w"))
    assert run.when(elsewhere) == []
    run.when(waits("w", "go"))
    assert run.when(elsewhere) == ["SignalReceived", "NodeCompleted w", "ExecutionCompleted"]
    assert run.state.signals == ()


def test_a_run_keeps_a_thousand_events_and_knows_them_all():
    run = Run.given(flow("t > w", "t > x"), *(signal(f"s{i}", "later") for i in range(Limits().signals)))
    assert run.when(signal("one more", "later")) == []
    assert run.when(signal("s0", "later")) == []
    run.when(waits("w", "go"))
    assert run.when(signal("that one", "go")) == ["SignalReceived", "NodeCompleted w"]
    assert len(run.state.signals) == Limits().signals


def test_a_wait_that_times_out_fails_the_node_for_good():
    run = Run.given(flow("t > w", w={"retry": Retry(max_attempts=3)}), waits("w", "paid", until=AT + 5000))
    assert run.fire("wait/1/w") == ["NodeTimedOut w", "ExecutionFailed w"]
    late = Run.given(flow("t > w > z", w={"on_error": "branch"}), waits("w", "paid", until=AT + 5000))
    late.when(signal("s1", "paid"))
    assert late.timers == {}


def test_an_approval_takes_one_branch_or_the_other():
    chart = flow("t > ok", "ok:approved > yes", "ok:rejected > no")
    run = Run.given(chart, asks("ok", assignees=("ada",)))
    assert run.when(c.Decide("ok", 1, "rejected", {"why": "too dear"}, "ada")) == [
        "ApprovalDecided ok",
        "NodeCompleted ok",
        "NodeSkipped yes",
        "NodeScheduled no",
    ]
    assert run.when(c.Decide("ok", 1, "approved")) == []
    assert run.output("ok") == {"decision": "rejected", "payload": {"why": "too dear"}, "decided_by": "ada"}


def test_a_plain_edge_behind_an_approval_goes_on_only_if_it_was_approved():
    run = Run.given(flow("t > ok > a"), asks("ok"))
    assert "NodeSkipped a" in run.when(c.Decide("ok", 1, "rejected"))
    run = Run.given(flow("t > ok > a"), asks("ok"))
    assert "NodeScheduled a" in run.when(c.Decide("ok", 1, "approved"))


def test_an_approval_escalates_and_then_passes_its_due_date():
    run = Run.given(
        flow("t > ok"), asks("ok", assignees=("ada",), escalate_at=AT + 10, escalate_to=("bob",), until=AT + 20)
    )
    assert run.fire("escalate/1/ok") == ["ApprovalEscalated ok"]
    assert run.state.runs["ok"].wait.assignees == ("ada", "bob")
    assert run.fire("wait/1/ok") == ["NodeTimedOut ok", "ExecutionFailed ok"]


def test_nothing_is_decided_that_is_no_approval():
    run = Run.given(flow("t > w"), waits("w", "go"))
    assert run.when(c.Decide("w", 1, "approved")) == []
    run = Run.given(flow("t > ok"), asks("ok"))
    assert run.when(c.Decide("ok", 1, "maybe")) == []
    assert run.when(signal("s1", "")) == ["SignalReceived"]


def test_a_paused_run_finishes_what_runs_and_starts_nothing():
    run = Run.given(flow("t > a > b", "t > x"), c.Pause("ada", "look"))
    assert run.when(done("a")) == ["NodeCompleted a"]
    assert run.when(done("x")) == ["NodeCompleted x"]
    assert run.state.status == "paused"
    assert run.when(c.Pause()) == []
    assert run.when(c.Resume("ada")) == ["ExecutionResumed", "NodeScheduled b"]
    run.when(done("b"))
    assert run.state.status == "completed"


def test_a_run_with_nothing_left_ends_when_it_is_resumed():
    run = Run.given(flow("t > a"), c.Pause())
    run.when(done("a"))
    assert run.when(c.Resume()) == ["ExecutionResumed", "ExecutionCompleted"]


def test_retries_that_fall_due_in_a_pause_start_with_the_resume():
    run = Run.given(flow("t > a", a={"retry": Retry(max_attempts=2)}), fails("a"), c.Pause())
    assert run.fire("retry/2/a") == ["TimerFired a #2"]
    assert run.timers == {}
    assert run.when(c.Fire("retry/2/a")) == []
    assert run.when(c.Resume()) == ["ExecutionResumed", "NodeScheduled a #2"]


def test_a_resume_does_not_cut_a_backoff_short():
    run = Run.given(flow("t > a", a={"retry": Retry(max_attempts=2)}), fails("a"), c.Pause())
    assert run.when(c.Resume()) == ["ExecutionResumed"]
    assert run.fire("retry/2/a") == ["NodeScheduled a #2"]


def test_a_retry_fired_in_a_pause_by_a_clock_that_runs_ahead_is_not_lost():
    run = Run.given(flow("t > a", a={"retry": Retry(max_attempts=2)}), fails("a"), c.Pause())
    assert run.when(c.Fire("retry/2/a"), at=AT + 900) == ["TimerFired a #2"]
    assert run.when(c.Resume(), at=AT + 950) == ["ExecutionResumed", "NodeScheduled a #2"]


def test_loops_pause_between_their_nodes():
    run = Run.given(flow("t > loop > z", "loop:each > a > b"), iterates("loop", 1, 2, concurrency=1), c.Pause())
    assert run.when(done("a[0]")) == ["NodeCompleted a[0]"]
    assert run.when(c.Resume()) == ["ExecutionResumed", "NodeScheduled b[0]"]
    run.when(done("b[0]"), done("a[1]"), done("b[1]"))
    assert run.status("loop") == "completed"


def test_what_a_pause_held_back_when_the_run_failed_starts_with_the_retry_by_hand():
    run = Run.given(flow("t > a > b", "t > x"), c.Pause(), done("a"), fails("x"))
    assert run.when(c.RetryFailed()) == ["ExecutionRetried", "NodeScheduled x #2", "NodeScheduled b"]
    assert run.when(done("x", attempt=2)) == ["NodeCompleted x #2"]
    assert run.when(done("b"))[-1] == "ExecutionCompleted"


def test_an_iteration_held_by_a_pause_is_not_over_when_its_first_node_completes_on_the_spot():
    run = Run.given(
        flow("t > loop", "loop:each > a", "loop:each > b", a={"pinned_output": "A"}), c.Pause(), iterates("loop", 1)
    )
    assert run.when(c.Resume()) == [
        "ExecutionResumed",
        "NodeScheduled a[0]",
        "NodeCompleted a[0]",
        "NodeScheduled b[0]",
    ]
    run.when(done("b[0]", "B"))
    assert run.state.result == {"results": [{"a": "A", "b": "B"}], "count": 1}


def test_a_paused_run_can_be_cancelled():
    run = Run.given(flow("t > a"), c.Pause())
    assert run.when(c.Cancel()) == ["NodeCancelled a", "ExecutionCancelled"]


def test_nobody_took_it_up_in_time():
    run = Run.given(flow("t > a", a={"timeout": Timeout(schedule_to_start=5), "retry": Retry(max_attempts=3)}))
    (id,) = run.timers
    assert run.fire(id) == ["NodeTimedOut a", "ExecutionFailed a"]
    run = Run.given(flow("t > a", a={"timeout": Timeout(schedule_to_start=5)}))
    run.when(c.Begin("a", 1, "w"))
    assert run.timers == {}


def test_schedule_to_close_spans_all_attempts():
    run = Run.given(
        flow("t > a", a={"timeout": Timeout(schedule_to_close=10), "retry": Retry(max_attempts=9)}), fails("a")
    )
    close_by = AT + 10_000
    assert run.timers == {"retry/2/a": AT + 1000, f"schedule_to_close/{close_by}/a": close_by}
    run.fire("retry/2/a")
    assert run.last(e.NodeScheduled).close_by == close_by
    assert run.fire(f"schedule_to_close/{close_by}/a") == ["NodeTimedOut a #2", "ExecutionFailed a"]


def test_schedule_to_close_holds_while_a_child_is_waited_for():
    limits = {"timeout": Timeout(schedule_to_close=10), "retry": Retry(max_attempts=9)}
    run = Run.given(flow("t > call", call=limits), calls("call", close="cancel"))
    close_by = AT + 10_000
    assert run.timers == {f"schedule_to_close/{close_by}/call": close_by}
    child = run.state.runs["call"].child
    run.when(c.CloseChild("call", 1, child, "failed"))
    assert run.timers == {"retry/2/call": AT + 1000, f"schedule_to_close/{close_by}/call": close_by}
    run.fire("retry/2/call")
    run.when(calls("call", close="cancel", attempt=2))
    second = run.state.runs["call"].child
    assert run.fire(f"schedule_to_close/{close_by}/call") == ["NodeTimedOut call #2", "ExecutionFailed call"]
    assert run.decision is not None
    assert orphans(run.decision) == ((second, "cancel"),)
