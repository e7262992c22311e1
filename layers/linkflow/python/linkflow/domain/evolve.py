"""`evolve`: what an event does to the state. The only code that changes one.

`apply` works on a draft in place, which is what makes a batch of events cheap; `evolve` and `fold` leave their input as
it is. Neither needs the definition: an event says all that follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from . import events as e
from .outcomes import NodeError
from .payloads import continued
from .state import (
    BACKOFF,
    BATCH,
    CALLING,
    CANCELLED,
    CANCELLING,
    COLLECTING,
    CONCURRENCY,
    DONE,
    FAILED,
    LOOPING,
    PAUSED,
    PUT_OFF,
    QUEUED,
    RUNNING,
    SCHEDULED,
    SKIPPED,
    WAITING,
    CancelRequest,
    Entry,
    Loop,
    NodeRun,
    Signal,
    State,
    Wait,
    Warning,
    key_of,
    new,
    split_key,
)
from .steps import NO_PROGRESS, Calling, Progress, Spent, Step

_replace = msgspec.structs.replace

TIMED_OUT = NodeError("execution_timeout", "The run took longer than its timeout.", False)
"""The error of a run that took too long."""

SEEN = 100
"""Ids of received events that are remembered."""

KEPT_RESULTS = 100
"""Results that a while loop keeps: those of its latest iterations."""


def fold(execution_id: str, events: Iterable[e.Event]) -> State:
    """The state that these events lead to, from nothing."""
    state = new(execution_id)
    for event in events:
        apply(state, event)
    return state


def evolve(state: State, event: e.Event) -> State:
    """The state after `event`; `state` itself stays as it is."""
    draft = state.copy()
    apply(draft, event)
    return draft


def apply(state: State, event: e.Event) -> None:
    """Fold `event` into the draft `state`. Raises `ValueError` on a gap in the event ids."""
    if event.event_id != state.version + 1:
        raise ValueError(f"Event {event.event_id} cannot follow event {state.version}.")
    state.version = event.event_id
    state.at = event.at
    _APPLY[type(event)](state, event)


def _started(state: State, event: e.ExecutionStarted) -> None:
    state.workspace_id = event.workspace_id
    state.workflow_id = event.workflow_id
    state.workflow_version = event.workflow_version
    state.mode = event.mode
    state.trigger_node = event.trigger_node
    state.trigger = event.trigger
    state.started_at = event.at
    state.timeout_at = event.timeout_at
    state.parent = event.parent
    state.caused_by = event.caused_by
    state.reply_to = event.reply_to
    state.status = RUNNING
    state.entry = None
    state.slot = event.slot
    state.fairness = event.fairness
    state.source_id = event.source_id
    state.pins = event.pins
    if event.trial is not None:
        state.trial = event.trial
        if event.trial.given:
            state.edited = {event.trial.alone: event.trial.input}
    if event.vars:
        state.vars = event.vars
    state.environment = event.environment
    # The trigger's run: its output is the trigger data, kept once (see `output_of`).
    state.runs[event.trigger_node] = NodeRun(DONE, ports=("main",))


def _came(state: State, event: e.ExecutionQueued | e.ExecutionCollecting) -> None:
    state.workspace_id = event.workspace_id
    state.workflow_id = event.workflow_id
    state.workflow_version = event.workflow_version
    state.mode = event.mode
    state.trigger_node = event.trigger_node
    state.trigger = event.trigger
    state.reply_to = event.reply_to
    state.caused_by = event.caused_by
    state.vars = event.vars
    state.environment = event.environment


def _queued(state: State, event: e.ExecutionQueued) -> None:
    _came(state, event)
    state.parent = event.parent
    state.source_id = event.source_id
    state.fairness = event.fairness
    state.trial = event.trial
    state.pins = event.pins
    entry = Entry("", event.at, actor=event.actor, idempotency_key=event.idempotency_key)
    _in_line(state, entry, event)


def _in_line(state: State, entry: Entry, event: e.ExecutionQueued | e.ExecutionHeld) -> None:
    state.status = QUEUED
    state.entry = Entry(event.line, entry.at, event.key, event.due_at, entry.actor, entry.idempotency_key)
    if event.line == CONCURRENCY:
        state.slot = event.key


def _held(state: State, event: e.ExecutionHeld) -> None:
    if state.entry is not None:
        state.trigger = trigger_of(state)
        state.fairness = event.fairness
        _in_line(state, state.entry, event)


def _collecting(state: State, event: e.ExecutionCollecting) -> None:
    _came(state, event)
    state.status = COLLECTING
    state.entry = Entry(
        event.line, event.at, event.key, event.due_at, event.actor, event.idempotency_key, event.last_at, event.size,
        (event.trigger,) if event.line == BATCH else (), 1, event.bytes,
    )  # fmt: skip


def _start_collected(state: State, event: e.StartCollected) -> None:
    entry = state.entry
    if entry is None:
        return
    state.trigger = event.trigger
    items = (*entry.items, event.trigger) if entry.line == BATCH and not event.parts else ()
    state.entry = _replace(
        entry, due_at=event.due_at, items=items, count=entry.count + 1, bytes=entry.bytes + event.bytes,
        parts=entry.parts + event.parts,
    )  # fmt: skip


def trigger_of(state: State) -> Any:
    """The trigger data that a run will have which was not let in yet: of a batch, all that was collected."""
    entry = state.entry
    if entry is not None and entry.line == BATCH:
        return {"items": continued(entry.parts, list(entry.items)), "count": entry.count}
    return state.trigger


def _forked(state: State, event: e.ExecutionForked) -> None:
    if event.edited:
        state.edited = {event.node: event.input}


def _closing(status: str) -> Callable[[State, Any], None]:
    def close(state: State, event: e.Event) -> None:
        state.status = status
        state.closed_at = event.at
        state.entry = None
        if isinstance(event, e.ExecutionCompleted):
            state.result = event.result
        elif isinstance(event, e.ExecutionFailed):
            state.error = event.error
            state.failed_node = event.node
        elif isinstance(event, e.ExecutionTimedOut):
            state.error = TIMED_OUT
        elif isinstance(event, e.ExecutionCancelled) and event.error is not None:
            state.error = event.error
            state.failed_node = event.node
        state.cancelling = None

    return close


def _cancel_requested(state: State, event: e.ExecutionCancelRequested) -> None:
    state.status = CANCELLING
    state.cancelling = CancelRequest(event.actor, event.reason)


def _cleanup_failed(state: State, event: e.CleanupFailed) -> None:
    if state.error is None:
        state.error = event.error
        state.failed_node = event.node


def _timeout_stopped(state: State, event: e.TimeoutStopped) -> None:
    state.timeout_at, state.timeout_left = 0, event.left


def _timeout_resumed(state: State, event: e.TimeoutResumed) -> None:
    state.timeout_at, state.timeout_left = event.timeout_at, 0


def _retried(state: State, event: e.ExecutionRetried) -> None:
    state.status = RUNNING
    state.closed_at = 0
    state.error = None
    state.failed_node = ""
    state.timeout_at = event.timeout_at
    state.timeout_left = 0
    state.floor = event.floor
    state.children.clear()  # they were told when the run closed
    state.earlier = {**state.earlier, **{key: state.runs[key].attempt for key in event.nodes}}


def _limit_approached(state: State, event: e.LimitApproached) -> None:
    state.warnings = (*state.warnings, Warning(event.limit, event.value, event.max, event.at))


def _error_workflow_refused(state: State, event: e.ErrorWorkflowRefused) -> None:
    state.unanswered = event.failure


def _put_off(state: State, event: e.NodeHeld) -> None:
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(PUT_OFF, event.attempt, run.sources, beat=run.beat, progress=run.progress)


def _scheduled(state: State, event: e.NodeScheduled) -> None:
    if event.attempt > state.highest and event.node.endswith("]"):
        state.highest = event.attempt
    was = state.runs.get(event.node)
    state.runs[event.node] = NodeRun(
        SCHEDULED, event.attempt, event.sources, due_at=event.start_by, close_by=event.close_by,
        beat=was.beat if was is not None else None, progress=was.progress if was is not None else None,
    )  # fmt: skip


def _node_started(state: State, event: e.NodeStarted) -> None:
    state.runs[event.node] = _replace(
        state.runs[event.node], due_at=event.timeout_at, started=True, beat_by=event.beat_by
    )


def _completed(state: State, event: e.NodeCompleted) -> None:
    run = state.runs.get(event.node)
    if event.node in state.loops:
        _drop_loop(state, event.node)
    sources = run.sources if run else ()
    child = run.child if run and run.detached else ""
    state.runs[event.node] = NodeRun(
        DONE, event.attempt, sources, event.ports, event.output, child=child, detached=bool(child),
        close_policy=run.close_policy if run and child else "",
    )  # fmt: skip
    if event.signal_id:
        state.signals = tuple(kept for kept in state.signals if kept.id != event.signal_id)
    if event.answers and not state.answered:
        state.answered = True
        state.result = event.respond


def _failed(state: State, event: e.NodeFailed) -> None:
    if event.final and event.node in state.loops:
        _drop_loop(state, event.node)
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(
        FAILED, event.attempt, run.sources, error=event.error, close_by=run.close_by, beat=_beat(run, event.heartbeat),
        progress=None if event.fresh else _at_rest(run.progress),
    )  # fmt: skip


def _at_rest(progress: Progress | None) -> Progress | None:
    """Without the call that was under way."""
    return _replace(progress, calling=None) if progress is not None and progress.calling else progress


def _step_completed(state: State, event: e.StepCompleted) -> None:
    run = state.runs[event.node]
    progress = (run.progress or NO_PROGRESS).with_step(Step(event.step, event.output, event.error))
    state.runs[event.node] = _replace(run, progress=progress)
    if event.usage is not None:
        state.spent = (state.spent or Spent()).and_(event.usage)


def _timed_out(state: State, event: e.NodeTimedOut) -> None:
    if event.final and event.node in state.loops:
        _drop_loop(state, event.node)
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(
        FAILED, event.attempt, run.sources, error=event.error, close_by=run.close_by, beat=_beat(run, event.heartbeat),
        progress=_at_rest(run.progress),
    )  # fmt: skip


def _beat(run: NodeRun, told: Any) -> Any:
    """What the next attempt is to know: the latest that any attempt told."""
    return run.beat if told is None else told


def _retry_scheduled(state: State, event: e.NodeRetryScheduled) -> None:
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(
        BACKOFF, event.attempt, run.sources, error=run.error, due_at=event.due_at, close_by=run.close_by, beat=run.beat,
        progress=run.progress,
    )  # fmt: skip


def _cancelled(state: State, event: e.NodeCancelled) -> None:
    if event.node in state.loops:
        _drop_loop(state, event.node)
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(
        CANCELLED, event.attempt, run.sources, child=run.child, close_policy=run.close_policy, beat=run.beat,
        progress=_at_rest(run.progress),
    )  # fmt: skip


def _skipped(state: State, event: e.NodeSkipped) -> None:
    state.runs[event.node] = NodeRun(SKIPPED)


def _timer_started(state: State, event: e.TimerStarted) -> None:
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(WAITING, event.attempt, run.sources, output=event.output, due_at=event.due_at)


def _timer_fired(state: State, event: e.TimerFired) -> None:
    run = state.runs[event.node]
    if run.status == BACKOFF:  # in a pause; of a delay the next event says what follows
        state.runs[event.node] = msgspec.structs.replace(run, due_at=0)


def _paused(state: State, event: e.ExecutionPaused) -> None:
    state.status = PAUSED


def _resumed(state: State, event: e.ExecutionResumed) -> None:
    state.status = RUNNING


def _wait_started(state: State, event: e.WaitStarted) -> None:
    run = state.runs[event.node]
    wait = Wait(event.name, event.key, since=event.event_id)
    state.runs[event.node] = NodeRun(WAITING, event.attempt, run.sources, due_at=event.due_at, wait=wait)


def _signal(state: State, event: e.SignalReceived) -> None:
    """Kept until a node run takes it; the completion of that one names it."""
    state.signals = (*state.signals, Signal(event.signal_id, event.name, event.key, event.payload))
    state.seen = (*state.seen[-(SEEN - 1) :], event.signal_id)


def _approval(state: State, event: e.ApprovalRequested) -> None:
    run = state.runs[event.node]
    wait = Wait(
        approval=True, title=event.title, description=event.description, payload=event.payload,
        assignees=event.assignees, escalate_at=event.escalate_at, escalate_to=event.escalate_to,
        only_assignees=event.only_assignees,
    )  # fmt: skip
    state.runs[event.node] = NodeRun(WAITING, event.attempt, run.sources, due_at=event.due_at, wait=wait)


def _escalated(state: State, event: e.ApprovalEscalated) -> None:
    run = state.runs[event.node]
    if run.wait is not None:
        wait = _replace(run.wait, assignees=event.assignees, escalate_at=0, escalate_to=())
        state.runs[event.node] = _replace(run, wait=wait)


def _nothing(state: State, event: e.Event) -> None:
    """The next event of the same transition says what follows."""


def _loop_started(state: State, event: e.LoopStarted) -> None:
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(LOOPING, event.attempt, run.sources)
    state.loops[event.node] = Loop(
        list(event.items), event.body, event.concurrency, event.on_item_error, parts=event.parts
    )


def _while_started(state: State, event: e.WhileStarted) -> None:
    state.loops[event.node] = Loop([], event.body, 1, event.on_item_error, turns=True)


def _items_started(state: State, event: e.LoopItemsStarted) -> None:
    loop, run = state.loops[event.node], state.runs[event.node]
    loop.started = event.first + event.count
    if loop.turns:
        loop.attempts = run.attempt
        state.runs[event.node] = NodeRun(LOOPING, run.attempt, run.sources)


def _item_completed(state: State, event: e.LoopItemCompleted) -> None:
    loop = state.loops[event.node]
    if event.error is not None:
        loop.results[event.index] = {"error": error_data(event.error)}
        loop.errors += 1
    elif not loop.body:  # nothing hangs on `each`: the item is its own result
        loop.results[event.index] = None if loop.turns else loop.item(event.index)
    elif len(event.sources) == 1:
        loop.results[event.index] = output_of(state, event.sources[0])
    else:
        loop.results[event.index] = {split_key(key)[0]: output_of(state, key) for key in event.sources}
    _drop_iteration(state, event.node, loop, event.index)
    if loop.turns and len(loop.results) > KEPT_RESULTS:
        del loop.results[loop.dropped]
        loop.dropped += 1


def _drop_loop(state: State, key: str) -> None:
    loop = state.loops.pop(key)
    for index in loop.under_way():
        _drop_iteration(state, key, loop, index)


def _drop_iteration(state: State, key: str, loop: Loop, index: int) -> None:
    """An ended iteration leaves its result alone, so a long loop's state does not grow with its body."""
    path = (*split_key(key)[1], index)
    for node in loop.body:
        inner = key_of(node, path)
        if inner in state.loops:
            _drop_loop(state, inner)
        run = state.runs.pop(inner, None)
        if run is not None and run.detached and run.close_policy in ("terminate", "cancel"):
            state.children[run.child] = run.close_policy


def _child_started(state: State, event: e.ChildStarted) -> None:
    run = state.runs[event.node]
    state.runs[event.node] = NodeRun(
        CALLING, event.attempt, run.sources, child=event.execution_id, detached=not event.wait,
        close_policy=event.close_policy, close_by=event.close_by,
        **({"progress": _calling(run.progress, event), "beat": run.beat} if event.step else {}),
    )  # fmt: skip


def _calling(progress: Progress | None, event: e.ChildStarted) -> Progress:
    calling = Calling(event.step, event.name, event.at)
    return _replace(progress or NO_PROGRESS, called=event.attempt, calling=calling)


def output_of(state: State, key: str) -> Any:
    """The output of a node run; the trigger's is the trigger data."""
    if key == state.trigger_node:
        return state.trigger
    run = state.runs.get(key)
    return run.output if run else None


def error_data(error: NodeError) -> dict[str, Any]:
    """An error as workflow data: what `on_error: continue` hands on."""
    data: dict[str, Any] = {"code": error.code, "message": error.message, "retryable": error.retryable}
    if error.details:
        data["details"] = error.details
    return data


_APPLY: dict[type, Callable[[State, Any], None]] = {
    e.ExecutionStarted: _started,
    e.ExecutionQueued: _queued,
    e.ExecutionCollecting: _collecting,
    e.StartCollected: _start_collected,
    e.ExecutionHeld: _held,
    e.ExecutionForked: _forked,
    e.ExecutionCompleted: _closing("completed"),
    e.ExecutionFailed: _closing("failed"),
    e.ExecutionTimedOut: _closing("timed_out"),
    e.ExecutionCancelRequested: _cancel_requested,
    e.ExecutionCancelled: _closing("cancelled"),
    e.CleanupFailed: _cleanup_failed,
    e.ExecutionTerminated: _closing("terminated"),
    e.ExecutionPaused: _paused,
    e.ExecutionResumed: _resumed,
    e.TimeoutStopped: _timeout_stopped,
    e.TimeoutResumed: _timeout_resumed,
    e.ExecutionRetried: _retried,
    e.ErrorWorkflowRefused: _error_workflow_refused,
    e.LimitApproached: _limit_approached,
    e.WaitStarted: _wait_started,
    e.SignalReceived: _signal,
    e.ApprovalRequested: _approval,
    e.ApprovalEscalated: _escalated,
    e.ApprovalDecided: _nothing,
    e.NodeHeld: _put_off,
    e.NodeScheduled: _scheduled,
    e.NodeStarted: _node_started,
    e.NodeCompleted: _completed,
    e.NodeFailed: _failed,
    e.NodeTimedOut: _timed_out,
    e.NodeRetryScheduled: _retry_scheduled,
    e.StepCompleted: _step_completed,
    e.NodeCancelled: _cancelled,
    e.NodeSkipped: _skipped,
    e.TimerStarted: _timer_started,
    e.TimerFired: _timer_fired,
    e.TimerCancelled: _nothing,
    e.LoopStarted: _loop_started,
    e.WhileStarted: _while_started,
    e.LoopItemsStarted: _items_started,
    e.LoopItemCompleted: _item_completed,
    e.ChildStarted: _child_started,
    e.ChildCompleted: _nothing,
    e.ChildFailed: _nothing,
}
