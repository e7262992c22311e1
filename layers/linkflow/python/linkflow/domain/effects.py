"""What a transition means for the outbox and the timers: a diff of the node runs that it touched."""

from __future__ import annotations

from msgspec import Struct

from .decider import Decision
from .state import BACKOFF, SCHEDULED, WAITING, NodeRun, State
from .timing import DELAY, EXECUTION, RETRY, START_TO_CLOSE, timer_id

_TIMER = {BACKOFF: RETRY, WAITING: DELAY, SCHEDULED: START_TO_CLOSE}


class Effects(Struct, frozen=True):
    """Tasks as (node_key, attempt); timers as (timer_id, due in ms)."""

    new_tasks: tuple[tuple[str, int], ...]
    done_tasks: tuple[tuple[str, int], ...]
    new_timers: tuple[tuple[str, int], ...]
    done_timers: tuple[str, ...]


def effects(decision: Decision) -> Effects:
    """Rows to write and to delete beside the events. A node scheduled and completed in one transition leaves none."""
    state = decision.state
    new_tasks, done_tasks = [], []
    old: dict[str, int] = {}
    new: dict[str, int] = {}
    for key, was in decision.before.items():
        now = state.runs.get(key)
        task_before = (key, was.attempt) if was is not None and was.status == SCHEDULED else None
        task_after = (key, now.attempt) if now is not None and now.status == SCHEDULED else None
        if task_before != task_after:
            if task_before:
                done_tasks.append(task_before)
            if task_after:
                new_tasks.append(task_after)
        old.update(_timer(key, was))
        new.update(_timer(key, now))
    _execution_timer(decision, state, old, new)
    return Effects(
        tuple(new_tasks),
        tuple(done_tasks),
        tuple((id, due) for id, due in new.items() if old.get(id) != due),
        tuple(id for id in old if id not in new),
    )


def _timer(key: str, run: NodeRun | None) -> dict[str, int]:
    if run is None or not run.due_at or run.status not in _TIMER:
        return {}
    return {timer_id(_TIMER[run.status], key, run.attempt): run.due_at}


def _execution_timer(decision: Decision, state: State, old: dict[str, int], new: dict[str, int]) -> None:
    if decision.deadline:
        old[timer_id(EXECUTION, attempt=decision.deadline)] = decision.deadline
    if state.timeout_at and not state.closed:
        new[timer_id(EXECUTION, attempt=state.timeout_at)] = state.timeout_at
