"""Sleep until a time or until poked, and remember what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from linkflow.ports import Clock

FIRST_MS, LONGEST_MS = 100, 60_000


def backoff(tries: int) -> int:
    """Milliseconds to wait after the `tries`-th failure in a row: 100 ms, doubling up to a minute."""
    return min(FIRST_MS << min(tries - 1, 20), LONGEST_MS)


class Wake:
    """An alarm clock that can also be poked. A poke while nobody sleeps ends the next sleep at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._poked = asyncio.Event()

    def poke(self) -> None:
        self._poked.set()

    async def until(self, at_ms: float) -> None:
        """Sleep until `at_ms`, ms since the epoch, or a poke."""
        seconds = (at_ms - self._clock.now_ms()) / 1000
        if seconds > 0 and not self._poked.is_set():
            waiting = {
                asyncio.ensure_future(self._clock.sleep(seconds)),
                asyncio.ensure_future(self._poked.wait()),
            }
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()
        self._poked.clear()


class Holds:
    """Items that failed: how often, and until when (ms) each is left alone.

    The Timer's memory and no more: another process, or this one after a restart, simply tries again.
    """

    def __init__(self) -> None:
        self._held: dict[Hashable, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._held)

    def tries(self, key: Hashable) -> int:
        return self._held.get(key, (0, 0))[0]

    def until(self, key: Hashable, now_ms: int) -> int:
        """Never further away than the longest wait: the clock may have been set back."""
        tries, until = self._held.get(key, (0, 0))
        if until > now_ms + LONGEST_MS:
            until = now_ms + LONGEST_MS
            self._held[key] = (tries, until)
        return until

    def fail(self, key: Hashable, now_ms: int) -> int:
        """Count a failure; returns until when the item is left alone."""
        tries = self.tries(key) + 1
        until = now_ms + backoff(tries)
        self._held[key] = (tries, until)
        return until

    def clear(self, key: Hashable) -> None:
        self._held.pop(key, None)

    def forget(self, before_ms: int) -> None:
        """Drop what could have been tried again since `before_ms` and was not: it is gone, or another did it."""
        self._held = {key: held for key, held in self._held.items() if held[1] >= before_ms}
