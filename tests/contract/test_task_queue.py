"""What every task queue does, and what the one on streams does besides."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
import pytest

from linkflow.contracts.history import Task
from linkflow.contracts.matching import QueueRule, QueueStats
from linkflow.domain.errors import Internal, Unavailable
from linkflow.domain.ids import uuid7
from linkflow.ports import TaskQueue
from linkflow.streams.connection import Clients, connect, reachable
from linkflow.streams.partition import parse
from linkflow.streams.queue import StreamQueue
from tests.contract.fakes import MemoryQueue

LEASE = 0.15
GONE = LEASE + 0.05
MAX_DELIVERIES = 3
Q = ["default"]


def task(number: int, **changes: object) -> Task:
    made = Task(uuid7(number, 0, number), "w", "wf", 1, "node", 1, state=msgspec.Raw(b'{"n":%d}' % number))
    return msgspec.structs.replace(made, **changes)


@pytest.fixture
async def clients(redis_url: str) -> AsyncIterator[Clients]:
    found = connect(redis_url)
    yield found
    await found.close()


@pytest.fixture
async def streams(clients: Clients) -> AsyncIterator[StreamQueue]:
    queue = StreamQueue(clients, partitions=2, max_deliveries=MAX_DELIVERIES)
    yield queue
    await queue.close()


@pytest.fixture
async def cluster(cluster_url: str) -> AsyncIterator[StreamQueue]:
    clients = connect(cluster_url)
    await clients.node.execute_command("FLUSHALL")
    queue = StreamQueue(clients, partitions=2, max_deliveries=MAX_DELIVERIES)
    yield queue
    await queue.close()
    await clients.close()


@pytest.fixture(params=["streams", "cluster", "memory"])
def queue(request: pytest.FixtureRequest) -> TaskQueue:
    if request.param == "memory":
        return MemoryQueue(partitions=2, max_deliveries=MAX_DELIVERIES)
    return request.getfixturevalue(request.param)


async def totals(queue: TaskQueue, *queues: str) -> QueueStats:
    rows = await queue.stats(queues or Q)
    assert len(rows) == 2 * len(queues or Q)
    return QueueStats(
        "sum",
        0,
        waiting=sum(row.waiting for row in rows),
        leased=sum(row.leased for row in rows),
        dead=sum(row.dead for row in rows),
        oldest_ms=max(row.oldest_ms for row in rows),
        workers=max(row.workers for row in rows),
    )


class TestAddAndClaim:
    async def test_a_task_arrives_as_it_was(self, queue: TaskQueue) -> None:
        sent = task(1, node_key='loop/3"|ü', priority=2)
        assert await queue.add([sent]) == 1
        [lease] = await queue.claim(Q, "w1", 10, 0, LEASE)
        assert lease.task == sent
        assert lease.deliveries == 1
        assert await queue.release([lease.token], []) == 1

    async def test_adding_twice_is_adding_once(self, queue: TaskQueue) -> None:
        assert await queue.add([task(1), task(1), task(2)]) == 2
        assert await queue.add([task(1)]) == 0
        leases = await queue.claim(Q, "w1", 10, 0, LEASE)
        assert len(leases) == 2
        assert await queue.add([task(1)]) == 0, "a leased task is known too"
        await queue.release([lease.token for lease in leases], [])
        assert await queue.add([task(1)]) == 1, "a finished one may come again"

    async def test_nothing_and_no_queue(self, queue: TaskQueue) -> None:
        assert await queue.add([]) == 0
        assert await queue.claim(Q, "w1", 10, 0, LEASE) == []
        assert await queue.claim([], "w1", 10, 0, LEASE) == []
        assert await queue.reclaim([], "w1", 10, LEASE) == ([], [])
        assert await queue.heartbeat("w1", [], LEASE) == []
        assert await queue.release([], []) == 0

    async def test_no_task_goes_to_two_workers(self, queue: TaskQueue) -> None:
        await queue.add([task(number) for number in range(200)])
        claims = [queue.claim(Q, f"w{number}", 30, 0, 5) for number in range(10)]
        got = [lease.task.id for leases in await asyncio.gather(*claims) for lease in leases]
        assert len(got) == len(set(got)) == 200

    async def test_limit_holds_over_partitions_and_queues(self, queue: TaskQueue) -> None:
        await queue.add([task(number, queue=name) for number in range(20) for name in ("default", "slow")])
        assert len(await queue.claim(["default", "slow"], "w1", 7, 0, LEASE)) == 7
        assert {lease.task.queue for lease in await queue.claim(["slow"], "w1", 50, 0, LEASE)} == {"slow"}

    async def test_higher_priority_goes_first(self, queue: TaskQueue) -> None:
        same = task(1).execution_id  # a cluster's claim goes from partition to partition
        await queue.add(
            [task(number, execution_id=same, attempt=number, priority=number % 3 - 1) for number in range(30)]
        )
        got = [(await queue.claim(Q, "w1", 1, 0, 5))[0].task.priority for _ in range(30)]
        assert got == [1] * 10 + [0] * 10 + [-1] * 10

    async def test_tasks_of_one_priority_go_in_their_order(self, queue: TaskQueue) -> None:
        same = task(1).execution_id  # one execution, one partition
        await queue.add([task(0, execution_id=same, node_key=f"n{number}") for number in range(10)])
        got = [lease.task.node_key for lease in await queue.claim(Q, "w1", 10, 0, LEASE)]
        assert got == [f"n{number}" for number in range(10)]

    async def test_odd_names_of_queues_and_workers(self, queue: TaskQueue) -> None:
        name, worker = "a|b/{c} d:é%", "host/1|{x} %41"
        await queue.add([task(1, queue=name)])
        [lease] = await queue.claim([name], worker, 10, 0, LEASE)
        assert await queue.heartbeat(worker, [lease.token], LEASE) == []
        assert await queue.release([lease.token], []) == 1


class TestWaiting:
    async def test_a_waiting_claim_is_woken(self, queue: TaskQueue) -> None:
        claim = asyncio.create_task(queue.claim(Q, "w1", 10, 10, LEASE))
        await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        await queue.add([task(1)])
        assert [lease.task.id for lease in await claim] == [task(1).id]
        assert asyncio.get_running_loop().time() - started < 0.5

    async def test_waiting_ends_in_time(self, queue: TaskQueue) -> None:
        started = asyncio.get_running_loop().time()
        assert await queue.claim(Q, "w1", 10, 0.2, LEASE) == []
        assert 0.15 < asyncio.get_running_loop().time() - started < 0.6

    async def test_every_waiting_worker_gets_its_share(self, queue: TaskQueue) -> None:
        claims = [asyncio.create_task(queue.claim(Q, f"w{number}", 5, 10, 5)) for number in range(6)]
        await asyncio.sleep(0.1)
        started = asyncio.get_running_loop().time()
        await queue.add([task(number) for number in range(30)])
        got = await asyncio.gather(*claims)
        assert [len(leases) for leases in got] == [5] * 6
        assert asyncio.get_running_loop().time() - started < 0.6, "woken one by the other, not by the slow recheck"

    async def test_one_of_several_queues_wakes(self, queue: TaskQueue) -> None:
        claim = asyncio.create_task(queue.claim(["default", "slow"], "w1", 10, 10, LEASE))
        await asyncio.sleep(0.05)
        await queue.add([task(1, queue="slow")])
        assert len(await asyncio.wait_for(claim, 0.5)) == 1

    async def test_cancelled_claims_lose_nothing(self, queue: TaskQueue) -> None:
        for number in range(60):
            claim = asyncio.create_task(queue.claim(Q, "w1", 10, 5, 60))
            await asyncio.sleep(0.0005 * (number % 7))
            add = asyncio.create_task(queue.add([task(number)]))
            await asyncio.sleep(0.0003 * (number % 11))
            claim.cancel()
            [result] = await asyncio.gather(claim, return_exceptions=True)
            await add
            if isinstance(result, list):
                await queue.release([], [lease.token for lease in result])
        leases: list[str] = []
        async with asyncio.timeout(2):  # far below the leases of 60 s
            while len(leases) < 60:
                leases += [lease.task.id for lease in await queue.claim(Q, "w2", 100, 0.1, 60)]
        assert len(set(leases)) == len(leases) == 60


class TestLeases:
    async def test_a_live_lease_is_not_taken(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        await queue.claim(Q, "w1", 10, 0, 5)
        assert await queue.reclaim(Q, "w2", 10, 5) == ([], [])

    async def test_an_expired_one_is_and_the_zombie_is_powerless(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        [first] = await queue.claim(Q, "zombie", 10, 0, LEASE)
        await asyncio.sleep(GONE)
        [[second], dead] = await queue.reclaim(Q, "w2", 10, 5)
        assert not dead
        assert second.task == first.task
        assert second.deliveries == 2
        assert second.token != first.token
        assert await queue.heartbeat("zombie", [first.token], 60) == [first.token]
        assert await queue.release([first.token], []) == 0
        assert await queue.release([], [first.token]) == 0
        assert await queue.heartbeat("w2", [second.token], 5) == []
        assert await queue.release([second.token], []) == 1
        assert (await totals(queue)).leased == 0

    async def test_a_worker_that_reclaims_its_own_task_holds_it_anew(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        [first] = await queue.claim(Q, "w1", 10, 0, LEASE)
        await asyncio.sleep(GONE)
        [[second], _] = await queue.reclaim(Q, "w1", 10, 5)
        assert await queue.release([first.token], []) == 0
        assert await queue.release([second.token], []) == 1

    async def test_heartbeats_keep_it(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        [lease] = await queue.claim(Q, "w1", 10, 0, LEASE)
        for _ in range(4):
            await asyncio.sleep(LEASE / 2)
            assert await queue.heartbeat("w1", [lease.token], LEASE) == []
            assert await queue.reclaim(Q, "w2", 10, 5) == ([], [])

    async def test_a_late_heartbeat_or_release_counts_while_nobody_took_over(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        [lease] = await queue.claim(Q, "w1", 10, 0, LEASE)
        await asyncio.sleep(GONE)
        assert await queue.heartbeat("w1", [lease.token], LEASE) == []
        assert await queue.reclaim(Q, "w2", 10, 5) == ([], [])
        await asyncio.sleep(GONE)
        assert await queue.release([lease.token], []) == 1
        assert await queue.reclaim(Q, "w2", 10, 5) == ([], [])

    async def test_another_workers_token_renews_nothing(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        [lease] = await queue.claim(Q, "w1", 10, 0, LEASE)
        assert await queue.heartbeat("w2", [lease.token], 60) == [lease.token]
        await asyncio.sleep(GONE)
        assert len((await queue.reclaim(Q, "w2", 10, 5))[0]) == 1

    async def test_two_reclaimers_never_get_the_same(self, queue: TaskQueue) -> None:
        await queue.add([task(number) for number in range(40)])
        await queue.claim(Q, "w1", 100, 0, LEASE)
        await asyncio.sleep(GONE)
        found = await asyncio.gather(*(queue.reclaim(Q, f"w{number}", 15, 5) for number in range(4)))
        got = [lease.task.id for claimed, _ in found for lease in claimed]
        assert len(got) == len(set(got)) == 40
        assert max(len(claimed) for claimed, _ in found) <= 15

    async def test_tokens_that_are_none(self, queue: TaskQueue) -> None:
        odd = ["", "x", "1|default", "9|default|a/b/c/d|id", "0|default|1/1-1/1/w|id", "x|y|z|0"]
        assert await queue.heartbeat("w", odd, 1) == odd
        assert await queue.release(odd, odd) == 0


class TestBack:
    async def test_a_task_given_back_waits_again_and_that_was_no_delivery(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        for _ in range(3 * MAX_DELIVERIES):
            [lease] = await queue.claim(Q, "w1", 10, 0, 5)
            assert lease.deliveries == 1
            assert await queue.release([], [lease.token]) == 1
            assert await queue.add([task(1)]) == 0, "still known"
        assert await queue.release([], [lease.token]) == 0

    async def test_what_failed_before_still_counts(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        await queue.claim(Q, "w1", 10, 0, LEASE)
        await asyncio.sleep(GONE)
        [[lease], _] = await queue.reclaim(Q, "w2", 10, 5)
        await queue.release([], [lease.token])
        [lease] = await queue.claim(Q, "w3", 10, 0, 5)
        assert lease.deliveries == 2

    async def test_it_wakes_a_waiting_worker(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        [lease] = await queue.claim(Q, "w1", 10, 0, 5)
        claim = asyncio.create_task(queue.claim(Q, "w2", 10, 10, 5))
        await asyncio.sleep(0.05)
        await queue.release([], [lease.token])
        assert len(await asyncio.wait_for(claim, 0.5)) == 1


class TestDeadLetters:
    async def kill(self, queue: TaskQueue, number: int, made: Task | None = None) -> None:
        made = made or task(number)
        queues = [made.queue]
        await queue.add([made])
        await queue.claim(queues, "w", 1, 0, 0.01)
        for _ in range(MAX_DELIVERIES - 1):
            await asyncio.sleep(0.02)
            assert len((await queue.reclaim(queues, "w", 1, 0.01))[0]) == 1
        await asyncio.sleep(0.02)

    async def bury(self, queue: TaskQueue, made: Task) -> None:
        await self.kill(queue, 0, made)
        assert len((await queue.reclaim([made.queue], "w", 1, 1))[1]) == 1

    async def test_a_task_dies_after_its_deliveries(self, queue: TaskQueue) -> None:
        await self.kill(queue, 1)
        claimed, [lease] = await queue.reclaim(Q, "w", 10, 1)
        assert claimed == []
        assert lease.task == task(1)
        assert lease.deliveries == MAX_DELIVERIES
        [letter] = await queue.dead_letters("default", 10)
        assert letter.task == task(1)
        assert letter.deliveries == MAX_DELIVERIES
        assert "3 times" in letter.reason
        assert letter.at > 1_700_000_000_000
        stats = await totals(queue)
        assert (stats.waiting, stats.leased, stats.dead) == (0, 0, 1)

    async def test_it_is_told_once_and_its_lease_is_gone(self, queue: TaskQueue) -> None:
        await self.kill(queue, 1)
        found = await asyncio.gather(*(queue.reclaim(Q, f"w{number}", 10, 1) for number in range(3)))
        [lease] = [lease for _, dead in found for lease in dead]
        assert await queue.release([lease.token], []) == 0
        assert await queue.heartbeat("w", [lease.token], 5) == [lease.token]
        assert await queue.add([task(1)]) == 1, "it may be offered again"

    async def test_newest_first_and_limited(self, queue: TaskQueue) -> None:
        for number in (1, 2, 3):
            await self.kill(queue, number)
            await queue.reclaim(Q, "w", 10, 1)
        got = [letter.task.id for letter in await queue.dead_letters("default", 2)]
        assert got == [task(3).id, task(2).id]
        assert await queue.dead_letters("other", 10) == []

    async def test_a_workspace_sees_its_own_of_all_queues_in_pages(self, queue: TaskQueue) -> None:
        for number, name in enumerate(("default", "slow", "default", "a b|c", "slow")):
            await self.bury(queue, task(number, queue=name))
        await self.bury(queue, task(9, workspace_id="other:1"))
        first = await queue.letters("w", 3)
        rest = await queue.letters("w", 3, first[-1].id)
        assert [letter.task.id for letter in first] == [task(number).id for number in (4, 3, 2)]
        assert first[1].task.queue == "a b|c"
        assert [letter.task.id for letter in rest] == [task(1).id, task(0).id]
        assert [letter.task.id for letter in await queue.letters("other:1", 10)] == [task(9).id]
        assert await queue.letters("nobody", 10) == []
        assert await queue.find_letters("w", [first[1].id, "nonsense", "", "é"]) == [first[1]]
        assert await queue.find_letters("other:1", [first[1].id]) == []

    async def test_dropping_reaches_nobody_elses(self, queue: TaskQueue) -> None:
        run = task(1).execution_id
        for number in range(3):
            await self.bury(queue, task(number, execution_id=run, node_key=f"n/{number}"))
        await self.bury(queue, task(7))
        await self.bury(queue, task(8))
        await self.bury(queue, task(9, workspace_id="other"))
        [theirs] = await queue.letters("other", 10)
        newest, *_ = await queue.letters("w", 10)
        assert await queue.drop_letters("w", [theirs.id, "nonsense"]) == 0
        assert await queue.drop_letters("w", [newest.id]) == 1
        assert await queue.drop_letters("w", [newest.id]) == 0
        assert await queue.drop_letters("other", [], run) == 0
        assert await queue.drop_letters("w", [], run) == 3
        assert [letter.task for letter in await queue.letters("w", 10)] == [task(7)]
        assert await queue.purge_letters("w") == 1
        assert await queue.letters("w", 10) == []
        assert await queue.letters("other", 10) == [theirs]
        assert (await totals(queue)).dead == 1


class TestStats:
    async def test_counts(self, queue: TaskQueue) -> None:
        assert (await totals(queue)).workers == 0
        for worker in ("w1", "w2", "w2"):
            await queue.claim(Q, worker, 3, 0, 5)
        await queue.add([task(number) for number in range(10)])
        await queue.claim(Q, "w1", 3, 0, 5)
        await queue.claim(Q, "w2", 1, 0, 5)
        await asyncio.sleep(0.05)
        stats = await totals(queue)
        assert (stats.waiting, stats.leased, stats.dead, stats.workers) == (6, 4, 0, 2)
        assert 40 <= stats.oldest_ms < 5000

    async def test_nothing_waits_nothing_is_old(self, queue: TaskQueue) -> None:
        await queue.add([task(1)])
        await queue.claim(Q, "w1", 3, 0, 5)
        await asyncio.sleep(0.02)
        stats = await totals(queue)
        assert (stats.waiting, stats.leased, stats.oldest_ms) == (0, 1, 0)

    async def test_workers_leave(self, queue: TaskQueue) -> None:
        await queue.claim(Q, "w1", 3, 0, 0.05)
        assert (await totals(queue)).workers == 1
        await asyncio.sleep(0.1)
        assert (await totals(queue)).workers == 0


class TestStore:
    """The queue on streams and what may happen to its store."""

    async def test_a_flush_in_the_middle(self, streams: StreamQueue, clients: Clients) -> None:
        await streams.add([task(1)])
        [lease] = await streams.claim(Q, "w1", 10, 0, 5)
        waiting = asyncio.create_task(streams.claim(Q, "w2", 10, 5, 5))
        await asyncio.sleep(0.05)
        await clients.commands.execute_command("FLUSHDB")
        await clients.commands.execute_command("SCRIPT", "FLUSH")
        assert await streams.heartbeat("w1", [lease.token], 5) == [lease.token]
        assert await streams.release([lease.token], []) == 0
        assert await streams.add([task(1), task(2)]) == 2
        assert len(await asyncio.wait_for(waiting, 2)) == 2

    async def test_nothing_is_left_behind(self, streams: StreamQueue, clients: Clients) -> None:
        await streams.add([task(number) for number in range(100)])
        leases = await streams.claim(Q, "w1", 100, 0, 5)
        await streams.release([lease.token for lease in leases], [])
        for key in await clients.commands.execute_command("KEYS", "lf:{q:default:*"):
            kind = await clients.commands.execute_command("TYPE", key)
            if kind == b"stream":
                assert await clients.commands.execute_command("XLEN", key) == 0
            else:
                assert key.endswith(b":workers"), key

    async def test_a_task_that_cannot_be_read_harms_nobody_else(self, streams: StreamQueue, clients: Clients) -> None:
        await streams.add([task(1)])
        for partition in (0, 1):
            tag = f"lf:{{q:default:{partition}}}"
            await clients.commands.execute_command("XADD", f"{tag}:s:1:w:", "*", "i", "odd", "t", "{", "n", 0)
            await clients.commands.execute_command("ZADD", f"{tag}:turns:w", "NX", 1e12, "1:")
            await clients.commands.execute_command("ZADD", f"{tag}:turns", "NX", 0, "w")
        assert [lease.task.id for lease in await streams.claim(Q, "w1", 10, 0, 0.01)] == [task(1).id]
        for _ in range(MAX_DELIVERIES):
            await asyncio.sleep(0.02)
            await streams.reclaim(Q, "w1", 10, 0.01)
        assert (await totals(streams)).dead == 3
        assert [letter.task.id for letter in await streams.dead_letters("default", 10)] == [task(1).id]

    async def test_many_waiting_claims_starve_no_call(self, redis_url: str) -> None:
        clients = connect(redis_url)
        queue = StreamQueue(clients, partitions=2, max_deliveries=3)
        claims = [asyncio.create_task(queue.claim(Q, f"w{number}", 1, 5, 5)) for number in range(40)]
        await asyncio.sleep(0.2)
        async with asyncio.timeout(2):
            await queue.add([task(number) for number in range(40)])
            assert sorted(len(leases) for leases in await asyncio.gather(*claims)) == [1] * 40
        await clients.close()

    async def test_a_workspace_keeps_its_newest_letters(
        self, streams: StreamQueue, clients: Clients, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("linkflow.streams.queue.DEAD_KEPT", 2)
        for number in range(4):
            same = task(number, execution_id=task(0).execution_id, node_key=f"n{number}")
            await TestDeadLetters().bury(streams, same)
        assert [letter.task.node_key for letter in await streams.letters("w", 9)] == ["n3", "n2"]
        assert await streams.purge_letters("w") == 2
        left = await clients.commands.execute_command("KEYS", "lf:{q:*")
        assert {key.rsplit(b":", 1)[-1] for key in left} == {b"workers"}

    async def test_a_batch_larger_than_one_script(self, streams: StreamQueue) -> None:
        assert await streams.add([task(number) for number in range(2500)]) == 2500
        got = 0
        while leases := await streams.claim(Q, "w1", 2500, 0, 5):
            got += await streams.release([lease.token for lease in leases], [])
        assert got == 2500

    async def test_tokens_name_their_place(self, streams: StreamQueue) -> None:
        await streams.add([task(1, queue="a b")])
        [lease] = await streams.claim(["a b"], "w1", 1, 0, 5)
        held = parse(lease.token)
        assert held is not None
        assert held.place.queue == "a b"
        assert held.task_id == task(1).id

    @pytest.mark.parametrize(
        "call",
        [
            lambda queue: queue.add([task(1), task(2)]),
            lambda queue: queue.claim(Q, "w", 1, 1, 1),
            lambda queue: queue.reclaim(Q, "w", 1, 1),
            lambda queue: queue.heartbeat("w", ["0|default|1/1-1/1/w|id"], 1),
            lambda queue: queue.release(["0|default|1/1-1/1/w|id"], []),
            lambda queue: queue.stats(Q),
            lambda queue: queue.dead_letters("default", 1),
            lambda queue: queue.letters("w", 1),
            lambda queue: queue.purge_letters("w"),
        ],
    )
    async def test_no_store_is_unavailable(self, call: Callable[[TaskQueue], Awaitable[object]]) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            clients = connect(f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
            with pytest.raises(Unavailable, match="does not answer"):
                await call(StreamQueue(clients, partitions=2, max_deliveries=3))
            await clients.close()

    async def test_a_refused_command_is_our_fault(self, clients: Clients) -> None:
        with pytest.raises(Internal), reachable():
            await clients.commands.execute_command("NOSUCH")


class TestCluster:
    async def test_a_cluster_that_is_away_is_unavailable(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            clients = connect(f"redis://127.0.0.1:{unused.getsockname()[1]}?cluster=true")
            with pytest.raises(Unavailable, match="does not answer"):
                await StreamQueue(clients, partitions=2, max_deliveries=3).stats(Q)
            await clients.close()

    async def test_settings_hold_in_a_cluster(self, cluster: StreamQueue) -> None:
        rules = [QueueRule("w", rate=2.0, burst=4), QueueRule("b", weight=2.0)]
        settings = await cluster.configure("default", 4, rules)
        assert (settings.partitions, settings.draining) == (4, 2)
        assert settings.rules == tuple(sorted(rules, key=lambda rule: rule.workspace_id))
        await cluster.add([task(number) for number in range(100)])
        await cluster.add([task(number, node_key="n", workspace_id="b", sticky="w1") for number in range(100)])
        got: list[str] = []
        for _ in range(10):
            got += [lease.task.workspace_id for lease in await cluster.claim(Q, "w1", 50, 0, 5)]
        assert got.count("b") == 100
        assert got.count("w") == 4, "each partition's part of the burst is one"
        await cluster.configure("default", 2, [QueueRule("w")])
        assert len([lease for _ in range(10) for lease in await cluster.claim(Q, "w1", 50, 0, 5)]) == 96


class TestRestart:
    """The store goes away and comes back, behind a socket that is cut."""

    async def test_the_queue_goes_on(self, redis_url: str) -> None:
        parts = urlsplit(redis_url)
        writers: set[asyncio.StreamWriter] = set()

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            to, back = await asyncio.open_connection(parts.hostname, parts.port)
            writers.update((writer, back))
            await asyncio.gather(pump(reader, back), pump(to, writer), return_exceptions=True)

        async def serve(port: int = 0) -> asyncio.Server:
            return await asyncio.start_server(relay, "127.0.0.1", port)

        server = await serve()
        port = server.sockets[0].getsockname()[1]
        clients = connect(f"redis://127.0.0.1:{port}{parts.path}")
        queue = StreamQueue(clients, partitions=2, max_deliveries=3)
        await queue.add([task(1)])
        waiting = asyncio.create_task(queue.claim(["other"], "w", 1, 10, 5))
        await asyncio.sleep(0.1)
        server.close()
        for writer in writers:
            writer.transport.abort()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await queue.add([task(2)])
        server = await serve(port)
        assert await queue.add([task(1), task(2)]) == 1
        assert len(await queue.claim(Q, "w", 10, 1, 5)) == 2
        await clients.close()
        server.close()
