"""Ranges of shards, and telling of long work."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

Spans = list[tuple[int, int]]


class Range(Struct, frozen=True):
    """Shards from the first to the last one."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"


class Progress:
    """Tells of long work about once a second."""

    def __init__(self, tell: Callable[[str], None], what: str) -> None:
        self._tell, self._what = tell, what
        self._rows, self._told = 0, time.monotonic()

    def more(self, rows: int) -> None:
        self._rows += rows
        if time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            self._tell(f"{self._what}: {self._rows:,} rows …")

    def end(self) -> None:
        if self._rows:
            self._tell(f"{self._what}: {self._rows:,} rows")


def without(spans: Sequence[tuple[int, int]], of: Range) -> Spans:
    """The ranges but for one."""
    found = []
    for first, last in spans:
        found += [(first, min(last, of.first - 1)), (max(first, of.last + 1), last)]
    return sorted({(first, last) for first, last in found if first <= last})


def together(spans: Spans) -> Spans:
    """Ranges that meet are one."""
    found: Spans = []
    for first, last in sorted(spans):
        if found and found[-1][1] + 1 >= first:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def covers(spans: Sequence[tuple[int, int]], of: Range) -> bool:
    return any(first <= of.first and of.last <= last for first, last in spans)


def overlaps(spans: Sequence[tuple[int, int]], of: Range) -> bool:
    return any(first <= of.last and of.first <= last for first, last in spans)
