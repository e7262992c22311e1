"""What nodes say while they run: gathered, and sent ten times a second at most.

Nobody may be listening, and nothing depends on it. So it never holds a node up: what cannot be sent is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context

from linkflow.domain.errors import LinkFlowError
from linkflow.observability import logger
from linkflow.ports import Clock, Live, Words

EVERY = 0.1
"""Seconds between two sendings."""
MOST = 64 * 1024
"""Characters of one run that wait to be sent; what comes beyond is dropped."""
TEXT = "text"


class Speaker:
    """One for a worker."""

    def __init__(self, live: Live, clock: Clock) -> None:
        self._live = live
        self._clock = clock
        self._waiting: dict[str, list[Words]] = {}
        self._sizes: dict[str, int] = {}
        self._sending: asyncio.Task[None] | None = None

    def voice(self, execution_id: str, key: str, attempt: int) -> Callable[[str, str], None]:
        """`Context.say` of a node run."""

        def say(kind: str, text: str) -> None:
            self.say(execution_id, key, attempt, kind, text)

        return say

    def say(self, execution_id: str, key: str, attempt: int, kind: str, text: str) -> None:
        """Text that follows on text is one piece."""
        size = self._sizes.get(execution_id, 0) + len(text)
        if not text or size > MOST:
            return
        self._sizes[execution_id] = size
        waiting = self._waiting.setdefault(execution_id, [])
        last = waiting[-1] if waiting else None
        if last is not None and (last.node, last.attempt, last.kind, kind) == (key, attempt, TEXT, TEXT):
            waiting[-1] = Words(key, attempt, kind, last.text + text, last.at)
        else:
            waiting.append(Words(key, attempt, kind, text, self._clock.now_ms()))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), context=Context())

    async def _send(self) -> None:
        while self._waiting:
            await asyncio.sleep(EVERY)
            waiting, self._waiting, self._sizes = self._waiting, {}, {}
            for execution_id, words in waiting.items():
                try:
                    await self._live.publish(execution_id, words)
                except LinkFlowError as error:
                    logger.debug("Nobody hears what nodes say", extra={"code": error.code})
                except Exception:
                    logger.exception("What a node said could not be sent")

    async def close(self) -> None:
        """Send what waits."""
        if self._sending is not None:
            await asyncio.wait({self._sending}, timeout=1.0)
