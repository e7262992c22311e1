"""A process's inbox: where History rings when a run closes that somebody here waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import Context

import msgspec

from linkflow.contracts.history import Closed
from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Doorbell

OPENING = 0.5
"""Seconds that the first waiting start gives the subscription; later ones go on without it."""
HELLO_INTERVALS = (0.01, 5.0)
"""Seconds between our own rings: at first, and at most."""

_log = logging.getLogger(__name__)


class Inbox:
    """One topic for all waiting starts of a process. A ring is a hint: whoever waits also asks History himself."""

    def __init__(self, doorbell: Doorbell, topic: str) -> None:
        self.topic = topic
        self._doorbell = doorbell
        self._waiting: dict[str, set[asyncio.Future[Closed]]] = {}
        self._heard: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._decode = msgspec.json.Decoder(Closed).decode

    async def open(self) -> None:
        """Listen. Those who come first wait up to `OPENING` for the subscription to stand; later ones never do."""
        if self._heard is not None:
            return
        self._heard = asyncio.get_running_loop().create_future()
        messages = self._doorbell.listen(self.topic)
        # Tasks of the process, which inherit no caller from the request that happened to come first.
        self._tasks = [asyncio.create_task(work, context=Context()) for work in (self._read(messages), self._greet())]
        await asyncio.wait({self._heard}, timeout=OPENING)

    async def close(self) -> None:
        """Stop listening; who still waits looks by himself."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextmanager
    def expect(self, *execution_ids: str) -> Iterator[asyncio.Future[Closed]]:
        """A future of the notice that any of these runs closed."""
        future: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        for id in execution_ids:
            self._waiting.setdefault(id, set()).add(future)
        try:
            yield future
        finally:
            for id in execution_ids:
                self._waiting[id].discard(future)
                if not self._waiting[id]:
                    del self._waiting[id]

    async def _read(self, messages: AsyncIterator[bytes]) -> None:
        while True:
            try:
                async for message in messages:
                    self._hear(message)
            except LinkFlowError as error:
                _log.warning("The inbox is deaf for a second: %s", error)
            await asyncio.sleep(1.0)
            messages = self._doorbell.listen(self.topic)

    async def _greet(self) -> None:
        """Ring ourselves until we hear it: nothing else tells that the subscription stands."""
        interval, longest = HELLO_INTERVALS
        while self._heard is not None and not self._heard.done():
            try:
                await self._doorbell.ring(self.topic, b"")
            except LinkFlowError as error:
                _log.info("Nobody can be rung: %s", error)
            await asyncio.sleep(interval)
            interval = min(2 * interval, longest)

    def _hear(self, message: bytes) -> None:
        if self._heard is not None and not self._heard.done():
            self._heard.set_result(None)
        if not message:
            return
        try:
            notice = self._decode(message)
        except msgspec.MsgspecError as error:
            _log.warning("Not a notice: %s", error)
            return
        for future in self._waiting.get(notice.execution_id, ()):
            if not future.done():
                future.set_result(notice)
