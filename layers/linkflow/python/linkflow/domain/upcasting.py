"""Upcasters: an event of an earlier version, as it is stored, in the form of today.

Events are never edited. Where a type's shape or meaning changes, its class gets the next `version` and here
stands the function from the version before. They are pure but for the dict they are given, and run in a row. What has
no upcasters costs one search through the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

Upcaster = Callable[[dict[str, Any]], None]


def _timed_out_says_why(event: dict[str, Any]) -> None:
    """Version 2 carries its error: a worker knows more of it than that the time was over."""
    message = f"The attempt passed its {event['timeout']} timeout."
    event["error"] = {"code": "timeout", "message": message}


UPCASTERS: dict[tuple[str, int], Upcaster] = {
    ("NodeTimedOut", 1): _timed_out_says_why,
}
"""By event type and the version that it comes from."""

_NAMES = b"|".join(sorted({kind.encode() for kind, _ in UPCASTERS}))
_MAY_BE_OLD = re.compile(rb'"type"\s*:\s*"(?:' + _NAMES + rb')"')


class _Head(msgspec.Struct):
    type: str
    version: int = 1


_parts = msgspec.json.Decoder(list[msgspec.Raw])
_head = msgspec.json.Decoder(_Head)
_event = msgspec.json.Decoder(dict[str, Any])


def upcast(event: dict[str, Any]) -> dict[str, Any]:
    """One stored event in today's form, in place. Raises what a broken one leads to (`KeyError`, `TypeError`)."""
    kind: str = event["type"]
    version: int = event.get("version", 1)
    while step := UPCASTERS.get((kind, version)):
        step(event)
        version += 1
        event["version"] = version
    return event


def current(data: bytes | msgspec.Raw) -> bytes | msgspec.Raw:
    """A stored JSON array of events with all of them in today's form; `data` itself where they are."""
    if not _MAY_BE_OLD.search(data):
        return data
    parts = _parts.decode(data)
    changed = False
    for place, part in enumerate(parts):
        head = _head.decode(part)
        if (head.type, head.version) in UPCASTERS:
            parts[place] = msgspec.Raw(msgspec.json.encode(upcast(_event.decode(part))))
            changed = True
    return msgspec.json.encode(parts) if changed else data
