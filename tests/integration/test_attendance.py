"""Workers that drain and workers that loop, as Matching knows of them: when they come, are full, and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest

from linkflow.bootstrap import System
from linkflow.clock import SystemClock
from linkflow.config import Config
from linkflow.contracts.base import acting_as
from linkflow.contracts.history import HistoryApi, Task
from linkflow.contracts.matching import (
    AddRequest,
    ClaimRequest,
    ConfigureRequest,
    QueueRule,
    QueuesRequest,
    QueueStats,
    StatsRequest,
)
from linkflow.contracts.worker import DrainReply, DrainRequest
from linkflow.domain.definition import Node
from linkflow.domain.ids import uuid7
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.registry import Registry
from linkflow.ports import Dispatcher, Invitations
from linkflow.services.worker import Worker
from tests.integration.test_history import SERVICE
from tests.integration.test_queues import House

CAPACITY = 2


class Lambda:
    """The far side of the Invoke API: what it was asked for. Nobody comes unless the test says so."""

    def __init__(self, invitations: Invitations) -> None:
        self._invitations = invitations
        self.asked: list[str] = []

    async def wake(self, queues: Collection[str]) -> None:
        self.asked += await self._invitations.invite(sorted(queues), CAPACITY, 10, 60_000)

    async def called(self) -> str:
        """The next invitation."""
        async with asyncio.timeout(10):
            while not self.asked:  # noqa: ASYNC110 - a run's tasks are queued after its start has returned
                await asyncio.sleep(0.01)
        return self.asked.pop(0)


class Gate(Base):
    """Runs until it is opened."""

    type = "gate"
    pure = False

    class params(Params):
        pass

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.entered = asyncio.Semaphore(0)

    async def run(self, params: object, context: Context) -> Outcome:
        self.entered.release()
        await self.open.wait()
        return Completed(1)


class Home(House):
    """An execution plane whose workers are Lambda's, with places for two tasks each."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.gate = Gate()
        self.system._parts["registry"] = Registry([*Registry.load().types(), self.gate])

    def worker(self, name: str) -> Worker:
        return Worker(
            self.system.client(HistoryApi), self.matching, self.system.registry, None, SystemClock(), self.config, name
        )

    async def gates(self, count: int) -> list[str]:
        """Runs that end when the gate is opened."""
        workflow = await self.workflow(Node("n", "gate"))
        return [(await self.run(workflow)).execution_id for _ in range(count)]

    async def entered(self, count: int) -> None:
        async with asyncio.timeout(10):
            for _ in range(count):
                await self.gate.entered.acquire()

    def draining(self, name: str, request: DrainRequest) -> asyncio.Task[DrainReply]:
        async def drain() -> DrainReply:
            with acting_as(SERVICE):
                return await self.worker(name).drain(request)

        return asyncio.create_task(drain())

    async def numbers(self) -> QueueStats:
        """Of all partitions."""
        rows = (await self.matching.stats(StatsRequest())).partitions
        waiting, leased = sum(row.waiting for row in rows), sum(row.leased for row in rows)
        places, invited = max(row.places for row in rows), max(row.invited for row in rows)
        return QueueStats("default", 0, waiting, leased, 0, 0, max(row.workers for row in rows), places, invited)

    async def becomes(self, places: int) -> None:  # type: ignore[override]
        async with asyncio.timeout(10):
            while (await self.numbers()).places != places:  # noqa: ASYNC110 - the store's own doing
                await asyncio.sleep(0.01)


@pytest.fixture
def lambdas(monkeypatch: pytest.MonkeyPatch) -> list[Lambda]:
    """What the processes of the test invoke: the house's comes first."""
    made: list[Lambda] = []

    def dispatcher(system: System, invitations: Invitations) -> Dispatcher:
        made.append(Lambda(invitations))
        return made[-1]

    monkeypatch.setattr(System, "_dispatcher", dispatcher)
    return made


@pytest.fixture
async def home(database_url: str, redis_url: str, lambdas: list[Lambda]) -> AsyncIterator[Home]:
    config = Config(
        database_url=database_url, redis_url=redis_url, secret="s" * 32, head_start=False, worker_capacity=CAPACITY,
        lease=2.0,
    )  # fmt: skip
    made = Home(config)
    yield made
    await made.system.close()


def task(number: int) -> Task:
    """Of no run: a worker takes it, and nobody wants a result."""
    return Task(uuid7(number, 0, number), "w", "wf", 1, "node", 1)


async def test_a_drain_uses_its_invitation_up_and_is_gone_when_it_returns(home: Home, lambdas: list[Lambda]) -> None:
    await home.gates(1)
    invitation = await lambdas[0].called()
    assert (await home.numbers()).invited == 1
    home.gate.open.set()
    reply = await home.draining("one", DrainRequest(seconds=10, idle=0.05, invitation=invitation))
    assert reply.tasks == 1
    numbers = await home.numbers()
    assert (numbers.workers, numbers.places, numbers.invited) == (0, 0, 0), "it may be frozen now"
    await home.gates(1)
    assert await lambdas[0].called(), "nobody counts on a worker that has returned"


async def test_a_worker_with_places_is_asked_and_a_full_one_is_not(home: Home, lambdas: list[Lambda]) -> None:
    await home.gates(1)
    drain = home.draining("one", DrainRequest(seconds=20, idle=0.05, invitation=await lambdas[0].called()))
    await home.entered(1)
    await home.becomes(1)
    await home.gates(1)
    await home.entered(1)
    assert lambdas[0].asked == [], "it had a place"
    await home.becomes(0)
    await home.gates(1)
    assert await lambdas[0].called(), "it has none left"
    home.gate.open.set()
    assert (await drain).tasks == 3, "it was there first"


async def test_what_a_drain_cannot_finish_is_somebody_elses_at_once(home: Home, lambdas: list[Lambda]) -> None:
    await home.gates(2)
    drain = home.draining("one", DrainRequest(seconds=1.3, idle=0.05, invitation=await lambdas[0].called()))
    await home.entered(2)
    await drain
    numbers = await home.numbers()
    assert (numbers.waiting, numbers.leased, numbers.places) == (2, 0, 0)
    assert await lambdas[0].called()
    assert (numbers.invited, lambdas[0].asked) == (1, [])


async def test_tasks_that_come_while_a_worker_leaves_are_never_left_alone(home: Home, lambdas: list[Lambda]) -> None:
    """It takes them along, or somebody is invited: whichever side of its last look they fall on."""
    worker = home.worker("one")
    for number in range(12):
        with acting_as(SERVICE):
            drain = asyncio.create_task(worker.drain(DrainRequest(seconds=5, idle=0.004)))
            await asyncio.sleep(0.0005 * (number))
            await home.matching.add(AddRequest((task(number),)))
            await drain
        numbers = await home.numbers()
        assert numbers.waiting == 0 or numbers.invited > 0, number
        with acting_as(SERVICE):
            await worker.drain(
                DrainRequest(seconds=5, idle=0, invitation=lambdas[0].asked.pop() if numbers.invited else "")
            )


async def test_a_worker_that_loops_leaves_when_it_is_stopped(home: Home, lambdas: list[Lambda]) -> None:
    stop = asyncio.Event()
    with acting_as(SERVICE):
        loop = asyncio.create_task(home.worker("container").run_forever(stop))
    await home.becomes(CAPACITY)
    await home.gates(1)
    await home.entered(1)
    assert lambdas[0].asked == [], "a container with room is as good as a worker of Lambda's"
    stop.set()
    await home.becomes(0)
    await home.gates(1)
    assert await lambdas[0].called()
    home.gate.open.set()
    await loop


async def test_a_worker_whose_claim_breaks_off_is_gone(home: Home, lambdas: list[Lambda]) -> None:
    """As when its process is killed and its connection ends: that is sooner than its word runs out."""
    claim = asyncio.create_task(home.matching.claim(ClaimRequest("one", limit=2, wait=20)))
    await home.becomes(2)
    claim.cancel()
    await asyncio.gather(claim, return_exceptions=True)
    await home.becomes(0)
    await home.gates(1)
    assert await lambdas[0].called()


async def test_a_worker_that_was_killed_is_replaced_by_the_next_look(
    home: Home, lambdas: list[Lambda], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkflow.streams.queue.BELIEVED", 0.05)
    await home.matching.claim(ClaimRequest("killed", limit=2))
    await home.matching.add(AddRequest((task(1),)))
    assert lambdas[0].asked == []
    await home.matching.claim(ClaimRequest("killed", limit=1, lease=0.05))
    await asyncio.sleep(0.1)
    await home.matching.add(AddRequest((task(1),)))  # the sweep offers it again, as nobody has finished it
    assert len(lambdas[0].asked) == 1


async def test_taking_over_what_another_lost_fills_a_worker_as_well(
    home: Home, lambdas: list[Lambda], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkflow.services.matching.RECLAIM_INTERVAL", 0.0)
    await home.matching.add(AddRequest((task(1), task(2))))
    await home.matching.claim(ClaimRequest("dead", limit=2, lease=0.01, invitation=await lambdas[0].called()))
    await asyncio.sleep(0.03)
    assert len((await home.matching.claim(ClaimRequest("one", limit=2, lease=5))).leases) == 2
    assert (await home.numbers()).places == 0


async def test_a_drain_stays_for_what_a_rate_holds_back(home: Home, lambdas: list[Lambda]) -> None:
    """It would be a minute until the clock looks again."""
    await home.matching.configure(ConfigureRequest(rules=(QueueRule(rate=5, burst=1),)))
    home.gate.open.set()
    await home.gates(3)
    request = DrainRequest(seconds=20, idle=0.02, invitation=await lambdas[0].called())
    assert (await home.draining("one", request)).tasks == 3
    assert lambdas[0].asked == []


async def test_operators_see_who_is_there_at_once(home: Home) -> None:
    await home.matching.claim(ClaimRequest("one", queues=("default", "gpu"), limit=2))
    await home.matching.claim(ClaimRequest("gone", limit=2, leaving=True))
    reply = await home.frontend.queues(QueuesRequest(names=("default",), with_workers=True))
    assert {one.name: (set(one.queues), one.places) for one in reply.workers} == {
        "one": ({"default", "gpu"}, 2), "gone": ({"default"}, 0)
    }  # fmt: skip
    (view,) = reply.queues
    assert (view.workers, view.places, view.invited) == (1, 2, 0)
    await home.matching.add(AddRequest(tuple(task(number) for number in range(5))))
    (view,) = (await home.frontend.queues(QueuesRequest(names=("default",)))).queues
    assert (view.waiting, view.places, view.invited) == (5, 2, 2)
    own = (await home.frontend.queues(QueuesRequest("w", ("default",)))).queues
    assert [(view.places, view.invited) for view in own] == [(0, 2)], "places are not a tenant's to know"
