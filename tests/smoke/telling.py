"""What a smoke did and how long it took, said as it happens and as a table in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")
READY, GONE = "all of it is up", "told to end, all of it ends"


@dataclass
class Telling:
    """Of one deployment; `rows` are the seconds of each step, and None where it failed."""

    name: str
    rows: dict[str, float | None] = field(default_factory=dict)

    def timed(self, what: str, act: Callable[[], T]) -> T:
        """Do it; what it raises goes on."""
        began = time.monotonic()
        found = act()
        seconds = time.monotonic() - began
        said = f": {found}" if isinstance(found, str) else ""
        print(f"  {seconds:6.1f} s  {self.name}: {what}{said}", flush=True)
        return found

    def step(self, what: str, act: Callable[[], T]) -> T | None:
        """A row of the table: do it; None where it failed."""
        began = time.monotonic()
        try:
            found = self.timed(what, act)
        except Exception as error:
            self.rows[what] = None
            print(f"  FAILED    {self.name}: {what}: {type(error).__name__}: {str(error)[:1500]}", flush=True)
            return None
        self.rows[what] = time.monotonic() - began
        return found

    @property
    def failed(self) -> bool:
        return None in self.rows.values()


def table(told: Sequence[Telling]) -> list[str]:
    """A line a step, in the order in which they were made; a column a deployment, with seconds."""
    steps = [step for step in dict.fromkeys(step for one in told for step in one.rows) if step != GONE]
    steps += [GONE] if any(GONE in one.rows for one in told) else []
    lines = [("", *(one.name for one in told)), ("---", *("---:" for _ in told))]
    lines += [(step, *(_cell(one, step) for one in told)) for step in steps]
    lines.append(("together", *(f"{_together(one.rows.values()):.1f} s" for one in told)))
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(one: Telling, step: str) -> str:
    if step not in one.rows:
        return "not reached"
    seconds = one.rows[step]
    return "FAILED" if seconds is None else f"ok, {seconds:.1f} s"


def _together(seconds: Iterable[float | None]) -> float:
    return sum(one for one in seconds if one is not None)
