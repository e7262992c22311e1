"""Stand-ins for the ports on Valkey, in memory. They pass the same suites as the real ones (`test_task_queue.py`,
`test_limiter.py`, `test_doorbell.py`), so what is tested on top of them holds."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from linkflow.contracts.history import Task
from linkflow.contracts.matching import DeadLetter, Lease, QueueRule, QueueSettings, QueueStats
from linkflow.ports import Open, Visit


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class _Held:
    task: Task
    worker: str
    deliveries: int
    deadline: int


@dataclass
class _Waiting:
    task: Task
    delivered: int
    since: int


@dataclass
class _Partition:
    waiting: list[_Waiting] = field(default_factory=list)
    held: dict[str, _Held] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    dead: list[DeadLetter] = field(default_factory=list)
    workers: dict[str, int] = field(default_factory=dict)
    served: dict[tuple[str, ...], float] = field(default_factory=dict)

    def next(self) -> _Waiting | None:
        """Whose turn it is: of the workspaces, then of the priorities, then of the fairness keys."""
        if not self.waiting:
            self.served.clear()
            return None
        workspace = min((item.task.workspace_id for item in self.waiting), key=lambda id: self.served.get((id,), 0))
        mine = [item for item in self.waiting if item.task.workspace_id == workspace]
        rank = min(_rank(item.task) for item in mine)
        first = min(
            (item for item in mine if _rank(item.task) == rank), key=lambda item: self.served.get(_line(item.task), 0)
        )
        for name in ((workspace,), _line(first.task)):
            self.served[name] = self.served.get(name, 0) + 1
        self.waiting.remove(first)
        return first


class MemoryQueue:
    """`ports.TaskQueue` in one process."""

    def __init__(self, *, partitions: int = 2, max_deliveries: int = 10) -> None:
        self._count = partitions
        self._max_deliveries = max_deliveries
        self._partitions: dict[tuple[str, int], _Partition] = {}
        self._added = asyncio.Condition()
        self._serial = 0
        self._rules: dict[str, dict[tuple[str, str], QueueRule]] = {}

    async def add(self, tasks: Sequence[Task]) -> int:
        added = 0
        for task in tasks:
            partition = self._at(task.queue, zlib.crc32(task.execution_id.encode()) % self._count)
            if task.id not in partition.known:
                partition.known.add(task.id)
                partition.waiting.append(_Waiting(task, 0, _now_ms()))
                added += 1
        await self._ring()
        return added

    async def claim(
        self, queues: Sequence[str], worker: str, limit: int, wait: float, lease: float, visit: Visit | None = None
    ) -> list[Lease]:
        deadline = time.monotonic() + wait
        while True:
            leases = self._take(queues, worker, limit, lease, wait)
            left = deadline - time.monotonic()
            if leases or left <= 0:
                return leases
            async with self._added:
                try:
                    await asyncio.wait_for(self._added.wait(), min(left, 1.0))
                except TimeoutError:
                    continue

    async def places(self, queues: Sequence[str]) -> dict[str, int]:
        return {}

    def left_behind(self) -> frozenset[str]:
        return frozenset()

    def queues_of(self, tokens: Sequence[str]) -> frozenset[str]:
        return frozenset(token.split("|")[1] for token in tokens)

    async def reclaim(
        self, queues: Sequence[str], worker: str, limit: int, lease: float
    ) -> tuple[list[Lease], list[Lease]]:
        claimed: list[Lease] = []
        dead: list[Lease] = []
        for queue, index, partition in self._of(queues):
            expired = [token for token, held in partition.held.items() if held.deadline <= _now_ms()]
            for token in expired[: max(0, limit - len(claimed) - len(dead))]:
                held = partition.held.pop(token)
                if held.deliveries >= self._max_deliveries:
                    partition.known.discard(held.task.id)
                    reason = f"Delivered {held.deliveries} times without a result."
                    self._serial += 1
                    letter = DeadLetter(held.task, held.deliveries, reason, _now_ms(), f"letter-{self._serial:09}")
                    partition.dead.append(letter)
                    dead.append(Lease(token, held.task, held.deliveries, held.deadline))
                else:
                    claimed.append(self._hold(queue, index, held.task, worker, held.deliveries + 1, lease))
        return claimed, dead

    async def heartbeat(self, worker: str, tokens: Sequence[str], lease: float) -> list[str]:
        lost = []
        for token in tokens:
            partition, held = self._find(token)
            if held is None or held.worker != worker:
                lost.append(token)
            else:
                held.deadline = partition.workers[worker] = _now_ms() + round(lease * 1000)
        return lost

    async def release(self, done: Sequence[str], back: Sequence[str]) -> int:
        released = 0
        for token in (*done, *back):
            partition, held = self._find(token)
            if held is None:
                continue
            del partition.held[token]
            released += 1
            if token in back:
                partition.waiting.append(_Waiting(held.task, held.deliveries - 1, _now_ms()))
            else:
                partition.known.discard(held.task.id)
        await self._ring()
        return released

    async def stats(self, queues: Sequence[str]) -> list[QueueStats]:
        return [
            QueueStats(
                queue=queue,
                partition=index,
                waiting=len(partition.waiting),
                leased=len(partition.held),
                dead=len(partition.dead),
                oldest_ms=max((_now_ms() - item.since for item in partition.waiting), default=0),
                workers=sum(until >= _now_ms() for until in partition.workers.values()),
            )
            for queue, index, partition in self._of(queues)
        ]

    async def names(self) -> list[str]:
        return sorted({queue for queue, _ in self._partitions})

    async def open_of(self, workspace_id: str, queues: Sequence[str]) -> dict[str, Open]:
        found: dict[str, Open] = {}
        for queue, _, partition in self._of(queues):
            waiting = [item for item in partition.waiting if item.task.workspace_id == workspace_id]
            tasks = len(waiting) + sum(held.task.workspace_id == workspace_id for held in partition.held.values())
            if tasks:
                was = found.get(queue, Open(0))
                oldest = max((_now_ms() - item.since for item in waiting), default=0)
                found[queue] = Open(was.tasks + tasks, max(was.oldest_ms, oldest))
        return found

    async def crowding(self, queue: str, bound: int) -> frozenset[str]:
        crowd: set[str] = set()
        for _, _, partition in self._of([queue]):
            tasks = [item.task for item in partition.waiting] + [held.task for held in partition.held.values()]
            of = Counter(task.workspace_id for task in tasks)
            crowd |= {name for name, count in of.items() if len(tasks) > bound and count > bound / len(of)}
        return frozenset(crowd)

    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]:
        letters = [letter for _, _, partition in self._of([queue]) for letter in partition.dead]
        return sorted(letters, key=lambda letter: letter.at, reverse=True)[:limit]

    async def letters(self, workspace_id: str, limit: int, before: str = "") -> list[DeadLetter]:
        found = [letter for letter in self._graves(workspace_id) if not before or letter.id < before]
        return sorted(found, key=lambda letter: letter.id, reverse=True)[:limit]

    async def find_letters(self, workspace_id: str, ids: Sequence[str]) -> list[DeadLetter]:
        return [letter for letter in self._graves(workspace_id) if letter.id in ids]

    async def drop_letters(self, workspace_id: str, ids: Sequence[str], execution_id: str = "") -> int:
        mine = self._graves(workspace_id)
        return self._drop([letter for letter in mine if letter.id in ids or letter.task.execution_id == execution_id])

    async def purge_letters(self, workspace_id: str) -> int:
        return self._drop(self._graves(workspace_id))

    async def settings(self, queue: str) -> QueueSettings:
        return QueueSettings(queue, self._count, rules=tuple(self._rules.get(queue, {}).values()))

    async def configure(self, queue: str, partitions: int, rules: Sequence[QueueRule]) -> QueueSettings:
        """Kept and told, and that is all: weights, rates and other partitions are for the real one's tests."""
        kept = self._rules.setdefault(queue, {})
        for rule in rules:
            kept.pop((rule.workspace_id, rule.fairness), None)
            if (rule.weight, rule.rate) != (1.0, 0.0):
                kept[rule.workspace_id, rule.fairness] = rule
        return await self.settings(queue)

    def _graves(self, workspace_id: str) -> list[DeadLetter]:
        letters = [letter for partition in self._partitions.values() for letter in partition.dead]
        return [letter for letter in letters if letter.task.workspace_id == workspace_id]

    def _drop(self, letters: Sequence[DeadLetter]) -> int:
        for partition in self._partitions.values():
            partition.dead = [letter for letter in partition.dead if letter not in letters]
        return len(letters)

    def _take(self, queues: Sequence[str], worker: str, limit: int, lease: float, wait: float) -> list[Lease]:
        leases: list[Lease] = []
        for queue, index, partition in self._of(queues):
            partition.workers[worker] = _now_ms() + round((lease + wait) * 1000)
            while len(leases) < limit and (item := partition.next()):
                leases.append(self._hold(queue, index, item.task, worker, item.delivered + 1, lease))
        return leases

    def _hold(self, queue: str, index: int, task: Task, worker: str, deliveries: int, lease: float) -> Lease:
        self._serial += 1
        token = f"{index}|{queue}|{self._serial}"
        held = _Held(task, worker, deliveries, _now_ms() + round(lease * 1000))
        self._at(queue, index).held[token] = held
        return Lease(token, task, deliveries, held.deadline)

    def _find(self, token: str) -> tuple[_Partition, _Held | None]:
        for partition in self._partitions.values():
            if token in partition.held:
                return partition, partition.held[token]
        return _Partition(), None

    def _at(self, queue: str, index: int) -> _Partition:
        return self._partitions.setdefault((queue, index), _Partition())

    def _of(self, queues: Sequence[str]) -> list[tuple[str, int, _Partition]]:
        return [(queue, index, self._at(queue, index)) for queue in queues for index in range(self._count)]

    async def _ring(self) -> None:
        async with self._added:
            self._added.notify_all()


def _line(task: Task) -> tuple[str, ...]:
    return (task.workspace_id, str(_rank(task)), task.fairness)


def _rank(task: Task) -> int:
    return 0 if task.priority > 0 else 1 if task.priority == 0 else 2


class MemoryLimiter:
    """`ports.RateLimiter` in one process."""

    def __init__(self) -> None:
        self._arrival: dict[str, float] = {}

    async def take(self, key: str, per_second: float, burst: int, cost: int = 1) -> float:
        if per_second <= 0 or not 0 < cost <= burst:
            raise ValueError("A rate limit needs per_second > 0 and 0 < cost <= burst.")
        return (await self.spend(key, per_second, burst, cost))[0]

    async def spend(self, key: str, per_second: float, burst: int, cost: int = 1) -> tuple[float, int]:
        now = time.monotonic()
        before = max(self._arrival.get(key, now), now)
        arrival = before + cost / per_second
        early = arrival - burst / per_second - now
        if early > 0:
            return early, int(burst - (before - now) * per_second + 1e-6)
        self._arrival[key] = arrival
        return 0.0, int(burst - (arrival - now) * per_second + 1e-6)


class MemoryDoorbell:
    """`ports.Doorbell` in one process. `deaf` loses every ring."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf
        self._listeners: dict[str, list[asyncio.Queue[bytes]]] = {}

    async def ring(self, topic: str, message: bytes) -> None:
        if not self.deaf:
            for queue in self._listeners.get(topic, ()):
                queue.put_nowait(message)

    def listen(self, topic: str) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._listeners.setdefault(topic, []).append(queue)

        async def messages() -> AsyncIterator[bytes]:
            while True:
                yield await queue.get()

        return messages()
