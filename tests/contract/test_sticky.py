"""Tasks that are meant for a worker: it first, for a moment, then anyone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from linkflow.contracts.history import Task
from linkflow.contracts.matching import QueueRule
from linkflow.domain.ids import uuid7
from linkflow.streams.connection import Clients, connect
from linkflow.streams.queue import STICKY, StreamQueue

Q = ["default"]
HOST = "host:1/a@b"


def task(number: int, sticky: str = "", workspace: str = "w", fairness: str = "") -> Task:
    return Task(uuid7(1, 0, 1), workspace, "wf", 1, f"n{number}", 1, sticky=sticky, fairness=fairness)


@pytest.fixture
async def clients(redis_url: str) -> AsyncIterator[Clients]:
    found = connect(redis_url)
    yield found
    await found.close()


@pytest.fixture
async def queue(clients: Clients) -> StreamQueue:
    made = StreamQueue(clients, partitions=2, max_deliveries=3)
    for worker in (HOST, "other"):
        await made.claim(Q, worker, 1, 0, 30)
    return made


async def nodes(queue: StreamQueue, worker: str, limit: int = 10, wait: float = 0) -> list[str]:
    leases = await queue.claim(Q, worker, limit, wait, 30)
    await queue.release([lease.token for lease in leases], [])
    return [lease.task.node_key for lease in leases]


async def test_its_worker_gets_it_and_before_the_rest(queue: StreamQueue) -> None:
    await queue.add([task(number) for number in range(3)] + [task(3, HOST), task(4, HOST, fairness="k")])
    assert await nodes(queue, "other", 2) == ["n0", "n1"]
    assert sorted(await nodes(queue, HOST, 2)) == ["n3", "n4"]
    assert await nodes(queue, HOST) == ["n2"]


async def test_anyone_gets_it_after_a_moment(queue: StreamQueue) -> None:
    started = time.monotonic()
    waiting = asyncio.create_task(nodes(queue, "other", wait=5))
    await asyncio.sleep(0.02)
    await queue.add([task(1, HOST)])
    assert await waiting == ["n1"]
    assert STICKY <= time.monotonic() - started < STICKY + 0.4


async def test_its_worker_is_woken(queue: StreamQueue) -> None:
    others = [asyncio.create_task(nodes(queue, f"w{number}", wait=1)) for number in range(5)]
    mine = asyncio.create_task(nodes(queue, HOST, wait=1))
    await asyncio.sleep(0.05)
    started = time.monotonic()
    await queue.add([task(1, HOST)])
    assert await mine == ["n1"]
    assert time.monotonic() - started < STICKY - 0.05
    assert await asyncio.gather(*others) == [[]] * 5


async def test_a_worker_that_is_gone_is_not_waited_for(queue: StreamQueue) -> None:
    await queue.add([task(1, "gone"), task(2, HOST)])
    assert await nodes(queue, "other") == ["n1"]


async def test_rates_hold_for_them_too(queue: StreamQueue) -> None:
    await queue.configure("default", 0, [QueueRule("w", "k", rate=1, burst=2)])
    await queue.add([task(number, HOST, fairness="k") for number in range(5)])
    assert len(await nodes(queue, HOST)) == 2
    assert await nodes(queue, HOST) == []


async def test_nothing_is_left_behind(queue: StreamQueue, clients: Clients) -> None:
    await queue.add([task(number, (HOST, "gone", "other", "")[number % 4], f"w{number % 3}") for number in range(40)])
    await asyncio.sleep(STICKY)
    got = await nodes(queue, HOST, 15) + await nodes(queue, "other", 100) + await nodes(queue, HOST, 100)
    assert len(set(got)) == len(got) == 40
    left = await clients.commands.execute_command("KEYS", "lf:{*")
    assert {key.rsplit(b":", 1)[-1] for key in left} == {b"workers", b"rooms"}, left
