"""What a workspace's runs came to: statistics in spans of time, and usage by day."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.usage import HOUR, MINUTE, UsageRequest, UsageSpan
from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.statistics import quantile, summed
from linkflow.ports import Clock

from .workspaces import Membership

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
LENGTH = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS}
MOST = {"minute": 1440, "hour": 24 * 31, "day": 400}
"""Buckets in one answer."""
UNASKED = {"minute": 60, "hour": 24, "day": 30}
"""Buckets where nobody says from when."""


class Bucket(Struct, frozen=True):
    """A stretch of time from `at` (ms) on. `error_rate` is the share of the ended runs that failed or ran out of time,
    the quantiles are ms; None where no run ended."""

    span: UsageSpan
    error_rate: float | None
    p50_ms: float | None
    p95_ms: float | None


class Statistics(Struct, frozen=True):
    """`buckets` has every one between `first` and `beyond` (ms), also those in which nothing happened. `open` counts
    open runs by status, up to a thousand."""

    first: int
    beyond: int
    buckets: list[Bucket]
    total: Bucket
    open: dict[str, int]


class Usage:
    """Statistics of one workspace, in the asker's name."""

    def __init__(self, frontend: FrontendApi, clock: Clock) -> None:
        self._frontend = frontend
        self._clock = clock

    async def statistics(
        self, who: Membership, *, workflow_id: str, bucket: str, first: int, beyond: int
    ) -> Statistics:
        """Buckets of a ``minute``, ``hour`` or ``day`` (UTC) from `first` to `beyond` (ms, 0: the latest). Raises
        `InvalidInput` for too many."""
        length = LENGTH[bucket]
        beyond = _up(beyond or self._clock.now_ms(), length)
        first = first - first % length if first else beyond - UNASKED[bucket] * length
        count = (beyond - first) // length
        if not 0 < count <= MOST[bucket]:
            fix = f"Ask for 1 to {MOST[bucket]} buckets of a {bucket} at once: from must lie before to."
            raise InvalidInput("These are too many buckets, or none.", problems=[Problem("/from", "bad_range", fix)])
        request = UsageRequest(
            who.workspace_id, MINUTE if bucket == "minute" else HOUR, first, beyond, workflow_id, True
        )
        with acting_as(who.caller()):
            reply = await self._frontend.usage(request)
        by_begin: dict[int, list[UsageSpan]] = {}
        for span in reply.spans:
            by_begin.setdefault(span.at - span.at % length, []).append(span)
        buckets = [_bucket(at, by_begin.get(at, ())) for at in range(first, beyond, length)]
        return Statistics(first, beyond, buckets, _bucket(first, reply.spans), reply.open)


def _bucket(at: int, spans: Sequence[UsageSpan]) -> Bucket:
    ended: dict[str, int] = {}
    durations: list[int] = []
    for span in spans:
        durations = summed(durations, span.durations)
        for status, count in span.ended.items():
            ended[status] = ended.get(status, 0) + count
    total = sum(ended.values())
    wrong = ended.get("failed", 0) + ended.get("timed_out", 0)
    whole = UsageSpan(
        at, sum(s.started for s in spans), ended, sum(s.nodes for s in spans), sum(s.compute_us for s in spans),
        sum(s.bytes for s in spans), tuple(durations), sum(s.ai_input for s in spans),
        sum(s.ai_output for s in spans), sum(s.ai_cost for s in spans),
    )  # fmt: skip
    rate = round(wrong / total, 6) if total else None
    return Bucket(whole, rate, quantile(durations, 0.5), quantile(durations, 0.95))


def _up(at: int, length: int) -> int:
    """The end of the bucket that `at` is in."""
    return at - at % length + length if at % length else at
