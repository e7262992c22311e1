"""Commands and outcomes made small: values over the limit are set aside, references go on in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from . import events as e
from .outcomes import Iterate
from .payloads import Part, Stowage, blob_of

PAYLOADS = frozenset({"trigger", "input", "output", "payload", "respond", "result"})
"""Names under which commands and outcomes carry data, in themselves or in what they hold."""

ITEMS = "items"

T = TypeVar("T", bound=Struct)


def payloads_of(message: Struct) -> Iterator[Any]:
    """The data that a command or an outcome carries."""
    if isinstance(message, e.LoopStarted):  # a fork takes it over
        yield list(message.items)
        yield from (part.value for part in message.parts)
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name in PAYLOADS:
            yield value
        elif isinstance(value, Struct):
            yield from payloads_of(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            for item in value:
                yield from payloads_of(item)


def remade(message: T, change: Callable[[str, Any], Any]) -> T:
    """The same with `change(name, data)` in place of its data; itself where nothing is another."""
    if isinstance(message, e.LoopStarted):
        return _remade_loop(message, change)  # type: ignore[return-value]
    changes: dict[str, Any] = {}
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if name in PAYLOADS:
            new = change(name, value)
        elif isinstance(value, Struct):
            new = remade(value, change)
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            items = tuple(remade(item, change) for item in value)
            new = items if any(a is not b for a, b in zip(items, value, strict=True)) else value
        else:
            continue
        if new is not value:
            changes[name] = new
    return msgspec.structs.replace(message, **changes) if changes else message


def _remade_loop(loop: e.LoopStarted, change: Callable[[str, Any], Any]) -> e.LoopStarted:
    items, parts = change(ITEMS, list(loop.items)), []
    for part in loop.parts:
        blob = blob_of(change(ITEMS, part.value))
        parts.append(Part(blob.key, blob.size, part.count) if blob else part)
    if list(loop.items) == items and tuple(parts) == loop.parts:
        return loop
    return msgspec.structs.replace(loop, items=tuple(items), parts=tuple(parts))


def pack(message: T, stow: Stowage) -> T:
    """The same command or outcome with what is large set aside; itself where nothing is."""

    def keep(name: str, value: Any) -> Any:
        if name == ITEMS:  # of a loop that is taken over: as its run had them
            return value
        return _answer(value, stow) if name == "respond" else stow.keep(value)

    packed = remade(message, keep)
    outcome = getattr(packed, "outcome", packed)
    if not isinstance(outcome, Iterate) or outcome.parts or not (parts := stow.split(outcome.items)):
        return packed
    small = msgspec.structs.replace(outcome, items=(), parts=parts)
    return small if outcome is packed else msgspec.structs.replace(packed, outcome=small)  # type: ignore[return-value]


def _answer(value: Any, stow: Stowage) -> Any:
    """An answer's body is mostly the node's output, so it is kept under the same key. What is small stays beside it."""
    if not isinstance(value, dict) or "body" not in value:
        return stow.keep(value)
    body = stow.keep(value["body"])
    return stow.keep(value if body is value["body"] else {**value, "body": body})
