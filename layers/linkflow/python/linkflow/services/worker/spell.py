"""How long something may go on before others get their turn."""

from __future__ import annotations

import time


class Spell:
    """Some seconds, and then as many of CPU: a busy machine does no less in it. The CPU's clock is asked only when the
    seconds are over, because asking it costs more than a node does."""

    __slots__ = ("_cpu", "_end", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.perf_counter() + seconds
        self._cpu = 0.0

    @property
    def over(self) -> bool:
        if time.perf_counter() < self._end:
            return False
        now = time.thread_time()
        self._cpu = self._cpu or now + self._seconds
        return now >= self._cpu
