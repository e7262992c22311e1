"""Wall clocks that are wrong: a process's time is this machine's plus an offset that a test may move at any time.

The whole process is fooled, as it would be by a bad clock of its machine: `time.time` and `time.time_ns` are replaced
before a service is built. The monotonic clock runs on as it does in real life.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

_FORMAT = struct.Struct("=ddd")
"""Offset in seconds, drift in seconds a second, and since when (this machine's time) it drifts."""

_real_ns = time.time_ns


class Clock:
    """The test's end of a process's clock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(_FORMAT.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _FORMAT.size)

    def set(self, offset: float = 0.0, drift: float = 0.0) -> None:
        """From now on `offset` seconds off (negative: behind), and further off by `drift` every second."""
        self._map[:] = _FORMAT.pack(offset, drift, _real_ns() / 1e9)

    @property
    def offset(self) -> float:
        """By how much it is off now, in seconds."""
        offset, drift, since = _FORMAT.unpack(self._map[:])
        return float(offset + drift * (_real_ns() / 1e9 - since))


def live_by(path: Path) -> None:
    """In the process itself: let its wall clock follow the file."""
    with path.open("rb") as file:
        shared = mmap.mmap(file.fileno(), _FORMAT.size, prot=mmap.PROT_READ)
    unpack = _FORMAT.unpack

    def time_ns() -> int:
        offset, drift, since = unpack(shared[:])
        real = _real_ns()
        return real + int((offset + drift * (real / 1e9 - since)) * 1e9)

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9
