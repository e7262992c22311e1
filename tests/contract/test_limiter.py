"""What every rate limiter does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from linkflow.ports import RateLimiter
from linkflow.streams.connection import connect
from linkflow.streams.limiter import StreamLimiter
from tests.contract.fakes import MemoryLimiter


@pytest.fixture
async def streams(redis_url: str) -> AsyncIterator[StreamLimiter]:
    clients = connect(redis_url)
    yield StreamLimiter(clients)
    await clients.close()


@pytest.fixture(params=["streams", "memory"])
def limiter(request: pytest.FixtureRequest) -> RateLimiter:
    return MemoryLimiter() if request.param == "memory" else request.getfixturevalue("streams")


# Rates at which nothing comes back while a test runs, however slow the machine is; where something has to, what may pass
# follows from the time that went by.


async def test_a_burst_passes_and_the_next_one_waits(limiter: RateLimiter) -> None:
    assert [await limiter.take("a", 0.01, 5) for _ in range(5)] == [0] * 5
    assert 50 < await limiter.take("a", 0.01, 5) <= 100
    assert await limiter.take("b", 0.01, 5) == 0, "another key is another bucket"


async def test_who_waits_as_long_as_he_was_told_passes_and_no_other(limiter: RateLimiter) -> None:
    begun = time.monotonic()
    passed = 0
    while not (wait := await limiter.take("a", 10, 5)):
        passed += 1
    assert wait <= 0.1
    await asyncio.sleep(wait + 0.005)
    while not await limiter.take("a", 10, 5):
        passed += 1
    assert 6 <= passed <= 5 + 10 * (time.monotonic() - begun)


async def test_it_says_how_much_is_left(limiter: StreamLimiter | MemoryLimiter) -> None:
    assert [await limiter.spend("a", 0.01, 5, cost) for cost in (1, 1, 2)] == [(0, 4), (0, 3), (0, 1)]
    wait, left = await limiter.spend("a", 0.01, 5, 2)
    assert (90 < wait <= 100, left) == (True, 1), "what is refused takes nothing"
    assert await limiter.spend("a", 0.01, 5) == (0, 0)


async def test_a_refused_call_takes_nothing(limiter: RateLimiter) -> None:
    assert await limiter.take("a", 0.02, 2, cost=2) == 0
    waits = [await limiter.take("a", 0.02, 2, cost=2) for _ in range(50)]
    assert 0 < waits[-1] <= waits[0] <= 100, "nobody waits longer for those who were refused"


async def test_an_idle_bucket_holds_no_more_than_its_burst(limiter: RateLimiter) -> None:
    await limiter.take("a", 1000, 3)
    await asyncio.sleep(0.05)
    assert [await limiter.take("a", 0.01, 3) == 0 for _ in range(4)] == [True, True, True, False]


async def test_the_rate_holds_under_concurrency(limiter: RateLimiter) -> None:
    begun = time.monotonic()
    passed = [await asyncio.gather(*(limiter.take("a", 100, 20) for _ in range(50))) for _ in range(3)]
    took = time.monotonic() - begun
    assert 20 <= sum(wait == 0 for round in passed for wait in round) <= 20 + 100 * took


@pytest.mark.parametrize(("rate", "burst", "cost"), [(0, 5, 1), (10, 5, 6), (10, 5, 0)])
async def test_what_can_never_pass_is_a_mistake(limiter: RateLimiter, rate: float, burst: int, cost: int) -> None:
    with pytest.raises(ValueError, match="rate limit needs"):
        await limiter.take("a", rate, burst, cost)
