"""Replay: fold a history again and hold it against the stored state, byte for byte."""

from __future__ import annotations

from msgspec import Struct

from . import events as e
from .evolve import fold
from .state import encode


class Replay(Struct, frozen=True):
    """`matches` where the folded state is the stored one. `at` is the first byte that differs, -1 for none."""

    events: int
    matches: bool
    at: int = -1
    folded: bytes = b""
    fault: str = ""


def replay(execution_id: str, events: bytes, stored: bytes) -> Replay:
    """Fold `events` (a JSON array) and compare with `stored` (a state's JSON)."""
    decoded = e.decode(events)
    try:
        folded = encode(fold(execution_id, decoded))
    except (ValueError, KeyError) as error:
        return Replay(len(decoded), False, 0, b"", f"{type(error).__name__}: {error}")
    if folded == stored:
        return Replay(len(decoded), True)
    shorter = min(len(folded), len(stored))
    at = next((i for i in range(shorter) if folded[i] != stored[i]), shorter)
    return Replay(len(decoded), False, at, folded)
