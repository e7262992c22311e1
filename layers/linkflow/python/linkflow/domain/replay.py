"""Replay: fold a history again and hold it against the stored state, byte for byte."""

from __future__ import annotations

from msgspec import Struct

from . import events as e
from .evolve import apply
from .snapshots import restored
from .state import encode, new


class Replay(Struct, frozen=True):
    """`matches` where the folded state is the stored one. `at` is the first byte that differs, -1 for none."""

    events: int
    matches: bool
    at: int = -1
    folded: bytes = b""
    fault: str = ""


def replay(execution_id: str, events: bytes, stored: bytes, version: int = 0, snapshot: int = 0) -> Replay:
    """Fold `events` (a JSON array) and compare with `stored` (a state's JSON; empty where it is of another format).

    `version` is the id of the last event, and `snapshot` of the last one that `stored` knows; 0 means that it knows
    all. A snapshot is compared with the state of its time, and what follows from it with the folded state.
    """
    decoded = e.decode(events)
    try:
        state, then = new(execution_id), b""
        for event in decoded:
            apply(state, event)
            if event.event_id == snapshot:
                then = encode(state)
        folded = encode(state)
        behind = stored and 0 < snapshot < state.version
        loaded = restored(execution_id, stored, [events]) if behind else stored or folded
    except (ValueError, KeyError) as error:
        return Replay(len(decoded), False, 0, b"", f"{type(error).__name__}: {error}")
    if version and state.version != version:
        return Replay(len(decoded), False, 0, folded, f"the last event is {state.version}, and should be {version}")
    for wanted, found in ((then if behind else loaded, stored or folded), (folded, loaded)):
        if wanted != found:
            shorter = min(len(wanted), len(found))
            at = next((i for i in range(shorter) if wanted[i] != found[i]), shorter)
            return Replay(len(decoded), False, at, wanted)
    return Replay(len(decoded), True)
