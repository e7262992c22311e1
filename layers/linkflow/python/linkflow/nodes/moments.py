"""Moments in a time zone, and calendar arithmetic with them."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from linkflow.domain.expressions import ExpressionError, Scope, compile_expression

UNITS = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DAYS = {"day": 1, "week": 7}
_SHORT = {"ms": "millisecond", "s": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day", "w": "week",
          "M": "month", "y": "year"}  # fmt: skip
_CLOCK_US = {"millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000}
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoDate(ValueError):
    """A value is no date; the message says which."""


def unit(name: str) -> str:
    """A unit's own name. Raises `ValueError`."""
    found = _SHORT.get(name) or name.lower().removesuffix("s")
    if found not in UNITS:
        raise ValueError(f"there is no unit {name!r}; there are {', '.join(UNITS)}")
    return found


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """A time zone by its IANA name. Raises `ValueError`."""
    try:
        return UTC if name in ("", "UTC", "Z") else ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}; write one such as Europe/Berlin") from None


def checked_zone(name: str) -> str:
    """The name of a time zone that exists."""
    zone(name)
    return name


def read(value: Any, at: tzinfo, pattern: str = "") -> datetime:
    """A moment, shown in the zone `at`; text without an offset is a time there. Raises `NoDate`."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return (_EPOCH + timedelta(milliseconds=value)).astimezone(at)
        if isinstance(value, str) and len(value) <= 200:
            text = value.strip()
            found = datetime.strptime(text, _strptime(pattern)) if pattern else datetime.fromisoformat(text)
            if found.tzinfo is None:
                return _existing(found.replace(tzinfo=at))
            return found.astimezone(at)
    except (ValueError, OverflowError, re.error):  # re.error: a field that the pattern names twice
        pass
    shown = repr(value[:50]) if isinstance(value, str) else "the value"
    raise NoDate(f"{shown} is no date" + (f" as {pattern!r} says" if pattern else ""))


def _existing(moment: datetime) -> datetime:
    """The moment itself, or where a clock change skips it, the one as long after the change."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo)


def add(moment: datetime, amount: int, unit: str) -> datetime:
    """`moment` and so many units: days and longer by the zone's calendar, shorter ones by the clock."""
    if unit in _MONTHS:
        year, month = divmod(moment.year * 12 + moment.month - 1 + amount * _MONTHS[unit], 12)
        if not 1 <= year <= 9999:
            raise OverflowError
        return _existing(
            moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))
        )
    if unit in _DAYS:
        return _existing(moment + timedelta(days=amount * _DAYS[unit]))
    return (moment.astimezone(UTC) + timedelta(microseconds=amount * _CLOCK_US[unit])).astimezone(moment.tzinfo)


def start(moment: datetime, unit: str) -> datetime:
    """The first moment of the unit that `moment` is in."""
    if unit == "millisecond":
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    if unit in ("second", "minute", "hour"):
        return moment.replace(
            microsecond=0,
            second=0 if unit != "second" else moment.second,
            minute=0 if unit == "hour" else moment.minute,
        )
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit == "week":
        day -= timedelta(days=day.weekday())
    elif unit in _MONTHS:
        month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
        day = day.replace(month=month, day=1)
    return _existing(day)


def difference(first: datetime, second: datetime, unit: str) -> tuple[int, float]:
    """From `first` to `second` in units: whole ones towards zero, and with a fraction."""
    if unit in _CLOCK_US:
        micro = (second.astimezone(UTC) - first.astimezone(UTC)) // timedelta(microseconds=1)
        exact = micro / _CLOCK_US[unit]
        return int(exact), exact
    if unit in _DAYS:
        local = (second.replace(tzinfo=None) - first.replace(tzinfo=None)) // timedelta(microseconds=1)
        exact = local / (_DAY_US * _DAYS[unit])
        return int(exact), exact
    sign = 1 if second >= first else -1
    early, late = (first, second) if sign > 0 else (second, first)
    whole = ((late.year - early.year) * 12 + late.month - early.month) // _MONTHS[unit]
    if add(early, whole, unit) > late:
        whole -= 1
    done, following = add(early, whole, unit), add(early, whole + 1, unit)
    return sign * whole, sign * (whole + (late - done) / (following - done))


def parts(moment: datetime, pattern: str = "") -> dict[str, Any]:
    """A moment in many forms."""
    utc = moment.astimezone(UTC)
    found: dict[str, Any] = {
        "iso": moment.isoformat(timespec="milliseconds"),
        "utc": utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ms": (utc - _EPOCH) // timedelta(milliseconds=1),
        "date": moment.date().isoformat(),
        "time": moment.time().isoformat(timespec="seconds"),
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
        "weekday": moment.isoweekday(),
        "week": moment.isocalendar().week,
    }
    if pattern:
        found["text"] = _shown(moment, pattern)
    return found


_format = compile_expression("dateFormat(input.at, input.pattern)")


def _shown(moment: datetime, pattern: str) -> str:
    """As expressions show dates: one set of letters for both."""
    try:
        return str(_format.evaluate(Scope(input={"at": moment.isoformat(), "pattern": pattern})))
    except ExpressionError as error:
        raise NoDate(str(error)) from None


_LETTERS = {
    "yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%m", "dd": "%d", "d": "%d", "EEEE": "%A",
    "EEE": "%a", "E": "%a", "HH": "%H", "H": "%H", "hh": "%I", "h": "%I", "mm": "%M", "m": "%M", "ss": "%S", "s": "%S",
    "SSS": "%f", "a": "%p", "XXX": "%z", "X": "%z",
}  # fmt: skip
_FIELD = re.compile(r"''|'[^']*'|([A-Za-z])\1*|%")


def _strptime(pattern: str) -> str:
    """The pattern in the letters of `datetime.strptime`. Raises `NoDate` for a letter that has no meaning."""

    def translated(found: re.Match[str]) -> str:
        text = found[0]
        if text == "%":
            return "%%"
        if text.startswith("'"):
            return ("'" if text == "''" else text[1:-1]).replace("%", "%%")
        if text not in _LETTERS:
            raise NoDate(f"{text!r} means nothing in a pattern")
        return _LETTERS[text]

    return _FIELD.sub(translated, pattern)
