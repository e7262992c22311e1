"""The world outside a run: events by name and key, and people's decisions."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from linkflow.contracts import history as h
from linkflow.domain import commands as c
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, LinkFlowError
from linkflow.domain.state import Wait
from linkflow.domain.waiting import has_seen, is_named, name_fault
from linkflow.observability import logger
from linkflow.ports import Clock, EventStore, KeptEvent, StoredWait

from .lanes import Commits
from .loading import load_one

MAX_KEEP = 30 * 86_400
"""Seconds for which an event is kept at most."""
LOOK_AT = 500
"""Approvals that are read at once where somebody looks for some of them."""

TAKEN, KNOWN, REFUSED = "taken", "known", "refused"


class World:
    """Brings events and decisions to the runs that wait for them."""

    def __init__(self, store: EventStore, committer: Commits, clock: Clock, at_once: int = 1000) -> None:
        """`at_once` is how many waits are read, and woken together."""
        self._store = store
        self._committer = committer
        self._clock = clock
        self._at_once = at_once

    async def signal(self, request: h.SignalRequest) -> h.ControlReply:
        """An event for one run: taken or kept by it. The same id again is no fault."""
        _check_event(request.signal_id, request.name, request.key)
        command = c.Signal(request.signal_id, request.name, request.key, request.payload, request.actor)
        written = await self._committer.apply(request.execution_id, [command])
        state = written.decision.state
        if not written.decision.accepted[0] and not has_seen(state, request.signal_id):
            why = f"is {state.status} and takes no events" if state.closed else "keeps too many events already"
            raise Conflict(f"The run {why}.", details={"status": state.status})
        return h.ControlReply(state.status)

    async def publish(self, request: h.PublishRequest) -> h.PublishReply:
        """An event for whoever waits. It is kept first and looked for after, so that no wait and event miss each other:
        a wait that begins meanwhile looks among the kept ones."""
        _check_event(request.event_id, request.name, request.key)
        if not 0 < request.keep <= MAX_KEEP:
            raise InvalidInput(f"An event is kept for 1 to {MAX_KEEP} seconds.")
        payload = msgspec.json.encode(request.payload)
        event = KeptEvent(request.event_id, request.name, request.key, payload, request.actor)
        await self._store.keep_event(request.workspace_id, event, self._clock.now_ms() + request.keep * 1000)
        took = await self._wake(request.workspace_id, event)
        if took:
            await self._store.drop_events(request.workspace_id, [event.id])
        return h.PublishReply(tuple(took))

    async def _wake(self, workspace_id: str, event: KeptEvent) -> list[str]:
        """Deliver to every run that waits; returns those that have it now."""
        came: dict[str, str] = {}
        while True:
            waiting = await self._store.waiting(workspace_id, event.name, event.key, self._at_once)
            fresh = [id for id in dict.fromkeys(wait.execution_id for wait in waiting) if id not in came]
            came.update(zip(fresh, await asyncio.gather(*(self._deliver(id, event) for id in fresh)), strict=True))
            if not fresh or len(waiting) < self._at_once:
                return [id for id, how in came.items() if how != REFUSED]

    async def look_for_kept(self, workspace_id: str, execution_id: str, name: str, key: str) -> bool:
        """A wait began: did its event come before? The oldest that this run does not have is taken."""
        for event in await self._store.kept_events(workspace_id, name, key, self._clock.now_ms()):
            came = await self._deliver(execution_id, event)
            if came == REFUSED:
                return False
            await self._store.drop_events(workspace_id, [event.id])
            if came == TAKEN:
                return True
        return False

    async def look_again(self, limit: int) -> int:
        """Kept events that match a wait: their delivery was lost on the way. Returns how many were taken now."""
        missed = await self._store.overlooked(self._clock.now_ms(), limit)
        found = [await self.look_for_kept(w.workspace_id, w.execution_id, w.row.name, w.row.key) for w in missed]
        return sum(found)

    async def _deliver(self, execution_id: str, event: KeptEvent) -> str:
        """`TAKEN`, `KNOWN` where the run had it before, or `REFUSED` where it does not wait for it (any more)."""
        payload: Any = msgspec.json.decode(event.payload)
        command = c.Signal(event.id, event.name, event.key, payload, event.actor, keep=False)
        try:
            written = await self._committer.apply(execution_id, [command])
        except LinkFlowError as error:
            logger.warning("An event could not be delivered", extra={"code": error.code, "execution_id": execution_id})
            return REFUSED
        if written.decision.accepted[0]:
            return TAKEN
        return KNOWN if has_seen(written.decision.state, event.id) else REFUSED

    async def decide(self, request: h.DecideRequest) -> h.ControlReply:
        """A decision on an approval. The first one counts."""
        if request.decision not in ("approved", "rejected"):
            raise InvalidInput("A decision is approved or rejected.")
        state = await load_one(self._store, request.execution_id)
        run = state.runs.get(request.node_key) if state else None
        attempt = run.attempt if run else 0
        if run is not None and run.wait is not None and run.wait.approval:
            _check_asked(run.wait, request.names)
        command = c.Decide(
            request.node_key, attempt, request.decision, request.payload, request.actor, request.comment
        )  # fmt: skip
        written = await self._committer.apply(request.execution_id, [command])
        if not written.decision.accepted[0]:
            raise Conflict("This approval is not open: somebody decided, or the run went on without it.")
        return h.ControlReply(written.decision.state.status)

    async def approvals(self, request: h.ApprovalsRequest) -> h.ApprovalsReply:
        """Open approvals of a workspace."""
        most = max(1, min(request.limit, 200))
        narrow = bool(request.assignees or request.text or request.due_before)
        page = LOOK_AT if narrow else most
        before, after, found = request.before, request.after_node, list[h.Approval]()
        while len(found) < most:
            rows = await self._store.approvals(request.workspace_id, request.workflow_id, before, after, page)
            found += [one for one in map(_approval, rows) if not narrow or _is_asked_for(one, request)]
            if len(rows) < page:
                break
            before, after = rows[-1].execution_id, rows[-1].row.node_key
        return h.ApprovalsReply(tuple(found[:most]))


def _approval(row: StoredWait) -> h.Approval:
    wait = msgspec.json.decode(row.row.detail, type=Wait)
    return h.Approval(
        row.execution_id, row.workflow_id, row.row.node_key, row.row.attempt, row.at, wait.title, wait.description,
        wait.payload, wait.assignees, row.row.due_at, wait.only_assignees,
    )  # fmt: skip


def _is_asked_for(found: h.Approval, request: h.ApprovalsRequest) -> bool:
    """Is it one of those that somebody looks for?"""
    return (
        (not request.assignees or is_named(found.assignees, request.assignees))
        and (not request.text or request.text.casefold() in found.title.casefold())
        and (not request.due_before or 0 < found.due_at < request.due_before)
    )


def _check_asked(wait: Wait, names: tuple[str, ...]) -> None:
    """Raises `Forbidden` where this is for others to decide."""
    if wait.only_assignees and wait.assignees and "*" not in names and not is_named(wait.assignees, names):
        raise Forbidden(f"This is for {', '.join(wait.assignees)} to decide.")


def _check_event(id: str, name: str, key: str) -> None:
    for what, text in (("id", id), ("name", name), ("key", key)):
        if not text and what != "key":
            raise InvalidInput(f"An event needs {'an' if what == 'id' else 'a'} {what}.")
        if fault := name_fault(text):
            raise InvalidInput(f"An event's {what} {fault}.")
