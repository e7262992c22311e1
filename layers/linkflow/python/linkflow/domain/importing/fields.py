"""Reading a foreign JSON object field by field. Nothing here raises: a fault is noted and a default taken instead."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from itertools import islice
from math import isfinite
from typing import Any, TypeVar

from linkflow.domain.errors import Problem
from linkflow.domain.validation.findings import MAX_PROBLEMS
from linkflow.domain.validation.places import Places, printable, show, step

MAX_DEPTH = 64
"""Levels of nesting in a config."""

MAX_UNREAD = 20
"""Unknown fields of one object that are looked at."""

MAX_FAULTS = 100
"""Faults of one config that are told."""

MAX_KEY = 1_000
"""Characters of a key in a config."""

_INT_LOW, _INT_HIGH = -(2**63), 2**64 - 1
_T = TypeVar("_T", bound=str)


class Report:
    """The faults of one document, and the places its parts came from."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places = Places()
        self.dropped = 0

    @property
    def failed(self) -> bool:
        return any(problem.severity == "error" for problem in self.problems)

    def error(self, path: str, code: str, message: str) -> None:
        self._add(Problem(printable(path), code, printable(message)))

    def warn(self, path: str, code: str, message: str) -> None:
        self._add(Problem(printable(path), code, printable(message), severity="warning"))

    def _add(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.dropped += 1


class Fields:
    """One JSON object. `path` is where the author wrote it, `stored` where the stored form keeps it.

    A field that is null counts as absent, as it did in the original. Where a field has several spellings the first one
    present is read, and another with a different value is warned about rather than lost in silence.
    """

    def __init__(self, report: Report, value: dict[str, Any], path: str, stored: str) -> None:
        self.report = report
        self.value = value
        self.path = path
        self.stored = stored
        self._read: set[str] = set()

    def find(self, *names: str) -> str | None:
        """The first of these spellings that is present; all of them count as read."""
        is_new = not self._read.issuperset(names)
        self._read.update(names)
        present = [name for name in names if self.value.get(name) is not None]
        for other in present[1:] if is_new else ():
            if not same(self.value[other], self.value[present[0]]):
                self.report.warn(self.at(other), "ignored_field", f"Ignored, because {present[0]!r} says otherwise.")
        return present[0] if present else None

    def has(self, name: str) -> bool:
        """Is this field there, and not null?"""
        return self.value.get(name) is not None

    def at(self, name: str) -> str:
        """The author's place of a field."""
        return self.path + step(name)

    def fault(self, name: str, field: str, code: str, message: str) -> None:
        """Note a fault in the author's field `name`, which the stored form calls `field`."""
        self.report.places.mark(self.stored + step(field))
        self.report.error(self.at(name), code, message)

    def text(self, *names: str, limit: int, default: str = "") -> str:
        """A string of at most `limit` characters."""
        found = self.find(*names)
        if found is None:
            return default
        self.report.places.note(self.stored + step(names[0]), self.at(found))
        value = self.value[found]
        if not isinstance(value, str):
            self.fault(found, names[0], "invalid_type", f"Must be a string, not {show(value)}.")
        elif len(value) > limit:
            self.fault(found, names[0], "too_long", f"Must have at most {limit} characters; it has {len(value)}.")
        elif not storable(value):
            self.fault(found, names[0], "invalid_text", "Holds a NUL or half of a surrogate pair, which is no text.")
        else:
            return value
        return default

    def identifier(self, *names: str, limit: int) -> str | None:
        """An id: a string, or a number that stands for its text. None where it is absent or faulty."""
        found = self.find(*names)
        if found is None:
            return None
        value = self.value[found]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and in_range(value):
            return str(int(value) if value == int(value) else value)
        return self.text(*names, limit=limit) or None

    def choice(self, *names: str, options: Collection[_T], default: _T) -> _T:
        """One of `options`."""
        found = self.find(*names)
        if found is None:
            return default
        for option in options:
            if option == self.value[found]:
                return option
        message = f"Must be one of {', '.join(options)}, not {show(self.value[found])}."
        self.fault(found, names[0], "invalid_value", message)
        return default

    def flag(self, name: str) -> bool:
        """True or false; false where it is absent."""
        value = self.value[name] if self.find(name) else False
        if isinstance(value, bool):
            return value
        self.fault(name, name, "invalid_type", f"Must be true or false, not {show(value)}.")
        return False

    def number(self, *names: str, default: float) -> float:
        """A finite number."""
        value = self._number(names)
        return default if value is None else float(value)

    def whole(self, *names: str, default: int) -> int:
        """A whole number; `3.0` is one."""
        value = self._number(names)
        if value is None or value == int(value):
            return default if value is None else int(value)
        found = next(name for name in names if self.value.get(name) is not None)
        self.fault(found, names[0], "invalid_type", "Must be a whole number.")
        return default

    def _number(self, names: tuple[str, ...]) -> float | None:
        found = self.find(*names)
        if found is None:
            return None
        self.report.places.note(self.stored + step(names[0]), self.at(found))
        value = self.value[found]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fault(found, names[0], "invalid_type", f"Must be a number, not {show(value)}.")
        elif not in_range(value):
            self.fault(found, names[0], "invalid_number", "Must be a finite number of ordinary size.")
        else:
            return value
        return None

    def object(self, *names: str) -> Fields | None:
        """An inner object; an empty list is one too, because the original's PHP writes empty objects so."""
        found = self.find(*names)
        if found is None:
            return None
        value = self.value[found]
        if value == []:
            value = {}
        if not isinstance(value, dict):
            self.fault(found, names[0], "invalid_type", f"Must be an object, not {show(value)}.")
            return None
        stored = self.stored + step(names[0])
        self.report.places.note(stored, self.at(found))
        return Fields(self.report, value, self.at(found), stored)

    def json(self, name: str) -> Any:
        """Any JSON value that can be stored, null where it is absent or faulty."""
        if self.find(name) is None:
            return None
        stored = self.stored + step(name)
        self.report.places.note(stored, self.at(name))
        return self.value[name] if check_json(self.value[name], self.at(name), stored, self.report) else None

    def unread(self, ignored: Collection[str] = (), *, strict: bool = False) -> None:
        """Note the fields that nobody read: a misspelt name must not be a silent default."""
        unread = (name for name in self.value if name not in self._read and name not in ignored)
        for name in islice(unread, MAX_UNREAD):
            if not isinstance(name, str):
                self.report.error(self.path, "invalid_type", f"Names must be strings, not {show(name)}.")
                continue
            close = get_close_matches(name[:MAX_KEY], self._read, n=1, cutoff=0.75)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            if strict:
                self.report.error(self.at(name[:MAX_KEY]), "unknown_field", f"There is no such field.{hint}")
            else:
                self.report.warn(self.at(name[:MAX_KEY]), "unknown_field", f"Ignored: there is no such field.{hint}")


def in_range(value: float) -> bool:
    """Can this number be stored and come back the same?"""
    return _INT_LOW <= value <= _INT_HIGH if isinstance(value, int) else isfinite(value)


def storable(text: str) -> bool:
    """No NUL (Postgres has none in its text) and no lone surrogate (UTF-8 has none)."""
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def same(one: object, other: object) -> bool:
    """Equality that survives values nested too deeply to be compared."""
    try:
        return one == other
    except RecursionError:
        return False


_Trail = tuple[Any, str | int] | None


def check_json(value: Any, path: str, stored: str, report: Report) -> bool:
    """Is `value` JSON that can be stored? Notes each fault with its own path. Walks without recursion."""
    before = len(report.problems) + report.dropped
    stack: list[tuple[Any, _Trail, int]] = [(value, None, 1)]
    while stack and len(report.problems) + report.dropped < before + MAX_FAULTS:
        item, trail, depth = stack.pop()
        if isinstance(item, (dict, list)):
            if depth > MAX_DEPTH:
                report.error(path, "too_deep", f"Nested more than {MAX_DEPTH} levels deep.")
                break
            stack.extend((inner, (trail, key), depth + 1) for key, inner in _members(item, path, trail, report))
        elif fault := _scalar_fault(item):
            report.error(path + _pointer(trail), *fault)
    if len(report.problems) + report.dropped == before:
        return True
    report.places.mark(stored)
    return False


def _members(item: dict[Any, Any] | list[Any], path: str, trail: _Trail, report: Report) -> Iterable[tuple[Any, Any]]:
    if isinstance(item, list):
        yield from enumerate(item)
        return
    for key, inner in item.items():
        if not isinstance(key, str):
            report.error(path + _pointer(trail), "invalid_type", f"Names must be strings, not {show(key)}.")
        elif len(key) > MAX_KEY:
            report.error(path + _pointer(trail), "too_long", f"A name has more than {MAX_KEY} characters.")
        elif not storable(key):
            report.error(path + _pointer(trail), "invalid_text", f"The name {show(key)} is no text.")
        else:
            yield key, inner


def _scalar_fault(item: Any) -> tuple[str, str] | None:
    if isinstance(item, str):
        if storable(item):
            return None
        return "invalid_text", "Holds a NUL or half of a surrogate pair, which is no text."
    if item is None or isinstance(item, bool):
        return None
    if isinstance(item, (int, float)):
        return None if in_range(item) else ("invalid_number", "Must be a finite number of at most 64 bits.")
    return "invalid_type", f"{type(item).__name__} is no JSON type."


def _pointer(trail: _Trail) -> str:
    steps: list[str] = []
    while trail is not None:
        trail, key = trail
        steps.append(step(key))
    return "".join(reversed(steps))
