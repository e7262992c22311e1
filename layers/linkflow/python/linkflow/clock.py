"""The real clock, and real chance."""

from __future__ import annotations

import asyncio
import random
import time

_chance = random.SystemRandom()


class SystemClock:
    """Implements `linkflow.ports.Clock`."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def random(self) -> float:
        return random.random()  # noqa: S311  # jitter and a workflow's random(): no secret depends on it

    def rand_bits(self, bits: int) -> int:
        return _chance.getrandbits(bits)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
