"""What two JSON values differ in, by JSON pointer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import UNSET, Struct

MOST = 50
"""Differences that one comparison tells; more would be no help."""


class Difference(Struct, frozen=True):
    """`before` or `after` is `UNSET` where there is nothing at this place."""

    path: str
    before: Any = UNSET
    after: Any = UNSET


def differences(before: Any, after: Any, most: int = MOST) -> tuple[list[Difference], bool]:
    """The first differences in the order of the values, and whether there are more than these."""
    found: list[Difference] = []
    for difference in _walk(before, after):
        if len(found) == most:
            return found, True
        found.append(difference)
    return found, False


def _walk(before: Any, after: Any) -> Iterator[Difference]:
    stack: list[tuple[str, Any, Any]] = [("", before, after)]
    while stack:
        path, old, new = stack.pop()
        inner: list[tuple[str, Any, Any]] = []
        if isinstance(old, dict) and isinstance(new, dict):
            names = [*old, *(name for name in new if name not in old)]
            inner = [(f"{path}/{_escaped(name)}", old.get(name, UNSET), new.get(name, UNSET)) for name in names]
        elif isinstance(old, list) and isinstance(new, list):
            for at in range(max(len(old), len(new))):
                left = old[at] if at < len(old) else UNSET
                inner.append((f"{path}/{at}", left, new[at] if at < len(new) else UNSET))
        elif not _same(old, new):
            yield Difference(path, old, new)
        stack.extend(reversed(inner))


def _same(old: Any, new: Any) -> bool:
    """JSON's equality: true is not 1."""
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
