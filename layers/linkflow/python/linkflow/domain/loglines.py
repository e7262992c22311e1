"""The log of a run, told from its events: what nodes have written, and which attempts failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

LEVELS = ("debug", "info", "warning", "error")
"""From the least to the gravest."""

NODE, ENGINE = "node", "engine"


class LogLine(Struct, frozen=True):
    """`at` is ms since the epoch: when the attempt ended, for its lines are recorded with its result. `source` is
    ``node`` for what the node wrote, ``engine`` for the failure of an attempt. (`event_id`, `index`) is its place."""

    event_id: int
    index: int
    at: int
    node: str
    attempt: int
    level: str
    source: str
    message: str


def lines(events: Iterable[dict[str, Any]]) -> Iterator[LogLine]:
    """The lines of stored events, in order."""
    for event in events:
        if "node" not in event or "attempt" not in event:
            continue
        at, index = event.get("kept_at") or event["at"], -1
        for index, text in enumerate(event.get("logs", ())):
            level, message = _level(text)
            yield LogLine(event["event_id"], index, at, event["node"], event["attempt"], level, NODE, message)
        if event["type"] in ("NodeFailed", "NodeTimedOut"):
            error = event["error"]
            message = f"{error['code']}: {error['message']}"
            yield LogLine(event["event_id"], index + 1, at, event["node"], event["attempt"], "error", ENGINE, message)


def _level(text: str) -> tuple[str, str]:
    """A log node says its level first; what a script prints is plain information."""
    word, _, rest = text.partition(" ")
    level = word.lower()
    return (level, rest) if word.isupper() and level in LEVELS and rest else ("info", text)
