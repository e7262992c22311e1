"""A worker whose History or blob store is away: it tries again with growing pauses, loses nothing and runs the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from linkflow.clock import SystemClock
from linkflow.config import Config
from linkflow.contracts.base import acting_as
from linkflow.contracts.history import HistoryApi
from linkflow.contracts.matching import LettersRequest, MatchingApi
from linkflow.domain import definition as d
from linkflow.domain.errors import Unavailable
from linkflow.services.worker import Worker
from linkflow.services.worker.resting import FIRST_REST, LONGEST_REST
from tests.integration.test_history import SERVICE
from tests.integration.test_payloads_worker import Home, sets
from tests.integration.test_queues import WORKSPACE

AWAY = Unavailable("It does not answer now.")


class Absent:
    """History, of which some methods can be away, and are counted."""

    def __init__(self, history: HistoryApi) -> None:
        self._history = history
        self.away: set[str] = set()
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._history, name)

        async def ask(request: Any) -> Any:
            if name in self.away:
                self.asked.append(name)
                raise AWAY
            return await method(request)

        return ask


class Pauses(SystemClock):
    """Pauses last until they are let go of; chance is at its highest."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._waiting: list[asyncio.Future[None]] = []

    def random(self) -> float:
        return 1.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        over = asyncio.get_running_loop().create_future()
        self._waiting.append(over)
        await over

    async def rested(self, count: int) -> None:
        """Until so many tasks rest."""
        async with asyncio.timeout(15):
            while len(self._waiting) < count:  # noqa: ASYNC110 - another part's doing
                await asyncio.sleep(0.01)

    def go_on(self) -> None:
        for over in self._waiting:
            if not over.done():
                over.set_result(None)
        self._waiting.clear()


class Rig(Home):
    """A home whose one worker has such a History and such a clock."""

    @asynccontextmanager
    async def one(self) -> AsyncIterator[tuple[Worker, Absent, Pauses]]:
        history, clock = Absent(self.system.client(HistoryApi)), Pauses()
        worker = Worker(
            history, self.system.client(MatchingApi), self.system.registry, None, clock, self.config, "one", self.blobs
        )  # type: ignore[arg-type]  # fmt: skip
        stop = asyncio.Event()
        with acting_as(SERVICE):
            loop = asyncio.create_task(worker.run_forever(stop))
        try:
            yield worker, history, clock
        finally:
            stop.set()
            await loop

    async def letters(self) -> int:
        return len((await self.frontend.letters(LettersRequest(WORKSPACE))).letters)


@pytest.fixture
async def rig(database_url: str, redis_url: str) -> AsyncIterator[Rig]:
    config = Config(
        database_url=database_url, redis_url=redis_url, secret="s" * 32, max_deliveries=2, head_start=False,
        worker_capacity=2,
    )  # fmt: skip
    made = Rig(config)
    yield made
    await made.system.close()


async def test_a_task_is_tried_again_with_growing_pauses_and_is_no_further_delivery(rig: Rig) -> None:
    workflow = await rig.define(sets("n", a=1))
    async with rig.one() as (_, history, clock):
        history.away = {"definition"}
        id = (await rig.go(workflow, {})).execution_id
        for tries in range(1, 10):
            await clock.rested(1)
            assert len(history.asked) == tries, "once a pause"
            if tries == 9:
                history.away = set()
            clock.go_on()
        await rig.becomes(id, "completed")
    assert clock.pauses == [min(LONGEST_REST, FIRST_REST * 2**n) for n in range(9)]
    assert await rig.letters() == 0
    assert await rig.sound(id)


async def test_tasks_that_rest_hold_up_no_others(rig: Rig) -> None:
    """The store is away for two large runs, which is all that this worker may run at once; small ones go on."""
    large = await rig.define(sets("n", size="{{ trigger.text.length }}"))
    small = await rig.define(sets("n", a="{{ trigger.a }}"))
    ids = [(await rig.go(large, {"n": n, "text": "x" * 100_000})).execution_id for n in range(2)]
    async with rig.one() as (_, _, clock):
        rig.blobs.error = AWAY
        await clock.rested(2)
        assert (await rig.go(small, {"a": 7}, wait=15)).result == {"a": 7}
        rig.blobs.error = None
        clock.go_on()
        for id in ids:
            await rig.becomes(id, "completed")
    assert await rig.letters() == 0


async def test_a_worker_holds_no_more_resting_tasks_than_it_may_run(rig: Rig) -> None:
    workflow = await rig.define(sets("n", a=1))
    ids = [(await rig.go(workflow, {})).execution_id for _ in range(12)]
    async with rig.one() as (_, history, clock):
        history.away = {"definition"}
        await clock.rested(4)
        await asyncio.sleep(0.2)
        assert len(history.asked) <= 4
        history.away = set()
        while clock.pauses and not all([await rig.status(id) == "completed" for id in ids]):
            clock.go_on()
            await asyncio.sleep(0.02)
    assert all([await rig.sound(id) for id in ids])


async def test_a_node_s_time_does_not_run_while_its_input_cannot_be_read(rig: Rig) -> None:
    node = d.Node("n", "transform", config={"keep": False, "fields": {"n": "{{ trigger.text.length }}"}},
                  timeout=d.Timeout(start_to_close=0.2))  # fmt: skip
    workflow = await rig.define(node)
    id = (await rig.go(workflow, {"text": "x" * 100_000})).execution_id
    async with rig.one() as (_, _, clock):
        rig.blobs.error = AWAY
        await clock.rested(1)
        await asyncio.sleep(0.3)
        rig.blobs.error = None
        clock.go_on()
        await rig.becomes(id, "completed")
    assert (await rig.completed(id))["n"].output == {"n": 100_000}


async def test_a_closing_worker_gives_back_what_rests(rig: Rig) -> None:
    workflow = await rig.define(sets("n", a=1))
    async with rig.one() as (_, history, clock):
        history.away = {"definition"}
        id = (await rig.go(workflow, {})).execution_id
        await clock.rested(1)
    async with rig.working():
        await rig.becomes(id, "completed")
    assert await rig.letters() == 0
