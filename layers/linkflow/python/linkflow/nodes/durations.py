"""Spans and points of time, as people write them in a config."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

LONGEST_MS = 366 * 24 * 3_600_000
"""Longest delay, timeout or due date."""
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_GO = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)\s*")
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?", re.IGNORECASE
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def duration_ms(text: str) -> int:
    """Milliseconds of ``1h30m`` (Go's form, with d and w) or ``PT1H30M`` (ISO 8601, without months and years)."""
    text = text.strip()
    if text[:1] in ("P", "p"):
        found = _ISO.fullmatch(text)
        parts = {unit: value for unit, value in found.groupdict().items() if value} if found else {}
    else:
        parts, at = {}, 0
        while found := _GO.match(text, at):
            parts[found[2]] = str(float(parts.get(found[2], 0)) + float(found[1]))
            at = found.end()
        parts = parts if at == len(text) else {}
    if not parts:
        raise ValueError("write a duration as 1h30m or PT1H30M")
    return _whole(sum(float(value) * _UNITS[unit] for unit, value in parts.items()))


def until_ms(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 time, which has an offset or Z."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("write a time with its offset, such as 2026-12-24T18:00:00+01:00")
    return round(moment.timestamp() * 1000)


def span_ms(value: float | str) -> int:
    """Milliseconds of a number of seconds or of a duration; nothing is 0. Raises `ValueError`, also over a year."""
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        ms = duration_ms(value) if value.strip() else 0
    else:
        ms = _whole(float(value) * 1000)
    if not 0 <= ms <= LONGEST_MS:
        raise ValueError("may be 366 days at most, and not less than nothing")
    return ms


def due_ms(value: float | str, now_ms: int) -> int:
    """When a span from now is over, or the RFC 3339 time itself, in ms since the epoch; nothing is 0."""
    if isinstance(value, str) and "-" in value:
        return max(until_ms(value), now_ms)  # a due date that has passed is over at once
    ms = span_ms(value)
    return now_ms + ms if ms else 0


def _whole(ms: float) -> int:
    if not math.isfinite(ms):
        raise ValueError("that is too long")
    return round(ms)


def _span(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        span_ms(value)
    return value


def _due(value: Any) -> Any:
    if isinstance(value, str) and "-" in value:
        until_ms(value)
        return value
    return _span(value)


Span = Annotated[float | str, BeforeValidator(_span)]
"""Seconds, ``1h30m`` or ``PT1H30M``; empty is none."""
Due = Annotated[float | str, BeforeValidator(_due)]
"""A span from now, or an RFC 3339 time with its offset; empty is none."""
