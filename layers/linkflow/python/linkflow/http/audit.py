"""The audit log of a workspace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Query
from starlette.responses import Response, StreamingResponse

from linkflow.domain.ids import time_of
from linkflow.services.audit import Asked, Line, checked
from linkflow.services.workspaces import Membership

from .bodies import Cursor, Page
from .guard import can
from .moments import Moment
from .paging import page
from .replying import reply
from .routing import router as new_router
from .shapes import at
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/audit", tags=["Audit log"])

Auditor = Annotated[Membership, can("audit.view")]
Action = Annotated[str, Query(max_length=100)]
Actor = Annotated[str, Query(max_length=100)]
Target = Annotated[str, Query(max_length=200)]
Since = Moment | None
EXPORTED = 500


@router.get("")
async def index(
    services: Given, who: Auditor, actor: Actor = "", action: Action = "", target_id: Target = "",
    after: Since = None, before: Since = None, cursor: Cursor = "", per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of what was changed, newest first: by whom (`actor`: ``user:ID``, ``key:ID``), what (`action`), to what
    (`target_id`), when. `after` is included, `before` is not."""
    wanted = asked(actor, action, target_id, after, before, cursor, per_page + 1)
    found = await services.people.audit.of_workspace(who.workspace_id, wanted)
    return reply(page([line(one) for one in found], per_page, "id"))


@router.get("/export")
async def export(
    services: Given, who: Auditor, actor: Actor = "", action: Action = "", target_id: Target = "",
    after: Since = None, before: Since = None,
) -> Response:  # fmt: skip
    """The same as JSON Lines, all of it, newest first."""
    wanted = checked(asked(actor, action, target_id, after, before, "", EXPORTED))
    # Before the answer begins: what is wrong can be said now.
    first = await services.people.audit.of_workspace(who.workspace_id, wanted)
    return StreamingResponse(_lines(services, who, wanted, first), media_type="application/x-ndjson")


async def _lines(services: Services, who: Membership, wanted: Asked, found: list[Line]) -> AsyncIterator[bytes]:
    while found:
        yield b"".join(msgspec.json.encode(line(one)) + b"\n" for one in found)
        if len(found) < EXPORTED:
            return
        wanted = msgspec.structs.replace(wanted, cursor=found[-1].id)
        found = await services.people.audit.of_workspace(who.workspace_id, wanted)


def asked(
    actor: str, action: str, target_id: str, after: datetime | None, before: datetime | None, cursor: str, limit: int
) -> Asked:
    return Asked(
        actor=actor, action=action, target_id=target_id, after=_ms(after), before=_ms(before), cursor=cursor,
        limit=limit,
    )  # fmt: skip


def _ms(moment: datetime | None) -> int:
    return max(1, round(moment.timestamp() * 1000)) if moment else 0


def line(found: Line) -> dict[str, Any]:
    return {
        "id": found.id,
        "at": at(time_of(found.id)),
        "action": found.action,
        "actor": found.actor,
        "actor_name": found.actor_name or None,
        "via": found.via,
        "via_id": found.via_id or None,
        "target": {"type": found.target_type, "id": found.target_id} if found.target_type else None,
        "ip": found.ip or None,
        "user_agent": found.user_agent or None,
        "request_id": found.request_id or None,
        "changes": msgspec.json.decode(found.changes),
    }
