"""Following runs: server-sent events where the host can, a long poll with a cursor everywhere.

Where a host gives answers out whole (Lambda), a stream ends with the first events; a browser's `EventSource` comes
back by itself with `Last-Event-ID`, so it is a long poll in other clothes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import Header, Query
from starlette.responses import Response, StreamingResponse

from linkflow.domain.errors import Unavailable
from linkflow.domain.events import public
from linkflow.ports import Words
from linkflow.services.executions import MAX_WAIT
from linkflow.services.workspaces import Membership

from .bodies import Cursor
from .executions import EventId, Viewer
from .payloads import shown
from .replying import reply
from .routing import router as new_router
from .shapes import Json, at
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/executions", tags=["Executions"])

EVENTS = "text/event-stream"
LONGEST_MS = 300_000
"""A stream ends after this time; who follows comes back, and is asked again who he is."""
BEAT = 15.0
"""Seconds after which an idle stream says that it lives."""
PAGE = 500
SSE: dict[int | str, dict[str, Any]] = {200: {"content": {EVENTS: {}}, "description": "Server-sent events."}}
LastEventId = Annotated[str, Header(alias="Last-Event-ID", max_length=40)]


@router.get("/changes")
async def changes(
    services: Given, who: Viewer, cursor: Cursor = "", wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0.0
) -> Response:
    """Runs of the workspace that changed behind a cursor: each transition of each run, as it is committed. With `wait`
    some are waited for, so many seconds.

    The first call, without a cursor, answers where to begin. `meta.reset` says that lists have to be read again: at the
    beginning, or where nobody has asked for five minutes.
    """
    found = await services.following.changes(who, cursor=cursor, wait=wait)
    return reply(
        {"data": [_change(one) for one in found.changes], "meta": {"cursor": found.cursor, "reset": found.reset}}
    )


@router.get("/stream", response_class=StreamingResponse, responses=SSE)
async def stream_all(
    services: Given, who: Viewer, cursor: Cursor = "", last_event_id: LastEventId = ""
) -> StreamingResponse:
    """Changes of all runs as server-sent events: `change`, and `reset` where lists have to be read again. An event's id
    is the cursor to go on from."""
    first = await services.following.changes(who, cursor=last_event_id or cursor, wait=0)
    return _answer(_all(services, who, first.cursor, first.reset, first.changes))


@router.get("/{execution_id}/stream", response_class=StreamingResponse, responses=SSE)
async def stream(
    execution_id: str,
    services: Given,
    who: Viewer,
    after: EventId = 0,
    words: bool = False,
    last_event_id: LastEventId = "",
) -> StreamingResponse:
    """A run's events as server-sent events, from one on, until it closes; then `end`. An event's id is its event id, so
    a client that comes back with `Last-Event-ID` misses nothing. With `words`, what its nodes say while they run comes
    in between."""
    given = last_event_id if last_event_id.isascii() and last_event_id.isdecimal() else ""
    begin = max(after, int(given[:9] or 0))
    await services.executions.described(who, execution_id)  # errors come before the stream
    follow = _with_words if words and services.streams else _one
    return _answer(follow(services, who, execution_id, begin))


@router.get("/{execution_id}/words")
async def words(
    execution_id: str,
    services: Given,
    who: Viewer,
    cursor: Cursor = "",
    wait: Annotated[float, Query(ge=0, le=2)] = 0.0,
) -> Response:
    """What its nodes say while they run (a model's answer as it comes), behind a cursor; with `wait` some are waited
    for, so many seconds. It is kept for ten minutes, and the latest thousand pieces of it."""
    await services.executions.described(who, execution_id)
    found = await services.live.read(execution_id, cursor, wait=wait)
    meta = {"cursor": found[-1].cursor if found else cursor or None}
    return reply({"data": [_word(one) for one in found], "meta": meta})


async def _with_words(services: Services, who: Membership, execution_id: str, after: int) -> AsyncIterator[bytes]:
    """Its events, and what its nodes say meanwhile."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue(100)

    async def events() -> None:
        try:
            async for part in _one(services, who, execution_id, after):
                await queue.put(part)
        finally:
            await queue.put(None)

    async def said() -> None:
        cursor = ""
        while True:
            found = await services.live.read(execution_id, cursor, wait=2.0)
            for one in found:
                await queue.put(b"event: words\ndata: " + msgspec.json.encode(_word(one)) + b"\n\n")
            cursor = found[-1].cursor if found else cursor

    tasks = [asyncio.create_task(events()), asyncio.create_task(said())]
    try:
        while (part := await queue.get()) is not None:
            yield part
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _one(services: Services, who: Membership, execution_id: str, after: int) -> AsyncIterator[bytes]:
    until = services.clock.now_ms() + LONGEST_MS
    yield b"retry: 1000\n\n"
    try:
        while services.clock.now_ms() < until:
            found = await services.following.events(who, execution_id, after=after, limit=PAGE, wait=BEAT)
            for event in found.events:
                told = shown(public(event), who.workspace_id)
                yield _event(event["event_id"], event["type"], {"execution_id": execution_id, **told})
            after = max(after, found.last)
            if not found.more and (done := await _ended(services, who, execution_id, after)):
                yield _event(after, "end", {"execution_id": execution_id, "status": done})
                return
            if found.events and not services.streams:
                return
            if not found.events:
                yield b": still here\n\n"
                if not services.streams:
                    return
    except Unavailable:
        return  # who follows comes back


async def _ended(services: Services, who: Membership, execution_id: str, after: int) -> str:
    run = await services.executions.described(who, execution_id)
    return run.status if run.closed_at and run.version <= after else ""


async def _all(
    services: Services, who: Membership, cursor: str, reset: bool, known: list[dict[str, Any]]
) -> AsyncIterator[bytes]:
    until = services.clock.now_ms() + LONGEST_MS
    yield b"retry: 1000\n\n"
    if reset:
        yield _event(cursor, "reset", {})
    for change in known:
        yield _event(change["cursor"], "change", _change(change))
    try:
        while services.clock.now_ms() < until:
            found = await services.following.changes(who, cursor=cursor, wait=BEAT)
            cursor = found.cursor
            if found.reset:
                yield _event(cursor, "reset", {})
            for change in found.changes:
                yield _event(change["cursor"], "change", _change(change))
            if not found.changes:
                yield b": still here\n\n"
            if not services.streams:
                return
    except Unavailable:
        return


def _answer(parts: AsyncIterator[bytes]) -> StreamingResponse:
    # A proxy must neither keep nor gather it.
    return StreamingResponse(parts, 200, {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}, EVENTS)


def _event(id: Any, kind: str, data: Json) -> bytes:
    return f"id: {id}\nevent: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


def _word(one: Words) -> Json:
    return {"node": one.node, "attempt": one.attempt, "kind": one.kind, "text": one.text, "at": at(one.at)}


def _change(told: dict[str, Any]) -> Json:
    return {
        "execution_id": told["id"],
        "workflow_id": told["workflow_id"],
        "workflow_version": told["workflow_version"],
        "status": told["status"],
        "mode": told["mode"],
        "last_event_id": told["version"],
        "at": at(told["at"]),
        "started_at": at(told.get("started_at")),
        "completed_at": at(told.get("closed_at")),
    }
