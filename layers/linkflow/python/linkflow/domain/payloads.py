"""Large payloads by reference: what stands in place of a value in commands, events and state.

A value over a limit is kept outside, under its hash, and one of these goes on for it:

    {"$linkflow:blob": {"key": "<workspace>/<execution>/<sha256>", "size": 91342}}      the value
    {"$linkflow:blob": {"key": …, "size": …, "at": 3}}                                  item 3 of the list there
    {"$linkflow:list": [reference or list, …]}                                          such lists, one after another

To the decider a reference is a value like any other. What is kept may hold references itself. Names that begin with
``$linkflow:`` are reserved: data from outside that has one is refused (`reserved`), so no reference is ever forged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from .errors import InvalidInput, Problem

RESERVED = "$linkflow:"
MARK = b'"$linkflow:'
"""How a reserved name begins in encoded JSON (msgspec escapes none of it): cheap to look for."""
BLOB, LIST = "$linkflow:blob", "$linkflow:list"

LIMIT = 32_768
"""Encoded bytes of a value that still stays where it is."""
PART = 65_536
"""About how many bytes of a list are kept together."""

encode = msgspec.json.Encoder().encode


class Blob(Struct, frozen=True, omit_defaults=True):
    """Where a value is kept. `size` is that of what is kept, in bytes; `at` >= 0 means an item of the list there."""

    key: str
    size: int
    at: int = -1

    @property
    def execution_id(self) -> str:
        return self.key.split("/")[1]

    @property
    def value(self) -> dict[str, Any]:
        """The reference as it stands in data."""
        inside: dict[str, Any] = {"key": self.key, "size": self.size}
        if self.at >= 0:
            inside["at"] = self.at
        return {BLOB: inside}


class Part(Struct, frozen=True):
    """`count` items of a list, kept together."""

    key: str
    size: int
    count: int

    @property
    def value(self) -> dict[str, Any]:
        return Blob(self.key, self.size).value


def key_of(workspace_id: str, execution_id: str, data: bytes) -> str:
    """What `data` is kept under: the same bytes in the same run are kept once."""
    return f"{workspace_id}/{execution_id}/{hashlib.sha256(data).hexdigest()}"


def is_intact(key: str, data: bytes) -> bool:
    """Are these the bytes that were put under `key`?"""
    return key.rpartition("/")[2] == hashlib.sha256(data).hexdigest()


def blob_of(value: Any) -> Blob | None:
    """The reference that `value` is, if it is one."""
    if type(value) is not dict or len(value) != 1 or BLOB not in value:
        return None
    try:
        found = msgspec.convert(value[BLOB], Blob)
    except msgspec.ValidationError:
        return None
    return found if found.key.count("/") == 2 else None


def lists_of(value: Any) -> list[Any] | None:
    """The lists that `value` puts together, if it is such a reference."""
    if type(value) is not dict or len(value) != 1 or not isinstance(value.get(LIST), list):
        return None
    found: list[Any] = value[LIST]
    return found


def references(value: Any) -> Iterator[Blob]:
    """Every reference in `value`, at any depth."""
    stack = [value]
    while stack:
        item = stack.pop()
        if type(item) is dict:
            found = blob_of(item)
            if found is not None:
                yield found
            else:
                stack.extend(item.values())
        elif isinstance(item, list | tuple):
            stack.extend(item)


def substitute(value: Any, known: Callable[[Blob], Any]) -> Any:
    """`value` with what `known` gives in place of each reference. Nothing is changed in place; what holds no reference
    is handed on as it is. `known` may answer with the reference itself where it has nothing better."""
    if type(value) is dict:
        blob = blob_of(value)
        if blob is not None:
            return known(blob)
        lists = lists_of(value)
        if lists is not None:
            return _joined([substitute(part, known) for part in lists])
        copy = {name: substitute(item, known) for name, item in value.items()}
        return copy if any(copy[name] is not value[name] for name in copy) else value
    if isinstance(value, list | tuple):
        items = [substitute(item, known) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value


def _joined(lists: list[Any]) -> Any:
    """The lists as one, or still a reference where one of them is not known."""
    if all(isinstance(part, list) for part in lists):
        return [item for part in lists for item in part]
    return {LIST: lists}


def reserved(value: Any, pointer: str = "") -> str | None:
    """Where in `value` a reserved name stands (a JSON Pointer), or None. Cheap where there is none."""
    if value is None or isinstance(value, bool | int | float | str) or MARK not in encode(value):
        return None
    return _reserved(value, pointer)


def _reserved(value: Any, pointer: str) -> str | None:
    stack = [(value, pointer)]
    while stack:
        item, at = stack.pop()
        if isinstance(item, Mapping):
            for name, inner in item.items():
                here = f"{at}/{str(name).replace('~', '~0').replace('/', '~1')}"
                if isinstance(name, str) and name.startswith(RESERVED):
                    return here
                stack.append((inner, here))
        elif isinstance(item, list | tuple):
            stack.extend((inner, f"{at}/{index}") for index, inner in enumerate(item))
    return None


def refuse_reserved(value: Any, pointer: str) -> None:
    """The door for data from outside. Raises `InvalidInput` where it has a reserved name; `pointer` is where `value`
    stands in the request."""
    at = reserved(value, pointer)
    if at is not None:
        fault = Problem(at, "reserved_name", f"Names that begin with {RESERVED} are LinkFlow's own; use another one.")
        raise InvalidInput("The data has a reserved name.", problems=[fault])


class Stowage:
    """What one run sets aside in one transition. `blobs` (key to bytes) have to be durable before it is written.

    Pure: a key follows from run and bytes.
    """

    __slots__ = ("blobs", "execution_id", "limit", "values", "workspace_id")

    def __init__(self, workspace_id: str, execution_id: str, limit: int = LIMIT) -> None:
        self.workspace_id = workspace_id
        self.execution_id = execution_id
        self.limit = limit
        self.blobs: dict[str, bytes] = {}
        self.values: dict[str, Any] = {}
        """The same, decoded: whoever set them aside has them in hand."""

    def keep(self, value: Any) -> Any:
        """`value` as it goes on: itself, or a reference where it is over the limit."""
        if value is None or isinstance(value, bool | int | float):
            return value
        data = encode(value)
        if len(data) <= self.limit:
            return value
        key = self.stow(data)
        self.values[key] = value
        return Blob(key, len(data)).value

    def stow(self, data: bytes) -> str:
        """Set these bytes aside; returns their key."""
        key = key_of(self.workspace_id, self.execution_id, data)
        self.blobs[key] = data
        return key

    def split(self, items: Sequence[Any]) -> tuple[Part, ...]:
        """A list in parts, in order, so that nobody has to load all of it for one item; no parts where it is small."""
        encoded = [encode(item) for item in items]
        if sum(map(len, encoded)) + len(encoded) <= self.limit:
            return ()
        parts: list[Part] = []
        group: list[bytes] = []
        size = 0
        for data in encoded:
            if group and size + len(data) > PART:
                parts.append(self._part(group))
                group, size = [], 0
            group.append(data)
            size += len(data) + 1
        return (*parts, self._part(group))

    def _part(self, items: list[bytes]) -> Part:
        data = b"[" + b",".join(items) + b"]"
        return Part(self.stow(data), len(data), len(items))


def item_of(parts: Sequence[Part], index: int) -> dict[str, Any]:
    """The reference to one item of a list that is kept in parts. Raises `IndexError`."""
    for part in parts:
        if index < part.count:
            return Blob(part.key, part.size, index).value
        index -= part.count
    raise IndexError("the list is shorter")


def whole(parts: Sequence[Part]) -> dict[str, Any]:
    """The reference to a list that is kept in parts."""
    return {LIST: [part.value for part in parts]}


def continued(parts: Sequence[Part], rest: list[Any]) -> Any:
    """A list whose first items are kept in parts, and the `rest` not."""
    if not parts:
        return rest
    return {LIST: [part.value for part in parts] + ([rest] if rest else [])}
