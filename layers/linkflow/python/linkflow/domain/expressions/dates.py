"""Dates: ISO 8601 texts in, ISO 8601 texts in UTC out, as Date.prototype.toISOString writes them."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import to_number, to_text, type_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_NAMES = ("millisecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year")
_SHORT_UNITS = {
    "ms": "millisecond", "s": "second", "sec": "second", "m": "minute", "min": "minute", "h": "hour", "d": "day",
    "w": "week", "M": "month", "y": "year",
}  # fmt: skip
_MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December")  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FORMAT = re.compile(
    r"''|'[^']*'|[yY]{4}|[yY]{2}|M{1,4}|d{1,2}|D{1,2}|E{4}|E{1,3}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|S{1,3}|a|A|X{1,3}|Z{1,3}"
)


def now(run: Run) -> str:
    if run.scope.now is None:
        raise Fault("now() is not available here")
    return run.scope.now()


def date_add(run: Run, date: Any, amount: Any, unit: Any = "day") -> str | None:
    """`dateAdd(date, n, unit)`: months and years keep the day, or take the month's last."""
    if date is None:
        return None
    moment, count, name = _parse(date), to_number(amount, run), _unit("day" if unit is None else to_text(unit, run))
    try:
        if name in _MONTHS_IN:
            moment = _add_months(moment, int(count) * _MONTHS_IN[name])
        else:
            moment += timedelta(**{name + "s": count})
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):
        raise Fault("the date is out of range (years 1 to 9999)") from None


def date_format(run: Run, date: Any, pattern: Any = "yyyy-MM-dd") -> str | None:
    """`dateFormat(date, pattern)` in the date's own offset; text in single quotes is copied."""
    if date is None:
        return None
    moment, form = _parse(date), "yyyy-MM-dd" if pattern is None else to_text(pattern, run)
    run.room(len(form))
    return run.text("".join([piece if isinstance(piece, str) else piece(moment) for piece in _pieces(form)]))


@lru_cache(maxsize=256)
def _pieces(form: str) -> tuple[str | Callable[[datetime], str], ...]:
    """A pattern as texts and fields."""
    pieces: list[str | Callable[[datetime], str]] = []
    at = 0
    for found in _FORMAT.finditer(form):
        pieces += [form[at : found.start()], _FIELDS.get(found[0]) or partial(_field, field=found[0])]
        at = found.end()
    return tuple(piece for piece in (*pieces, form[at:]) if piece != "")


def _parse(value: Any) -> datetime:
    """A moment from an ISO 8601 text (UTC where it names no offset) or from milliseconds since 1970."""
    kind = type(value)
    try:
        if kind is int or kind is float:
            return _EPOCH + timedelta(milliseconds=value)
        if kind is str:
            moment = datetime.fromisoformat(value.strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (OverflowError, ValueError):
        pass
    raise Fault(f"the {type_name(value)} is no date; give ISO 8601 text such as 2024-01-31T09:00:00Z")


def _unit(name: str) -> str:
    found = _SHORT_UNITS.get(name) or name.lower().removesuffix("s")
    if found not in _UNIT_NAMES:
        raise Fault(f"unknown unit of time; use one of {', '.join(_UNIT_NAMES)}")
    return found


def _add_months(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise OverflowError
    return moment.replace(year=year, month=month + 1, day=min(moment.day, monthrange(year, month + 1)[1]))


_FIELDS: dict[str, Callable[[datetime], str]] = {
    "yyyy": lambda d: f"{d.year:04}",
    "yy": lambda d: f"{d.year % 100:02}",
    "MMMM": lambda d: _MONTHS[d.month - 1],
    "MMM": lambda d: _MONTHS[d.month - 1][:3],
    "MM": lambda d: f"{d.month:02}",
    "M": lambda d: str(d.month),
    "dd": lambda d: f"{d.day:02}",
    "d": lambda d: str(d.day),
    "EEEE": lambda d: _DAYS[d.weekday()],
    "E": lambda d: _DAYS[d.weekday()][:3],
    "HH": lambda d: f"{d.hour:02}",
    "H": lambda d: str(d.hour),
    "hh": lambda d: f"{d.hour % 12 or 12:02}",
    "h": lambda d: str(d.hour % 12 or 12),
    "mm": lambda d: f"{d.minute:02}",
    "m": lambda d: str(d.minute),
    "ss": lambda d: f"{d.second:02}",
    "s": lambda d: str(d.second),
    "a": lambda d: "AM" if d.hour < 12 else "PM",
}


def _field(moment: datetime, field: str) -> str:
    if field.startswith("'"):
        return "'" if field == "''" else field[1:-1]
    if field[0] == "S":
        return f"{moment.microsecond:06}"[: len(field)]
    if field[0] in "XZ":
        offset = moment.isoformat()[-6:]
        return "Z" if offset == "+00:00" else offset
    # Moment's spellings YYYY and DD mean the same days and years as yyyy and dd.
    name = field.replace("Y", "y").replace("D", "d").replace("A", "a")
    return _FIELDS["E" if name in ("EE", "EEE") else name](moment)
