"""Big states that this worker keeps. They do not travel with their tasks: each is loaded once, then followed by what
History tells of it, so a long run with a big state is not read again for every task."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from linkflow.contracts.history import NO_STATE, Tail, Task
from linkflow.domain.snapshots import fold_on
from linkflow.domain.state import State, decode, encode
from linkflow.observability import logger
from linkflow.services.payloads import holds_references

SMALL = 32_768
"""Bytes up to which a state travels, and is not kept."""
MOST_BYTES = 16 * 1024 * 1024
"""Of all kept states, as JSON; decoded they take some times as much."""


Remembered = Callable[[str, int], State | None]
"""The state of a run at a version, if it is at hand. It is somebody else's, and not to be changed."""


class Read(NamedTuple):
    """A state, and whether it refers to payloads that are kept outside."""

    state: State
    refers: bool


def read(raw: msgspec.Raw) -> Read:
    """Decode a state. Raises `ValueError`."""
    state = decode(raw)
    return Read(state, holds_references(raw) or _in_parts(state))


class NextDoor:
    """States that a History in the same process has: nobody has to load or to decode them."""

    def __init__(self, remembered: Remembered) -> None:
        self._remembered = remembered
        self._last: Read | None = None

    def of(self, task: Task) -> Read | None:
        """The state of the version that made the task due."""
        state = self._remembered(task.execution_id, task.version) if task.version else None
        if state is None:
            return None
        if self._last is None or self._last.state is not state:
            raw = task.state if task.state != NO_STATE else encode(state)
            self._last = Read(state, holds_references(raw) or _in_parts(state))
        return self._last


def _in_parts(state: State) -> bool:
    """Are items of a loop kept outside? Its parts are no references themselves."""
    return any(loop.parts for loop in state.loops.values())


class _Kept(NamedTuple):
    read: Read
    size: int


class States:
    """By run, the latest used last. A kept state is never changed: chains work on copies, and so does `follow`."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def read(self, execution_id: str, raw: msgspec.Raw) -> Read:
        """Decode a state that was loaded, and keep it if it is big. Raises `ValueError`."""
        found = read(raw)
        if len(bytes(raw)) > SMALL and not found.state.closed:
            self._keep(execution_id, found, len(bytes(raw)))
        return found

    def of(self, task: Task) -> Read | None:
        """The state for a task, if it is here and not older than what made the task due."""
        if task.tail is not None:
            self.follow((task.tail,))
        kept = self._kept.get(task.execution_id)
        if kept is None or not task.version or kept.read.state.version < task.version:
            return None
        self._kept.move_to_end(task.execution_id)
        return kept.read

    def versions(self, execution_ids: Iterable[str]) -> dict[str, int]:
        """Which of these are here."""
        if not self._kept:
            return {}
        return {id: self._kept[id].read.state.version for id in execution_ids if id in self._kept}

    def follow(self, tails: Iterable[Tail]) -> None:
        """Lead kept states on; one whose tail begins elsewhere stays as it is."""
        for tail in tails:
            kept = self._kept.get(tail.execution_id)
            if kept is None or kept.read.state.version != tail.after:
                continue
            draft, events = kept.read.state.copy(), bytes(tail.events)
            try:
                fold_on(draft, (events,))
                if draft.version != tail.version:
                    raise ValueError(f"The state is at event {draft.version}, the tail ends at {tail.version}.")
            except (ValueError, KeyError):
                logger.exception("A state cannot be led on", extra={"execution_id": tail.execution_id})
                self._drop(tail.execution_id)
                continue
            found = Read(draft, kept.read.refers or holds_references(tail.events) or _in_parts(draft))
            self._keep(tail.execution_id, found, kept.size + len(events))

    def _keep(self, id: str, read: Read, size: int) -> None:
        self._drop(id)
        self._kept[id] = _Kept(read, size)
        self._bytes += size
        while self._bytes > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, id: str) -> None:
        kept = self._kept.pop(id, None)
        self._bytes -= kept.size if kept else 0
