"""How many calls somebody may make of the API, counted over all processes, and what is left of it."""

from __future__ import annotations

import logging
import math

from msgspec import Struct

from linkflow.domain.errors import RateLimited, Unavailable
from linkflow.ports import Allowances

BURST_SECONDS = 2
"""A pause saves up so many seconds' worth."""

_log = logging.getLogger(__name__)


class Allowance(Struct, frozen=True):
    """`left` of `quota` calls within `window` seconds; all are there again after `reset` seconds."""

    quota: int
    window: int
    left: int
    reset: int


class ApiAllowance:
    """`per_second` calls for each user or key, in bursts of two seconds' worth; 0 is no limit. While the store does not
    answer nothing is refused."""

    def __init__(self, allowances: Allowances | None, per_second: int) -> None:
        self._allowances = allowances
        self._per_second = per_second

    async def spend(self, principal: str) -> Allowance | None:
        """Count one call; None where there is no limit. Raises `RateLimited` with ``details["retry_after"]``, in
        seconds, and ``details["allowance"]``."""
        if self._allowances is None or self._per_second <= 0:
            return None
        quota = BURST_SECONDS * self._per_second
        try:
            wait, left = await self._allowances.spend(f"api:{principal}", self._per_second, quota)
        except Unavailable as error:
            _log.warning("Calls are not limited while the limiter is away: %s", error)
            return None
        allowance = Allowance(quota, BURST_SECONDS, left, math.ceil((quota - left) / self._per_second))
        if wait > 0:
            raise RateLimited(
                f"You may make {self._per_second} calls a second. Try again in {wait:.2f} s.",
                details={"retry_after": wait, "allowance": allowance},
            )
        return allowance
