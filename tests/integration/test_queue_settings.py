"""Queue settings: Postgres is the truth, Valkey has a copy that comes back by itself."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import Task
from linkflow.contracts.matching import (
    AddRequest,
    ClaimRequest,
    ConfigureRequest,
    MatchingApi,
    QueueRule,
    QueuesRequest,
    ReleaseRequest,
    SettingsRequest,
)
from linkflow.domain.errors import Forbidden, InvalidInput, LimitExceeded, NotFound, Unavailable
from linkflow.domain.ids import uuid7
from linkflow.postgres import queue_settings
from linkflow.services.queue_settings import effective
from linkflow.streams.copies import Copies
from linkflow.streams.partition import Place
from linkflow.streams.rules import Rules

A, B = str(uuid.uuid4()), str(uuid.uuid4())


def task(number: int, workspace: str = A, queue: str = "gpu") -> Task:
    return Task(uuid7(number, 0, number), workspace, "wf", 1, "node", 1, queue=queue)


@dataclass
class House:
    system: System

    def __post_init__(self) -> None:
        self.system.serve_all(("frontend", "history", "matching"))
        self.frontend = self.system.client(FrontendApi)
        self.matching = self.system.client(MatchingApi)

    async def flush(self) -> None:
        await self.system.valkey.commands.execute_command("FLUSHDB")

    async def keys(self, what: str) -> int:
        return len(await self.system.valkey.commands.execute_command("KEYS", what))

    async def in_valkey(self, queue: str = "gpu") -> tuple[int, list[QueueRule]]:
        """What a claim goes by."""
        from linkflow.streams.queue import StreamQueue

        found = await StreamQueue(self.system.valkey, partitions=2, max_deliveries=3).settings(queue)
        return found.partitions, list(found.rules)

    async def soon(self, partitions: int, rules: list[QueueRule], queue: str = "gpu") -> None:
        async with asyncio.timeout(10):
            while await self.in_valkey(queue) != (partitions, rules):
                await self.matching.claim(ClaimRequest("w", (queue,), 1))
                await asyncio.sleep(0.02)


@pytest.fixture
async def houses(database_url: str, redis_url: str) -> AsyncIterator[list[House]]:
    """Two processes of one deployment."""
    config = Config(database_url=database_url, redis_url=redis_url, secret="s" * 32)
    made = [House(System(config, f"house{number}")) for number in range(2)]
    yield made
    for house in made:
        await house.system.close()


@pytest.fixture
def house(houses: list[House]) -> House:
    return houses[0]


async def test_a_flush_loses_no_settings(houses: list[House]) -> None:
    one, other = houses
    rules = (QueueRule(A, weight=3.0), QueueRule(B, rate=5.0, burst=2))
    await one.frontend.configure(ConfigureRequest("gpu", 5, rules, 70, actor="operator:x"))
    wanted = sorted(rules, key=lambda rule: rule.workspace_id)
    assert await other.in_valkey() == (5, wanted)
    for house in (other, one):
        await house.flush()
        await house.soon(5, wanted)
    kept = await other.frontend.settings(SettingsRequest("gpu"))
    assert (kept.partitions, kept.max_backlog, kept.revision, kept.changed_by) == (5, 70, 1, "operator:x")


async def test_a_flush_with_a_backlog(house: House) -> None:
    await house.frontend.configure(ConfigureRequest("gpu", 3))
    tasks = tuple(task(number) for number in range(60))
    await house.matching.add(AddRequest(tasks))
    await house.flush()
    await house.soon(3, [])
    assert (await house.matching.add(AddRequest(tasks))).added == 60, "the sweep offers them again"
    got = (await house.matching.claim(ClaimRequest("w", ("gpu",), 100, 1.0))).leases
    assert len({lease.task.id for lease in got}) == 60


async def test_partitions_grow_and_shrink_with_a_backlog(houses: list[House]) -> None:
    one, other = houses
    got: list[str] = []

    async def take(house: House, limit: int) -> int:
        leases = (await house.matching.claim(ClaimRequest("w", ("gpu",), limit))).leases
        got.extend(lease.task.id for lease in leases)
        await house.matching.release(ReleaseRequest("w", tuple(lease.token for lease in leases)))
        return len(leases)

    for step, (count, house) in enumerate(((7, one), (1, other), (4, one))):
        first = tuple(task(number) for number in range(step * 100, step * 100 + 50))
        await one.matching.add(AddRequest(first))
        settings = await house.frontend.configure(ConfigureRequest("gpu", count))
        assert settings.partitions == count
        second = tuple(task(number) for number in range(step * 100 + 50, step * 100 + 100))
        assert (await other.matching.add(AddRequest(first + second))).added == 50
        await take(house, 60)
    while await take(one, 100):
        pass
    assert len(got) == len(set(got)) == 300


async def test_many_who_change_at_once_agree_with_the_book(houses: list[House]) -> None:
    async def change(number: int) -> None:
        house = houses[number % 2]
        rule = QueueRule(A, f"k{number % 5}", rate=float(number + 1))
        await house.frontend.configure(ConfigureRequest("gpu", number % 4 + 1, (rule,)))
        if number % 7 == 0:
            await house.flush()

    await asyncio.gather(*(change(number) for number in range(40)))
    kept = await houses[0].frontend.settings(SettingsRequest("gpu"))
    assert kept.revision == 40
    assert len(kept.rules) == 5
    await houses[1].soon(kept.partitions, list(kept.rules))


async def test_a_store_lost_while_its_copy_is_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the rules and the mark: a mark alone would hide that there are no rules."""
    write, rule, lost = Rules.set, QueueRule(A, rate=5.0), False

    async def interrupted(self: Rules, queue: str, rules: Sequence[QueueRule], places: Sequence[Place]) -> None:
        nonlocal lost
        await write(self, queue, rules, places)
        if not lost:
            lost = True
            await house.flush()

    monkeypatch.setattr(Rules, "set", interrupted)
    await house.frontend.configure(ConfigureRequest("gpu", 3, rules=(rule,)))
    assert lost
    assert await house.in_valkey() == (3, [rule])


async def test_a_change_whose_copy_was_lost_is_copied_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.frontend.configure(ConfigureRequest("gpu", 3))
    monkeypatch.setattr("linkflow.streams.copies.UNSETTLED_MS", 50)

    async def dies(*_: object) -> bool:
        raise Unavailable("here the process dies")

    with monkeypatch.context() as dead:
        dead.setattr(Copies, "put", dies)
        with pytest.raises(Unavailable):
            await house.frontend.configure(ConfigureRequest("gpu", 6))
    assert await house.in_valkey() == (3, [])
    await house.soon(6, [])


async def test_a_flushed_default_queue_asks_the_book_once(house: House) -> None:
    await house.matching.add(AddRequest((task(1, queue="plain"),)))
    assert await house.keys("*plain*:copy") == 1
    assert await house.keys("*plain*:rules") == 0


async def test_a_workspaces_limits_are_its_own(house: House) -> None:
    who = Caller(A, frozenset({"queue.limit", "execution.view"}), "user:a")
    await house.frontend.configure(ConfigureRequest("gpu", rules=(QueueRule(A, weight=2.0, rate=50.0),)))
    with acting_as(who):
        mine = (QueueRule(A, rate=80.0), QueueRule(A, "gold", weight=4.0, rate=9.0))
        await house.frontend.configure(ConfigureRequest("gpu", rules=mine, workspace_id=A))
        with pytest.raises(NotFound):
            await house.frontend.configure(ConfigureRequest("gpu", rules=(), workspace_id=B))
        with pytest.raises(InvalidInput, match="about itself"):
            await house.frontend.configure(ConfigureRequest("gpu", rules=(QueueRule(B, rate=1.0),), workspace_id=A))
        for request in (ConfigureRequest("gpu", 9), ConfigureRequest("gpu", rules=mine)):
            with pytest.raises(Forbidden):
                await house.frontend.configure(request)
        with pytest.raises(Forbidden):
            await house.frontend.queues(QueuesRequest())
        with pytest.raises(NotFound):
            await house.frontend.queues(QueuesRequest(B))
    _, rules = await house.in_valkey()
    assert rules == [QueueRule(A, weight=2.0, rate=50.0), QueueRule(A, "gold", weight=4.0, rate=9.0)]
    with acting_as(who):
        await house.frontend.configure(ConfigureRequest("gpu", rules=(QueueRule(A, rate=7.0),), workspace_id=A))
    assert (await house.in_valkey())[1] == [QueueRule(A, weight=2.0, rate=7.0)]
    with acting_as(who):
        await house.frontend.configure(ConfigureRequest("gpu", workspace_id=A))
    assert (await house.in_valkey())[1] == [QueueRule(A, weight=2.0, rate=50.0)], "the operator's stays"


async def test_what_a_workspace_sees(house: House) -> None:
    await house.frontend.configure(ConfigureRequest("gpu", 4, (QueueRule(B, rate=9.0), QueueRule(rate=100.0)), 10))
    await house.matching.add(AddRequest(tuple(task(number) for number in range(5))))
    await house.matching.add(AddRequest(tuple(task(number, B, "secret") for number in range(5))))
    await house.matching.claim(ClaimRequest("w1", ("gpu",), 2))
    await asyncio.sleep(0.02)
    with acting_as(Caller(A, frozenset({"execution.view"}))):
        views = {view.settings.queue: view for view in (await house.frontend.queues(QueuesRequest(A))).queues}
        unknown = (await house.frontend.queues(QueuesRequest(A, ("secret",)))).queues[0]
    assert set(views) == {"default", "gpu"}
    gpu = views["gpu"]
    assert (gpu.open, gpu.workers, gpu.settings.rules, gpu.settings.partitions) == (5, 1, (), 0)
    assert (gpu.waiting, gpu.leased, gpu.dead) == (0, 0, 0)
    assert gpu.oldest_ms >= 10
    assert (unknown.open, unknown.oldest_ms) == (0, 0)
    whole = {view.settings.queue: view for view in (await house.frontend.queues(QueuesRequest())).queues}
    assert set(whole) == {"default", "gpu", "secret"}
    assert (whole["gpu"].waiting, whole["gpu"].leased, whole["gpu"].settings.partitions) == (3, 2, 4)
    assert (whole["secret"].waiting, whole["secret"].workers) == (5, 0), "tasks that nobody serves are seen"


async def test_counts_follow_the_tasks(house: House) -> None:
    async def open_(workspace: str) -> int:
        view = (await house.frontend.queues(QueuesRequest(workspace, ("gpu",)))).queues[0]
        return view.open

    await house.matching.add(AddRequest(tuple(task(n) for n in range(6)) + tuple(task(n + 9, B) for n in range(3))))
    await house.matching.add(AddRequest(tuple(task(n) for n in range(6))))
    assert (await open_(A), await open_(B)) == (6, 3)
    leases = (await house.matching.claim(ClaimRequest("w", ("gpu",), 9))).leases
    tokens = tuple(lease.token for lease in leases)
    await house.matching.release(ReleaseRequest("w", back=tokens))
    assert (await open_(A), await open_(B)) == (6, 3)
    leases = (await house.matching.claim(ClaimRequest("w", ("gpu",), 9))).leases
    await house.matching.release(ReleaseRequest("w", tuple(x.token for x in leases if x.task.workspace_id == A)))
    assert (await open_(A), await open_(B)) == (0, 3)


async def test_a_workspace_has_so_many_limits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_settings, "MOST_OWN", 10)

    def rules(count: int) -> tuple[QueueRule, ...]:
        return tuple(QueueRule(A, f"k{number}", rate=1.0) for number in range(count))

    await house.frontend.configure(ConfigureRequest("one", rules=rules(6), workspace_id=A))
    with pytest.raises(LimitExceeded, match="10 limits"):
        await house.frontend.configure(ConfigureRequest("two", rules=rules(5), workspace_id=A))
    assert (await house.frontend.settings(SettingsRequest("two"))).revision == 0
    await house.frontend.configure(ConfigureRequest("one", rules=rules(5), workspace_id=A))
    await house.frontend.configure(ConfigureRequest("two", rules=rules(5), workspace_id=A))


def test_the_lower_rate_holds() -> None:
    both = [QueueRule(A, rate=5.0, burst=1, weight=2.0), QueueRule(A, rate=3.0, burst=9, own=True)]
    assert effective(both) == [QueueRule(A, weight=2.0, rate=3.0, burst=9)]
    assert effective(both[::-1]) == effective(both)
    only = [QueueRule(A, weight=2.0), QueueRule(A, rate=3.0, own=True)]
    assert effective(only) == [QueueRule(A, weight=2.0, rate=3.0)]
    keys = [QueueRule(A, "k", weight=2.0, rate=1.0), QueueRule(A, "k", weight=5.0, own=True)]
    assert effective(keys) == [QueueRule(A, "k", weight=5.0, rate=1.0)]
