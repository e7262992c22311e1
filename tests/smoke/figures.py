"""What the functions did, by what their doors log of each invocation at the level DEBUG."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.smoke.emulator import Emulator


@dataclass(frozen=True)
class Invocation:
    """One, as its door logged it. `init_ms` is 0 where the environment was warm; `at` is ms since the epoch."""

    function: str
    at: int
    init_ms: float
    duration_ms: float
    memory_mb: int

    @property
    def billed_ms(self) -> int:
        """Lambda bills initialising as well, and begun milliseconds."""
        return math.ceil(self.init_ms + self.duration_ms)

    @property
    def gb_ms(self) -> float:
        return self.billed_ms * self.memory_mb / 1024


def logged(emulator: Emulator, group: str) -> list[Invocation]:
    """Every invocation so far."""
    pages = emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [made for page in pages for event in page["events"] if (made := _read(event["message"], event["timestamp"]))]


def _read(line: str, at: int) -> Invocation | None:
    if '"invocation"' not in line:
        return None
    try:
        found = json.loads(line[line.index("{") :])
        name = str(found["function"]).rpartition("-")[2]
        return Invocation(name, at, found["init_ms"], found["duration_ms"], found["memory_mb"])
    except (ValueError, KeyError):
        return None


def table(invocations: Sequence[Invocation]) -> list[str]:
    """A line a function."""
    rows = [("function", "invocations", "cold", "cold ms (init + first)", "warm ms, median", "GB-ms, all")]
    for name in sorted({one.function for one in invocations}):
        mine = [one for one in invocations if one.function == name]
        cold, warm = [one for one in mine if one.init_ms], [one for one in mine if not one.init_ms]
        rows.append((
            name, str(len(mine)), str(len(cold)),
            f"{median(one.init_ms for one in cold):.0f} + {median(one.duration_ms for one in cold):.0f}" if cold else "-",
            f"{median(one.duration_ms for one in warm):.1f}" if warm else "-",
            f"{sum(one.gb_ms for one in mine):.0f}",
        ))  # fmt: skip
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def per_execution(invocations: Iterable[Invocation], runs: int) -> str:
    """What one run was billed."""
    mine = [one for one in invocations if one.function != "timer"]  # the clock's are nobody's
    gb_ms, count = sum(one.gb_ms for one in mine) / runs, len(mine) / runs
    return f"{gb_ms:.1f} GB-ms billed, {count:.1f} invocations"
