"""Wakes the timer on Lambda: something falls due before the next scheduled tick."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import msgspec

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Doorbell

from .calls import DEADLINE
from .lambda_invoke import Invoker

TIMERS = "timers"
_log = logging.getLogger("linkflow.transports")


class PokingDoorbell:
    """A `linkflow.ports.Doorbell` that also invokes the timer function when the topic ``timers`` is rung.

    The schedule ticks once a minute; a timer due sooner needs a tick of its own, which then runs for as long as further
    timers fall due. Rings that come while an invocation is handed over share the next one.
    """

    def __init__(self, bell: Doorbell, function: str, *, seconds: float = 55.0, endpoint: str | None = None) -> None:
        """`seconds` is how far ahead the tick looks."""
        self._bell = bell
        self._invoker = Invoker(function, deadline=DEADLINE, concurrency=1, endpoint=endpoint)
        self._payload = msgspec.json.encode({"tick": {"seconds": seconds}})
        self._handing_over = asyncio.Lock()
        self._waiting = False

    async def ring(self, topic: str, message: bytes) -> None:
        """Ring; a poke that fails is logged, and the minute's tick fires the timer late."""
        await self._bell.ring(topic, message)
        if topic != TIMERS:
            return
        self._waiting = True
        async with self._handing_over:
            if not self._waiting:
                return  # whoever held the lock before took ours along
            self._waiting = False
            try:
                await self._invoker.invoke(self._payload, DEADLINE, "Event")
            except LinkFlowError as error:
                _log.warning("The timer could not be woken: %s", error)

    def listen(self, topic: str) -> AsyncIterator[bytes]:
        return self._bell.listen(topic)

    async def close(self) -> None:
        """Let go of threads and sockets."""
        await self._invoker.close()
