"""What every `ports.Idleness` does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis

from linkflow.ports import Idleness
from linkflow.streams.connection import connect
from linkflow.streams.idleness import StreamIdleness
from tests.timer_fakes import MemoryIdleness

BUSY_MS = 150
Make = Callable[..., Any]


@pytest.fixture
async def streams(redis_url: str) -> AsyncIterator[Make]:
    clients = connect(redis_url)
    yield lambda **how: StreamIdleness(clients, **how)
    await clients.close()


@pytest.fixture(params=["streams", "memory"])
def make(request: pytest.FixtureRequest) -> Make:
    if request.param == "streams":
        found: Make = request.getfixturevalue("streams")
        return found
    return lambda **how: MemoryIdleness(lambda: time.time_ns() // 1_000_000, **how)


@pytest.fixture
def idleness(make: Make) -> Idleness:
    made: Idleness = make(busy_ms=BUSY_MS, wary_ms=0)
    return made


async def test_nobody_rests_before_somebody_has_looked(idleness: Idleness) -> None:
    assert not await idleness.resting()


async def test_a_rest_lasts_as_long_as_it_was_taken_for(idleness: Idleness) -> None:
    assert await idleness.rest(150, await idleness.seen())
    assert await idleness.resting()
    await asyncio.sleep(0.2)
    assert not await idleness.resting()


async def test_whoever_works_ends_the_rest(idleness: Idleness) -> None:
    await idleness.rest(60_000, await idleness.seen())
    await idleness.busy()
    assert not await idleness.resting()


async def test_nobody_rests_while_somebody_works_and_soon_after(idleness: Idleness) -> None:
    await idleness.busy()
    assert not await idleness.rest(60_000, await idleness.seen())
    await asyncio.sleep(BUSY_MS / 1000 + 0.05)
    assert await idleness.rest(60_000, await idleness.seen())


async def test_a_look_of_before_somebody_worked_is_worth_nothing(idleness: Idleness) -> None:
    seen = await idleness.seen()
    await idleness.busy()
    await asyncio.sleep(BUSY_MS / 1000 + 0.05)
    assert not await idleness.rest(60_000, seen)


async def test_a_store_that_has_just_begun_to_know_anything_lets_nobody_rest(make: Make) -> None:
    idleness = make(wary_ms=150)
    assert not await idleness.rest(60_000, await idleness.seen())
    await asyncio.sleep(0.2)
    assert await idleness.rest(60_000, await idleness.seen())


async def test_what_is_flushed_is_a_look_too_many(redis_url: str, streams: Make) -> None:
    idleness = streams(wary_ms=0)
    await idleness.busy()
    seen = await idleness.seen()
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    assert not await idleness.rest(60_000, seen), "it may have forgotten who works"
    assert await idleness.rest(60_000, await idleness.seen())
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
    assert not await idleness.resting()
