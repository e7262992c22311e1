"""What a transition means for the outbox and the timers: a diff of the node runs that it touched."""

from __future__ import annotations

from msgspec import Struct

from . import events as e
from .decider import Decision
from .state import BACKOFF, CALLING, SCHEDULED, WAITING, Entry, NodeRun, State
from .timing import (
    DELAY,
    ENTER,
    ESCALATE,
    EXECUTION,
    HEARTBEAT,
    RETRY,
    SCHEDULE_TO_CLOSE,
    SCHEDULE_TO_START,
    START_TO_CLOSE,
    WAIT,
    timer_id,
)

_TIMED = frozenset((SCHEDULED, BACKOFF, WAITING, CALLING))


class Effects(Struct, frozen=True):
    """Tasks and waits as (node_key, attempt); timers as (timer_id, due in ms)."""

    new_tasks: tuple[tuple[str, int], ...]
    done_tasks: tuple[tuple[str, int], ...]
    new_timers: tuple[tuple[str, int], ...]
    done_timers: tuple[str, ...]
    new_waits: tuple[tuple[str, int], ...] = ()
    done_waits: tuple[tuple[str, int], ...] = ()
    done_beats: tuple[tuple[str, int], ...] = ()
    """Attempts with heartbeats that ended."""


def effects(decision: Decision) -> Effects:
    """Rows to write and to delete beside the events. A node scheduled and completed in one transition leaves none."""
    state = decision.state
    new_tasks, done_tasks = [], []
    new_waits, done_waits, done_beats = [], [], []
    old: dict[str, int] = {}
    new: dict[str, int] = {}
    for key, was in decision.before.items():
        now = state.runs.get(key)
        task_before = (key, was.attempt) if was is not None and was.status == SCHEDULED else None
        task_after = (key, now.attempt) if now is not None and now.status == SCHEDULED else None
        if task_before != task_after:
            if task_before:
                done_tasks.append(task_before)
                if was is not None and was.beat_by:
                    done_beats.append(task_before)
            if task_after:
                new_tasks.append(task_after)
        waited, waits = _wait_of(was), _wait_of(now)
        if waited and waited != waits:
            done_waits.append((key, waited))
        if waits and now != was:
            new_waits.append((key, waits))
        if was is not None and was.status in _TIMED:
            old.update(timers_of(key, was))
        if now is not None and now.status in _TIMED:
            new.update(timers_of(key, now))
    _execution_timer(decision, state, old, new)
    if decision.entry is not state.entry:
        old.update(_entry_timer(decision.entry))
        new.update(_entry_timer(state.entry))
    return Effects(
        tuple(new_tasks),
        tuple(done_tasks),
        tuple((id, due) for id, due in new.items() if old.get(id) != due),
        tuple(id for id in old if id not in new),
        tuple(new_waits),
        tuple(done_waits),
        tuple(done_beats),
    )


def timers_of(key: str, run: NodeRun | None) -> dict[str, int]:
    """The timers that stand for a node run: id and due time (ms)."""
    if run is None or run.status not in _TIMED:
        return {}
    found = {}
    if run.due_at:
        found[timer_id(_kind(run), key, run.attempt)] = run.due_at
    if run.close_by and run.status != WAITING:
        found[timer_id(SCHEDULE_TO_CLOSE, key, run.close_by)] = run.close_by
    if run.beat_by:
        found[timer_id(HEARTBEAT, key, run.attempt)] = run.beat_by
    if run.wait is not None and run.wait.escalate_at:
        found[timer_id(ESCALATE, key, run.attempt)] = run.wait.escalate_at
    return found


def _kind(run: NodeRun) -> str:
    if run.status == BACKOFF:
        return RETRY
    if run.status == WAITING:
        return DELAY if run.wait is None else WAIT
    return START_TO_CLOSE if run.started else SCHEDULE_TO_START


def _wait_of(run: NodeRun | None) -> int:
    """The attempt that waits for the world, 0 for none."""
    return run.attempt if run is not None and run.status == WAITING and run.wait is not None else 0


def _execution_timer(decision: Decision, state: State, old: dict[str, int], new: dict[str, int]) -> None:
    if decision.deadline:
        old[timer_id(EXECUTION, attempt=decision.deadline)] = decision.deadline
    if state.timeout_at and not state.closed:
        new[timer_id(EXECUTION, attempt=state.timeout_at)] = state.timeout_at


def _entry_timer(entry: Entry | None) -> dict[str, int]:
    """The timer of a run that was not let in yet."""
    return {timer_id(ENTER, attempt=entry.due_at): entry.due_at} if entry is not None and entry.due_at else {}


_OF_CHILDREN = (e.ChildStarted, e.ChildCompleted, e.ChildFailed)


def orphans(decision: Decision) -> tuple[tuple[str, str], ...]:
    """Children to be told that nobody waits for them any more, as (execution_id, ``terminate`` or ``cancel``).

    One that was waited for, as soon as its node run is cancelled, also where the run itself goes on (a collecting
    loop); one that was not, when the run closes.
    """
    state = decision.state
    waited = {was.child: (key, was.close_policy) for key, was in decision.before.items() if was and _waits(was)}
    loose = {was.child: was.close_policy for was in decision.before.values() if was and was.detached}
    for event in decision.events:
        if isinstance(event, _OF_CHILDREN):
            if not isinstance(event, e.ChildStarted):
                waited.pop(event.execution_id, None)
            elif event.wait:
                waited[event.execution_id] = (event.node, event.close_policy)
            else:
                loose[event.execution_id] = event.close_policy
    found = {child: policy for child, (key, policy) in waited.items() if not _waits(state.runs.get(key), child)}
    if state.closed and not decision.was_closed:
        found |= loose
        found |= {run.child: run.close_policy for run in state.runs.values() if run.detached}
        found |= state.children
    return tuple((child, policy) for child, policy in found.items() if policy in ("terminate", "cancel"))


def _waits(run: NodeRun | None, child: str = "") -> bool:
    return run is not None and run.status == CALLING and (not child or run.child == child)
