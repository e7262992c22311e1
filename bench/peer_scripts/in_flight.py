"""What the peers' scripts share: warm up, measure one at a time, then with many in flight; one line of JSON."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version

STEPS, IN_FLIGHT, ALONE = 10, 50, 30


async def measure(package: str, count: int, execution: Callable[[], Awaitable[object]]) -> None:
    """Run `execution` `count` times, `IN_FLIGHT` at once, and print the figures."""
    times: list[float] = []

    async def one(gate: asyncio.Semaphore) -> None:
        async with gate:
            begin = time.perf_counter()
            await execution()
            times.append(time.perf_counter() - begin)

    single, many = asyncio.Semaphore(1), asyncio.Semaphore(IN_FLIGHT)
    for _ in range(5):
        await one(single)
    times.clear()
    for _ in range(ALONE):
        await one(single)
    alone = sorted(times)
    times.clear()
    begin = time.perf_counter()
    await asyncio.gather(*(one(many) for _ in range(count)))
    rate = count / (time.perf_counter() - begin)
    times.sort()
    figures = {
        "version": version(package),
        "rate": round(rate, 1),
        "unit": "executions/s",
        "p50_ms": round(1000 * times[len(times) // 2], 1),
        "p99_ms": round(1000 * times[int(len(times) * 0.99)], 1),
        "idle_p50_ms": round(1000 * alone[len(alone) // 2], 1),
    }
    print(json.dumps(figures), flush=True)
