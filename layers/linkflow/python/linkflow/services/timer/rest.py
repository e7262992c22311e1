"""Leaving the database alone while nothing is to be done: an idle one may then pause, and costs nothing (Lambda)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Clock, Idleness, TimerStore

log = logging.getLogger(__name__)

EARLY_MS = 90_000
"""The clock comes once a minute, and a database that pauses takes some 15 s to come back: so long before the next thing
falls due it looks again."""
LEAST_MS = 30_000
"""A shorter rest is none."""


class Rest:
    """Takes a rest where that loses nothing; see `ports.Idleness`. What it cannot ask is answered by a look."""

    def __init__(
        self,
        idleness: Idleness,
        store: TimerStore,
        clock: Clock,
        longest: float,
        let_go: Callable[[], Awaitable[None]],
    ) -> None:
        """`longest` seconds; `let_go` closes what is open to the database, which would keep it from pausing."""
        self._idleness, self._store, self._clock = idleness, store, clock
        self._longest = round(longest * 1000)
        self._let_go = let_go
        self._wary = False

    async def goes_on(self) -> bool:
        """Is there nothing to look for?"""
        try:
            if self._wary:  # while it was away something may have been written without a word
                await self._idleness.busy()
                self._wary = False
            resting = await self._idleness.resting()
        except LinkFlowError as error:
            self._wary = True
            log.warning("whether anybody works is not known: %s", error)
            return False
        if resting:
            await self._let_go()
        return resting

    async def begin(self, until: int) -> str | None:
        """Before the look. What falls due up to `until` (ms) leads to further work, so whoever else looks now must not
        rest on what he sees. None where there will be no rest."""
        try:
            seen = await self._idleness.seen()
            at = await self._store.wanted()
            if at is None or at > until:
                return seen
            await self._idleness.busy()
        except LinkFlowError:
            self._wary = True
        return None

    async def take(self, seen: str) -> bool:
        """After a look that found nothing to do."""
        try:
            at = await self._store.wanted()
            ms = self._longest if at is None else min(self._longest, at - self._clock.now_ms() - EARLY_MS)
            if ms < LEAST_MS or not await self._idleness.rest(ms, seen):
                return False
        except LinkFlowError as error:
            self._wary = True
            log.warning("no rest: %s", error)
            return False
        log.info("nothing is to be done for %d s", ms // 1000)
        await self._let_go()
        return True

    async def wake(self) -> None:
        """Something was to be done, or its word was lost: nobody rests."""
        try:
            await self._idleness.busy()
        except LinkFlowError:
            self._wary = True
