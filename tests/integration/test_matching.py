"""Matching on a real Valkey, with a History that only listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from typing import Any

import msgspec
import pytest

from linkflow.clock import SystemClock
from linkflow.config import Config
from linkflow.contracts import base
from linkflow.contracts.base import Caller
from linkflow.contracts.history import CompleteBatch, CompleteReply, Recorded, Report, Task
from linkflow.contracts.matching import (
    AddRequest,
    ClaimRequest,
    ConfigureRequest,
    DeadReply,
    DeadRequest,
    DropRequest,
    HeartbeatRequest,
    LetterFilter,
    LettersRequest,
    QueueRule,
    QueuesRequest,
    ReleaseRequest,
    SettingsRequest,
    StatsRequest,
)
from linkflow.domain.errors import Forbidden, InvalidInput, QueueFull, Unauthenticated, Unavailable
from linkflow.domain.ids import uuid7
from linkflow.domain.outcomes import Failed
from linkflow.postgres.database import Database
from linkflow.postgres.queue_settings import PostgresQueueBook
from linkflow.services.matching import Matching
from linkflow.streams.connection import connect
from linkflow.streams.queue import StreamQueue

SERVICE = Caller("*", frozenset({"*"}))


class ListeningHistory:
    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.callers: list[Caller | None] = []
        self.down = False

    async def complete(self, request: CompleteBatch) -> CompleteReply:
        if self.down:
            raise Unavailable("History is away.")
        self.callers.append(base._caller.get())
        self.reports += request.reports
        return CompleteReply(tuple(Recorded() for _ in request.reports))


class CountingDispatcher:
    def __init__(self) -> None:
        self.woken: list[set[str]] = []
        self.down = False

    async def wake(self, queues: Collection[str]) -> None:
        self.woken.append(set(queues))
        if self.down:
            raise Unavailable("Lambda throttles.")


class Clock:
    """Monotonic seconds that the test may move on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


def task(number: int, queue: str = "default") -> Task:
    return Task(uuid7(number, 0, number), "w", "wf", 1, "node", 1, queue=queue)


class Stand:
    def __init__(self, queue: StreamQueue, database: Database, **settings: Any) -> None:
        self.queue = queue
        self.history = ListeningHistory()
        self.dispatcher = CountingDispatcher()
        self.clock = Clock()
        config = Config(lease=5.0, **settings)
        self.matching = Matching(
            queue,
            self.history,  # type: ignore[arg-type]
            self.dispatcher,
            config,
            SystemClock(),
            queue.copies,
            PostgresQueueBook(database),
            monotonic=self.clock,
        )

    async def add(self, *tasks: Task) -> int:
        return (await self.matching.add(AddRequest(tasks))).added

    async def claim(self, worker: str = "w1", **options: Any) -> list[Any]:
        return list((await self.matching.claim(ClaimRequest(worker, **options))).leases)


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[StreamQueue]:
    clients = connect(redis_url)
    made = StreamQueue(clients, partitions=2, max_deliveries=2)
    yield made
    await made.close()
    await clients.close()


@pytest.fixture
def called_by() -> Iterator[Any]:
    resets = []
    yield lambda who: resets.append(base._caller.set(who))
    base._caller.set(None)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url, size=2)
    yield made
    await made.close()


@pytest.fixture
def stand(queue: StreamQueue, database: Database, called_by: Any) -> Stand:
    called_by(SERVICE)
    return Stand(queue, database)


async def test_the_way_of_a_task(stand: Stand) -> None:
    assert await stand.add(task(1), task(2), task(3, "slow")) == 3
    leases = await stand.claim()
    assert sorted(lease.task.id for lease in leases) == [task(1).id, task(2).id]
    tokens = tuple(lease.token for lease in leases)
    assert (await stand.matching.heartbeat(HeartbeatRequest("w1", tokens))).lost == ()
    released = await stand.matching.release(ReleaseRequest("w1", done=tokens[:1], back=tokens[1:]))
    assert released.released == 2
    assert len(await stand.claim("w2")) == 1
    rows = (await stand.matching.stats(StatsRequest(("default", "slow")))).partitions
    assert sum(row.waiting for row in rows) == 1
    assert sum(row.leased for row in rows) == 1


async def test_the_default_lease_is_the_configured_one(stand: Stand, queue: StreamQueue) -> None:
    await stand.add(task(1))
    [lease] = await stand.claim()
    await asyncio.sleep(0.05)
    assert await queue.reclaim(["default"], "w2", 10, 1) == ([], [])
    await queue.release([], [lease.token])
    await stand.claim(lease=0.01)
    await asyncio.sleep(0.05)
    assert len((await queue.reclaim(["default"], "w2", 10, 1))[0]) == 1


async def test_workers_are_woken_for_what_was_added(stand: Stand) -> None:
    await stand.add(task(1), task(2), task(1, "slow"))
    assert stand.dispatcher.woken == [{"default", "slow"}]
    stand.dispatcher.down = True
    assert await stand.add(task(3)) == 1
    assert await stand.add(task(3)) == 0
    assert stand.dispatcher.woken[2] == {"default"}, "an earlier wake may have been lost"


async def test_lost_tasks_go_to_the_next_worker(stand: Stand) -> None:
    await stand.add(task(1))
    await stand.claim("dead", lease=0.05)
    waiting = asyncio.create_task(stand.claim("w2", wait=10))
    leases = await asyncio.wait_for(waiting, 2)
    assert [(lease.task.id, lease.deliveries) for lease in leases] == [(task(1).id, 2)]


async def test_expired_leases_are_looked_for_once_a_second(stand: Stand) -> None:
    await stand.add(task(1))
    await stand.claim("dead", lease=0.01)
    await asyncio.sleep(0.03)
    assert await stand.claim("w2") == []
    stand.clock.ahead += 1.0
    assert len(await stand.claim("w2")) == 1


async def test_a_waiting_claim_ends_in_time(stand: Stand) -> None:
    started = asyncio.get_running_loop().time()
    assert await stand.claim(wait=1.2) == []
    assert 1.1 < asyncio.get_running_loop().time() - started < 1.8


async def kill(stand: Stand, number: int) -> None:
    await stand.add(task(number))
    await stand.claim("dead", lease=0.01)
    await asyncio.sleep(0.03)
    stand.clock.ahead += 1.0
    assert len(await stand.claim("dead", lease=0.01)) == 1
    await asyncio.sleep(0.03)
    stand.clock.ahead += 1.0


async def test_a_dead_letter_fails_its_node(stand: Stand) -> None:
    await kill(stand, 1)
    assert await stand.claim("w2") == []
    [report] = stand.history.reports
    assert (report.execution_id, report.node_key, report.attempt) == (task(1).execution_id, "node", 1)
    assert isinstance(report.outcome, Failed)
    assert report.outcome.error.code == "task_dead_lettered"
    assert not report.outcome.error.retryable
    assert "2 times" in report.outcome.error.message
    assert stand.history.callers == [None], "as Matching itself, not as the worker that claimed"
    [letter] = (await stand.matching.dead(DeadRequest())).letters
    assert letter.task == task(1)


async def test_a_workspaces_dead_letters(stand: Stand) -> None:
    for number in (1, 2):
        await kill(stand, number)
        await stand.claim("w2")
    newest, oldest = (await stand.matching.letters(LettersRequest("w"))).letters
    assert [newest.task, oldest.task] == [task(2), task(1)]
    assert (await stand.matching.letters(LettersRequest("w", before=newest.id))).letters == (oldest,)
    assert (await stand.matching.letters(LettersRequest("w", ids=(oldest.id,)))).letters == (oldest,)
    assert (await stand.matching.letters(LettersRequest("other"))).letters == ()

    async def fitting(limit: int = 9, **match: Any) -> DeadReply:
        return await stand.matching.letters(LettersRequest("w", (), "", limit, LetterFilter(**match)))

    assert await fitting(queue="default") == DeadReply((newest, oldest))
    assert await fitting(limit=1, node="node") == DeadReply((newest,), newest.id)
    assert await fitting(execution_id=oldest.task.execution_id, text="DELIVERED") == DeadReply((oldest,))
    assert await fitting(after=newest.at + 1) == await fitting(queue="gpu") == DeadReply(())
    assert (await stand.matching.drop(DropRequest("other", all=True))).dropped == 0
    assert (await stand.matching.drop(DropRequest("w", ids=(oldest.id,)))).dropped == 1
    assert (await stand.matching.drop(DropRequest("w", execution_id=newest.task.execution_id))).dropped == 1
    assert (await stand.matching.letters(LettersRequest("w"))).letters == ()


async def test_history_away_hears_of_it_later_and_once(stand: Stand) -> None:
    await kill(stand, 1)
    stand.history.down = True
    assert await stand.claim("w2") == []
    stand.history.down = False
    assert stand.history.reports == []
    for _ in range(2):
        stand.clock.ahead += 1.0
        await stand.claim("w2")
    assert len(stand.history.reports) == 1


async def test_a_full_queue_refuses_clearly_and_others_go_on(
    queue: StreamQueue, database: Database, called_by: Any
) -> None:
    called_by(SERVICE)
    stand = Stand(queue, database, max_backlog=10)
    await stand.add(*(task(number) for number in range(40)))
    stand.clock.ahead += 1.0
    other = msgspec.structs.replace(task(102), workspace_id="modest")
    with pytest.raises(QueueFull, match="default is full: more than 10") as refused:
        await stand.add(task(100), task(101, "slow"), other)
    assert refused.value.details == {"queues": ["default"], "crowd": {"default": ["w"]}, "retry_after": 1.0}
    assert [lease.task.id for lease in await stand.claim(queues=("slow",))] == [task(101).id]
    assert stand.dispatcher.woken[-1] == {"slow", "default"}
    assert (await stand.matching.add(AddRequest((), ("default", "slow")))).full == {"default": ("w",)}
    leases = await stand.claim()
    assert len(leases) == 41, "what another workspace adds is not refused"
    await stand.matching.release(ReleaseRequest("w1", done=tuple(lease.token for lease in leases)))
    stand.clock.ahead += 1.0
    assert await stand.add(task(100)) == 1
    assert (await stand.matching.add(AddRequest((), ("default",)))).full == {}


async def test_a_queues_own_bound(stand: Stand) -> None:
    await stand.matching.configure(ConfigureRequest("gpu", 1, max_backlog=3))
    await stand.add(*(task(number, "gpu") for number in range(5)), *(task(number) for number in range(5)))
    stand.clock.ahead += 1.0
    with pytest.raises(QueueFull, match="gpu is full: more than 3"):
        await stand.add(task(10, "gpu"), task(10))
    await stand.matching.configure(ConfigureRequest("gpu", max_backlog=0))
    stand.clock.ahead += 1.0
    assert await stand.add(task(10, "gpu"), task(10)) == 1


async def test_settings(stand: Stand) -> None:
    rules = (QueueRule("w", weight=2.0), QueueRule("w", "key", rate=5.0, burst=9))
    changed = await stand.matching.configure(ConfigureRequest("gpu", 3, rules))
    assert changed == await stand.matching.settings(SettingsRequest("gpu"))
    assert changed.revision == 1
    assert (changed.partitions, changed.rules) == (3, rules)
    assert (await stand.matching.settings(SettingsRequest())).partitions == 2


@pytest.mark.parametrize(
    "request_",
    [
        ConfigureRequest(partitions=-1),
        ConfigureRequest(partitions=257),
        ConfigureRequest(rules=(QueueRule(fairness="key"),)),
        ConfigureRequest(rules=(QueueRule("w", weight=0.0),)),
        ConfigureRequest(rules=(QueueRule("w", weight=float("nan")),)),
        ConfigureRequest(rules=(QueueRule(rate=-1.0),)),
        ConfigureRequest(rules=(QueueRule(rate=float("inf")),)),
        ConfigureRequest(rules=(QueueRule(rate=1.0, burst=-1),)),
        ConfigureRequest(rules=(QueueRule("w"), QueueRule("w", rate=2.0))),
        ConfigureRequest(max_backlog=-2),
        ConfigureRequest(queue=""),
        ConfigureRequest(queue="two\nlines"),
        ConfigureRequest(queue="x" * 101),
        ConfigureRequest(workspace_id="w", partitions=3),
        ConfigureRequest(workspace_id="w", max_backlog=3),
        ConfigureRequest(workspace_id="w", rules=(QueueRule("other", rate=1.0),)),
        ConfigureRequest(workspace_id="w", rules=(QueueRule(rate=1.0),)),
        ConfigureRequest(workspace_id="w", rules=(QueueRule("w", weight=9.0),)),
    ],
)
async def test_settings_that_cannot_be(stand: Stand, request_: ConfigureRequest) -> None:
    with pytest.raises(InvalidInput) as refused:
        await stand.matching.configure(request_)
    assert len(refused.value.problems) == 1
    assert (await stand.matching.settings(SettingsRequest())).revision == 0


@pytest.mark.parametrize(
    ("permission", "method", "request_"),
    [
        ("matching.add", "add", AddRequest(())),
        ("matching.claim", "claim", ClaimRequest("w")),
        ("matching.claim", "heartbeat", HeartbeatRequest("w", ())),
        ("matching.claim", "release", ReleaseRequest("w")),
        ("matching.read", "stats", StatsRequest()),
        ("matching.read", "dead", DeadRequest()),
        ("matching.read", "letters", LettersRequest("w")),
        ("matching.drop", "drop", DropRequest("w", all=True)),
        ("matching.read", "settings", SettingsRequest()),
        ("matching.configure", "configure", ConfigureRequest()),
        ("matching.read", "queues", QueuesRequest()),
    ],
)
async def test_rights(stand: Stand, called_by: Any, permission: str, method: str, request_: Any) -> None:
    call = getattr(stand.matching, method)
    called_by(Caller("*", frozenset({permission})))
    await call(request_)
    called_by(Caller("*", frozenset({"workflow.execute"})))
    with pytest.raises(Forbidden, match=permission):
        await call(request_)
    called_by(None)
    with pytest.raises(Unauthenticated):
        await call(request_)


async def test_a_claim_that_waits_is_answered_when_the_process_is_about_to_end(stand: Stand) -> None:
    waiting = asyncio.create_task(stand.claim(wait=60.0))
    await asyncio.sleep(0)
    stand.matching.drain()
    assert await asyncio.wait_for(waiting, 10.0) == []
