"""Snapshots: the state as it is stored, which may lie behind the events.

A small state is written with every transition. A big one is written again only when the events since outweigh it: so a
long run writes some bytes for each byte of its events, not its whole state for each of them, and reading it costs the
snapshot and about as much again.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from .events import decode as decode_events
from .evolve import apply
from .state import State, decode, encode, new

BIG = 32_768
"""Bytes from which on a state is not written every time. What travels with a task is smaller, so it is there anyway."""


class Stored(Struct, frozen=True):
    """What a run's row has: a big state as of event `version`, `size` bytes, and `tail` bytes of events since."""

    version: int
    size: int
    tail: int = 0

    def followed_by(self, size: int) -> Stored | None:
        """With `size` more bytes of events; None where a new snapshot is due."""
        tail = self.tail + size
        return Stored(self.version, self.size, tail) if tail < self.size else None


def snapshot(version: int, size: int) -> Stored | None:
    """What to remember of a state that was written in full; nothing of a small one."""
    return Stored(version, size) if size >= BIG else None


def restore(execution_id: str, state: bytes, rows: Sequence[bytes]) -> State:
    """The state from a snapshot (or from nothing, where `state` is empty) and rows of events, of which the first ones
    may be in the snapshot already. Raises `ValueError` or `KeyError` where they do not fit."""
    draft = decode(state) if state else new(execution_id)
    fold_on(draft, rows)
    return draft


def fold_on(draft: State, rows: Sequence[bytes]) -> None:
    """Fold rows of events into a draft; those that it knows are passed over."""
    for row in rows:
        for event in decode_events(row):
            if event.event_id > draft.version:
                apply(draft, event)


def restored(execution_id: str, state: bytes, rows: Sequence[bytes]) -> bytes:
    """The same as the stored JSON of a state."""
    return encode(restore(execution_id, state, rows)) if rows or not state else state
