"""When a schedule fires: by a cron expression, at an interval, or once; from a start to an end, and how late at most.

Times and lengths are milliseconds. A *fire* is the nominal time; jitter delays the start of its run, never the fire.
"""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

from linkflow.domain import schedules

SHORTEST_MS = 1000
"""Shortest interval."""

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SHORT = re.compile(r"(\d+)(ms|s|m|h|d|w)\s*")
_ISO = re.compile(r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?=\d)(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)S)?)?")


class Timetable(Struct, frozen=True, omit_defaults=True):
    """One of `cron`, `every` and `at` is set. An interval counts from `anchor`, the epoch where it is 0.

    `starts_at` and `ends_at` are both inclusive; 0 means without. `jitter` is the longest delay.
    """

    cron: str = ""
    every: int = 0
    anchor: int = 0
    at: int = 0
    timezone: str = "UTC"
    starts_at: int = 0
    ends_at: int = 0
    jitter: int = 0


def parse_length(text: str) -> int:
    """Milliseconds of ``15m``, ``1h30m`` or ``PT15M`` (ISO 8601 without months and years). Raises `ValueError`."""
    text = text.strip()
    if text[:1].upper() == "P":
        found = _ISO.fullmatch(text.upper())
        parts = [(value, unit) for unit, value in found.groupdict().items() if value] if found else []
    else:
        parts, at = [], 0
        while match := _SHORT.match(text, at):
            parts.append((match[1], match[2]))
            at = match.end()
        parts = parts if at == len(text) else []
    if not parts or any(len(value) > 12 for value, _ in parts):
        raise ValueError("write a length of time as 15m, 1h30m or PT15M")
    return sum(int(value) * _UNITS[unit] for value, unit in parts)


def following(table: Timetable, after_ms: int) -> int | None:
    """The first fire after `after_ms`; None if there is none. Raises `InvalidInput` for a cron that is none."""
    after = max(after_ms, table.starts_at - 1)
    if table.cron:
        found = schedules.next_fire(table.cron, table.timezone, after)
    elif table.every:
        found = table.anchor + ((after - table.anchor) // table.every + 1) * table.every
    else:
        found = table.at if table.at > after else None
    return None if found is None or (table.ends_at and found > table.ends_at) else found


def upcoming(table: Timetable, after_ms: int, count: int, until_ms: int | None = None) -> list[int]:
    """The next `count` fires after `after_ms`, in order, none after `until_ms`; fewer where there are no more."""
    found: list[int] = []
    at = following(table, after_ms)
    while at is not None and len(found) < count and (until_ms is None or at <= until_ms):
        found.append(at)
        at = following(table, at)
    return found


def latest(table: Timetable, due_ms: int, until_ms: int) -> tuple[int, int]:
    """Of a schedule that fell due at `due_ms`: its last fire not after `until_ms`, and how many came before that one.

    `due_ms` counts as a fire, whatever the timetable says by now. Counting stops at `schedules.MAX_MISSED`.
    """
    until = min(until_ms, table.ends_at) if table.ends_at else until_ms
    first = following(table, due_ms)
    if first is None or first > until:
        return due_ms, 0
    if table.cron:
        last, count = schedules.catch_up(table.cron, table.timezone, max(due_ms, table.starts_at - 1), until)
        return last, count
    if table.every:
        last = first + (until - first) // table.every * table.every
        return last, min(1 + (last - first) // table.every, schedules.MAX_MISSED)
    return first, 1


def delay(table: Timetable, key: str, fire_ms: int) -> int:
    """How long the fire of the schedule `key` is put off: always the same, and never up to the next fire."""
    if table.jitter <= 0:
        return 0
    digest = hashlib.blake2b(f"{key}:{fire_ms}".encode(), digest_size=8).digest()
    offset = int.from_bytes(digest, "big") % (table.jitter + 1)
    after = following(table, fire_ms)
    return offset if after is None else min(offset, max(after - fire_ms - 1, 0))
