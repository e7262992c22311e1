"""What the timer's tests put around it: a clock that jumps, a store in memory, a History that keeps notes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from linkflow.contracts.history import (
    ControlReply,
    ControlRequest,
    DueTimer,
    FireBatch,
    FireReply,
    StartBatch,
    Started,
    StartReply,
    SweepReply,
    SweepRequest,
)
from linkflow.domain.firings import Firing
from linkflow.ports import Move, Schedule
from linkflow.streams.idleness import BUSY_MS, WARY_MS

T = TypeVar("T")
START = 1_750_000_000_000  # 2025-06-15T15:06:40Z


class FakeClock:
    """Time moves only when a test says so, from one sleeper's end to the next."""

    def __init__(self, now: int = START) -> None:
        self.now = now
        self.shift = 0
        """What the wall clock is off by; sleeping goes by the monotonic one."""
        self._bits = 0
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self.now + self.shift

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
        self.schedules: dict[tuple[str, str], tuple[Schedule, int | None, bool]] = {}  # with look_at, paused
        self.firings: dict[tuple[str, str], dict[tuple[int, str], Firing]] = {}
        self.running: set[str] = set()
        self.reads = 0
        self.upkeeps = 0
        self.offer_at: int | None = None
        """When a sweep has something to see to."""
        self.away: Exception | None = None

    async def add_timers(self, *timers: DueTimer) -> None:
        self.timers |= {(t.execution_id, t.timer_id): t for t in timers}

    async def add_schedule(self, schedule: Schedule, paused: bool = False) -> None:
        if schedule.next_at is None:
            schedule = msgspec.structs.replace(schedule, next_at=schedule.due_at)
        self.schedules[(schedule.workflow_id, schedule.node_id)] = (schedule, None, paused)

    async def next_at(self, schedule: Schedule) -> int | None:
        return self.schedules[(schedule.workflow_id, schedule.node_id)][0].next_at

    async def records(self, schedule: Schedule) -> list[Firing]:
        """Every firing of a schedule, earliest first."""
        rows = self.firings.get((schedule.workflow_id, schedule.node_id), {}).values()
        return sorted(rows, key=lambda f: (f.due_at, f.cause))

    async def put_firing(self, schedule: Schedule, firing: Firing, look_at: int) -> None:
        """What a person adds: a run now, or a backfill."""
        key = (schedule.workflow_id, schedule.node_id)
        self.firings.setdefault(key, {})[(firing.due_at, firing.cause)] = firing
        stored, _, paused = self.schedules[key]
        self.schedules[key] = (msgspec.structs.replace(stored, revision=stored.revision + 1), look_at, paused)

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
        for schedule, look_at, paused in self.schedules.values():
            next_at = None if paused else schedule.next_at
            times = [at for at in (next_at and next_at + schedule.delay_ms, look_at) if at is not None]
            if times:
                found.append(msgspec.structs.replace(schedule, due_at=min(times), next_at=next_at))
        return sorted(found, key=lambda s: s.due_at)

    async def next_due(self) -> int | None:
        self._answer()
        times = [t.due_at for t in self.timers.values()] + [s.due_at for s in self._active()]
        return min(times, default=None)

    async def wanted(self) -> int | None:
        at = await self.next_due()
        return at if self.offer_at is None else min(at or self.offer_at, self.offer_at)

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        self._answer()
        return [s for s in self._active() if s.due_at <= now_ms][:limit]

    async def open_firings(self, schedules: Sequence[Schedule]) -> dict[tuple[str, str], list[Firing]]:
        self._answer()
        found = {}
        for schedule in schedules:
            key = (schedule.workflow_id, schedule.node_id)
            rows = [f for f in self.firings.get(key, {}).values() if f.open]
            asks = schedule.overlap != "allow" or any(f.outcome == "queued" and f.overlap != "allow" for f in rows)
            if rows := [self._seen(f) for f in rows if asks or f.outcome != "started"]:
                found[key] = rows
        return found

    def _seen(self, firing: Firing) -> Firing:
        running = firing.outcome == "started" and firing.execution_id in self.running
        return msgspec.structs.replace(firing, running=running)

    async def settle(self, moves: Sequence[Move]) -> list[bool]:
        self._answer()
        return [self._settle(move) for move in moves]

    def _settle(self, move: Move) -> bool:
        read = move.schedule
        key = (read.workflow_id, read.node_id)
        stored, _, paused = self.schedules.get(key, (None, None, False))
        if stored is None or (stored.revision, stored.workflow_version) != (read.revision, read.workflow_version):
            return False
        next_at = stored.next_at if paused else move.next_at
        moved = msgspec.structs.replace(stored, next_at=next_at, delay_ms=move.delay_ms, revision=stored.revision + 1)
        self.schedules[key] = (moved, move.look_at, paused)
        self._put(key, move.firings)
        return True

    async def confirm(self, moves: Sequence[Move]) -> None:
        self._answer()
        for move in moves:
            key = (move.schedule.workflow_id, move.schedule.node_id)
            stored, _, paused = self.schedules[key]
            if stored.revision == move.schedule.revision + 1:
                self.schedules[key] = (stored, move.look_at, paused)
            self._put(key, move.firings)

    def _put(self, key: tuple[str, str], firings: Sequence[Firing]) -> None:
        rows = self.firings.setdefault(key, {})
        for firing in firings:
            there = rows.get((firing.due_at, firing.cause))
            if there is None or there.outcome != "started" or firing.outcome == "started":
                rows[(firing.due_at, firing.cause)] = firing

    async def upkeep(self) -> int:
        self._answer()
        self.upkeeps += 1
        return 0


class MemoryIdleness:
    """`ports.Idleness` in memory; passes the contract suite of tests/contract/test_idleness.py."""

    def __init__(self, now_ms: Callable[[], int], busy_ms: int = BUSY_MS, wary_ms: int = WARY_MS) -> None:
        self._now_ms, self._busy_ms, self._wary_ms = now_ms, busy_ms, wary_ms
        self.forget()
        self.away: Exception | None = None

    def forget(self) -> None:
        """As after a flush."""
        self._state, self._until, self._count = "", 0, 0
        self._since: int | None = None

    def _now(self) -> int:
        if self.away:
            raise self.away
        if self._now_ms() >= self._until:
            self._state = ""
        return self._now_ms()

    async def busy(self) -> None:
        self._state, self._until, self._count = "busy", self._now() + self._busy_ms, self._count + 1

    async def resting(self) -> bool:
        self._now()
        return self._state == "rest"

    async def seen(self) -> str:
        self._now()
        return str(self._count or "")

    async def rest(self, ms: int, seen: str) -> bool:
        now = self._now()
        self._since = now if self._since is None else self._since
        if seen != str(self._count or "") or self._state or now - self._since < self._wary_ms:
            return False
        self._state, self._until = "rest", now + ms
        return True


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
        self.controls: list[ControlRequest] = []
        self.obeys = True
        self.sweeps = self.purges = 0
        self.swept = 0
        """Tasks that the next sweep offers again."""
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
        if key not in self.runs and self.store is not None:
            self.store.running.add(request.execution_id)
        there = self.runs.setdefault(key, request.execution_id)
        return Started(there, created=there == request.execution_id)

    async def control(self, request: ControlRequest) -> ControlReply:
        self.controls.append(request)
        if self.obeys and self.store is not None:
            self.store.running.discard(request.execution_id)
        return ControlReply("cancelled")

    async def sweep(self, request: SweepRequest) -> SweepReply:
        if request.purge:
            self.purges += 1
            return SweepReply(0, 0)
        self.sweeps += 1
        swept, self.swept = self.swept, 0
        return SweepReply(swept, 0)


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
