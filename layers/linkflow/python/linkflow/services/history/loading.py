"""Reading states: a snapshot and what came since, or all events where the stored state is of no use."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow.domain.errors import Internal, LinkFlowError, Unavailable
from linkflow.domain.snapshots import Stored, fold_on, restored, snapshot
from linkflow.domain.state import State, decode, new
from linkflow.observability import logger
from linkflow.ports import EventStore, Snapshot

FOLDS = 50
"""Histories that are read at once."""


class Loaded:
    """`states` of runs that are there, and what their rows have of them where that is big (`stored`). A run that is
    there and cannot be read must not look as if it were not: it is among the `faults`."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.stored: dict[str, Stored] = {}
        self.faults: dict[str, LinkFlowError] = {}
        self.history: dict[str, int] = {}
        """Bytes of their histories."""

    def add(self, id: str, row: Snapshot) -> bool:
        """False where this row cannot be read, and reading all of it may help."""
        try:
            state = decode(row.state) if row.state else new(id)
            version = state.version
            fold_on(state, row.tail)
            if state.version != row.version:
                raise ValueError(f"The state is at event {state.version}, the run at {row.version}.")
        except Unavailable as error:
            self.faults[id] = error
            return True
        except (ValueError, KeyError):
            logger.exception("A run cannot be read", extra={"execution_id": id})
            return False
        self.states[id] = state
        self.history[id] = row.history_bytes
        if (known := snapshot(version, len(row.state))) is not None:
            self.stored[id] = Stored(version, known.size, sum(map(len, row.tail)))
        return True


async def load(store: EventStore, ids: Sequence[str]) -> Loaded:
    """Read runs; unknown ones are absent. Where a stored state is of no use, it is folded anew."""
    loaded = Loaded()
    rows = await store.load(ids)
    broken = [id for id, row in rows.items() if not loaded.add(id, row)]
    for at in range(0, len(broken), FOLDS):
        for id, row in (await store.load(broken[at : at + FOLDS], afresh=True)).items():
            if not loaded.add(id, row):
                loaded.faults[id] = Internal("The history of this run cannot be read.", details={"execution_id": id})
    return loaded


async def load_one(store: EventStore, id: str) -> State | None:
    """One run's state. Raises `Internal` where it cannot be read, `Unavailable` where a newer version can."""
    loaded = await load(store, [id])
    if id in loaded.faults:
        raise loaded.faults[id]
    return loaded.states.get(id)


async def load_encoded(store: EventStore, ids: Sequence[str]) -> dict[str, bytes]:
    """States as stored JSON, for workers. One that cannot be read is absent: its task waits."""
    found = {}
    for id, row in (await store.load(ids)).items():
        try:
            found[id] = restored(id, row.state, row.tail)
        except Unavailable as error:
            logger.info("A run is left to others: %s", error, extra={"execution_id": id})
        except (ValueError, KeyError):
            logger.exception("A run cannot be read", extra={"execution_id": id})
    return found
