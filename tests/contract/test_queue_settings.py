"""Partitions that grow and shrink under a backlog, weights, and rates, on a real Valkey."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import pytest

from linkflow.contracts.history import Task
from linkflow.contracts.matching import QueueRule
from linkflow.domain.ids import uuid7
from linkflow.streams import shapes
from linkflow.streams.connection import Clients, connect
from linkflow.streams.queue import StreamQueue

Q = ["default"]


def task(number: int, workspace: str = "w", **changes: object) -> Task:
    made = Task(uuid7(number, 0, number), workspace, "wf", 1, "node", 1)
    return msgspec.structs.replace(made, **changes)


def together(number: int, workspace: str, **changes: object) -> Task:
    """Tasks of one partition."""
    name = f"{workspace}-{changes.get('fairness', '')}-{number}"
    return task(1, workspace, node_key=name, **changes)


@pytest.fixture
async def clients(redis_url: str) -> AsyncIterator[Clients]:
    found = connect(redis_url)
    yield found
    await found.close()


@pytest.fixture
def queue(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> StreamQueue:
    monkeypatch.setattr(shapes, "BELIEVED_FOR", 0.02)
    monkeypatch.setattr(shapes, "SETTLED_AFTER", 0.05)
    return StreamQueue(clients, partitions=2, max_deliveries=2)


async def drain(queue: StreamQueue, limit: int = 50) -> list[str]:
    got: list[str] = []
    while leases := await queue.claim(Q, "w1", limit, 0, 30):
        got += [lease.task.id for lease in leases]
        await queue.release([lease.token for lease in leases], [])
    return got


class TestPartitions:
    @pytest.mark.parametrize(("before", "after"), [(2, 7), (7, 2), (3, 1), (1, 2)])
    async def test_it_changes_under_a_running_backlog(self, queue: StreamQueue, before: int, after: int) -> None:
        await queue.configure("default", before, ())
        other = StreamQueue(queue._clients, partitions=2, max_deliveries=2)  # a process that hears of it later
        total, got = 1200, Counter[str]()

        async def produce() -> None:
            for first in range(0, total, 20):
                await (queue, other)[first // 20 % 2].add([task(number) for number in range(first, first + 20)])
                await asyncio.sleep(0.001)

        async def consume(who: StreamQueue, name: str) -> None:
            while sum(got.values()) < total:
                leases = await who.claim(Q, name, 13, 0.1, 30)
                got.update(lease.task.id for lease in leases)
                await who.release([lease.token for lease in leases], [])

        work = [produce(), consume(queue, "w1"), consume(other, "w2")]
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            for part in work:
                group.create_task(part)
            await asyncio.sleep(0.02)
            assert (await queue.configure("default", after, ())).partitions == after
        assert set(got.values()) == {1}
        assert len(got) == total
        await asyncio.sleep(0.1)
        settings = await queue.settings("default")
        assert (settings.partitions, settings.draining) == (after, 0)
        assert len(await queue.stats(Q)) == after

    async def test_a_task_from_before_is_known_afterwards(self, queue: StreamQueue) -> None:
        await queue.add([task(number) for number in range(40)])
        held = await queue.claim(Q, "w1", 10, 0, 30)
        for count in (5, 1, 3):
            await queue.configure("default", count, ())
            assert await queue.add([task(number) for number in range(41)]) == (1 if count == 5 else 0)
        assert (await queue.settings("default")).draining > 0
        assert await queue.release([lease.token for lease in held], []) == 10
        assert sorted(await drain(queue)) == sorted({task(n).id for n in range(41)} - {x.task.id for x in held})

    async def test_leases_and_dead_letters_outlive_their_partitions(self, queue: StreamQueue) -> None:
        await queue.add([task(1), task(2)])
        await queue.claim(Q, "w1", 10, 0, 0.01)
        await queue.configure("default", 5, ())
        await asyncio.sleep(0.1)
        assert (await queue.settings("default")).draining == 2
        claimed, _ = await queue.reclaim(Q, "w2", 10, 0.01)
        assert len(claimed) == 2
        await asyncio.sleep(0.05)
        assert len((await queue.reclaim(Q, "w2", 10, 1))[1]) == 2
        await asyncio.sleep(0.05)
        assert (await queue.settings("default")).draining == 0
        letters = await queue.letters("w", 10)
        assert {letter.task.id for letter in letters} == {task(1).id, task(2).id}
        assert sum(row.dead for row in await queue.stats(Q)) == 2
        assert await queue.purge_letters("w") == 2
        await asyncio.sleep(0.05)
        assert len(await queue.stats(Q)) == 5

    async def test_two_who_change_it_at_once_agree(self, queue: StreamQueue) -> None:
        await asyncio.gather(*(queue.configure("default", count, ()) for count in (3, 4, 5, 3, 4)))
        await queue.add([task(number) for number in range(50)])
        assert len(await drain(queue)) == 50


class TestWeights:
    async def test_shares_of_workspaces_and_keys(self, queue: StreamQueue) -> None:
        rules = [QueueRule("a:1", weight=3), QueueRule("b", "gold", weight=4), QueueRule("c", weight=0.5)]
        settings = await queue.configure("default", 0, rules)
        assert settings.rules == tuple(rules)
        for workspace in ("a:1", "c"):
            await queue.add([together(number, workspace) for number in range(100)])
        for key in ("gold", "tin"):
            await queue.add([together(number, "b", fairness=key) for number in range(100)])
        got = [lease.task for lease in await queue.claim(Q, "w1", 90, 0, 30)]
        of = Counter(task.workspace_id for task in got)
        assert 57 <= of["a:1"] <= 63
        assert 8 <= of["c"] <= 12
        keys = Counter(task.fairness for task in got if task.workspace_id == "b")
        assert 14 <= keys["gold"] <= 18
        assert 2 <= keys["tin"] <= 6

    async def test_a_rule_goes_again(self, queue: StreamQueue, clients: Clients) -> None:
        await queue.configure("default", 0, [QueueRule("a", weight=3), QueueRule(rate=5)])
        settings = await queue.configure("default", 0, [QueueRule("a"), QueueRule()])
        assert settings.rules == ()
        assert await clients.commands.execute_command("KEYS", "*:rules") == []


def most(got: list[tuple[float, Task]], rate: float, burst: int) -> float:
    """How many a rate allows until the last of these came, on a machine that may be busy."""
    return burst + rate * max(at for at, _ in got) + 1


class TestRates:
    async def claimed(self, queue: StreamQueue, seconds: float, workers: int = 3) -> list[tuple[float, Task]]:
        started = time.monotonic()
        got: list[tuple[float, Task]] = []

        async def work(name: str) -> None:
            while (left := started + seconds - time.monotonic()) > 0:
                leases = await queue.claim(Q, name, 10, left, 30)
                got.extend((time.monotonic() - started, lease.task) for lease in leases)
                await queue.release([lease.token for lease in leases], [])

        await asyncio.gather(*(work(f"w{number}") for number in range(workers)))
        return got

    async def test_of_a_queue(self, queue: StreamQueue, clients: Clients) -> None:
        await queue.configure("default", 0, [QueueRule(rate=50, burst=5)])
        await queue.add([task(number) for number in range(200)])
        await clients.commands.execute_command("CONFIG", "RESETSTAT")
        got = await self.claimed(queue, 1.0)
        told = await clients.commands.execute_command("INFO", "commandstats")
        calls = int(told.partition(b"cmdstat_evalsha:calls=")[2].partition(b",")[0])
        assert 30 <= len(got) <= most(got, 50, 5)
        assert calls < 500, "they wait, and do not spin"
        await queue.configure("default", 0, [QueueRule()])
        assert len({item.id for _, item in got} | set(await drain(queue))) == 200, "nothing is lost"

    async def test_of_a_workspace_while_others_go_on(self, queue: StreamQueue) -> None:
        await queue.configure("default", 0, [QueueRule("slow", rate=20, burst=4)])
        await queue.add([task(number, "slow") for number in range(100)])
        await queue.add([task(number, "fast", node_key="n") for number in range(300)])
        got = await self.claimed(queue, 0.6)
        of = Counter(item.workspace_id for _, item in got)
        assert of["fast"] == 300
        assert 8 <= of["slow"] <= most(got, 20, 4)

    async def test_of_a_key_while_its_workspace_goes_on(self, queue: StreamQueue) -> None:
        await queue.configure("default", 0, [QueueRule("w", "api.example", rate=20, burst=2)])
        await queue.add([task(number, fairness="api.example") for number in range(50)])
        await queue.add([task(number, node_key="n") for number in range(50)])
        got = await self.claimed(queue, 0.5)
        of = Counter(item.fairness for _, item in got)
        assert of[""] == 50
        assert 6 <= of["api.example"] <= most(got, 20, 2)

    async def test_held_tasks_come_when_their_time_has(self, queue: StreamQueue) -> None:
        await queue.configure("default", 0, [QueueRule("w", rate=4, burst=1)])
        await queue.add([together(number, "w") for number in range(3)])
        got = await self.claimed(queue, 0.7)
        first, second, third = [at for at, _ in got]
        assert second - first > 0.2
        assert 0.45 < third - first < 0.69

    async def test_another_rate_holds_at_once(self, queue: StreamQueue) -> None:
        await queue.configure("default", 0, [QueueRule("w", rate=0.001), QueueRule(rate=0.01, burst=2)])
        await queue.add([together(number, "w") for number in range(50)])
        assert len(await queue.claim(Q, "w1", 50, 0, 30)) == 1
        await queue.configure("default", 0, [QueueRule("w", rate=1000), QueueRule()])
        assert len(await queue.claim(Q, "w1", 50, 0.5, 30)) == 49

    async def test_priorities_and_stats_of_held_tasks(self, queue: StreamQueue) -> None:
        await queue.configure("default", 0, [QueueRule("w", rate=1, burst=1)])
        await queue.add([together(number, "w", priority=number) for number in range(-1, 2)])
        assert [lease.task.priority for lease in await queue.claim(Q, "w1", 9, 0, 30)] == [1]
        await asyncio.sleep(0.05)
        rows = await queue.stats(Q)
        assert sum(row.waiting for row in rows) == 2
        assert max(row.oldest_ms for row in rows) >= 50
