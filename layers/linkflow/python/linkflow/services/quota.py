"""How many calls a workspace may make, counted over all processes."""

from __future__ import annotations

import logging

from linkflow.domain.errors import RateLimited, Unavailable
from linkflow.ports import Clock, RateLimiter

BLOCK_MS = 1000
"""How long units that were taken in advance may be used."""

_log = logging.getLogger(__name__)


class Quota:
    """`per_second` calls a workspace, in bursts of twice that; 0 means no limit.

    Units are taken from the shared bucket by blocks of a hundredth of a second's worth, so that a busy workspace does
    not pay a round trip a call. While the store does not answer nothing is refused: it is a doorbell, not the truth.
    """

    def __init__(self, limiter: RateLimiter, clock: Clock, per_second: int) -> None:
        self._limiter = limiter
        self._clock = clock
        self._per_second = per_second
        self._block = max(1, per_second // 100)
        self._taken: dict[str, tuple[int, int]] = {}
        """Units left and until when, by workspace."""

    async def take(self, workspace_id: str) -> None:
        """Count one call. Raises `RateLimited` with ``details["retry_after"]``, in seconds."""
        if self._per_second <= 0:
            return
        now = self._clock.now_ms()
        left, until = self._taken.get(workspace_id, (0, 0))
        if left > 0 and now < until:
            self._taken[workspace_id] = (left - 1, until)
            return
        wait = await self._ask(workspace_id, self._block)
        if wait <= 0:
            self._keep(workspace_id, now)
            return
        wait = wait if self._block == 1 else await self._ask(workspace_id, 1)
        if wait > 0:
            raise RateLimited(
                f"This workspace may make {self._per_second} calls a second. Try again in {wait:.2f} s.",
                details={"retry_after": wait},
            )

    async def _ask(self, workspace_id: str, units: int) -> float:
        try:
            return await self._limiter.take(f"calls:{workspace_id}", self._per_second, 2 * self._per_second, units)
        except Unavailable as error:
            _log.warning("Calls are not limited while the limiter is away: %s", error)
            return 0.0

    def _keep(self, workspace_id: str, now: int) -> None:
        if len(self._taken) > 10_000:
            self._taken = {key: value for key, value in self._taken.items() if now < value[1]}
        left, until = self._taken.get(workspace_id, (0, 0))
        self._taken[workspace_id] = ((left if now < until else 0) + self._block - 1, now + BLOCK_MS)
