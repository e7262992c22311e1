"""Who is there for tasks, and who is on the way: what workers say with their claims, and who is invited beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from linkflow.contracts.history import Task
from linkflow.contracts.matching import Lease, QueueRule
from linkflow.domain.ids import uuid7
from linkflow.ports import Invitations, Visit
from linkflow.streams.connection import Clients, connect
from linkflow.streams.partition import Place, tag
from linkflow.streams.queue import StreamQueue

Q = ["default"]
MINUTE = 60_000
SAME = uuid7(1, 0, 1)


def task(number: int, queue: str = "default") -> Task:
    return Task(uuid7(number, 0, number), "w", "wf", 1, "node", 1, queue=queue)


def tasks(count: int, start: int = 0) -> list[Task]:
    """Of all partitions."""
    return [task(number) for number in range(start, start + count)]


def near(count: int, start: int = 0) -> list[Task]:
    """Of one partition: in a cluster nobody sees two of them at once, and a worker counts in each."""
    return [Task(SAME, "w", "wf", 1, f"node-{number}", 1) for number in range(start, start + count)]


class Stand:
    """A queue with two partitions, in one server or a cluster, and workers with ten places each."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.queue = StreamQueue(clients, partitions=2, max_deliveries=3)
        self.invitations: Invitations = self.queue.invitations

    async def invite(self, *queues: str, most: int = 10, ms: int = MINUTE) -> list[str]:
        return await self.invitations.invite(queues or Q, 10, most, ms)

    async def claim(
        self, worker: str = "w1", limit: int = 10, queues: Sequence[str] = Q, **visit: object
    ) -> list[Lease]:
        return await self.queue.claim(queues, worker, limit, 0, 30, Visit(**visit))  # type: ignore[arg-type]

    async def done(self, leases: Sequence[Lease]) -> None:
        await self.queue.release([lease.token for lease in leases], [])

    async def forget(self, name: str, *queues: str) -> None:
        """What happens when nobody has heard of a worker, or of an invitation, for too long."""
        for queue in queues or Q:
            for partition in range(2):
                key = f"{tag('lf', Place(queue, partition))}:rooms"
                await self.clients.commands.execute_command("ZADD", key, "XX", 1, name)


@pytest.fixture(params=["server", "cluster"])
async def stand(request: pytest.FixtureRequest) -> AsyncIterator[Stand]:
    clients = connect(request.getfixturevalue("redis_url" if request.param == "server" else "cluster_url"))
    await clients.node.execute_command("FLUSHDB")
    made = Stand(clients)
    yield made
    await made.queue.close()
    await clients.close()


async def test_a_thousand_adds_at_once_invite_as_many_workers_as_they_fill(stand: Stand) -> None:
    connections = asyncio.Semaphore(50 if stand.clients.cluster else 1000)  # there each call has one of its own

    async def add(number: int) -> int:
        async with connections:
            await stand.queue.add([task(number)])
            return len(await stand.invitations.invite(Q, 100, 20, MINUTE))

    invited = sum(await asyncio.gather(*(add(number) for number in range(1000))))
    # In a cluster a worker counts in each partition, and calls others when it is full.
    assert 5 <= invited <= 10 if stand.clients.cluster else invited == 10
    assert await stand.invitations.invite(Q, 100, 20, MINUTE) == []


async def test_workers_with_very_many_places_are_counted_as_what_they_are_worth(stand: Stand) -> None:
    await stand.queue.add(near(1500))
    assert len(await stand.invitations.invite(Q, 5000, 10, MINUTE)) == 2
    assert await stand.invitations.invite(Q, 5000, 10, MINUTE) == []


async def test_no_more_than_the_bound_are_on_their_way(stand: Stand) -> None:
    await stand.queue.add(near(200))
    first = await stand.invite(most=3)
    assert len(first) == len(set(first)) == 3
    assert await stand.invite(most=3) == []
    assert len(await stand.claim(invitation=first[0])) == 10
    assert len(await stand.invite(most=3)) == 1, "one has arrived, so another may be under way"


async def test_a_trickle_into_a_live_worker_wakes_nobody(stand: Stand) -> None:
    assert await stand.claim() == []
    for number in range(30):
        await stand.queue.add([task(number)])
        assert await stand.invite() == []
        await stand.done(await stand.claim())


async def test_a_worker_that_waits_is_there_and_one_that_has_its_hands_full_is_not(stand: Stand) -> None:
    waiting = asyncio.create_task(stand.queue.claim(Q, "w1", 10, 20, 30, Visit()))
    for _ in range(500):
        if not await places_of(stand):
            await asyncio.sleep(0.01)
    await stand.queue.add(tasks(10))
    assert await stand.invite() == []
    async with asyncio.timeout(5):
        leases = await waiting
    while len(leases) < 10:
        leases += await stand.claim(limit=10 - len(leases))
    await stand.queue.add(tasks(1, 50))
    assert len(await stand.invite()) == 1


async def places_of(stand: Stand) -> list[bytes]:
    key = f"{tag('lf', Place('default', 0))}:rooms"
    found: list[bytes] = await stand.clients.commands.execute_command("ZRANGE", key, 0, -1)
    return found


async def test_places_are_counted_once_however_many_partitions_a_worker_serves(stand: Stand) -> None:
    await stand.claim()
    await stand.queue.add(tasks(25))
    # A server sees both partitions at once. In a cluster each is looked at by itself, and the worker calls when full.
    first = len(await stand.invite())
    await stand.claim()
    behind = stand.queue.left_behind()
    assert first + (len(await stand.invite()) if behind else 0) == 2


async def test_an_invitation_is_used_up_when_its_worker_comes(stand: Stand) -> None:
    await stand.queue.add(tasks(1))
    (invitation,) = await stand.invite()
    assert await stand.invite() == []
    await stand.done(await stand.claim(invitation=invitation))
    assert await places_of(stand) == [b"w1"]
    await stand.queue.add(near(11))
    assert len(await stand.invite()) == 1, "it has ten places, not twenty"


async def test_one_that_never_arrives_is_not_waited_for_longer(stand: Stand) -> None:
    await stand.queue.add(tasks(1))
    (invitation,) = await stand.invite()
    await stand.forget(f"+{invitation}")
    assert len(await stand.invite(ms=30)) == 1
    await asyncio.sleep(0.05)
    assert len(await stand.invite()) == 1


async def test_one_that_could_not_be_sent_is_withdrawn(stand: Stand) -> None:
    await stand.queue.add(near(15))
    one, other = await stand.invite()
    await stand.invitations.withdraw(Q, [one])
    assert len(await stand.invite()) == 1
    await stand.invitations.withdraw(Q, [other, "unknown"])
    assert len(await stand.invite()) == 1


async def test_a_killed_worker_is_counted_on_for_some_seconds_only(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkflow.streams.queue.BELIEVED", 0.03)
    await stand.claim("killed")
    await asyncio.sleep(0.05)
    await stand.queue.add(tasks(1))
    assert len(await stand.invite()) == 1


async def test_who_leaves_looks_once_more_in_the_same_step(stand: Stand) -> None:
    await stand.claim()
    await stand.queue.add(tasks(1))
    leases = await stand.claim(leaving=True)
    assert len(leases) == 1, "what came just before"
    await stand.done(leases)
    assert await stand.claim(leaving=True) == []
    assert await places_of(stand) == []
    assert [row.workers for row in await stand.queue.stats(Q)] == [0, 0]
    await stand.queue.add(tasks(1, 1))
    assert len(await stand.invite()) == 1, "what came just after"


async def test_a_race_of_adding_and_leaving_has_a_winner(stand: Stand) -> None:
    """Whatever the order: the worker has the task, or somebody is invited for it."""
    for number in range(60):
        await stand.claim()

        async def add(number: int = number) -> list[str]:
            await asyncio.sleep(0)
            await stand.queue.add([task(number)])
            return await stand.invite()

        leases, invited = await asyncio.gather(stand.claim(leaving=True), add())
        assert bool(leases) != bool(invited)
        await stand.invitations.withdraw(Q, invited)
        await stand.done(leases or await stand.claim())


async def test_who_leaves_tasks_behind_says_so(stand: Stand) -> None:
    await stand.queue.add(tasks(12))
    assert len(await stand.claim()) == 10
    assert stand.queue.left_behind() == {"default"}
    assert stand.queue.left_behind() == frozenset(), "told once"
    await stand.claim("w2", limit=0)
    assert stand.queue.left_behind() == {"default"}, "full without having got anything"
    await stand.claim("w3", limit=0, leaving=True)
    assert stand.queue.left_behind() == {"default"}, "out of time"
    assert len(await stand.invite()) == 1
    await stand.claim("w3", limit=0, leaving=True)
    assert stand.queue.left_behind() == frozenset(), "who is invited will take them"


async def test_who_has_places_left_leaves_nothing(stand: Stand) -> None:
    await stand.queue.add(tasks(12))
    assert len(await stand.claim(limit=5, places=10)) == 5
    assert stand.queue.left_behind() == frozenset()
    await stand.claim(limit=5, places=5)
    assert stand.queue.left_behind() == {"default"}


async def test_what_a_dead_worker_had_is_work_for_somebody(stand: Stand) -> None:
    await stand.queue.add(tasks(1))
    await stand.queue.claim(Q, "killed", 1, 0, 0.01, Visit())
    await asyncio.sleep(0.03)
    await stand.forget("killed")
    assert len(await stand.invite()) == 1


async def test_where_there_is_a_rate_one_worker_at_a_time_is_enough(stand: Stand) -> None:
    await stand.queue.configure("default", 0, [QueueRule(rate=0.001, burst=5)])
    await stand.queue.add(tasks(200))
    (invitation,) = await stand.invite()
    assert await stand.invite() == []
    assert 0 < len(await stand.claim(invitation=invitation)) <= 5
    assert await stand.claim(leaving=True) == []
    assert stand.queue.left_behind() == frozenset(), "it calls nobody for what may not go now"


async def test_the_last_worker_stays_for_what_may_go_in_a_moment(stand: Stand) -> None:
    await stand.queue.configure("default", 0, [QueueRule(rate=1, burst=1)])
    await stand.queue.add(near(3))
    assert len(await stand.claim("w1")) == 1
    assert await stand.claim("w2") == []
    first, last, late = (Visit(10, leaving=True) for _ in range(3))
    assert await stand.queue.claim(Q, "w2", 10, 0, 30, first) == []
    assert not first.stays, "another one is there"
    assert await stand.queue.claim(Q, "w1", 10, 0, 30, last) == []
    assert last.stays
    assert await stand.invite() == []
    assert stand.queue.left_behind() == frozenset()
    await stand.queue.claim(Q, "w1", 0, 0, 30, late)
    assert not late.stays, "its time is up"
    assert stand.queue.left_behind() == {"default"}
    assert len(await stand.invite()) == 1


async def test_what_was_kept_for_a_worker_that_goes_is_anybodys(stand: Stand) -> None:
    await stand.claim("host")
    await stand.queue.add([Task(uuid7(1, 0, 1), "w", "wf", 1, "node", 1, sticky="host")])
    assert await stand.claim("other") == [], "for a moment it is the host's"
    await stand.claim("other", limit=0, leaving=True)
    await stand.claim("host", limit=0, leaving=True)
    assert stand.queue.left_behind() == {"default"}
    assert len(await stand.claim("other")) == 1


async def test_workers_of_several_queues_are_counted_for_each(stand: Stand) -> None:
    await stand.queue.add([task(number, "a") for number in range(15)] + [task(number, "b") for number in range(15)])
    invited = await stand.invite("a", "b")
    assert len(invited) == 3, "each serves both"
    assert len(await stand.claim("w1", queues=["a", "b"], invitation=invited[0])) == 10
    assert len(await stand.claim("w2", queues=["a", "b"], invitation=invited[1])) == 10
    assert len(await stand.claim("w3", queues=["a", "b"], invitation=invited[2])) == 10
    assert await stand.invite("a", "b") == []


async def test_after_a_flush_everybody_is_invited_anew(stand: Stand) -> None:
    await stand.claim()
    await stand.clients.node.execute_command("FLUSHDB")
    await stand.queue.add(tasks(1))
    assert len(await stand.invite()) == 1


async def test_the_numbers_say_who_is_there(stand: Stand) -> None:
    await stand.claim(places=10)
    await stand.queue.add(tasks(25))
    await stand.invite()
    rows = await stand.queue.stats(Q)
    assert {row.places for row in rows} == {10}
    assert max(row.invited for row in rows) >= 1
