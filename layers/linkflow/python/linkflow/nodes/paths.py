"""Dot paths into JSON: ``user.tags.0``, ``items[0].id``, with an optional ``$.`` in front."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

MISSING: Final = object()
"""What `get` gives back where there is nothing. Not null: null is a value."""


@lru_cache(maxsize=4096)
def split(path: str) -> tuple[str, ...]:
    """The keys of a path."""
    text = path.removeprefix("$").replace("[", ".").replace("]", "")
    return tuple(part.strip("'\" ") for part in text.split(".") if part)


def get(value: Any, path: str) -> Any:
    """The value at `path`, or `MISSING`. A key that is spelt like the whole path wins."""
    if isinstance(value, dict) and path in value:
        return value[path]
    for key in split(path):
        value = _step(value, key)
        if value is MISSING:
            return MISSING
    return value


def _step(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key, MISSING)
    if isinstance(value, list | tuple) and key.lstrip("-").isdecimal():
        index = int(key)
        return value[index] if -len(value) <= index < len(value) else MISSING
    return MISSING


def put(value: dict[str, Any], path: str, new: Any) -> dict[str, Any]:
    """A copy of `value` with `new` at `path`. Objects on the way are copied, and made where there are none."""
    keys = (path,) if path in value else split(path) or (path,)
    return _put(value, keys, new)


def _put(value: Any, keys: tuple[str, ...], new: Any) -> dict[str, Any]:
    copy = dict(value) if isinstance(value, dict) else {}
    copy[keys[0]] = new if len(keys) == 1 else _put(copy.get(keys[0]), keys[1:], new)
    return copy


def drop(value: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy of `value` without what is at `path`."""
    return _drop(value, (path,) if path in value else split(path))


def _drop(value: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    if not keys or keys[0] not in value:
        return value
    copy = dict(value)
    if len(keys) == 1:
        del copy[keys[0]]
    elif isinstance(copy[keys[0]], dict):
        copy[keys[0]] = _drop(copy[keys[0]], keys[1:])
    return copy
