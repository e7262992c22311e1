"""The sweep: whatever was lost between a commit and what it should have led to is found and done again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from linkflow.contracts.history import SweepReply, SweepRequest
from linkflow.contracts.matching import AddRequest, MatchingApi
from linkflow.domain.errors import LinkFlowError
from linkflow.observability import logger
from linkflow.ports import Clock, EventStore

from .admission import Admission
from .bulk import BRIEFLY, BulkWork
from .messages import Messenger
from .notifying import Notifier
from .purging import Purged, Purger
from .world import World

PUSH_AT_ONCE = 500
TELL_AT_ONCE = 50
TALLIES = 20_000
"""Summed up in one sweep: far more than are written between two."""


class Sweeper:
    """`republish_after` is how long (ms) something may be under way before it counts as lost."""

    def __init__(
        self, store: EventStore, matching: MatchingApi, messenger: Messenger, world: World,
        admission: Admission, clock: Clock,
        republish_after: int, bulk: BulkWork, notifier: Notifier | None = None, purger: Purger | None = None,
    ) -> None:  # fmt: skip
        self._purger = purger
        self._notifier = notifier
        self._store = store
        self._matching = matching
        self._messenger = messenger
        self._world = world
        self._admission = admission
        self._clock = clock
        self._wait = republish_after
        self._bulk = bulk

    async def sweep(self, request: SweepRequest) -> SweepReply:
        """Offer tasks, tell messages and deliver kept events that were lost; forget events that nobody took.

        Each by itself: one that fails waits for the next sweep, and starves none of the others.
        """
        if request.purge:
            found = await self._purger.look() if self._purger is not None else Purged()
            return SweepReply(0, 0, bulk=found.runs)
        now, limit = self._clock.now_ms(), request.limit
        tasks = await self._store.lost_tasks(now, self._wait, limit)
        for at in range(0, len(tasks), PUSH_AT_ONCE):
            await quietly(self._matching.add(AddRequest(tuple(tasks[at : at + PUSH_AT_ONCE]))))
        messages = await self._store.lost_messages(now, self._wait, limit)
        for at in range(0, len(messages), TELL_AT_ONCE):
            telling = messages[at : at + TELL_AT_ONCE]
            await asyncio.gather(*(quietly(self._messenger.tell(message)) for message in telling))
        events = await self._world.look_again(limit)
        forgotten = await self._store.forget_events(now, limit)
        admitted = await self._admission.repair(limit)
        await quietly(self._store.gather(TALLIES))
        if self._notifier is not None:
            await quietly(self._notifier.look())
        seen = 0
        with suppress(LinkFlowError):  # the next sweep goes on with them
            seen = await self._bulk.work(BRIEFLY)
        return SweepReply(len(tasks), len(messages), events, forgotten, admitted, seen)


async def quietly(work: Awaitable[object]) -> None:
    """Do what the sweep will do again if it fails."""
    try:
        await work
    except LinkFlowError as error:
        logger.warning("A push was lost; the sweep will repeat it", extra={"code": error.code})
    except Exception:
        logger.exception("A push failed; the sweep will repeat it")
