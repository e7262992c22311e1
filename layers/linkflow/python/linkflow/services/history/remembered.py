"""States that were written, kept so that the usual transition reads nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from linkflow.domain.snapshots import Stored, snapshot
from linkflow.domain.state import State
from linkflow.ports import Transition

from .loading import Loaded

MAX_STATES = 4096
MAX_STATE_BYTES = 64 * 1024 * 1024


class Remembered:
    """Open runs' states within a budget of runs and bytes, the latest used ones; beside them how they are stored and
    how many bytes of history they have."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, State] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self.stored: dict[str, Stored] = {}
        self.history: dict[str, int] = {}

    def __contains__(self, id: str) -> bool:
        return id in self._states

    def find(self, id: str) -> State | None:
        state = self._states.get(id)
        if state is not None:
            self._states.move_to_end(id)
        return state

    def at(self, id: str, version: int) -> State | None:
        """The run's state at this very version, if it is here. Not to be changed."""
        state = self._states.get(id)
        return state if state is not None and state.version == version else None

    def learn(self, ids: Sequence[str], loaded: Loaded) -> None:
        """What was read beside the states of these runs."""
        for id in ids:
            self.stored.pop(id, None)
        self.stored |= loaded.stored
        self.history |= loaded.history

    def keep(self, state: State, row: Transition | None) -> None:
        """Keep an open run's state, within a budget of runs and bytes; a closed one is hardly asked for again."""
        id = state.execution_id
        stored = self.stored.get(id)
        if row is not None and not row.snapshot:
            stored = snapshot(state.version, len(row.state))
        elif row is not None and stored is not None:
            stored = stored.followed_by(len(row.events))
        if row is not None and row.expected and id not in self.history:  # of unknown size: the next one reads it
            self.forget(id)
            return
        history = self.history.get(id, 0) + (len(row.events) if row is not None else 0)
        size = stored.size + stored.tail if stored else len(row.state) if row else self._sizes.get(id, 0)
        self.forget(id)
        if state.closed:
            return
        if stored is not None:
            self.stored[id] = stored
        self._states[id] = state
        self.history[id] = history
        self._sizes[id] = size
        self._bytes += size
        while len(self._states) > MAX_STATES or (self._bytes > MAX_STATE_BYTES and len(self._states) > 1):
            self.forget(next(iter(self._states)))

    def forget(self, id: str) -> None:
        """The next one reads it."""
        self.stored.pop(id, None)
        self.history.pop(id, None)
        if self._states.pop(id, None) is not None:
            self._bytes -= self._sizes.pop(id, 0)
