"""The Worker service: claim many, run many, report many. A container loops; a Lambda drains for a while."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from functools import partial

from linkflow import tracing
from linkflow.config import Config
from linkflow.contracts.base import caller
from linkflow.contracts.history import CompleteBatch, HistoryApi, LoadRequest, StartedNode, Task
from linkflow.contracts.matching import Lease, MatchingApi
from linkflow.contracts.worker import DrainReply, DrainRequest, PingReply, PingRequest, ProbeReply, ProbeRequest
from linkflow.domain.definition import Timeout
from linkflow.domain.drawers import Room
from linkflow.domain.errors import Conflict, LinkFlowError
from linkflow.metrics import RUNNING, TASK_WAIT_SECONDS
from linkflow.nodes.base import Egress
from linkflow.nodes.registry import Registry
from linkflow.nodes.scripts import Scripts
from linkflow.observability import logger
from linkflow.ports import Blobs, Clock, FileStore, Live
from linkflow.services.approval_links import ApprovalLinks
from linkflow.services.payloads import Payloads
from linkflow.services.sealing import Sealer
from linkflow.services.together import Together

from .attendance import Attendance
from .beating import Beats, Pulse
from .chain import Chain
from .filing import WorkspaceFiles
from .forecasts import Forecasts
from .holdings import Holdings, Job
from .hydration import Hydration
from .keeping import NextDoor, Read, Remembered, States
from .keeping import read as read_state
from .plans import Plans
from .probing import probe
from .reaching import Reaches
from .reporter import Reporter
from .resting import Rests
from .runner import Runner
from .speaking import Speaker
from .stepping import Recorders
from .vault import Vault

CLAIM_WAIT = 5.0
MARGIN = 1.0
"""Seconds before a drain's end at which running nodes are handed back."""


def _nothing(execution_id: str, version: int) -> None:
    return None


class Worker:
    """Implements `WorkerApi`; `run_forever` is the container's loop."""

    def __init__(
        self,
        history: HistoryApi,
        matching: MatchingApi,
        registry: Registry,
        egress: Egress | None,
        clock: Clock,
        config: Config,
        name: str,
        blobs: Blobs | None = None,
        remembered: Remembered = _nothing,
        scripts: Scripts | None = None,
        live: Live | None = None,
        sealer: Sealer | None = None,
        files: FileStore | None = None,
    ) -> None:
        """Without `blobs` results of any size go to History as they are, which may set them aside itself. `remembered`
        has states that a History in the same process keeps. `live` hears what nodes say while they run. `sealer` opens
        credentials; without it nodes have none."""
        self._history = history
        self._clock = clock
        self._config = config
        self.name = name
        self._next_door = NextDoor(remembered)
        self._loads = Together(self._load)
        self._plans = Plans(history, registry)
        self._reach = _reach_of(history, egress, clock)
        self._vault = Vault(history, sealer, clock, name, config.connections) if sealer else None
        self._payloads = Payloads(blobs) if blobs else None
        steps = Recorders(history, self._payloads, clock, name, config.max_payload, config.max_resolved)
        self._speaker = Speaker(live, clock) if live else None
        self._runner = Runner(
            clock, egress, config.connections, config.max_payload, scripts, self._reach, steps.of, self._speaker,
            self._vault, _files_of(files, config, clock),
            ApprovalLinks(config.secret, config.public_url) if config.secret else None,
        )  # fmt: skip
        self._held = Holdings(history, matching, name, config.lease)
        self._beats = Beats(history, self._held, name)
        self._attendance = Attendance(matching, name, self._room)
        put = self._payloads.put if self._payloads else None
        self._kept = States()
        self._forecasts = Forecasts()
        self._reporter = Reporter(
            history, self._held, name, config.worker_queues, self._room, self._take, put, self._kept
        )
        self._changed = asyncio.Event()
        self._rests = Rests(self._held, clock, self._changed.set)
        self._paced: Mapping[str, frozenset[tuple[str, str]]] = {}
        self._closing = False
        self._looping = False
        self._givebacks: set[asyncio.Task[None]] = set()
        self.done = 0
        self.nodes = 0

    async def ping(self, request: PingRequest) -> PingReply:
        caller().require("worker.drain")
        return PingReply(self.name, len(self._held.running))

    async def probe(self, request: ProbeRequest) -> ProbeReply:
        """Try a credential, or connect it. It never raises for what the other side says."""
        caller().require("worker.probe", request.workspace_id)
        if self._vault is None or self._reach is None:
            return ProbeReply(False, "This worker opens no credentials.", "not_set_up")
        work = probe(request, self._vault, self._reach.of(request.workspace_id), self._clock)
        return await asyncio.create_task(work, context=Context())  # what it asks of History it asks as a worker

    async def run_forever(self, stop: asyncio.Event) -> None:
        """Claim and run until `stop`; then finish what is running (up to a lease's time) and hand back the rest."""
        self._looping, self._closing = True, False
        beats = self._beating()
        self._attendance.come(self._config.worker_queues)
        pump = asyncio.create_task(self._pump())
        await stop.wait()
        self._closing = True
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        await self._attendance.leave()
        await self._wind_down(self._config.lease)
        await _end(beats)
        self._looping = False

    def _beating(self) -> list[asyncio.Task[None]]:
        """Renewing leases, and the heartbeats of nodes."""
        return [asyncio.create_task(self._held.beat()), asyncio.create_task(self._beats.run())]

    async def drain(self, request: DrainRequest) -> DrainReply:
        """Run what is queued until the time is up, or nothing was due for `idle` seconds.

        Raises `Conflict` on a worker that loops by itself.
        """
        caller().require("worker.drain")
        if self._looping:
            raise Conflict("This worker drains its queues by itself.")
        loop = asyncio.get_running_loop()
        before = (self.done, self.nodes)
        self._looping, self._closing = True, False
        self._reporter.serve(request.queues)
        self._attendance.come(request.queues, request.invitation)
        beats = self._beating()
        end = loop.time() + max(0.0, request.seconds - MARGIN)
        try:
            await self._drain(request.idle, end)
        finally:
            self._closing = True
            await self._attendance.leave()
            await self._wind_down(max(0.0, end - loop.time()))
            await _end(beats)
            self._looping = False
        return DrainReply(self.done - before[0], self.nodes - before[1])

    async def _drain(self, idle: float, end: float) -> None:
        loop = asyncio.get_running_loop()
        while (left := end - loop.time()) > 0:
            if self._room() <= 0:
                await self._wait_full(left)
            elif not await self._claim(min(idle, left)) and self._is_idle:
                await self._claim(0.0, leaving=True)
                if not self._attendance.is_there:
                    return

    @property
    def _is_idle(self) -> bool:
        return not (self._held.running or self._held.resting or self._reporter.pending)

    def _room(self) -> int:
        """Tasks that rest take no place, until they are as many as those that may run."""
        capacity, resting = self._config.worker_capacity, len(self._held.resting)
        return 0 if self._closing else capacity - len(self._held.running) - max(0, resting - capacity)

    async def _pump(self) -> None:
        wait = 0.2
        while True:
            try:
                if self._room() <= 0:
                    await self._wait_full(CLAIM_WAIT)
                    continue
                await self._claim(CLAIM_WAIT)
                wait = 0.2
            except LinkFlowError as error:
                logger.warning("Claiming failed; trying again", extra={"code": error.code})
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)
            except Exception:
                logger.exception("Claiming failed")
                await asyncio.sleep(1.0)

    async def _wait_full(self, seconds: float) -> None:
        """Until there may be places again; once that there are none is known."""
        if self._attendance.overstated:
            await self._attendance.full()
        else:
            await self._wait_change(seconds)

    async def _wait_change(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _claim(self, wait: float, *, leaving: bool = False) -> int:
        reply = await self._attendance.claim(wait, leaving=leaving)
        leases, self._paced = reply.leases, reply.paced
        try:
            states = await self._states(leases)
        except LinkFlowError:  # each tries by itself, so that those that need nothing run
            states = {}
        except BaseException:
            await self._held.give_back(Job(lease.task, lease.token) for lease in leases)
            raise
        now = self._clock.now_ms()
        for lease in leases:
            TASK_WAIT_SECONDS.observe(max(0, now - lease.task.scheduled_at) / 1000, lease.task.queue)
            if tracing.on():
                _waited(lease, now)
            self._begin(lease.task, lease.token, states.get(lease.task.execution_id), lease)
        return len(leases)

    async def _states(self, leases: Sequence[Lease]) -> dict[str, Read]:
        """States that did not travel with their tasks: kept ones, and those of the others loaded. A second delivery
        wants a fresh one. History answers as many at once as a reply may carry."""
        found: dict[str, Read] = {}
        wanted: set[str] = set()
        for lease in leases:
            if not _is_bare(lease.task):
                continue
            task = lease.task
            read = self._next_door.of(task) or self._kept.of(task) if lease.deliveries == 1 else None
            if read is None:
                wanted.add(task.execution_id)
            else:
                found[task.execution_id] = read
        return found | await self._load(tuple(wanted)) if wanted else found

    async def _load(self, execution_ids: Sequence[str]) -> dict[str, Read]:
        """What History has of these now."""
        found: dict[str, Read] = {}
        wanted = set(execution_ids)
        while wanted:
            reply = await self._history.load(LoadRequest(tuple(wanted)))
            for item in reply.states:
                wanted.discard(item.execution_id)
                try:
                    found[item.execution_id] = self._kept.read(item.execution_id, item.state)
                except ValueError:
                    logger.exception("A state cannot be read", extra={"execution_id": item.execution_id})
            if not reply.more:
                break
        return found

    def _take(self, task: Task) -> None:
        """A task that came in a reply. One that comes when we close goes to the queue: nobody else has it. So does one
        that the queue hands out at a rate."""
        if self._closing or self._is_paced(task):
            giveback = asyncio.create_task(self._held.give_back([Job(task, "")]))
            self._givebacks.add(giveback)
            giveback.add_done_callback(self._givebacks.discard)
        else:
            self._begin(task, "", None)

    def _is_paced(self, task: Task) -> bool:
        paced = self._paced.get(task.queue)
        if not paced:
            return False
        workspace = task.workspace_id
        return bool(paced & {("", ""), (workspace, ""), (workspace, task.fairness)})

    def _begin(self, task: Task, token: str, state: Read | None, lease: Lease | None = None) -> None:
        if found := self._held.find(task):
            found.token = token or found.token  # a second delivery: we have it, and now its lease as well
            return
        job = self._held.running[task.id] = Job(task, token)
        RUNNING.set(len(self._held.running))
        job.work = asyncio.create_task(self._run(job, state, bool(lease and lease.deliveries > 1)))

    async def _run(self, job: Job, state: Read | None, again: bool) -> None:
        task, chain = job.task, None
        try:
            chain = await self._chain(job, state, again)
            if chain is not None:
                await chain.run()
                self.nodes += len(chain.reports)
            if chain is None:
                self._reporter.report(job, (), 0)
            else:
                if self._payloads is not None and chain.stow.blobs:
                    self._payloads.remember(chain.stow)
                self._reporter.report(job, chain.reports, chain.size, chain.stow.blobs)
            self._rests.over(task.id)
            self.done += 1
        except asyncio.CancelledError:
            return
        except LinkFlowError as error:
            logger.warning("A task cannot be prepared now", extra={"code": error.code, "task": task.id})
            self._rests.begin(job)
        except Exception:
            logger.exception("A task crashed", extra={"task": task.id})
        finally:
            self._held.running.pop(task.id, None)
            RUNNING.set(len(self._held.running))
            self._changed.set()

    async def _chain(self, job: Job, read: Read | None, again: bool) -> Chain | None:
        """The chain of a task, or None where it is no longer due. A second delivery wants a fresh state."""
        task = job.task
        if read is None and not again:
            read = self._next_door.of(task)
            if read is None:
                read = self._kept.of(task) if _is_bare(task) else read_state(task.state)
        if read is None:
            read = await self._loads.find(task.execution_id)
        if read is None:
            return None
        state, refers = read
        plan = await self._plans.get(task.workflow_id, task.workflow_version, state.trigger_node)
        limit, hydrate = sys.maxsize, None
        if self._payloads is not None:
            limit = self._config.blob_limit
            hydrate = partial(Hydration, self._payloads, plan.graph, self._config.max_resolved) if refers else None
        chain = Chain(task, plan, state, self._runner, self._clock, self.name, limit, hydrate, self._forecasts)
        if not chain.is_current:
            return None
        if self._vault is not None:
            await self._vault.fetch(plan, state)
        await chain.prepare()  # before the node starts: its time does not run while a store is away
        step = chain.step(task.node_key)
        if step is not None and step.node.timeout is not None:
            await self._started(job, step.node.timeout, chain.pulse)
        return chain

    async def _started(self, job: Job, timeout: Timeout, pulse: Pulse) -> None:
        """Say that the node starts, where a timeout depends on it. A delivery before this one may have beaten."""
        task, beats = job.task, timeout.heartbeat > 0
        if not (beats or timeout.start_to_close > 0 or timeout.schedule_to_start > 0):
            return
        since = asyncio.get_running_loop().time()
        begun = StartedNode(task.execution_id, task.node_key, task.attempt, self.name, beats)
        reply = await self._history.complete(CompleteBatch((), (begun,), self.name))
        for beat in reply.beats:
            pulse.earlier = pulse.earlier if beat.details is None else beat.details
        if beats:
            self._beats.begin(pulse, job, timeout.heartbeat, 0.0 if reply.beats else since)

    async def _wind_down(self, seconds: float) -> None:
        """Let what runs end within `seconds`, hand back the rest, and see the results off."""
        self._closing = True
        end = asyncio.get_running_loop().time() + seconds
        works = [job.work for job in self._held.running.values() if job.work]
        if works:
            await asyncio.wait(works, timeout=seconds)
        left = [*self._held.running.values(), *self._held.resting.values()]
        for job in left:
            job.stop()
        await self._held.give_back(left)
        await self._reporter.flush(max(MARGIN / 2, end - asyncio.get_running_loop().time()))
        if self._givebacks:
            await asyncio.wait(set(self._givebacks), timeout=MARGIN / 2)
        if self._speaker is not None:
            await self._speaker.close()


def _reach_of(history: HistoryApi, egress: Egress | None, clock: Clock) -> Reaches | None:
    """Clients and policies by workspace, where the client is the real one."""
    from linkflow.nodes.egress import EgressClient

    return Reaches(history, egress, clock) if isinstance(egress, EgressClient) else None


def _files_of(store: FileStore | None, config: Config, clock: Clock) -> Callable[[str], WorkspaceFiles] | None:
    """Files by workspace, where there is a store for them."""
    room = Room(config.max_file, config.max_files_bytes, config.max_files)
    return partial(WorkspaceFiles, store, room, clock) if store else None


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    left = set(tasks)
    while left:  # a call whose answer comes together with the cancellation may swallow it
        for task in left:
            task.cancel()
        left = (await asyncio.wait(left, timeout=0.1))[1]


def _waited(lease: Lease, now: int) -> None:
    """The time that a task waited for a worker is a span of its run."""
    task = lease.task
    about: dict[str, str | int | float | bool] = {
        "messaging.destination.name": task.queue, "linkflow.node": task.node_key, "linkflow.attempt": task.attempt,
        "linkflow.deliveries": lease.deliveries,
    }  # fmt: skip
    start, end = tracing.ns(task.scheduled_at), tracing.ns(now)
    tracing.run_span(task.execution_id, f"queue {task.queue}", start, end, kind=tracing.CONSUMER, attributes=about)


def _is_bare(task: Task) -> bool:
    return bytes(task.state) == b"null"
