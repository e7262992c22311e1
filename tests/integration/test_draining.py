"""A worker that drains for a while, as on Lambda, and is cut short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from linkflow.clock import SystemClock
from linkflow.config import Config
from linkflow.contracts.base import acting_as
from linkflow.contracts.history import HistoryApi
from linkflow.contracts.matching import MatchingApi
from linkflow.contracts.worker import DrainRequest
from linkflow.services.worker import Worker
from tests.integration.test_history import SERVICE
from tests.integration.test_payloads_worker import Home, sets
from tests.integration.test_resting import Absent


@pytest.fixture
async def home(database_url: str, redis_url: str) -> AsyncIterator[Home]:
    config = Config(database_url=database_url, redis_url=redis_url, secret="s" * 32, head_start=False, lease=1.0)
    made = Home(config)
    yield made
    await made.system.close()


async def test_a_result_that_a_drain_could_not_record_is_let_go(home: Home) -> None:
    """Else the same environment, woken again, would keep the task's lease alive for ever, and nobody would run it."""
    history = Absent(home.system.client(HistoryApi))
    worker = Worker(
        history, home.system.client(MatchingApi), home.system.registry, None, SystemClock(), home.config, "one",
        home.blobs,
    )  # type: ignore[arg-type]  # fmt: skip
    id = (await home.go(await home.define(sets("n", a=1)), {})).execution_id
    with acting_as(SERVICE):
        history.away = {"complete"}
        await worker.drain(DrainRequest(seconds=1.5, idle=0.1))
        assert history.asked
        assert await home.status(id) == "running"
        history.away = set()
        async with asyncio.timeout(20):
            while await home.status(id) == "running":
                await worker.drain(DrainRequest(seconds=4.0, idle=1.5))
    assert await home.status(id) == "completed"
    assert await home.sound(id)
