"""What a workspace's runs came to, in spans of time."""

from __future__ import annotations

from msgspec import Struct

MINUTE, HOUR = 1, 60
"""Lengths of a span, in minutes."""
MANY = 1000
"""Open runs of a status are counted up to here."""


class UsageRequest(Struct, frozen=True, omit_defaults=True):
    """Spans that begin at or after `first` and before `beyond` (ms), of all workflows or of one."""

    workspace_id: str
    span: int
    first: int
    beyond: int
    workflow_id: str = ""
    with_open: bool = False
    """Count the runs that are open now, too."""


class UsageSpan(Struct, frozen=True, omit_defaults=True):
    """What happened in one span, which begins at `at` (ms).

    `ended` counts runs by how they ended; one that was retried has ended each time. `nodes` are attempts of node runs,
    `compute_us` how long they ran, `bytes` what was stored of events. `durations` is a histogram of the ended runs
    (`domain.statistics`). `ai_cost` is millionths of a dollar, tokens are counted as the providers do.
    """

    at: int
    started: int = 0
    ended: dict[str, int] = {}
    nodes: int = 0
    compute_us: int = 0
    bytes: int = 0
    durations: tuple[int, ...] = ()
    ai_input: int = 0
    ai_output: int = 0
    ai_cost: int = 0


class UsageReply(Struct, frozen=True, omit_defaults=True):
    """In the order of time; spans in which nothing happened are absent."""

    spans: tuple[UsageSpan, ...]
    open: dict[str, int] = {}
    """Open runs by status, counted up to `MANY`."""
