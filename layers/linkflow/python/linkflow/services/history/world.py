"""The world outside a run: events by name and key, and people's decisions."""

from __future__ import annotations

from typing import Any

import msgspec

from linkflow.contracts import history as h
from linkflow.domain import commands as c
from linkflow.domain.errors import Conflict, InvalidInput, LinkFlowError
from linkflow.domain.state import Wait
from linkflow.observability import logger
from linkflow.ports import Clock, EventStore, KeptEvent, WaitRow

from .committer import Committer

MAX_WAITERS = 1000
"""Runs that one event wakes at most."""


class World:
    """Brings events and decisions to the runs that wait for them."""

    def __init__(self, store: EventStore, committer: Committer, clock: Clock) -> None:
        self._store = store
        self._committer = committer
        self._clock = clock

    async def signal(self, request: h.SignalRequest) -> h.ControlReply:
        """An event for one run: taken or kept by it. The same id again is no fault."""
        if not request.name:
            raise InvalidInput("An event needs a name.")
        command = c.Signal(request.signal_id, request.name, request.key, request.payload, request.actor)
        written = await self._committer.apply(request.execution_id, [command])
        state = written.decision.state
        if not written.decision.accepted[0] and request.signal_id not in state.seen:
            raise Conflict(f"A run that is {state.status} takes no events.", details={"status": state.status})
        return h.ControlReply(state.status)

    async def publish(self, request: h.PublishRequest) -> h.PublishReply:
        """An event for whoever waits. It is kept first and looked for after, so that no wait and event miss each other:
        a wait that begins meanwhile looks among the kept ones."""
        if not request.name:
            raise InvalidInput("An event needs a name.")
        event = KeptEvent(
            request.event_id, request.name, request.key, msgspec.json.encode(request.payload), request.actor
        )
        until = self._clock.now_ms() + request.keep * 1000
        await self._store.keep_event(request.workspace_id, event, until)
        waiting = await self._store.waiting(request.workspace_id, request.name, request.key, MAX_WAITERS)
        runs = dict.fromkeys(wait.execution_id for wait in waiting)
        took = [id for id in runs if await self._deliver(id, event)]
        if took:
            await self._store.drop_events(request.workspace_id, [event.id])
        return h.PublishReply(tuple(took))

    async def look_for_kept(self, workspace_id: str, execution_id: str, wait: WaitRow) -> None:
        """A wait began: did its event come before?"""
        kept = await self._store.kept_events(workspace_id, wait.name, wait.key)
        if kept and await self._deliver(execution_id, kept[0]):
            await self._store.drop_events(workspace_id, [kept[0].id])

    async def _deliver(self, execution_id: str, event: KeptEvent) -> bool:
        payload: Any = msgspec.json.decode(event.payload)
        try:
            written = await self._committer.apply(
                execution_id, [c.Signal(event.id, event.name, event.key, payload, event.actor)]
            )
        except LinkFlowError as error:
            logger.warning("An event could not be delivered", extra={"code": error.code, "execution_id": execution_id})
            return False
        return written.decision.accepted[0]

    async def decide(self, request: h.DecideRequest) -> h.ControlReply:
        """A decision on an approval. The first one counts."""
        if request.decision not in ("approved", "rejected"):
            raise InvalidInput("A decision is approved or rejected.")
        snapshot = (await self._store.load([request.execution_id])).get(request.execution_id)
        attempt = _attempt(snapshot.state, request.node_key) if snapshot else 0
        command = c.Decide(request.node_key, attempt, request.decision, request.payload, request.actor)
        written = await self._committer.apply(request.execution_id, [command])
        if not written.decision.accepted[0]:
            raise Conflict("This approval is not open: somebody decided, or the run went on without it.")
        return h.ControlReply(written.decision.state.status)

    async def approvals(self, request: h.ApprovalsRequest) -> h.ApprovalsReply:
        """Open approvals of a workspace."""
        rows = await self._store.approvals(
            request.workspace_id, request.workflow_id, request.before, max(1, min(request.limit, 200))
        )
        found = []
        for row in rows:
            wait = msgspec.json.decode(row.row.detail, type=Wait)
            found.append(
                h.Approval(
                    row.execution_id, row.workflow_id, row.row.node_key, row.row.attempt, row.at, wait.title,
                    wait.description, wait.payload, wait.assignees, row.row.due_at,
                )
            )  # fmt: skip
        return h.ApprovalsReply(tuple(found))


class _Run(msgspec.Struct):
    attempt: int = 1


class _Runs(msgspec.Struct):
    runs: dict[str, _Run]


def _attempt(state: bytes, node_key: str) -> int:
    run = msgspec.json.decode(state, type=_Runs).runs.get(node_key)
    return run.attempt if run else 0
