"""Scenes: a definition, and what happens to a run of it. Recorded once a release, so that later code can be held to
the histories and databases that earlier code has left behind."""

from __future__ import annotations

from collections.abc import Callable

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Definition, Retry, Settings, Timeout
from linkflow.domain.outcomes import CallWorkflow, Completed, NodeError, RequestApproval, WaitEvent
from linkflow.domain.timing import DELAY, ESCALATE, EXECUTION, SCHEDULE_TO_CLOSE, START_TO_CLOSE, WAIT, timer_id
from tests.unit.engine.support import (
    AT,
    ID,
    SECOND,
    WORKFLOW,
    WORKSPACE,
    Run,
    calls,
    done,
    fails,
    flow,
    iterates,
    sleeps,
    start,
)

PARENT = e.Parent("019aac8b-7c00-7abc-8000-0000000000aa", "call", 1, 1, "cancel")


def _play(definition: Definition, *commands: c.Command, trigger: object = None, key: str = "") -> Run:
    run = Run(definition)
    run.when(start(trigger, key=key))
    for command in commands:
        run.at += 7
        run.when(command)
    return run


def branches() -> Run:
    """A condition, an untaken side, a join of each kind, a respond."""
    shape = flow(
        "t > if",
        "if:true > a > j",
        "if:false > b > j",
        "t > c > any",
        "a > any",
        any={"id": "any", "type": "noop", "join": "any"},
    )
    return _play(
        shape,
        done("if", {"v": 1}, "true"),
        c.Complete("c", 1, Completed(2, ("main",), {"ok": 1}, True, ("one", "two")), AT, 5, "w1"),
        done("a", [1, "ä"]),
        done("any"),
        done("j", {"deep": {"er": None}}),
        trigger={"order": 12.5},
        key="order-12",
    )


def retries_and_branch() -> Run:
    """Attempts with backoff, all of them used up, then the error output."""
    policy = Retry(max_attempts=3, initial_interval=2, non_retryable=("fatal",))
    run = Run(flow("t > a", "a:error > b", a={"id": "a", "type": "noop", "retry": policy, "on_error": "branch"}))
    run.when(start())
    run.when(fails("a", retry_after=500))
    run.fire(next(iter(run.timers)))
    run.when(fails("a", attempt=2, logs=("why",)))
    run.fire(next(iter(run.timers)))
    run.when(fails("a", attempt=3))
    run.when(done("b", "handled"))
    return run


def failed_and_retried_by_hand() -> Run:
    """Two nodes: one fails the run while the other runs; a person has it tried again."""
    run = _play(flow("t > a > z", "t > b > z", settings=Settings(timeout=600)), fails("a", retryable=False))
    run.when(c.RetryFailed("ada"), at=run.at + SECOND)
    for node, attempt in list(run.tasks.items()):
        run.when(done(node, f"{node} again", attempt=attempt))
    run.when(done("z"))
    return run


def timeouts() -> Run:
    """Start-to-close with a retry, schedule-to-start, schedule-to-close."""
    policy, limits = (
        Retry(max_attempts=2, initial_interval=0),
        Timeout(start_to_close=5, schedule_to_start=9, schedule_to_close=60),
    )
    run = Run(flow("t > a > b", a={"id": "a", "type": "noop", "retry": policy, "timeout": limits, "on_error": "continue"},
                   b={"id": "b", "type": "noop", "timeout": Timeout(schedule_to_start=3), "on_error": "continue"}))  # fmt: skip
    run.when(start())
    run.when(c.Begin("a", 1, "w1"))
    run.fire(timer_id(START_TO_CLOSE, "a", 1))
    for id in [id for id in run.timers if id.startswith("retry")]:
        run.fire(id)
    run.fire(next(id for id in run.timers if id.startswith(SCHEDULE_TO_CLOSE)))
    run.fire(next(iter(run.timers)))
    return run


def execution_timeout() -> Run:
    """The run's own timeout passes while a node waits and another runs."""
    run = _play(flow("t > a", "t > b", settings=Settings(timeout=30)), sleeps("a", AT + 90 * SECOND, "slept"))
    run.fire(next(id for id in run.timers if id.startswith(EXECUTION)))
    return run


def delays() -> Run:
    """A delay that passes, one that a cancel ends."""
    run = _play(flow("t > a > b"), sleeps("a", AT + 5 * SECOND, {"slept": 5}))
    run.fire(timer_id(DELAY, "a", 1))
    run.when(sleeps("b", AT + 500 * SECOND))
    run.when(c.Cancel("ada", "enough"))
    return run


def terminated() -> Run:
    return _play(flow("t > a > b"), done("a"), c.Terminate("ada", "it runs wild"))


def signals() -> Run:
    """Kept events, waits with and without key, a wait that times out, a pause in between."""
    run = _play(flow("t > a > b > d", d={"id": "d", "type": "noop", "on_error": "continue"}))
    run.when(c.Signal("s1", "paid", "42", {"sum": 1}, "ada"))
    run.when(c.Signal("s2", "paid", "", {"sum": 2}))
    run.when(c.Complete("a", 1, WaitEvent("paid", "42", AT + 60 * SECOND)))
    run.when(c.Pause("ada", "lunch"))
    run.when(c.Complete("b", 1, WaitEvent("sent")))
    run.when(c.Signal("s3", "sent", "x", None))
    run.when(c.Resume("ada"))
    run.when(c.Complete("d", 1, WaitEvent("never", "", AT + 90 * SECOND)))
    run.fire(timer_id(WAIT, "d", 1))
    return run


def approvals() -> Run:
    """One approved, one rejected after its escalation, one that nobody decided."""
    shape = flow("t > a", "a:approved > b", "b:rejected > d", d={"id": "d", "type": "noop", "on_error": "continue"})
    run = _play(
        shape, c.Complete("a", 1, RequestApproval("Ship?", "see the order", {"order": 1}, ("ada",), AT + 90 * SECOND))
    )
    run.when(c.Decide("a", 1, "approved", {"note": "ok"}, "ada"))
    run.when(
        c.Complete(
            "b", 1, RequestApproval("Sure?", assignees=("ada",), escalate_at=AT + 20 * SECOND, escalate_to=("bob",))
        )
    )
    run.fire(timer_id(ESCALATE, "b", 1))
    run.when(c.Decide("b", 1, "rejected", None, "bob"))
    run.when(c.Complete("d", 1, RequestApproval("Well?", until=AT + 99 * SECOND)))
    run.fire(timer_id(WAIT, "d", 1))
    return run


def loops() -> Run:
    """A loop in a loop, three at a time, errors collected, batches of two results, an empty body."""
    run = _play(
        flow("t > loop1", "loop1:each > a > loop2", "loop2:each > b", "loop2:done > d", "loop1:done > z > loop3")
    )
    run.when(iterates("loop1", {"n": 0}, {"n": 1}, {"n": 2}, concurrency=2, on_item_error="collect"))
    for index in range(3):
        if index == 1:
            run.when(fails("a[1]", "bad", retryable=False))
            continue
        run.when(done(f"a[{index}]", index))
        run.when(iterates(f"loop2[{index}]", "x", "y", concurrency=1))
        run.when(done(f"b[{index},0]", "bx"))
        run.when(done(f"b[{index},1]", "by"))
        run.when(done(f"d[{index}]", {"d": index}))
    run.when(done("z", [1]))
    run.when(iterates("loop3"))
    return run


def loop_stopped() -> Run:
    """A failing item stops its loop while the next one runs."""
    run = _play(flow("t > loop1", "loop1:each > a > b", "loop1:each > d"), iterates("loop1", 1, 2, 3, concurrency=2))
    run.when(done("a[0]"))
    run.when(fails("b[0]", "bad", retryable=False))
    return run


def children() -> Run:
    """Children that complete, fail, are rejected, are not waited for, and one that is closed with its parent."""
    run = _play(
        flow(
            "t > a > b > d > f",
            "t > g",
            b={"id": "b", "type": "noop", "on_error": "continue"},
            d={"id": "d", "type": "noop", "on_error": "continue"},
        )
    )
    for node, status, result in (("a", "completed", {"r": 1}), ("b", "failed", None), ("d", "rejected", None)):
        run.when(calls(node))
        child = run.last(e.ChildStarted).execution_id
        error = None if status == "completed" else NodeError("child_failed", "no")
        run.when(c.CloseChild(node, 1, child, status, result, error))
    run.when(calls("f", wait=False))
    run.when(c.Complete("g", 1, CallWorkflow(WORKFLOW, {"in": 1}, True, "cancel")))
    run.when(c.Cancel("ada"))
    return run


def a_child() -> Run:
    """A run that another one started."""
    run = Run(flow("t > a"))
    run.when(c.Start(ID, WORKSPACE, WORKFLOW, 1, "t", {"in": 1}, "sub_workflow", "parent", "", PARENT, "inbox/1"))
    run.when(done("a", "for the parent"))
    return run


def fused() -> Run:
    """A fused chain in one transition, a skipped side, a disabled and a pinned node."""
    shape = flow(
        "t > a > b > d",
        "a:never > x > y",
        b={"id": "b", "type": "noop", "disabled": True},
        d={"id": "d", "type": "noop", "pinned_output": {"pinned": True}},
    )
    run = _play(shape)
    run.when(c.Complete("a", 1, Completed({"a": 1}), AT, 12, "w"))
    return run


def aborted() -> Run:
    """The engine itself ended it."""
    return _play(flow("t > a"), c.Abort(NodeError("history_limit", "too long", False)))


SCENES: tuple[Callable[[], Run], ...] = (
    branches, retries_and_branch, failed_and_retried_by_hand, timeouts, execution_timeout, delays, terminated, signals,
    approvals, loops, loop_stopped, children, a_child, fused, aborted,
)  # fmt: skip
