"""What a timer that fell due leads to. One whose reason is gone is refused."""

from __future__ import annotations

from . import commands as c
from . import events as e
from .draft import Draft
from .failing import fail
from .flow import advance, emit_scheduled
from .outcomes import Failed, NodeError
from .state import BACKOFF, CALLING, PAUSED, SCHEDULED, WAITING, NodeRun
from .timing import (
    DELAY,
    ESCALATE,
    EXECUTION,
    HEARTBEAT,
    RETRY,
    SCHEDULE_TO_CLOSE,
    SCHEDULE_TO_START,
    START_TO_CLOSE,
    WAIT,
    limit_ms,
    parse_timer,
)

_STATUS = {
    RETRY: BACKOFF,
    DELAY: WAITING,
    WAIT: WAITING,
    ESCALATE: WAITING,
    START_TO_CLOSE: SCHEDULED,
    HEARTBEAT: SCHEDULED,
    SCHEDULE_TO_START: SCHEDULED,
}


def current(draft: Draft, node: str, attempt: int, status: str) -> NodeRun | None:
    """The node run that a command means, if it still is the one."""
    run = draft.state.runs.get(node)
    if draft.state.closed or run is None or run.status != status or run.attempt != attempt:
        return None
    return run


def fire(draft: Draft, command: c.Fire) -> None:
    """Fire one timer."""
    kind, attempt, key = parse_timer(command.timer_id)
    if kind == EXECUTION:
        _execution(draft, attempt)
    elif kind == SCHEDULE_TO_CLOSE:
        _close_by(draft, key, attempt, command)
    else:
        run = current(draft, key, attempt, _STATUS.get(kind, ""))
        if run is not None:
            _of_node(draft, kind, key, run, command)


def _execution(draft: Draft, due_at: int) -> None:
    if not draft.state.closed and due_at and due_at == draft.state.timeout_at:
        draft.at = max(draft.at, due_at)
        draft.cancel_all()
        draft.emit(e.ExecutionTimedOut)


def _close_by(draft: Draft, key: str, due_at: int, command: c.Fire) -> None:
    run = draft.state.runs.get(key)
    if draft.state.closed or run is None or run.status not in (SCHEDULED, BACKOFF, CALLING) or run.close_by != due_at:
        return
    draft.at = max(draft.at, due_at)
    _time_out(draft, key, SCHEDULE_TO_CLOSE, command, retryable=False)


def _of_node(draft: Draft, kind: str, key: str, run: NodeRun, command: c.Fire) -> None:
    if kind == ESCALATE:
        if run.wait is not None and run.wait.escalate_at:
            draft.at = max(draft.at, run.wait.escalate_at)
            asked = tuple(dict.fromkeys((*run.wait.assignees, *run.wait.escalate_to)))
            draft.emit(e.ApprovalEscalated, node=key, attempt=run.attempt, assignees=asked)
        return
    if kind == HEARTBEAT:
        _no_heartbeat(draft, key, run, command)
        return
    if not run.due_at or (kind == DELAY) != (run.status == WAITING and run.wait is None):
        return
    draft.at = max(draft.at, run.due_at)
    if kind == RETRY:
        if draft.state.status == PAUSED:  # resuming starts it
            draft.emit(e.TimerFired, node=key, attempt=run.attempt)
        else:
            emit_scheduled(draft, key, run.sources, run.attempt, run.close_by)
    elif kind == DELAY:
        delay_over(draft, key, run)
    elif kind == WAIT:
        _time_out(draft, key, WAIT, command, retryable=False)
    elif run.started == (kind == START_TO_CLOSE):
        _time_out(draft, key, kind, command, retryable=kind == START_TO_CLOSE)


def _no_heartbeat(draft: Draft, key: str, run: NodeRun, command: c.Fire) -> None:
    """A beat that the timer's due time knows nothing of has moved the timer: then this is not the time."""
    timeout = draft.node_of(key)[0].node.timeout
    if not run.beat_by or timeout is None:
        return
    due = command.beat_at + limit_ms(timeout.heartbeat) if command.beat_at else run.beat_by
    if due > (command.due_at or due):
        return
    draft.at = max(draft.at, due)
    _time_out(draft, key, HEARTBEAT, command, retryable=True)


def delay_over(draft: Draft, key: str, run: NodeRun, *, skipped: bool = False) -> None:
    """A delay has passed, or is not waited for."""
    output = draft.keep(draft.input_of(key)) if run.output is None else run.output
    draft.emit(e.TimerFired, node=key, attempt=run.attempt, skipped=skipped)
    draft.emit(e.NodeCompleted, node=key, attempt=run.attempt, output=output)
    advance(draft, key)


def _time_out(draft: Draft, key: str, kind: str, command: c.Fire, *, retryable: bool) -> None:
    error = NodeError("timeout", f"The attempt passed its {kind} timeout.", retryable)
    fail(draft, key, Failed(error, timed_out=kind, heartbeat=command.beat), {"beat_at": command.beat_at})
