"""Who wakes workers where none loops by itself, and when: after an add, and where a worker leaves something behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from contextvars import Context

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Dispatcher

_log = logging.getLogger(__name__)


class Waking:
    """One for a process of Matching; without a dispatcher there is nobody to wake."""

    def __init__(self, dispatcher: Dispatcher | None) -> None:
        self._dispatcher = dispatcher
        self._under_way: set[asyncio.Task[None]] = set()

    async def wake(self, queues: Collection[str]) -> None:
        """A wake that fails is no failure of the add: the sweep offers the tasks again, and that wakes again."""
        if self._dispatcher is None or not queues:
            return
        try:
            await self._dispatcher.wake(queues)
        except LinkFlowError as error:
            _log.warning("Workers were not woken for %s: %s", sorted(queues), error)

    def wake_soon(self, queues: Collection[str]) -> None:
        """Without keeping a worker from the tasks that it was given."""
        if self._dispatcher is not None and queues:
            task = asyncio.create_task(self.wake(queues), context=Context())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def settled(self) -> None:
        """Until everybody is woken: who goes may be frozen right after."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))
