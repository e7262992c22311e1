"""What a worker holds: tasks that run, that rest because they cannot be prepared now, and those whose results are on
their way. All are renewed until done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable

import msgspec

from linkflow.contracts.history import NO_STATE, HistoryApi, Task, TaskRef, TouchRequest
from linkflow.contracts.matching import AddRequest, HeartbeatRequest, MatchingApi, ReleaseRequest
from linkflow.domain.errors import LinkFlowError
from linkflow.observability import logger


class Job:
    """A task in hand. `token` is its lease with Matching, '' for one that came in a reply of History's."""

    __slots__ = ("since", "task", "token", "work")

    def __init__(self, task: Task, token: str) -> None:
        self.task = task
        self.token = token
        self.since = asyncio.get_running_loop().time()
        self.work: asyncio.Task[None] | None = None

    @property
    def ref(self) -> TaskRef:
        return TaskRef(self.task.execution_id, self.task.node_key, self.task.attempt)

    def stop(self) -> None:
        if self.work is not None:
            self.work.cancel()


class Holdings:
    """Keeps leases alive, and gives tasks back that this worker will not finish."""

    def __init__(self, history: HistoryApi, matching: MatchingApi, worker: str, lease: float) -> None:
        self._history = history
        self._matching = matching
        self._worker = worker
        self._every = lease / 3
        self.running: dict[str, Job] = {}
        self.resting: dict[str, Job] = {}
        self.reporting: dict[str, Job] = {}

    def find(self, task: Task) -> Job | None:
        """The job that has this task already."""
        return self.running.get(task.id) or self.resting.get(task.id) or self.reporting.get(task.id)

    def holds(self, job: Job) -> bool:
        """Does it run still, or rest, or is its result on its way?"""
        return self.find(job.task) is job

    async def beat(self) -> None:
        """Renew for ever."""
        while True:
            await asyncio.sleep(self._every)
            await self.renew()

    async def renew(self) -> None:
        """Renew what is held for a while: the leases with Matching, and the promise to History. Each on its own: one of
        the two being away must not cost the other."""
        now = asyncio.get_running_loop().time()
        held = (*self.running.values(), *self.resting.values(), *self.reporting.values())
        jobs = [job for job in held if now - job.since > self._every / 2]
        if jobs:
            await _tried(self._heartbeat({job.token: job for job in jobs if job.token}))
            await _tried(self._touch({job.ref: job for job in jobs}))

    async def _heartbeat(self, jobs: dict[str, Job]) -> None:
        if jobs:
            reply = await self._matching.heartbeat(HeartbeatRequest(self._worker, tuple(jobs)))
            for token in reply.lost:
                jobs[token].stop()  # another worker has it by now

    async def _touch(self, jobs: dict[TaskRef, Job]) -> None:
        reply = await self._history.touch(TouchRequest(tuple(jobs), self._worker))
        await self.stop([jobs[ref] for ref in reply.gone])

    async def stop(self, jobs: Iterable[Job]) -> None:
        """Nobody wants these any more (cancelled, timed out, overtaken). A result on its way History will refuse."""
        gone = [job for job in jobs if job in (self.running.get(job.task.id), self.resting.get(job.task.id))]
        for job in gone:
            job.stop()
        await self.release(job.token for job in gone)

    async def release(self, done: Iterable[str]) -> None:
        """Give finished leases up. One that cannot be released runs out, and the decider refuses the second result."""
        tokens = tuple(token for token in done if token)
        if tokens:
            await _tried(self._matching.release(ReleaseRequest(self._worker, done=tokens)))

    async def give_back(self, jobs: Iterable[Job]) -> None:
        """Let others have these tasks at once; it does not count as a delivery."""
        held = list(jobs)
        tokens = tuple(job.token for job in held if job.token)
        if tokens:
            await _tried(self._matching.release(ReleaseRequest(self._worker, back=tokens)))
        bare = tuple(msgspec.structs.replace(job.task, state=NO_STATE) for job in held if not job.token)
        if bare:
            await _tried(self._matching.add(AddRequest(bare)))


async def _tried(call: Awaitable[object]) -> None:
    try:
        await call
    except LinkFlowError as error:
        logger.warning("A heartbeat or release failed; leases run out by themselves", extra={"code": error.code})
    except Exception:
        logger.exception("A heartbeat or release failed")
