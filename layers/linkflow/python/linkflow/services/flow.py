"""How much goes through task queues, and which workers have asked for work: noted here, written every few seconds.

It is for people who look. What a process has noted and not written goes with it, and nothing waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextvars import Context

from linkflow.contracts.history import Task
from linkflow.contracts.matching import Lease, WorkerSeen
from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Clock, FlowBook, TaskQueue

WRITTEN_MS = 5_000
"""How long something is noted before it is written."""
MINUTE_MS = 60_000
MINUTES = 5
"""Minutes that a rate is of, and what the present one has so far."""
REMEMBERED_MS = 3_600_000
"""How long after its last word a worker is still listed."""
ADDED, TAKEN = "added", "taken"

_log = logging.getLogger(__name__)


class Flow:
    """One for a process of Matching."""

    def __init__(self, book: FlowBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._workers: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._write_at = 0
        self._writing: asyncio.Task[None] | None = None

    def added(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            self._counts[ADDED, task.workspace_id, task.queue] += 1
        self._write_soon()

    def taken(self, worker: str, queues: tuple[str, ...], leases: Sequence[Lease]) -> None:
        """A worker has asked for work, and got this."""
        for lease in leases:
            self._counts[TAKEN, lease.task.workspace_id, lease.task.queue] += 1
        self._workers[worker] = (self._clock.now_ms(), queues)
        self._write_soon()

    def alive(self, worker: str) -> None:
        """A worker that has its hands full has said that it works."""
        known = self._workers.get(worker)
        self._workers[worker] = (self._clock.now_ms(), known[1] if known else ())
        self._write_soon()

    async def rates(self, queues: Sequence[str], workspace_id: str = "") -> dict[str, tuple[float, float]]:
        """Tasks added and taken a minute, over the last minutes; of all workspaces where none is named."""
        now, part = divmod(self._clock.now_ms(), MINUTE_MS)
        names = [(kind, workspace_id, queue) for queue in queues for kind in (ADDED, TAKEN)]
        try:
            await self.write()
            found = await self._book.counts(range(now - MINUTES, now + 1), names)
        except LinkFlowError as error:  # numbers that are not there are no reason to show none
            _log.debug("the flow of task queues is not known: %s", error)
            return {}
        minutes = MINUTES + part / MINUTE_MS
        pairs = zip(found[::2], found[1::2], strict=True)
        return {queue: (a / minutes, t / minutes) for queue, (a, t) in zip(queues, pairs, strict=True)}

    async def workers(self) -> list[WorkerSeen]:
        """Those that have said something within the hour, the latest first."""
        await self.write()
        return await self._book.workers(self._clock.now_ms() - REMEMBERED_MS)

    def _write_soon(self) -> None:
        now = self._clock.now_ms()
        if now < self._write_at or (self._writing is not None and not self._writing.done()):
            return
        self._write_at = now + WRITTEN_MS
        self._writing = asyncio.create_task(self._write_quietly(), context=Context())

    async def _write_quietly(self) -> None:
        try:
            await self.write()
        except LinkFlowError as error:
            _log.debug("the flow of task queues could not be noted: %s", error)

    async def write(self) -> None:
        """Raises `Unavailable`; what was noted is gone then."""
        counts, self._counts = self._counts, Counter()
        workers, self._workers = self._workers, {}
        if not counts and not workers:
            return
        for (kind, _, queue), count in list(counts.items()):
            counts[kind, "", queue] += count
        now = self._clock.now_ms()
        await self._book.note(now // MINUTE_MS, counts, workers, now - REMEMBERED_MS)


async def seen(flow: Flow, queue: TaskQueue, clock: Clock) -> tuple[WorkerSeen, ...]:
    """Workers of the last hour, with their places: who is there is known at once, who was there from what was noted."""
    known = {one.name: one for one in await flow.workers()}
    names = {"default", *await queue.names(), *(name for one in known.values() for name in one.queues)}
    for name in sorted(names):
        for worker, places in (await queue.places([name])).items():
            one = known.get(worker) or WorkerSeen(worker, (), clock.now_ms())
            queues = one.queues if name in one.queues else (*one.queues, name)
            known[worker] = WorkerSeen(worker, queues, one.seen_at, places)
    return tuple(sorted(known.values(), key=lambda one: -one.seen_at))
