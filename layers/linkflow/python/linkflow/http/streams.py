"""Following runs: server-sent events where the host can, a long poll with a cursor everywhere.

Where a host gives answers out whole (Lambda), a stream ends with the first events; a browser's `EventSource` comes
back by itself with `Last-Event-ID`, so it is a long poll in other clothes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import Header, Query
from starlette.responses import Response, StreamingResponse

from linkflow.domain.errors import Unavailable
from linkflow.domain.events import public
from linkflow.ports import Words
from linkflow.services.executions import MAX_WAIT, Events
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
LastEventId = Annotated[str, Header(alias="Last-Event-ID", max_length=80)]
_PLACE = re.compile(r"(\d{1,9})(?:\.(\d{1,20}-\d{1,20}))?", re.ASCII)


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
    """A run's events as server-sent events, from one on, until it closes; then `end`. With `words`, what its nodes say
    while they run, such as the text that a model writes, comes between them as `words`. An event's id is its event id,
    and once something was said a dot and the place in that, so a client that comes back with `Last-Event-ID` misses
    nothing."""
    place = _PLACE.fullmatch(last_event_id)
    begin, heard = (int(place[1]), place[2] or "") if place else (0, "")
    await services.executions.described(who, execution_id)  # errors come before the stream
    return _answer(_Run(services, who, execution_id, max(after, begin), heard, words).told())


@router.get("/{execution_id}/words")
async def words(
    execution_id: str, services: Given, who: Viewer, cursor: Cursor = "",
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0.0,
) -> Response:  # fmt: skip
    """What its nodes say while they run behind a cursor, with `wait` as a long poll: parts of texts (`text`) as models
    write them, calls of tools (`tool`). It is kept for ten minutes, and the latest thousand pieces of it."""
    await services.executions.described(who, execution_id)
    said = await services.following.words(execution_id, cursor=cursor, wait=wait)
    meta = {"cursor": said[-1].cursor if said else cursor or None}
    return reply({"data": [_word(one) for one in said], "meta": meta})


class _Run:
    """One run for one follower: its events and what its nodes say, whichever comes first."""

    def __init__(
        self, services: Services, who: Membership, execution_id: str, after: int, heard: str, words: bool
    ) -> None:
        self._services, self._who, self._id = services, who, execution_id
        self._after, self._heard, self._wants_words = after, heard, words
        self._listens = words and after > 0  # who has just come is told first what has happened
        self._events: asyncio.Future[Events] | None = None
        self._words: asyncio.Future[list[Words]] | None = None

    async def told(self) -> AsyncIterator[bytes]:
        until = self._services.clock.now_ms() + LONGEST_MS
        yield b"retry: 1000\n\n"
        try:
            while self._services.clock.now_ms() < until:
                parts, is_over = await self._next()
                for part in parts:
                    yield part
                if is_over or not self._services.streams:
                    return
        except Unavailable:
            return  # who follows comes back
        finally:
            await self._leave()

    async def _next(self) -> tuple[list[bytes], bool]:
        """What comes next, and whether that is all."""
        following = self._services.following
        if self._events is None:
            events = following.events(self._who, self._id, after=self._after, limit=PAGE, wait=BEAT)
            self._events = asyncio.ensure_future(events)
        if self._words is None and self._listens:
            words = following.words(self._id, cursor=self._heard, wait=MAX_WAIT)
            self._words = asyncio.ensure_future(words)
        waited: list[asyncio.Future[Any]] = [self._events, *([self._words] if self._words is not None else [])]
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        parts = []
        if self._words is not None and self._words.done():
            said, self._words = self._words.result(), None
            for one in said:
                self._heard = one.cursor
                parts.append(_event(self._place(), "words", {"execution_id": self._id, **_word(one)}))
        if not self._events.done():
            return parts, False
        found, self._events = self._events.result(), None
        for event in found.events:
            self._after = event["event_id"]
            told = shown(public(event), self._who.workspace_id)
            parts.append(_event(self._place(), event["type"], {"execution_id": self._id, **told}))
        self._after = max(self._after, found.last)
        self._listens = self._wants_words and not found.more
        if not found.more and (done := await _ended(self._services, self._who, self._id, self._after)):
            return [*parts, _event(self._place(), "end", {"execution_id": self._id, "status": done})], True
        return parts or [b": still here\n\n"], False

    def _place(self) -> str:
        return f"{self._after}.{self._heard}" if self._heard else str(self._after)

    async def _leave(self) -> None:
        tasks = [task for task in (self._events, self._words) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
    return {"node": one.node, "attempt": one.attempt, "kind": one.kind, "text": one.text, "at": at(one.at),
            "cursor": one.cursor}  # fmt: skip


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
