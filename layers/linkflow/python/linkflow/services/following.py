"""Following runs as they go on: one run's events, what its nodes say meanwhile, or all changes of a workspace's runs;
woken, not polled.

Who follows says so in Valkey (`ports.Audience`), and Histories ring for every transition of what is watched. A ring may
be lost, so now and then the follower looks for himself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.domain.errors import InvalidInput, LinkFlowError, Problem
from linkflow.domain.state import CLOSED
from linkflow.ports import SAID, Audience, Clock, Doorbell, Live, Words

from .executions import MAX_WAIT, Events, Executions
from .workspaces import Membership

WATCHED = 300.0
"""Seconds for which somebody counts as watching after he looked."""
AGAIN = 60.0
"""Seconds after which one who goes on watching says so again."""
SETTLING = 1.5
"""Seconds until every History knows that somebody watches."""
LOOKS, NEXT_LOOK = (1.0,), 5.0
"""Seconds until somebody who waits looks for himself, first and later on: the price of a lost ring."""
FRESH_LOOKS = (0.1, 0.2, 0.4, 0.8)
"""The same for the first who watches: Histories look once a second who does, and do not ring for him until then."""
PAGE = 500

RUN, SPACE = "run:", "space:"


class Changes(Struct, frozen=True):
    """What changed, as Histories told it (JSON objects, each with its own cursor), and the cursor to go on from.

    `reset`: something before may have been missed, so lists have to be read again.
    """

    changes: list[dict[str, Any]]
    cursor: str
    reset: bool = False


class Following:
    """For one workspace at a time, in the asker's name."""

    def __init__(
        self, executions: Executions, audience: Audience, doorbell: Doorbell, clock: Clock, live: Live
    ) -> None:
        self._live = live
        self._executions = executions
        self._audience = audience
        self._doorbell = doorbell
        self._clock = clock

    async def events(self, who: Membership, execution_id: str, *, after: int, limit: int, wait: float) -> Events:
        """Events of a run behind one. With `wait` (seconds) and a run that goes on, wait for some. Raises
        `NotFound`."""
        found = await self._executions.events(who, execution_id, after, limit)
        if found.events or wait <= 0:
            return found

        async def look() -> Events | None:
            found = await self._executions.events(who, execution_id, after, limit)
            if found.events:
                return found
            status = (await self._executions.described(who, execution_id)).status
            return found if status in CLOSED else None

        return await self._told(f"{RUN}{execution_id}", look, wait) or found

    async def words(self, execution_id: str, *, cursor: str, wait: float) -> list[Words]:
        """What a run's nodes said behind a cursor ("" is the beginning of what is left); with `wait` (seconds) some are
        waited for. While Valkey is away there are none. That the asker may see the run is known. Raises
        `InvalidInput`."""
        _check(cursor)

        async def look() -> list[Words] | None:
            try:
                return await self._live.read(execution_id, cursor, PAGE) or None
            except LinkFlowError:
                return None

        found = await look()
        if found is None and wait > 0:
            found = await self._until(f"{SAID}{execution_id}", look, min(wait, MAX_WAIT))
        return found or []

    async def changes(self, who: Membership, *, cursor: str, wait: float) -> Changes:
        """Changes of all runs of the workspace behind a cursor; without one, where to begin. Raises `InvalidInput`."""
        _check(cursor)
        topic = f"{SPACE}{who.workspace_id}"
        known = await self._audience.watch(topic, WATCHED)
        if not known:
            await self._clock.sleep(SETTLING)
        if not cursor or not known or not await self._audience.has(topic, cursor):
            return Changes([], await self._audience.latest(topic), True)

        async def look() -> Changes | None:
            rows = await self._audience.read(topic, cursor, PAGE)
            if not rows:
                return None
            told = [{**msgspec.json.decode(row.data), "cursor": row.cursor} for row in rows]
            return Changes(told, rows[-1].cursor)

        found = await look()
        if found is None and wait > 0:
            found = await self._told(topic, look, wait)
        return found or Changes([], cursor)

    async def _told(self, topic: str, look: Callable[[], Awaitable[Any]], wait: float) -> Any:
        """What `look` finds, when Histories tell of it."""
        known = False
        with suppress(LinkFlowError):  # without Valkey nobody rings: he looks for himself
            known = await self._audience.watch(topic, WATCHED)
        return await self._until(topic, look, min(wait, MAX_WAIT), LOOKS if known else FRESH_LOOKS)

    async def _until(
        self, topic: str, look: Callable[[], Awaitable[Any]], seconds: float, looks: Sequence[float] = LOOKS
    ) -> Any:
        """What `look` finds, when a ring says that there is something; None when the time is over."""
        deadline = self._clock.now_ms() + seconds * 1000
        rings = aiter(self._doorbell.listen(topic))
        pauses = chain(looks, repeat(NEXT_LOOK))
        try:
            while (found := await look()) is None:
                left = (deadline - self._clock.now_ms()) / 1000
                if left <= 0:
                    break
                await self._rung(rings, min(next(pauses), left))
            return found
        finally:
            close = getattr(rings, "aclose", None)
            if close is not None:
                await close()

    async def _rung(self, rings: AsyncIterator[bytes], seconds: float) -> None:
        """Wait for a ring, by our own clock."""
        ring = asyncio.ensure_future(anext(rings))
        pause = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({ring, pause}, return_when=asyncio.FIRST_COMPLETED)
            if ring.done() and ring.exception() is not None:  # deaf for now
                await pause
        finally:
            for task in (ring, pause):
                task.cancel()
            await asyncio.gather(ring, pause, return_exceptions=True)


def _check(cursor: str) -> None:
    first, _, second = cursor.partition("-")
    if cursor and not (cursor.isascii() and first.isdecimal() and second.isdecimal() and len(cursor) <= 40):
        fault = Problem("/cursor", "bad_cursor", "Use an answer's meta.cursor, or an event's id.")
        raise InvalidInput("This is no cursor.", problems=[fault])
