"""The Worker service: claim many, run many, report many. A container loops; a Lambda drains for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from linkflow.config import Config
from linkflow.contracts.history import (
    NO_STATE,
    CompleteBatch,
    HistoryApi,
    LoadRequest,
    StartedNode,
    Task,
    TaskRef,
    TouchRequest,
)
from linkflow.contracts.matching import ClaimRequest, HeartbeatRequest, Lease, MatchingApi, ReleaseRequest
from linkflow.contracts.worker import DrainReply, DrainRequest, PingReply, PingRequest
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.state import State, decode
from linkflow.nodes.base import Egress
from linkflow.nodes.registry import Registry
from linkflow.observability import logger
from linkflow.ports import Clock

from .chain import Chain
from .plans import Plans
from .reporter import Reporter
from .runner import Runner

CLAIM_WAIT = 5.0
MARGIN = 1.0
"""Seconds before a drain's end at which running nodes are handed back."""


class _Job:
    __slots__ = ("since", "task", "token", "work")

    def __init__(self, task: Task, token: str, since: float) -> None:
        self.task = task
        self.token = token
        self.since = since
        self.work: asyncio.Task[None] | None = None


class Worker:
    """Implements `WorkerApi`; `run_forever` is the container's loop."""

    def __init__(
        self, history: HistoryApi, matching: MatchingApi, registry: Registry, egress: Egress | None, clock: Clock,
        config: Config, name: str,
    ) -> None:  # fmt: skip
        self._history = history
        self._matching = matching
        self._clock = clock
        self._config = config
        self.name = name
        self._plans = Plans(history, registry)
        self._runner = Runner(clock, egress, config.connections, config.max_payload)
        self._reporter = Reporter(history, matching, name, config.worker_queues, self._room, self._take)
        self._jobs: dict[str, _Job] = {}
        self._changed = asyncio.Event()
        self._closing = False
        self.done = 0
        self.nodes = 0

    async def ping(self, request: PingRequest) -> PingReply:
        return PingReply(self.name, len(self._jobs))

    async def run_forever(self, stop: asyncio.Event) -> None:
        """Claim and run until `stop`; then finish what is running (up to a lease's time) and hand back the rest."""
        beat = asyncio.create_task(self._beat())
        self._closing = False
        pump = asyncio.create_task(self._pump(self._config.worker_queues))
        await stop.wait()
        pump.cancel()
        await self._wind_down(self._config.lease)
        beat.cancel()
        await asyncio.gather(pump, beat, return_exceptions=True)

    async def drain(self, request: DrainRequest) -> DrainReply:
        """Run what is queued until the time is up, or nothing was due for `idle` seconds."""
        loop = asyncio.get_running_loop()
        before = (self.done, self.nodes)
        self._closing = False
        beat = asyncio.create_task(self._beat())
        end = loop.time() + max(0.0, request.seconds - MARGIN)
        try:
            while (left := end - loop.time()) > 0:
                claimed = await self._claim(request.queues, min(request.idle, left))
                if not claimed and not self._jobs and not self._reporter.pending:
                    break
                if self._jobs and self._room() <= 0:
                    await self._wait_change(left)
            await self._wind_down(max(0.0, end - loop.time()))
        finally:
            beat.cancel()
            await asyncio.gather(beat, return_exceptions=True)
        return DrainReply(self.done - before[0], self.nodes - before[1])

    def _room(self) -> int:
        return 0 if self._closing else self._config.worker_capacity - len(self._jobs)

    async def _pump(self, queues: tuple[str, ...]) -> None:
        wait = 0.2
        while True:
            try:
                if self._room() <= 0:
                    await self._wait_change(CLAIM_WAIT)
                    continue
                await self._claim(queues, CLAIM_WAIT)
                wait = 0.2
            except LinkFlowError as error:
                logger.warning("Claiming failed; trying again", extra={"code": error.code})
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)
            except Exception:
                logger.exception("Claiming failed")
                await asyncio.sleep(1.0)

    async def _wait_change(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _claim(self, queues: Sequence[str], wait: float) -> int:
        limit = min(self._room(), 200)
        reply = await self._matching.claim(ClaimRequest(self.name, tuple(queues), limit, wait))
        leases = reply.leases
        states = await self._states([lease.task for lease in leases])
        for lease in leases:
            self._begin(lease.task, lease.token, states.get(lease.task.execution_id), lease)
        return len(leases)

    async def _states(self, tasks: Sequence[Task]) -> dict[str, State]:
        """States that did not travel with their tasks, one load for all. A second delivery wants a fresh one."""
        ids = tuple({task.execution_id for task in tasks if _is_bare(task)})
        if not ids:
            return {}
        reply = await self._history.load(LoadRequest(ids))
        return {item.execution_id: decode(item.state) for item in reply.states}

    def _take(self, task: Task) -> None:
        self._begin(task, "", None)

    def _begin(self, task: Task, token: str, state: State | None, lease: Lease | None = None) -> None:
        if task.id in self._jobs:
            return
        job = self._jobs[task.id] = _Job(task, token, asyncio.get_running_loop().time())
        job.work = asyncio.create_task(self._run(job, state, bool(lease and lease.deliveries > 1)))

    async def _run(self, job: _Job, state: State | None, again: bool) -> None:
        task, chain = job.task, None
        try:
            chain = await self._chain(task, state, again)
            if chain is not None:
                await chain.run()
                self.nodes += len(chain.reports)
        except asyncio.CancelledError:
            return
        except LinkFlowError as error:
            # Nothing ran: the lease runs out (or the sweep comes), and the task is delivered again.
            logger.warning("A task could not be prepared", extra={"code": error.code, "task": task.id})
            return
        except Exception:
            logger.exception("A task crashed", extra={"task": task.id})
            return
        finally:
            self._jobs.pop(task.id, None)
            self._changed.set()
        self.done += 1
        if chain is not None or job.token:
            self._reporter.report(chain.reports if chain else (), job.token)

    async def _chain(self, task: Task, state: State | None, again: bool) -> Chain | None:
        """The chain of a task, or None where it is no longer due."""
        if state is None and not _is_bare(task) and not again:
            state = decode(task.state)
        if state is None:
            state = (await self._states([_bare(task)])).get(task.execution_id)
        if state is None:
            return None
        plan = await self._plans.get(task.workflow_id, task.workflow_version, state.trigger_node)
        chain = Chain(task, plan, state, self._runner, self._clock, self.name)
        if not chain.is_current:
            return None
        step = chain.step(task.node_key)
        if step is not None and step.node.timeout is not None and step.node.timeout.start_to_close:
            begun = StartedNode(task.execution_id, task.node_key, task.attempt, self.name)
            await self._history.complete(CompleteBatch((), (begun,), self.name))
        return chain

    async def _beat(self) -> None:
        """Renew what runs long: the lease with Matching, and the promise to History that the task is in hand."""
        every = self._config.lease / 3
        while True:
            await asyncio.sleep(every)
            try:
                await self._renew(every)
            except LinkFlowError as error:
                logger.warning("A heartbeat failed", extra={"code": error.code})
            except Exception:
                logger.exception("A heartbeat failed")

    async def _renew(self, every: float) -> None:
        now = asyncio.get_running_loop().time()
        long = [job for job in self._jobs.values() if now - job.since > every / 2]
        if not long:
            return
        refs = {TaskRef(j.task.execution_id, j.task.node_key, j.task.attempt): j for j in long}
        gone = (await self._history.touch(TouchRequest(tuple(refs), self.name))).gone
        for ref in gone:
            self._stop(refs[ref])
            if refs[ref].token:
                self._reporter.report((), refs[ref].token)
        tokens = {job.token: job for job in long if job.token}
        if tokens:
            reply = await self._matching.heartbeat(HeartbeatRequest(self.name, tuple(tokens)))
            for token in reply.lost:
                self._stop(tokens[token])

    def _stop(self, job: _Job) -> None:
        """Cancelled, overtaken, or another worker's by now."""
        if job.work is not None:
            job.work.cancel()

    async def _wind_down(self, seconds: float) -> None:
        self._closing = True
        works = [job.work for job in self._jobs.values() if job.work]
        if works:
            await asyncio.wait(works, timeout=seconds)
        back = list(self._jobs.values())
        for job in back:
            self._stop(job)
        tokens = tuple(job.token for job in back if job.token)
        if tokens:
            try:
                await self._matching.release(ReleaseRequest(self.name, back=tokens))
            except LinkFlowError:
                logger.warning("Tasks could not be handed back; their leases run out")
        await self._reporter.flush()


def _bare(task: Task) -> Task:
    """The task without its state, so that a fresh one is loaded."""
    return msgspec.structs.replace(task, state=NO_STATE)


def _is_bare(task: Task) -> bool:
    return bytes(task.state) == b"null"
