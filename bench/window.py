"""A window of time in which so many callers are kept at work, and what came of it. The peers' scripts use it too, in
their own environment: it needs nothing but Python."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from .report import percentile

Call = Callable[[], Awaitable[str]]
"""One unit of work; '' when it went well, else what was wrong."""


class Window:
    """What a number of concurrent callers saw in one window of time, which opens after `lead` seconds of load."""

    def __init__(self, seconds: float, lead: float = 0.0, limit: int = 0) -> None:
        self.asked_at, self.cpu = time.perf_counter(), time.process_time()
        self.begin = self.asked_at + lead
        self.end = self.begin + seconds
        self.limit = limit
        self.asked = 0
        self.done = 0
        self.times: list[float] = []
        self.problems: dict[str, int] = {}

    async def caller(self, call: Call) -> None:
        """Call again and again until the window closes, or `limit` calls were made by all callers."""
        while (start := time.perf_counter()) < self.end and (not self.limit or self.asked < self.limit):
            self.asked += 1
            problem = await call()
            now = time.perf_counter()
            if problem:
                self.problems[problem] = self.problems.get(problem, 0) + 1
                await asyncio.sleep(0.01)
                continue
            self.done += 1
            if self.begin <= now <= self.end:
                self.times.append(now - start)

    def result(self) -> dict[str, Any]:
        """The window's figures. One that ended by its limit is as long as its calls took. `done` are all calls that
        went well, before and after the window too: what the CPU of the whole time was spent on."""
        now = time.perf_counter()
        length = min(now, self.end) - self.begin
        times = sorted(self.times)
        return {
            "count": len(times),
            "seconds": length,
            "rate": len(times) / length,
            "p50_ms": percentile(times, 0.50) * 1000,
            "p99_ms": percentile(times, 0.99) * 1000,
            "max_ms": times[-1] * 1000 if times else 0.0,
            "done": self.done,
            "elapsed": now - self.asked_at,
            "generator_cpu": (time.process_time() - self.cpu) / (now - self.asked_at),
            "problems": self.problems,
        }
