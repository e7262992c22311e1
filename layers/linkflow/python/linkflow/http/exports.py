"""Histories as JSON Lines: an event a line, however many there are."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.responses import StreamingResponse

from linkflow.domain.events import public
from linkflow.services.executions import Events
from linkflow.services.workspaces import Membership

from .executions import Viewer
from .payloads import shown
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Executions"])

LINES = "application/x-ndjson"
PAGE = 1000
_line = msgspec.json.Encoder().encode


@router.get(
    "/executions/{execution_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {LINES: {}}, "description": "An event a line."}},
)
async def events(execution_id: str, services: Given, who: Viewer) -> StreamingResponse:
    """All events up to now, as JSON Lines: the form of `history`, with `execution_id` before it.

    The answer is streamed a page at a time. One that breaks off has lost its end: event ids have no gaps, so whoever
    reads it can tell, and the last line of a run that has closed is the event that closed it.
    """
    first = await services.executions.events(who, execution_id, 0, PAGE)  # errors come before the stream
    return StreamingResponse(_lines(services, who, execution_id, first), 200, {"Cache-Control": "no-store"}, LINES)


async def _lines(services: Services, who: Membership, execution_id: str, page: Events) -> AsyncIterator[bytes]:
    while True:
        shaped = ({"execution_id": execution_id, **shown(public(event), who.workspace_id)} for event in page.events)
        yield b"".join(_line(event) + b"\n" for event in shaped)
        if not page.more or not page.events:
            return
        page = await services.executions.events(who, execution_id, page.last, PAGE)
