"""Links to approvals that people make: each is on record, and can be revoked by itself.

Links in messages are made where the message is, as often as it is sent, and nobody writes them down: they are revoked
together, for one approval.
"""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from linkflow.domain.errors import NotFound
from linkflow.domain.ids import uuid7
from linkflow.ports import Clock

from . import audit
from .approval_links import GOOD_MS, ApprovalLinks, Holder
from .workspaces import Membership
from .world import ApprovalView

MESSAGES = "messages"
"""In place of an id: the links in messages."""


class Link(Struct, frozen=True):
    """`id` is empty for those in messages. Times are ms, 0: never, or not."""

    id: str
    note: str = ""
    created_by: str = ""
    created_at: int = 0
    expires_at: int = 0
    revoked_by: str = ""
    revoked_at: int = 0


class LinkStore(Protocol):
    async def add(self, whose: ApprovalView, workspace_id: str, link: Link) -> None: ...
    async def list(self, whose: ApprovalView, workspace_id: str) -> list[Link]:
        """The newest first. Of those in messages there is one where they are revoked."""
        ...

    async def revoke(self, whose: ApprovalView, workspace_id: str, id: str, actor: str, at: int) -> bool:
        """False where there is none, or it is revoked already."""
        ...

    async def stands(self, holder: Holder) -> bool: ...


class LinkDesk:
    def __init__(self, links: ApprovalLinks, store: LinkStore, clock: Clock) -> None:
        self._links = links
        self._store = store
        self._clock = clock

    async def make(self, who: Membership, approval: ApprovalView, note: str) -> tuple[Link, dict[str, Any]]:
        """A link to an approval, with its addresses; they are shown this once."""
        now = self._clock.now_ms()
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        made = Link(id, note, who.actor, now, now + GOOD_MS)
        audit.about("approval", approval.id)
        audit.changed(None, {"link": id, "note": note})
        await self._store.add(approval, who.workspace_id, made)
        token = self._links.token(who.workspace_id, approval.execution_id, approval.node_key, now, id)
        return made, self._links.urls(token)

    async def list(self, who: Membership, approval: ApprovalView) -> list[Link]:
        """Those that were made, the newest first; at the end those in messages, as one."""
        found = await self._store.list(approval, who.workspace_id)
        messages = next((one for one in found if not one.id), Link(""))
        return [*(one for one in found if one.id), messages]

    async def revoke(self, who: Membership, approval: ApprovalView, id: str) -> None:
        """Whoever has it cannot decide by it any more. Raises `NotFound`, also for one that was revoked."""
        audit.about("approval", approval.id)
        audit.changed({"link": id}, None)
        now, name = self._clock.now_ms(), "" if id == MESSAGES else id
        if not id or not await self._store.revoke(approval, who.workspace_id, name, who.actor, now):
            raise NotFound("There is no such link, or it is revoked already.")

    async def holder(self, token: str) -> Holder:
        """Who has this token. Raises `NotFound` for one that is forged, over, revoked, or for something else."""
        holder = self._links.read(token, self._clock.now_ms())
        if holder is None or not await self._store.stands(holder):
            raise NotFound("This link is not good, or not any more.")
        return holder
