"""What the timer's tests put around it: a clock that jumps, a store in memory, a History that keeps notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from linkflow.contracts.history import (
    DueTimer,
    FireBatch,
    FireReply,
    StartBatch,
    Started,
    StartReply,
    SweepReply,
    SweepRequest,
)
from linkflow.ports import Schedule

T = TypeVar("T")
START = 1_750_000_000_000  # 2025-06-15T15:06:40Z


class FakeClock:
    """Time moves only when a test says so, from one sleeper's end to the next."""

    def __init__(self, now: int = START) -> None:
        self.now = now
        self._bits = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self.now

    def random(self) -> float:
        return 0.5

    def rand_bits(self, bits: int) -> int:
        self._bits += 1
        return self._bits & ((1 << bits) - 1)

    async def sleep(self, seconds: float) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.now + max(round(seconds * 1000), 0), done)
        self._sleepers.append(entry)
        try:
            await done
        finally:
            self._sleepers.remove(entry)

    async def advance(self, ms: int) -> None:
        """Let `ms` pass, waking every sleeper at its own time."""
        end = self.now + ms
        await settle()
        while (due := min((at for at, _ in self._sleepers), default=end + 1)) <= end:
            await self._jump(due)
        self.now = end

    async def finish(self, act: Awaitable[T]) -> T:
        """Let as much time pass as `act` needs."""
        task = asyncio.ensure_future(act)
        await settle()
        while not task.done():
            assert self._sleepers, "nobody sleeps and nothing happens: it would hang"
            await self._jump(min(at for at, _ in self._sleepers))
        return await task

    async def _jump(self, to: int) -> None:
        self.now = max(self.now, to)
        for at, done in self._sleepers:
            if at <= self.now and not done.done():
                done.set_result(None)
        await settle()


async def settle() -> None:
    """Let everything happen that can happen without time passing."""
    for _ in range(60):
        await asyncio.sleep(0)


class MemoryTimers:
    """`ports.TimerStore` in memory; passes the contract suite of tests/contract/test_timer_store.py."""

    def __init__(self) -> None:
        self.timers: dict[tuple[str, str], DueTimer] = {}
        self.schedules: dict[tuple[str, str], tuple[Schedule, int | None, bool]] = {}
        self.reads = 0
        self.upkeeps = 0
        self.away: Exception | None = None

    async def add_timers(self, *timers: DueTimer) -> None:
        self.timers |= {(t.execution_id, t.timer_id): t for t in timers}

    async def add_schedule(self, schedule: Schedule, paused: bool = False) -> None:
        self.schedules[(schedule.workflow_id, schedule.node_id)] = (schedule, schedule.due_at, paused)

    async def next_at(self, schedule: Schedule) -> int | None:
        return self.schedules[(schedule.workflow_id, schedule.node_id)][1]

    def _answer(self) -> None:
        self.reads += 1
        if self.away:
            raise self.away

    async def due(self, now_ms: int, limit: int) -> list[DueTimer]:
        self._answer()
        found = sorted((t for t in self.timers.values() if t.due_at <= now_ms), key=lambda t: t.due_at)
        return found[:limit]

    def _active(self) -> list[Schedule]:
        found = []
        for schedule, at, paused in self.schedules.values():
            if at is not None and not paused:
                found.append(_at(schedule, at))
        return sorted(found, key=lambda s: s.due_at)

    async def next_due(self) -> int | None:
        self._answer()
        times = [t.due_at for t in self.timers.values()] + [s.due_at for s in self._active()]
        return min(times, default=None)

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        self._answer()
        return [s for s in self._active() if s.due_at <= now_ms][:limit]

    async def advance(self, schedule: Schedule, next_at: int | None) -> bool:
        self._answer()
        key = (schedule.workflow_id, schedule.node_id)
        stored, at, paused = self.schedules.get(key, (None, None, False))
        if stored is None or at != schedule.due_at or stored.workflow_version != schedule.workflow_version:
            return False
        self.schedules[key] = (stored, next_at, paused)
        return True

    async def upkeep(self) -> int:
        self._answer()
        self.upkeeps += 1
        return 0


def _at(schedule: Schedule, due_at: int) -> Schedule:
    return Schedule(
        schedule.workflow_id,
        schedule.node_id,
        schedule.workspace_id,
        schedule.workflow_version,
        schedule.cron,
        schedule.timezone,
        due_at,
    )


class FakeHistory:
    """Deletes fired timers from the store as History would, and finds repeated starts by their idempotency key.

    Only the methods a timer calls. `spoil` may raise for a batch; `failing` names executions reported as failed;
    `takes` is how long a fire call lasts, in seconds.
    """

    def __init__(self, store: MemoryTimers | None, clock: Any) -> None:
        self.store, self.clock = store, clock
        self.fired: list[tuple[int, DueTimer]] = []
        self.batches: list[int] = []
        self.starts: list[Any] = []
        self.runs: dict[tuple[str, str], str] = {}
        self.sweeps = 0
        self.failing: set[str] = set()
        self.spoil: Callable[[FireBatch], None] = lambda batch: None
        self.refuse: Callable[[Any], Started | None] = lambda request: None
        self.takes = 0.0
        self.in_the_air = self.most_in_the_air = 0

    async def fire(self, request: FireBatch) -> FireReply:
        self.batches.append(len(request.timers))
        self.in_the_air += 1
        self.most_in_the_air = max(self.most_in_the_air, self.in_the_air)
        try:
            self.spoil(request)
            if self.takes:
                await self.clock.sleep(self.takes)
        finally:
            self.in_the_air -= 1
        done = [t for t in request.timers if t.execution_id not in self.failing]
        for timer in done:
            self.fired.append((self.clock.now_ms(), timer))
            if self.store is not None:
                self.store.timers.pop((timer.execution_id, timer.timer_id), None)
        failed = [f"{t.execution_id}/{t.timer_id}" for t in request.timers if t.execution_id in self.failing]
        return FireReply(len(done), tuple(failed))

    async def start(self, request: StartBatch) -> StartReply:
        return StartReply(tuple(self._start(item) for item in request.items))

    def _start(self, request: Any) -> Started:
        if refused := self.refuse(request):
            return refused
        self.starts.append(request)
        key = (request.workflow_id, request.idempotency_key)
        there = self.runs.setdefault(key, request.execution_id)
        return Started(there, created=there == request.execution_id)

    async def sweep(self, request: SweepRequest) -> SweepReply:
        self.sweeps += 1
        return SweepReply(0, 0)


class FakeDoorbell:
    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[bytes | Exception]] = []

    async def ring(self, topic: str, message: bytes) -> None:
        assert topic == "timers"
        for queue in self.queues:
            queue.put_nowait(message)

    def break_down(self) -> None:
        for queue in self.queues:
            queue.put_nowait(ConnectionError("gone"))

    async def listen(self, topic: str) -> AsyncIterator[bytes]:
        assert topic == "timers"
        queue: asyncio.Queue[bytes | Exception] = asyncio.Queue()
        self.queues.append(queue)
        try:
            while True:
                message = await queue.get()
                if isinstance(message, Exception):
                    raise message
                yield message
        finally:
            self.queues.remove(queue)
