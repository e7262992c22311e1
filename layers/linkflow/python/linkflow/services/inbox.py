"""A process's inbox: where History rings when a run closes that somebody here waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import Context

import msgspec

from linkflow.contracts.frontend import Closed
from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Doorbell

OPENING = 0.5
"""Seconds that the first waiting start gives the subscription; later ones go on without it."""
HELLO_INTERVAL = 0.05

_log = logging.getLogger(__name__)


class Inbox:
    """One topic for all waiting starts of a process. A ring is a hint: whoever waits also asks History himself."""

    def __init__(self, doorbell: Doorbell, topic: str) -> None:
        self.topic = topic
        self._doorbell = doorbell
        self._waiting: dict[str, set[asyncio.Future[Closed]]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()
        self._tried = False
        self._decode = msgspec.json.Decoder(Closed).decode

    async def open(self) -> None:
        """Listen. A subscription is known to stand when we hear our own ring: nothing else tells."""
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), context=Context())
        if self._heard.is_set() or self._tried:
            return
        try:
            async with asyncio.timeout(OPENING):
                while not self._heard.is_set():
                    await self._doorbell.ring(self.topic, b"")
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._heard.wait(), HELLO_INTERVAL)
        except TimeoutError:
            self._tried = True

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

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

    async def _read(self) -> None:
        while True:
            try:
                async for message in self._doorbell.listen(self.topic):
                    self._hear(message)
            except LinkFlowError as error:
                _log.warning("The inbox is deaf for a second: %s", error)
            await asyncio.sleep(1.0)

    def _hear(self, message: bytes) -> None:
        self._heard.set()
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
