"""Commands and outcomes made small: values over the limit are set aside, references go on in their place."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from . import commands as c
from .outcomes import Iterate
from .payloads import Stowage

PAYLOADS = frozenset({"trigger", "input", "output", "payload", "respond", "result"})
"""Names under which commands and outcomes carry data."""

T = TypeVar("T", bound=Struct)


def payloads_of(message: Struct) -> dict[str, Any]:
    """The data that a command or an outcome carries, by field."""
    return {name: getattr(message, name) for name in message.__struct_fields__ if name in PAYLOADS}


def pack(message: T, stow: Stowage) -> T:
    """The same command or outcome with what is large set aside; itself where nothing is."""
    changes: dict[str, Any] = {}
    for name, value in payloads_of(message).items():
        kept = _answer(value, stow) if name == "respond" else stow.keep(value)
        if kept is not value:
            changes[name] = kept
    if isinstance(message, Iterate) and not message.parts and (parts := stow.split(message.items)):
        changes = {"items": (), "parts": parts}
    if isinstance(message, c.Complete):
        outcome = pack(message.outcome, stow)
        if outcome is not message.outcome:
            changes["outcome"] = outcome
    return msgspec.structs.replace(message, **changes) if changes else message


def _answer(value: Any, stow: Stowage) -> Any:
    """An answer's body is mostly the node's output, so it is kept under the same key. What is small stays beside it."""
    if not isinstance(value, dict) or "body" not in value:
        return stow.keep(value)
    body = stow.keep(value["body"])
    return stow.keep(value if body is value["body"] else {**value, "body": body})
