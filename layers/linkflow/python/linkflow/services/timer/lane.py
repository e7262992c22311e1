"""One lane of due things: read a little ahead, send what is due in batches, hold back what fails."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from math import inf
from typing import Generic, Protocol, TypeVar

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Clock

from .wake import Holds, Wake, backoff

log = logging.getLogger(__name__)

MAX_READ = 20_000
"""Rows of one read, however many are held back."""

LONGEST_PAUSE_MS = 5_000


class Due(Protocol):
    @property
    def due_at(self) -> int: ...


T = TypeVar("T", bound=Due)


class Sent(Generic[T]):
    """What became of a batch: how many counted, and which items are to be tried again."""

    def __init__(self, done: int, failed: Sequence[T] = ()) -> None:
        self.done = done
        self.failed = failed


class Lane(Generic[T]):
    """Timers or schedules on their way.

    `read(until_ms, limit)` gives items by due time and `key` tells them apart. `send` hands a batch over; when it
    raises a retryable error the whole lane pauses (the other side is away), any other error holds back that batch.
    A batch that failed comes again in tenths, so an item that poisons its batch soon fails alone.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[int, int], Awaitable[Sequence[T]]],
        send: Callable[[Sequence[T]], Awaitable[Sent[T]]],
        key: Callable[[T], Hashable],
        *,
        clock: Clock,
        wake: Wake,
        holds: Holds,
        batch: int,
        slots: int,
    ) -> None:
        self._name, self._read, self._send, self._key = name, read, send, key
        self._clock, self._wake, self._holds = clock, wake, holds
        self._batch, self._slots = batch, slots
        self._pending: deque[T] = deque()
        self._airborne: set[Hashable] = set()
        self._landed: dict[Hashable, int] = {}
        self._looks = 0
        self._flights = 0
        self._failures = 0
        self._paused_until = 0
        self._more = False
        self.done = 0
        self.look_by = inf
        """When something that failed is to be looked at again, ms."""
        self.error: Exception | None = None
        """Why the lane paused, until a batch goes through."""

    @property
    def busy(self) -> bool:
        """Is there anything read and not yet settled?"""
        return bool(self._pending or self._flights)

    @property
    def wants_more(self) -> bool:
        """The last read was cut short, and what it brought is nearly gone."""
        return self._more and len(self._pending) < self._batch

    def next_at(self) -> float:
        """When the next batch can be sent, ms; infinity while every slot is taken, for a landing wakes the loop."""
        if not self._pending or self._flights >= self._slots:
            return inf
        return max(self._pending[0].due_at, self._paused_until)

    async def look(self, now: int, until: int) -> None:
        """Read what falls due up to `until`. What is under way or held back is passed over."""
        self.look_by = inf
        self._looks += 1
        self._landed = {key: look for key, look in self._landed.items() if look >= self._looks - 2}
        airborne = set(self._airborne)  # of before the read: what lands meanwhile may still be among its rows
        limit = self._limit()
        rows = await self._read(until, limit)
        self._pending = deque(self._fresh(rows, airborne, now))
        self._more = len(rows) >= limit and len(self._pending) >= self._batch

    async def probe(self, now: int, until: int) -> float:
        """When the first fresh item up to `until` falls due, ms; infinity if there is none."""
        airborne = set(self._airborne)
        rows = await self._read(until, self._limit())
        return next((row.due_at for row in self._fresh(rows, airborne, now)), inf)

    def launch(self, now: int, group: asyncio.TaskGroup) -> None:
        """Send what is due, as far as there are slots."""
        self._paused_until = min(self._paused_until, now + LONGEST_PAUSE_MS)  # the clock may have been set back
        if now < self._paused_until:
            return
        while self._flights < self._slots and (batch := self._take(now)):
            self._airborne.update(map(self._key, batch))
            self._flights += 1
            group.create_task(self._fly(batch))

    def _limit(self) -> int:
        """Enough rows to see past everything that is under way or held back."""
        ahead = self._batch * (self._slots + 2)
        return min(ahead + len(self._airborne) + len(self._holds), MAX_READ)

    def _fresh(self, rows: Sequence[T], airborne: set[Hashable], now: int) -> Iterator[T]:
        for row in rows:
            key = self._key(row)
            if key in airborne or key in self._airborne:
                continue
            held = self._holds.until(key, now)
            if self._landed.pop(key, self._looks) < self._looks:  # said to be done, and still there: never spin on it
                held = self._holds.fail(key, now)
            if held > now:
                self.look_by = min(self.look_by, held)
            else:
                yield row

    def _take(self, now: int) -> list[T]:
        batch: list[T] = []
        size = 0
        while self._pending and self._pending[0].due_at <= now:
            allowed = max(1, self._batch // 10 ** min(self._holds.tries(self._key(self._pending[0])), 9))
            size = size or allowed
            if allowed != size or len(batch) >= size:  # suspects fly apart from the others
                break
            batch.append(self._pending.popleft())
        return batch

    async def _fly(self, batch: Sequence[T]) -> None:
        try:
            sent = await self._send(batch)
        except LinkFlowError as error:
            if error.retryable:
                self._pause(error)
            else:
                self._hold(batch, error)
        except Exception as error:
            self._hold(batch, error)
        else:
            self._settle(batch, sent)
        finally:
            self._flights -= 1
            self._airborne.difference_update(map(self._key, batch))
            self._wake.poke()

    def _settle(self, batch: Sequence[T], sent: Sent[T]) -> None:
        self.done += sent.done
        self._failures = 0
        self.error = None
        failed = set(map(self._key, sent.failed))
        for key in map(self._key, batch):
            if key not in failed:
                self._landed[key] = self._looks
                self._holds.clear(key)
        if sent.failed:
            self._hold(sent.failed, None)

    def _hold(self, items: Sequence[T], error: Exception | None) -> None:
        now = self._clock.now_ms()
        until = [self._holds.fail(self._key(item), now) for item in items]
        self.look_by = min(self.look_by, min(until))
        worst = max(self._holds.tries(self._key(item)) for item in items)
        log.warning(
            "%d %s failed (%s), tried %d times; next try in %d ms",
            len(items), self._name, error or "reported by History", worst, max(until) - now,
            exc_info=error if error and not isinstance(error, LinkFlowError) else None,
            extra={"first": str(self._key(items[0]))},
        )  # fmt: skip

    def _pause(self, error: LinkFlowError) -> None:
        self._failures += 1
        self.error = error
        wait = min(backoff(self._failures), LONGEST_PAUSE_MS)
        self._paused_until = self._clock.now_ms() + wait
        self.look_by = min(self.look_by, self._paused_until)
        log.warning("%s pause for %d ms: %s", self._name, wait, error.message)
