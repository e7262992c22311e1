"""Rate limits shared by all processes (`ports.RateLimiter`)."""

from __future__ import annotations

from .connection import Clients
from .scripts import Script


class StreamLimiter:
    """A bucket a key by GCRA (ITU-T I.371): one small key each, which expires when the bucket is full again."""

    def __init__(self, clients: Clients, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._prefix = prefix
        self._script = Script("take")

    async def take(self, key: str, per_second: float, burst: int, cost: int = 1) -> float:
        """Take `cost` units; returns 0 if they were there, else the seconds until they will be (nothing is taken).

        Raises `ValueError` for a rate that is not positive or a cost above `burst`, which would never be there, and
        `Unavailable` while the store does not answer.
        """
        return (await self.spend(key, per_second, burst, cost))[0]

    async def spend(self, key: str, per_second: float, burst: int, cost: int = 1) -> tuple[float, int]:
        """`take`, and how many units are left after it."""
        if per_second <= 0 or not 0 < cost <= burst:
            raise ValueError("A rate limit needs per_second > 0 and 0 < cost <= burst.")
        args = (1_000_000 / per_second, burst, cost)
        wait, left = await self._script.run(self._clients.commands, [f"{self._prefix}:{{rl:{key}}}"], args)
        return int(wait) / 1_000_000, int(left)
