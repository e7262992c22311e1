"""Whatever adders, workers, kills and lost invocations do, in whatever order: a task is with somebody who has said that
he will take it, or somebody is invited, or as many are invited as may be. Steps are drawn; time passes when they say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkflow.contracts.history import Task
from linkflow.contracts.matching import Lease
from linkflow.domain.ids import uuid7
from linkflow.ports import Visit
from linkflow.streams.connection import Clients, connect
from linkflow.streams.partition import Place, tag
from linkflow.streams.queue import StreamQueue

Q = ["default"]
CAPACITY, MOST = 3, 2
KEYS = [f"{tag('lf', Place('default', partition))}:rooms" for partition in range(2)]

STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "add and die"]), st.integers(1, 7)),
    st.tuples(st.sampled_from(["arrive", "lose", "refuse"]), st.integers(0, MOST)),
    st.tuples(st.sampled_from(["claim", "finish", "leave", "stop", "kill"]), st.integers(0, 5)),
    st.tuples(st.just("sweep"), st.just(0)),
)


@dataclass
class Worker:
    name: str
    held: list[Lease] = field(default_factory=list)

    @property
    def places(self) -> int:
        return CAPACITY - len(self.held)


class Scene:
    """What happened, as it is known from outside of the store."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.queue = StreamQueue(clients, partitions=2, max_deliveries=9)
        self.serial = 0
        self.workers: list[Worker] = []
        self.invited: list[str] = []
        self.orphans = 0
        """Tasks with workers that were killed: somebody has to take them over."""
        self.lapsed = False
        """Does the sweep have to look before anything can be expected?"""

    async def step(self, what: str, number: int) -> None:
        await getattr(self, f"_{what.replace(' ', '_')}")(number)

    async def wake(self) -> None:
        """What Matching does after an add, and where somebody leaves tasks behind."""
        before = await self.waiting() + self.orphans - await self.expected()
        found = await self.queue.invitations.invite(Q, CAPACITY, MOST, 60_000)
        assert len(found) <= max(0, -(-before // CAPACITY)), "nobody comes for nothing"
        self.invited += found
        self.lapsed = False

    async def waiting(self) -> int:
        return sum(row.waiting for row in await self.queue.stats(Q))

    async def expected(self) -> int:
        """Tasks that workers who live, and those invited, have places for."""
        return sum(worker.places for worker in self.workers) + CAPACITY * len(self.invited)

    async def _add(self, count: int) -> None:
        self.serial += count
        numbers = range(self.serial - count, self.serial)
        await self.queue.add([Task(uuid7(n, 0, n), "w", "wf", 1, "n", 1) for n in numbers])
        await self.wake()

    async def _add_and_die(self, count: int) -> None:
        """The process ends between the add and the wake."""
        self.serial += count
        numbers = range(self.serial - count, self.serial)
        await self.queue.add([Task(uuid7(n, 0, n), "w", "wf", 1, "n", 1) for n in numbers])
        self.lapsed = True

    async def _arrive(self, number: int) -> None:
        if self.invited:
            self.serial += 1
            worker = Worker(f"w{self.serial}")
            invitation = self.invited.pop(number % len(self.invited))
            self.workers.append(worker)
            await self._ask(worker, CAPACITY, invitation=invitation)

    async def _lose(self, number: int) -> None:
        """The invocation came to nothing: its time passes."""
        if self.invited:
            await self._forget(f"+{self.invited.pop(number % len(self.invited))}")

    async def _refuse(self, number: int) -> None:
        if self.invited:
            await self.queue.invitations.withdraw(Q, [self.invited.pop(number % len(self.invited))])
            self.lapsed = True

    async def _claim(self, number: int) -> None:
        if self.workers:
            worker = self.workers[number % len(self.workers)]
            await self._ask(worker, worker.places)

    async def _finish(self, number: int) -> None:
        """Some of what it has; then it says that it has places again."""
        if self.workers:
            worker = self.workers[number % len(self.workers)]
            count = 1 + number % CAPACITY
            await self.queue.release([lease.token for lease in worker.held[:count]], [])
            worker.held = worker.held[count:]
            await self._ask(worker, worker.places)

    async def _leave(self, number: int) -> None:
        """Nothing came for a while: a last look."""
        idle = [worker for worker in self.workers if not worker.held]
        if idle:
            worker = idle[number % len(idle)]
            await self._ask(worker, worker.places, leaving=True)
            if not worker.held:
                self.workers.remove(worker)
                assert worker.name not in await self.queue.places(Q)

    async def _stop(self, number: int) -> None:
        """Its time is up: it takes no more, and gives back what it has."""
        if self.workers:
            worker = self.workers.pop(number % len(self.workers))
            await self._ask(worker, 0, leaving=True)
            await self.queue.release([], [lease.token for lease in worker.held])
            await self.wake()

    async def _kill(self, number: int) -> None:
        """And so many seconds later nobody counts on it, and its leases have run out."""
        if self.workers:
            worker = self.workers.pop(number % len(self.workers))
            self.orphans += len(worker.held)
            await self.queue.heartbeat(worker.name, [lease.token for lease in worker.held], 0.0)
            await self._forget(worker.name)

    async def _sweep(self, number: int) -> None:
        await self.wake()

    async def _ask(self, worker: Worker, limit: int, **visit: Any) -> None:
        worker.held += await self.queue.claim(Q, worker.name, limit, 0, 60, Visit(limit, **visit))
        if self.queue.left_behind():
            await self.wake()

    async def _forget(self, name: str) -> None:
        for key in KEYS:
            await self.clients.commands.execute_command("ZADD", key, "XX", 1, name)
        self.lapsed = True

    async def check(self) -> None:
        there = await self.queue.places(Q)
        assert there == {worker.name: worker.places for worker in self.workers if worker.places}
        assert {row.invited for row in await self.queue.stats(Q)} <= {len(self.invited), 0}
        assert len(self.invited) <= MOST
        if not self.lapsed:
            assert await self.waiting() <= await self.expected() or len(self.invited) == MOST


async def play(url: str, steps: list[tuple[str, int]]) -> None:
    clients = connect(url)
    scene = Scene(clients)
    try:
        for what, number in steps:
            await scene.step(what, number)
            await scene.check()
        await scene.wake()
        await scene.check()
    finally:
        await scene.queue.close()
        await clients.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=5, max_size=40))
def test_no_task_is_left_with_nobody(redis_url: str, steps: list[tuple[str, int]]) -> None:
    with redis.Redis.from_url(redis_url) as store:
        store.flushdb()
    asyncio.run(play(redis_url, steps))
