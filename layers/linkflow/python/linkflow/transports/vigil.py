"""While a function works the clock may not rest: every door says so, about once a minute (`ports.Idleness`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Clock, Idleness

from .calls import DEADLINE
from .lambda_invoke import Invoker

AGAIN_MS = 45_000
"""So old may the last word be when an invocation begins. One of half a minute then ends well before its word is
forgotten, which takes two; a longer one says it again meanwhile."""
PATIENCE = 1.0
"""Seconds that an invocation waits for the store before it goes on and tries again behind its work."""
RETRY = 5.0
CALL_MS = 60_000
"""How often the clock is called, at most, where the store cannot be told."""

_log = logging.getLogger("linkflow.transports")


class Vigil:
    """What one process has said of itself."""

    def __init__(self, idleness: Idleness, clock: Clock, timer: str = "", *, endpoint: str | None = None) -> None:
        """`timer` is the clock's function, which is called where the store cannot be told."""
        self._idleness, self._clock = idleness, clock
        self._invoker = Invoker(timer, deadline=DEADLINE, concurrency=1, endpoint=endpoint) if timer else None
        self._said_at = self._called_at = 0

    @property
    def fresh(self) -> bool:
        """Need nothing be said? Also after the clock was set back."""
        return 0 <= self._clock.now_ms() - self._said_at < AGAIN_MS

    async def begin(self) -> None:
        """Before any work. It raises nothing: `end` sees to what could not be said."""
        if not self.fresh:
            await self._say()

    async def end(self) -> None:
        """Behind the work: what could not be said before is said now, or the clock is called, which looks itself."""
        if self.fresh or await self._say() or self._invoker is None:
            return
        if 0 <= self._clock.now_ms() - self._called_at < CALL_MS:
            return
        try:
            await self._invoker.invoke(msgspec.json.encode({"tick": {"seconds": 55, "look": True}}), DEADLINE, "Event")
            self._called_at = self._clock.now_ms()
        except LinkFlowError as error:
            _log.warning("Nobody could be told that something is to be done; the clock finds it later: %s", error)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Around work of any length."""
        await self.begin()
        keeping = asyncio.create_task(self.keep())
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            await self.end()

    async def keep(self) -> None:
        """Say it again and again, until cancelled."""
        while True:
            await self._clock.sleep(AGAIN_MS / 1000 if self.fresh else RETRY)
            await self._say()

    async def close(self) -> None:
        """Let go of threads and sockets."""
        if self._invoker is not None:
            await self._invoker.close()

    async def _say(self) -> bool:
        at = self._clock.now_ms()  # of before: what is said holds from then on at least
        try:
            async with asyncio.timeout(PATIENCE):
                await self._idleness.busy()
        except (LinkFlowError, TimeoutError) as error:
            _log.debug("Nobody could be told that something is to be done: %s", error)
            return False
        self._said_at = at
        return True
