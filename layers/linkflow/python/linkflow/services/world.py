"""The world's side of waiting: events for runs, and the approvals' inbox. All of it in the asker's name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import (
    Approval,
    ApprovalsRequest,
    DecideRequest,
    DescribeRequest,
    HistoryRequest,
    PublishRequest,
    SignalRequest,
)
from linkflow.domain.errors import Conflict, NotFound
from linkflow.domain.ids import is_uuid

from .payloads import Reader
from .workspaces import Membership

PENDING = "pending"
_PAGE = 1000
_events = msgspec.json.Decoder(list[dict[str, Any]])


class ApprovalView(Struct):
    """An approval as it stands. `status`: pending, approved, rejected, expired or cancelled. Times are ms, 0: none."""

    execution_id: str
    workflow_id: str
    node_key: str
    attempt: int
    requested_at: int
    title: str
    description: str = ""
    payload: Any = None
    assignees: tuple[str, ...] = ()
    due_at: int = 0
    only_assignees: bool = False
    status: str = PENDING
    decision_payload: Any = None
    decided_by: str = ""
    decided_at: int = 0
    comment: str = ""

    @property
    def id(self) -> str:
        return approval_id(self.execution_id, self.node_key)


class Wanted(Struct, frozen=True):
    """Which approvals: those that ask one of `assignees`, with `text` in their title, due before (ms)."""

    workflow_id: str = ""
    assignees: tuple[str, ...] = ()
    text: str = ""
    due_before: int = 0


class Asker(Protocol):
    """Somebody in a workspace: a member, or who has a link."""

    @property
    def workspace_id(self) -> str: ...
    @property
    def actor(self) -> str: ...
    def caller(self) -> Caller: ...


class World:
    """Events and decisions for the runs of one workspace."""

    def __init__(self, frontend: FrontendApi) -> None:
        self._frontend = frontend
        self._payloads = Reader(frontend)

    async def signal(
        self, who: Membership, execution_id: str, *, signal_id: str, name: str, key: str, payload: Any
    ) -> str:
        """An event for one run; returns its status. Raises `NotFound`, and `Conflict` for a closed run."""
        if not is_uuid(execution_id):
            raise NotFound("There is no such execution.")
        request = SignalRequest(execution_id, who.workspace_id, signal_id, name, key, payload, who.actor)
        with acting_as(who.caller()):
            return (await self._frontend.signal(request)).status

    async def publish(
        self, who: Membership, *, event_id: str, name: str, key: str, payload: Any, keep: int
    ) -> tuple[str, ...]:
        """An event for whoever waits; returns the runs that took it. None: it is kept for `keep` seconds."""
        request = PublishRequest(who.workspace_id, event_id, name, key, payload, who.actor, keep)
        with acting_as(who.caller()):
            return (await self._frontend.publish(request)).execution_ids

    async def approvals(self, who: Membership, wanted: Wanted, *, after: str, limit: int) -> list[ApprovalView]:
        """Open ones, the newest runs first; `after` is the approval id behind which the page starts."""
        before, node = _parts(after) if after else ("", "")
        request = ApprovalsRequest(
            who.workspace_id, wanted.workflow_id, before, node, limit, wanted.assignees, wanted.text, wanted.due_before
        )  # fmt: skip
        with acting_as(who.caller()):
            reply = await self._frontend.approvals(request)
        views = [_open(found) for found in reply.approvals]
        shown = await self._payloads.show(who.caller(), [view.payload for view in views])
        for view, payload in zip(views, shown, strict=True):
            view.payload = payload
        return views

    async def approval(self, who: Asker, id: str) -> ApprovalView:
        """One, open or not, as the run's history tells it. Raises `NotFound`."""
        execution_id, node = _parts(id)
        with acting_as(who.caller()):
            reply = await self._frontend.describe(DescribeRequest((execution_id,), who.workspace_id))
        if not reply.executions:
            raise _unknown()
        found = await self._asked(who, execution_id, reply.executions[0].workflow_id, node)
        if found is None:
            raise _unknown()
        both = [found.payload, found.decision_payload]
        found.payload, found.decision_payload = await self._payloads.show(who.caller(), both)
        return found

    async def decide(
        self, who: Asker, id: str, decision: str, payload: Any, comment: str = "", names: tuple[str, ...] = ()
    ) -> str:
        """``approved`` or ``rejected``; returns the run's status. `names`: what assignees may call him.

        Raises `NotFound`, `Conflict` where it is not open any more, `Forbidden` where it is for others to decide.
        """
        execution_id, node = _parts(id)
        request = DecideRequest(execution_id, who.workspace_id, node, decision, payload, who.actor, comment, names)
        try:
            with acting_as(who.caller()):
                return (await self._frontend.decide(request)).status
        except Conflict:
            await self.approval(who, id)  # what never was one is not found
            raise

    async def _asked(self, who: Asker, execution_id: str, workflow_id: str, node: str) -> ApprovalView | None:
        view, after, more = None, 0, True
        while more:
            request = HistoryRequest(execution_id, who.workspace_id, after, _PAGE)
            with acting_as(who.caller()):
                reply = await self._frontend.history(request)
            events = _events.decode(reply.events)
            view = _fold(view, execution_id, workflow_id, (event for event in events if event.get("node") == node))
            after, more = reply.last, reply.more and bool(events)
        return view


def approval_id(execution_id: str, node_key: str) -> str:
    """An approval's name in addresses: the run, and the node run with ``~`` where a percent sign would be."""
    return f"{execution_id}:{quote(node_key, safe='').replace('~', '%7E').replace('%', '~')}"


def _parts(id: str) -> tuple[str, str]:
    execution_id, _, tail = id.partition(":")
    node = unquote(tail.replace("~", "%"), errors="replace")
    if not is_uuid(execution_id) or approval_id(execution_id, node) != id:
        raise _unknown()
    return execution_id, node


def _open(found: Approval) -> ApprovalView:
    return ApprovalView(**msgspec.structs.asdict(found))


_TOLD = ("description", "payload", "due_at", "only_assignees")
_ENDS = {"NodeTimedOut": "expired", "NodeCancelled": "cancelled"}


def _fold(
    view: ApprovalView | None, execution_id: str, workflow_id: str, events: Iterable[dict[str, Any]]
) -> ApprovalView | None:
    for event in events:
        kind = event["type"]
        if kind == "ApprovalRequested":
            asked = {name: event[name] for name in _TOLD if name in event}
            view = ApprovalView(
                execution_id, workflow_id, event["node"], event["attempt"], event["at"], event["title"],
                assignees=tuple(event.get("assignees", ())), **asked,
            )  # fmt: skip
        elif view is None:
            continue
        elif kind == "ApprovalEscalated":
            view.assignees = tuple(event["assignees"])
        elif kind == "ApprovalDecided":
            view.status, view.decided_at = event["decision"], event["at"]
            view.decided_by, view.decision_payload = event.get("actor", ""), event.get("payload")
            view.comment = event.get("comment", "")
        elif view.status == PENDING:
            view.status = _ENDS.get(kind, PENDING)
    return view


def _unknown() -> NotFound:
    return NotFound("There is no such approval.")
