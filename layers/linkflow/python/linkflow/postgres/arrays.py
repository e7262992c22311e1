"""Arrays for `unnest`, written in Postgres's binary form in one go.

psycopg dumps a list item by item, in text, which was the largest single cost of a batch of transitions. The arrays of
our statements hold one of three kinds, so they can be joined instead. Statements cast them (``::uuid[]``,
``::smallint[]``), as an array of text or bigint casts to any of them.

The format is that of `array_send` in Postgres: dimensions, whether there are nulls, the item's type, length and lower
bound, then each item behind its length (-1 for null).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

BYTEA, TEXT, BIGINT = 17, 25, 20
_ARRAY_OF = {BYTEA: 1001, TEXT: 1009, BIGINT: 1016}
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)
_EMPTY = struct.pack("!iii", 0, 0, TEXT)


class Texts:
    """An array of text, ready to send. `data` is the binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Byteas(Texts):
    """An array of bytea."""

    __slots__ = ()


class Bigints(Texts):
    """An array of bigint."""

    __slots__ = ()


_NOTHING = Texts(_EMPTY)


def arrays(values: Mapping[str, Sequence[Any]]) -> dict[str, Texts]:
    """Each column as an array of text, bytes or integers, by what it holds; None is null."""
    return {name: array(column) for name, column in values.items()}


def array(items: Sequence[Any]) -> Texts:
    """`items` as one array. Raises `TypeError` for anything but text, bytes, integers, booleans and None."""
    kind = next((type(item) for item in items if item is not None), None)
    if kind is int or kind is bool:
        return Bigints(_bigints(items))
    if kind is bytes:
        return Byteas(_join(BYTEA, items))
    if kind is str:
        return Texts(_join(TEXT, [None if item is None else item.encode() for item in items]))
    if kind is None:
        return Texts(_join(TEXT, items)) if items else _NOTHING
    raise TypeError(f"An array cannot hold {kind.__name__}.")


def _head(oid: int, count: int, nulls: bool) -> bytes:
    return struct.pack("!iiiii", 1, int(nulls), oid, count, 1)


def _join(oid: int, items: Sequence[bytes | None]) -> bytes:
    parts = [_head(oid, len(items), None in items)]
    pack = _LENGTH.pack
    for item in items:
        if item is None:
            parts.append(_NULL)
        else:
            parts += (pack(len(item)), item)
    return b"".join(parts)


def _bigints(items: Sequence[int | None]) -> bytes:
    if None in items:
        return _join(BIGINT, [None if item is None else struct.pack("!q", item) for item in items])
    flat: list[int | None] = [8] * (2 * len(items))  # each item behind its length
    flat[1::2] = items
    return _head(BIGINT, len(items), False) + struct.pack("!" + "iq" * len(items), *flat)


class _Ready(Dumper):
    format = Format.BINARY

    def dump(self, obj: Texts) -> Buffer:
        return obj.data


class _TextsDumper(_Ready):
    oid = _ARRAY_OF[TEXT]


class _ByteasDumper(_Ready):
    oid = _ARRAY_OF[BYTEA]


class _BigintsDumper(_Ready):
    oid = _ARRAY_OF[BIGINT]


_DUMPERS: dict[type[Texts], type[Dumper]] = {Texts: _TextsDumper, Byteas: _ByteasDumper, Bigints: _BigintsDumper}


def register(context: AdaptContext) -> None:
    """Teach a connection these arrays."""
    for kind, dumper in _DUMPERS.items():
        context.adapters.register_dumper(kind, dumper)
