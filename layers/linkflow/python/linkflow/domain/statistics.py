"""Durations as a histogram: small, summed up in any order, and good for quantiles to within a tenth.

Bucket 0 has what took less than a millisecond, bucket n > 0 what took from 2^((n-1)/4) to 2^(n/4) milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

STEPS = 4
"""Buckets for each doubling."""
LAST = 40 * STEPS
"""Thirty-four years."""


def bucket_of(ms: int) -> int:
    """Where a duration belongs."""
    return min(LAST, 1 + int(STEPS * log2(ms))) if ms >= 1 else 0


def histogram(durations: Sequence[int]) -> list[int]:
    """How many there are in each bucket, up to the last that has any."""
    counts: list[int] = []
    for ms in durations:
        bucket = bucket_of(ms)
        if bucket >= len(counts):
            counts.extend([0] * (bucket + 1 - len(counts)))
        counts[bucket] += 1
    return counts


def summed(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """Both histograms as one."""
    longer, shorter = (left, right) if len(left) >= len(right) else (right, left)
    return [count + (shorter[at] if at < len(shorter) else 0) for at, count in enumerate(longer)]


def quantile(counts: Sequence[int], share: float) -> float | None:
    """The duration (ms) that `share` of all stay within; None where there are none."""
    total = sum(counts)
    if not total:
        return None
    rank, seen = share * total, 0
    for bucket, count in enumerate(counts):
        if count and seen + count >= rank:
            low = 2 ** ((bucket - 1) / STEPS) if bucket else 0.0
            high = 2 ** (bucket / STEPS)
            return float(round(low + (high - low) * (rank - seen) / count, 1))
        seen += count
    return None
