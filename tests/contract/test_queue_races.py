"""Many who add, claim, renew, give back, die, take over and resize at once, on a real Valkey, by a seed.

Whatever the order: a task is ended once, by whoever held its lease, or becomes one dead letter; and in the end nothing is
left behind in any key.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from linkflow.contracts.history import Task
from linkflow.contracts.matching import Lease, QueueRule
from linkflow.domain.ids import uuid7
from linkflow.streams import shapes
from linkflow.streams.connection import Clients, connect
from linkflow.streams.queue import StreamQueue

Q = ["default"]
TASKS = 400
LEASE = 0.06
SEEDS = [int(os.environ["LINKFLOW_RACE_SEED"])] if "LINKFLOW_RACE_SEED" in os.environ else range(6)


class Scene:
    """What everybody does, and what came of it."""

    def __init__(self, clients: Clients, seed: int) -> None:
        self.chance = random.Random(seed)
        # Two processes, each with its own idea of how many partitions there are.
        self.queues = [StreamQueue(clients, partitions=2, max_deliveries=4) for _ in range(2)]
        self.ended: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()
        self.added = 0

    @property
    def over(self) -> bool:
        return self.added == TASKS and len(self.ended) + len(self.dead) >= TASKS

    def queue(self) -> StreamQueue:
        return self.chance.choice(self.queues)

    async def produce(self) -> None:
        for first in range(0, TASKS, 20):
            tasks = [self.task(number) for number in range(first, first + 20)]
            added = await self.queue().add(tasks)
            self.added += added
            # Tasks that are still there are left alone. (One that has ended by now would be a new one.)
            assert added == 20
            await asyncio.sleep(self.chance.random() * 0.02)

    def task(self, number: int) -> Task:
        draw = random.Random(number)
        workspace, sticky = draw.choice("abc"), draw.choice(["", "", "w1", "gone"])
        made = Task(uuid7(number, 0, number), workspace, "wf", 1, "node", 1)
        more = {"fairness": draw.choice(["", "k"]), "priority": draw.choice([-1, 0, 1]), "sticky": sticky}
        return Task(*[more.get(name, getattr(made, name)) for name in Task.__struct_fields__])

    async def work(self, name: str) -> None:
        while not self.over:
            limit = self.chance.randint(1, 12)
            if self.chance.random() < 0.5:
                leases, dead = await self.queue().reclaim(Q, name, limit, LEASE)
                self.dead.update(letter.task.id for letter in dead)
            else:
                leases = await self.queue().claim(Q, name, limit, 0.02, LEASE)
            await asyncio.gather(*(self.handle(name, lease) for lease in leases))

    async def handle(self, name: str, lease: Lease) -> None:
        draw = self.chance.random()
        if draw < 0.15:
            return  # this one dies with it
        await asyncio.sleep(self.chance.random() * LEASE * 1.6)  # sometimes longer than the lease
        if draw < 0.4:
            await self.queue().heartbeat(name, [lease.token], LEASE)
            await asyncio.sleep(self.chance.random() * LEASE)
        if draw < 0.5:
            await self.queue().release([], [lease.token])
            return
        tries = 2 if draw > 0.9 else 1  # a reply that was lost
        released = await asyncio.gather(*(self.queue().release([lease.token], []) for _ in range(tries)))
        self.ended[lease.task.id] += sum(released)
        if not self.ended[lease.task.id]:
            del self.ended[lease.task.id]

    async def resize(self) -> None:
        while not self.over:
            await self.queue().configure("default", self.chance.randint(1, 6), [QueueRule("a", weight=2.0)])
            await asyncio.sleep(self.chance.random() * 0.3)


@pytest.fixture
async def clients(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Clients]:
    monkeypatch.setattr(shapes, "BELIEVED_FOR", 0.02)
    monkeypatch.setattr(shapes, "SETTLED_AFTER", 0.1)
    found = connect(redis_url)
    yield found
    await found.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_task_ends_once(clients: Clients, seed: int) -> None:
    scene = Scene(clients, seed)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(scene.produce())
        group.create_task(scene.resize())
        for number in range(6):
            group.create_task(scene.work(f"w{number}"))
    assert set(scene.ended.values()) <= {1}
    assert set(scene.dead.values()) <= {1}
    assert scene.ended.keys().isdisjoint(scene.dead)
    assert len(scene.ended) + len(scene.dead) == TASKS
    letters = [letter for workspace in "abc" for letter in await scene.queues[0].letters(workspace, 1000)]
    assert {letter.task.id for letter in letters} == set(scene.dead)
    for workspace in "abc":
        await scene.queues[0].purge_letters(workspace)
        assert await scene.queues[0].open_of(workspace, Q) == {}
    await asyncio.sleep(0.15)
    for queue in scene.queues:
        await queue.settings("default")
    rows = await scene.queues[0].stats(Q)
    assert [(row.waiting, row.leased, row.dead) for row in rows] == [(0, 0, 0)] * len(rows)
    left = [key.decode().rpartition("}:")[2] for key in await clients.commands.execute_command("KEYS", "lf:{q:*")]
    assert {name.partition(":")[0] for name in left} <= {"workers", "rooms", "bell"}, f"seed {seed}: {left}"
