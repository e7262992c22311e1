"""Turns: between workspaces, between one workspace's fairness keys, and what is left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import pytest

from linkflow.contracts.history import Task
from linkflow.domain.ids import uuid7
from linkflow.ports import TaskQueue
from linkflow.streams.connection import Clients, connect
from linkflow.streams.queue import StreamQueue
from tests.contract.fakes import MemoryQueue

Q = ["default"]
SAME = uuid7(1, 0, 1)


def task(number: int, workspace: str = "w", **changes: object) -> Task:
    """All of one partition, so that the order is one."""
    made = Task(SAME, workspace, "wf", 1, f"{workspace}-{number}", 1)
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
async def clients(redis_url: str) -> AsyncIterator[Clients]:
    found = connect(redis_url)
    yield found
    await found.close()


@pytest.fixture
def streams(clients: Clients) -> StreamQueue:
    return StreamQueue(clients, partitions=2, max_deliveries=3)


@pytest.fixture(params=["streams", "memory"])
def queue(request: pytest.FixtureRequest) -> TaskQueue:
    return MemoryQueue() if request.param == "memory" else request.getfixturevalue("streams")


async def claimed(queue: TaskQueue, limit: int) -> list[Task]:
    return [lease.task for lease in await queue.claim(Q, "w1", limit, 0, 30)]


async def test_workspaces_take_turns_whatever_their_priorities(queue: TaskQueue) -> None:
    await queue.add([task(number, "big", priority=1) for number in range(50)])
    await queue.add([task(number, "small", priority=-1) for number in range(5)])
    got = await claimed(queue, 10)
    assert Counter(task.workspace_id for task in got) == {"big": 5, "small": 5}
    assert [task.node_key for task in got if task.workspace_id == "big"] == [f"big-{number}" for number in range(5)]


async def test_fairness_keys_share_their_workspaces_part(queue: TaskQueue) -> None:
    for key in range(30):
        await queue.add([task(number, "big", node_key=f"{key}/{number}", fairness=f"k:{key}") for number in range(3)])
    await queue.add([task(number, "small") for number in range(10)])
    got = await claimed(queue, 20)
    assert Counter(task.workspace_id for task in got) == {"big": 10, "small": 10}
    assert len({task.fairness for task in got if task.workspace_id == "big"}) == 10
    assert len(await claimed(queue, 200)) == 80


async def test_who_sends_one_task_at_a_time_displaces_nobody(streams: StreamQueue) -> None:
    await streams.add([task(number, "z-backlog") for number in range(100)])
    got: Counter[str] = Counter()
    for number in range(60):
        await streams.add([task(number, "a-drip")])
        got += Counter(task.workspace_id for task in await claimed(streams, 1))
    assert got == {"z-backlog": 30, "a-drip": 30}


async def test_a_hundred_thousand_tasks_delay_nobodys_first(streams: StreamQueue) -> None:
    for first in range(0, 100_000, 5000):
        await streams.add([task(number, "big") for number in range(first, first + 5000)])
    assert len(await claimed(streams, 100)) == 100
    await streams.add([task(0, "small")])
    assert "small" in {task.workspace_id for task in await claimed(streams, 2)}


async def test_a_thousand_workspaces_get_one_each_before_anybody_gets_two(streams: StreamQueue) -> None:
    await streams.add([task(number, f"w{number % 1000}") for number in range(3000)])
    got: Counter[str] = Counter()
    for _ in range(10):
        got += Counter(task.workspace_id for task in await claimed(streams, 100))
    assert len(got) == 1000
    assert set(got.values()) == {1}


async def test_idle_workspaces_leave_nothing_behind(streams: StreamQueue, clients: Clients) -> None:
    for round_ in range(3):
        tasks = [task(number, f"w{number}:%/|", fairness=f"k{number % 3}") for number in range(300)]
        await streams.add(tasks)
        got = 0
        while leases := await streams.claim(Q, "w1", 7 + round_, 0, 30):
            got += await streams.release([lease.token for lease in leases], [])
        assert got == 300
    left = await clients.commands.execute_command("KEYS", "lf:{*")
    assert {key.rsplit(b":", 1)[-1] for key in left} <= {b"workers", b"rooms"}, left


async def test_the_memory_of_turns_is_as_small_as_the_lead(streams: StreamQueue, clients: Clients) -> None:
    await streams.add([task(number, "backlog") for number in range(2000)])
    for number in range(500):
        await streams.add([task(0, f"w{number}")])
        leases = await streams.claim(Q, "w1", 2, 0, 30)
        await streams.release([lease.token for lease in leases], [])
    for key in await clients.commands.execute_command("KEYS", "lf:*:rests*"):
        assert await clients.commands.execute_command("ZCARD", key) < 10
