"""Starts that arrive together go to History together (group commit, from the caller's side)."""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import Context

from linkflow.contracts.history import HistoryApi, StartBatch, Started, StartRequest
from linkflow.domain.errors import Internal, LinkFlowError, error_from

MOST_AT_ONCE = 500
"""Starts in one batch."""
MOST_IN_THE_AIR = 1
"""Batches under way at once. History commits one batch at a time, so more would only be smaller."""

Waiting = tuple[StartRequest, "asyncio.Future[Started]"]


class StartBatcher:
    """Sends what has queued while the previous calls were in the air as one `StartBatch`.

    Batches go out as the service itself and not as any one of the callers: rights were checked before.
    """

    def __init__(self, history: HistoryApi) -> None:
        self._history = history
        self._queue: deque[Waiting] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def start(self, request: StartRequest) -> Started:
        """Start one run. Raises what History says about this run, whatever becomes of the others."""
        answer: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
        self._queue.append((request, answer))
        if len(self._senders) < MOST_IN_THE_AIR:
            sender = asyncio.create_task(self._send_queued(), context=Context())
            self._senders.add(sender)
        return await answer

    async def _send_queued(self) -> None:
        try:
            await asyncio.sleep(0)  # requests that arrive together are one batch
            while self._queue:
                batch: list[Waiting] = []
                while self._queue and len(batch) < MOST_AT_ONCE:
                    item = self._queue.popleft()
                    if not item[1].done():  # its caller was cancelled before anything happened
                        batch.append(item)
                if batch:
                    await self._send(batch)
        finally:
            # Here and not in a callback: who comes after the queue was seen empty must find this sender gone.
            sender = asyncio.current_task()
            if sender is not None:
                self._senders.discard(sender)

    async def _send(self, batch: list[Waiting]) -> None:
        try:
            reply = await self._history.start(StartBatch(tuple(request for request, _ in batch)))
            if len(reply.results) != len(batch):
                raise Internal("History answered another number of starts than it was sent.")
        except Exception as error:
            # A batch that is refused as a whole is halved until the one at fault stands alone: a start can be repeated.
            if len(batch) > 1 and not (isinstance(error, LinkFlowError) and error.retryable):
                middle = len(batch) // 2
                await self._send(batch[:middle])
                await self._send(batch[middle:])
                return
            for _, answer in batch:
                _fail(answer, error)
            return
        for (_, answer), started in zip(batch, reply.results, strict=True):
            if started.error is not None:
                _fail(answer, error_from(started.error))
            elif not answer.done():
                answer.set_result(started)


def _fail(answer: asyncio.Future[Started], error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
