"""Waiting for the world: events by name and key, and people's decisions. A wait holds no worker."""

from __future__ import annotations

from collections.abc import Iterable

from . import commands as c
from . import events as e
from .draft import Draft
from .firing import current
from .flow import advance
from .outcomes import RequestApproval, WaitEvent
from .passing import APPROVED, REJECTED, decided_ports
from .state import WAITING, Signal, State, Wait

MAX_NAME = 200
"""Characters of an event's name and of its key: both stand in an index."""


def name_fault(text: str) -> str:
    """Why this cannot be the name, key or id of an event; nothing if it can."""
    if len(text) > MAX_NAME:
        return f"may have {MAX_NAME} characters at most"
    if any(sign < " " or "\ud800" <= sign <= "\udfff" for sign in text):
        return "may hold no control characters"
    return ""


def wait_for(draft: Draft, node: str, attempt: int, outcome: WaitEvent) -> None:
    """Begin to wait. An event that came before is taken at once, the oldest first."""
    draft.emit(e.WaitStarted, node=node, attempt=attempt, name=outcome.name, key=outcome.key, due_at=outcome.until)
    kept = next((s for s in draft.state.signals if _fits(Wait(outcome.name, outcome.key), s)), None)
    if kept is not None:
        _deliver(draft, node, attempt, kept)


def signal(draft: Draft, command: c.Signal) -> None:
    """An event came: the node run that has waited longest gets it, or it is kept. One event wakes one wait."""
    state = draft.state
    if state.closed or has_seen(state, command.signal_id):
        return
    arrived = Signal(command.signal_id, command.name, command.key, command.payload)
    waiting = {
        key: run.wait.since
        for key, run in state.runs.items()
        if run.status == WAITING and run.wait and _fits(run.wait, arrived)
    }
    key = min(waiting, key=waiting.__getitem__, default=None)
    if key is None and (not command.keep or len(state.signals) >= draft.limits.signals):
        return
    draft.emit(
        e.SignalReceived, signal_id=command.signal_id, name=command.name, key=command.key, payload=command.payload,
        actor=command.actor,
    )  # fmt: skip
    if key is not None:
        _deliver(draft, key, state.runs[key].attempt, arrived)


def has_seen(state: State, signal_id: str) -> bool:
    """Did this event come to the run before?"""
    return signal_id in state.seen or any(kept.id == signal_id for kept in state.signals)


def _fits(wait: Wait, signal: Signal) -> bool:
    return not wait.approval and wait.name == signal.name and (not wait.key or wait.key == signal.key)


def _deliver(draft: Draft, node: str, attempt: int, signal: Signal) -> None:
    draft.emit(e.NodeCompleted, node=node, attempt=attempt, output=signal.payload, signal_id=signal.id)
    advance(draft, node)


def is_named(assignees: Iterable[str], names: Iterable[str]) -> bool:
    """Is one of these who is asked? Letters may be small or large."""
    return not {name.strip().casefold() for name in assignees}.isdisjoint(name.casefold() for name in names)


def request_approval(draft: Draft, node: str, attempt: int, outcome: RequestApproval) -> None:
    """Ask people; the node waits for `decide_approval`."""
    draft.emit(
        e.ApprovalRequested, node=node, attempt=attempt, title=outcome.title, description=outcome.description,
        payload=outcome.payload, assignees=outcome.assignees, due_at=outcome.until,
        escalate_at=outcome.escalate_at, escalate_to=outcome.escalate_to, only_assignees=outcome.only_assignees,
    )  # fmt: skip


def decide_approval(draft: Draft, command: c.Decide) -> None:
    """Somebody decided. The first decision counts."""
    run = current(draft, command.node, command.attempt, WAITING)
    if run is None or run.wait is None or not run.wait.approval or command.decision not in (APPROVED, REJECTED):
        return
    node = {"node": command.node, "attempt": command.attempt}
    draft.emit(
        e.ApprovalDecided, **node, decision=command.decision, payload=command.payload, actor=command.actor,
        comment=command.comment,
    )  # fmt: skip
    output = {"decision": command.decision, "payload": command.payload, "decided_by": command.actor}
    if command.comment:
        output["comment"] = command.comment
    draft.emit(e.NodeCompleted, **node, output=output, ports=decided_ports(command.decision))
    advance(draft, command.node)
