"""Large values in small portions: what a look at one shows, and the pages of it."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from .errors import InvalidInput, NotFound, Problem

HEAD = 500
"""Characters of a value's JSON that a preview has."""

_encode = msgspec.json.Encoder().encode


class Preview(Struct, frozen=True):
    """`type` is JSON's, `size` bytes of JSON, `count` items, members or characters; `head` is how its JSON begins."""

    type: str
    size: int
    count: int
    head: str


class Portion(Struct, frozen=True, omit_defaults=True):
    """Items of an array, members of an object, or characters of a string, from `offset` on; `next` is the offset of the
    following ones, None at the end. Any other value comes whole."""

    type: str
    data: Any
    offset: int
    total: int
    next: int | None = None


def preview(value: Any, encoded: bytes) -> Preview:
    """What of a large value is shown unasked."""
    head = encoded[: HEAD * 4].decode(errors="ignore")[:HEAD]
    return Preview(type_of(value), len(encoded), len(value) if isinstance(value, list | dict | str) else 1, head)


def portion(value: Any, offset: int, limit: int) -> Portion:
    """`limit` items, members or characters."""
    if not isinstance(value, list | dict | str):
        return Portion(type_of(value), value, 0, 1)
    part: Any
    if isinstance(value, dict):
        part = dict(islice(value.items(), offset, offset + limit))
    else:
        part = value[offset : offset + limit]
    following = offset + limit if offset + limit < len(value) else None
    return Portion(type_of(value), part, offset, len(value), following)


def at_pointer(value: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to. Raises `InvalidInput` for one that is none, `NotFound`."""
    if not pointer:
        return value
    if not pointer.startswith("/"):
        fault = Problem("/at", "bad_pointer", "A JSON pointer begins with a slash: /rows/0.")
        raise InvalidInput("This is no JSON pointer.", problems=[fault])
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isascii() and name.isdecimal() and int(name[:10]) < len(value):
            value = value[int(name)]
        else:
            raise NotFound("There is nothing at this place of the value.")
    return value


def type_of(value: Any) -> str:
    """JSON's name of its kind."""
    if isinstance(value, bool):
        return "boolean"
    kinds = {dict: "object", list: "array", str: "string", int: "number", float: "number"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "null")


def measured(value: Any) -> bytes:
    """Its JSON."""
    return _encode(value)
