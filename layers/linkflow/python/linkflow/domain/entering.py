"""What a run goes through before it begins: it may collect further starts, wait for its turn, and is let in."""

from __future__ import annotations

import msgspec

from . import commands as c
from . import events as e
from .draft import Draft
from .evolve import trigger_of
from .flow import advance
from .state import BATCH, COLLECTING, QUEUED, Entry

MAX_COLLECTED = 10_000
MAX_COLLECTED_BYTES = 4 * 1024 * 1024
"""A run that has collected so much goes on, whatever its settings say."""

_encode = msgspec.json.Encoder().encode


def deadline(draft: Draft) -> int:
    """When a run that begins now has to be over (ms), 0 for never."""
    timeout = draft.settings.timeout
    return draft.at + round(timeout * 1000) if timeout else 0


def hold(draft: Draft, command: c.Hold) -> None:
    """A new run waits, or one whose time came waits further."""
    where = {"line": command.line, "key": command.key, "due_at": command.due_at, "fairness": command.fairness}
    start = command.start
    if start is None:
        if draft.state.entry is not None:
            draft.emit(e.ExecutionHeld, **where)
    elif not draft.state.version:
        draft.emit(
            e.ExecutionQueued, **where, **_carried(draft, start), parent=start.parent, source_id=start.source_id,
            trial=start.trial, pins=start.pins,
        )  # fmt: skip


def _carried(draft: Draft, start: c.Start) -> dict[str, object]:
    return {
        "workspace_id": start.workspace_id, "workflow_id": start.workflow_id,
        "workflow_version": start.workflow_version, "trigger_node": start.trigger_node,
        "trigger": draft.keep(start.trigger), "mode": start.mode, "actor": start.actor,
        "idempotency_key": start.idempotency_key, "reply_to": start.reply_to, "caused_by": start.caused_by,
        "vars": start.vars,
        "environment": start.environment,
    }  # fmt: skip


def collect(draft: Draft, command: c.Collect) -> None:
    """The first start makes the run, further ones become part of it until it is ripe. What they bring may be large:
    one by one, or in a batch together."""
    start, at = command.start, draft.at
    size = len(_encode(start.trigger))
    if not draft.state.version:
        last = at + command.max_wait if command.max_wait else 0
        draft.emit(
            e.ExecutionCollecting, **_carried(draft, start), line=command.line, key=command.key, last_at=last,
            size=command.size, bytes=size, due_at=at if command.size == 1 else at + command.wait,
        )  # fmt: skip
        return
    entry = draft.state.entry
    if draft.state.status != COLLECTING or entry is None or is_ripe(entry, at):
        return
    trigger = draft.keep(start.trigger)
    parts = draft.stow.split((*entry.items, trigger)) if draft.stow and entry.line == BATCH else ()
    draft.emit(
        e.StartCollected, start_id=start.execution_id, trigger=trigger, bytes=size, actor=start.actor,
        idempotency_key=start.idempotency_key, due_at=_due(entry, command, at, size), parts=parts,
    )  # fmt: skip


def is_ripe(entry: Entry, at: int) -> bool:
    """Is the collecting over?"""
    return entry.due_at <= at


def _due(entry: Entry, command: c.Collect, at: int, size: int) -> int:
    full = (entry.size and entry.count + 1 >= entry.size) or entry.count + 1 >= MAX_COLLECTED
    if full or entry.bytes + size >= MAX_COLLECTED_BYTES:
        return at
    if entry.size:
        return entry.due_at
    return min(at + command.wait, entry.last_at) if entry.last_at else at + command.wait


def admit(draft: Draft, command: c.Admit) -> None:
    """Begin: `ExecutionStarted` says again what the run begins with, so whoever reads it needs no event before."""
    state, entry = draft.state, draft.state.entry
    if entry is None or state.status not in (QUEUED, COLLECTING):
        return
    draft.emit(
        e.ExecutionStarted, workspace_id=state.workspace_id, workflow_id=state.workflow_id,
        workflow_version=state.workflow_version, trigger_node=state.trigger_node, trigger=trigger_of(state),
        mode=state.mode, actor=entry.actor, idempotency_key=entry.idempotency_key, parent=state.parent,
        reply_to=state.reply_to, caused_by=state.caused_by, timeout_at=deadline(draft),
        slot=command.slot, fairness=command.fairness, source_id=state.source_id, trial=state.trial,
        pins=state.pins, environment=state.environment,
    )  # fmt: skip
    draft.take_up()
    advance(draft, state.trigger_node)
