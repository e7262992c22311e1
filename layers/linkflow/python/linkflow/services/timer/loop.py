"""The timer's loop: look a little ahead, send what is due, sleep until the next thing or a ring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from math import inf
from typing import Protocol

from linkflow.contracts.history import DueTimer
from linkflow.ports import Clock, Doorbell, Schedule, TimerStore

from .lane import Lane
from .wake import Wake, backoff

log = logging.getLogger(__name__)

TOPIC = "timers"
"""Doorbell topic; a message is a new timer's due time in ms, as ASCII digits."""

AHEAD_MS = 250
"""How far a look reads ahead: a timer known in advance is fired on time, and a steady stream costs four looks a second.
Longer would also read more timers that are cancelled before they fall due."""

PROBE_MS = 3_000
"""Longest time between two looks: a ring may be lost, and a database may have been away."""

GAP_MS = 10
"""Shortest time between two looks, however often the doorbell rings."""

LONGEST_PAUSE_MS = 5_000


class Chores(Protocol):
    """Work beside the firing, started when its time has come."""

    def launch(self, now: int, group: asyncio.TaskGroup) -> None: ...
    def next_at(self) -> float: ...


class Loop:
    """One run over timers and schedules: to a deadline (a tick), or for ever (`deadline` None) until stopped.

    With a deadline it ends as soon as nothing falls due before it, and the first error ends it too (`error`);
    without, it outlives every error.
    """

    def __init__(
        self,
        store: TimerStore,
        doorbell: Doorbell,
        clock: Clock,
        wake: Wake,
        lanes: tuple[Lane[DueTimer], Lane[Schedule]],
        chores: Chores,
        deadline: int | None,
    ) -> None:
        self._store, self._doorbell, self._clock, self._wake = store, doorbell, clock, wake
        self.timers, self.schedules = lanes
        self._chores = chores
        self._deadline = deadline
        self._look_at: float = 0
        self._looked_at = 0
        self._asked: float = inf
        self._fresh = False
        self._idle = False
        self._failures = 0
        self._stopped = False
        self.error: Exception | None = None

    def stop(self) -> None:
        """Send nothing new; `run` returns when what is under way has landed."""
        self._stopped = True
        self._wake.poke()

    async def run(self, listening: bool) -> None:
        """Go on until the end, with an ear on the doorbell if `listening`."""
        async with asyncio.TaskGroup() as group:
            listener = group.create_task(self._listen()) if listening else None
            try:
                while not self._stopped:
                    await self._turn(group)
                    if self._finished():
                        break
                    await self._wake.until(self._next_at())
            finally:
                if listener is not None:
                    listener.cancel()
        self.error = self.error or self.timers.error or self.schedules.error

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        now = self._clock.now_ms()
        # Where the clock was set back these would hold everything up for as long.
        self._look_at = min(self._look_at, now + LONGEST_PAUSE_MS)
        self._looked_at = min(self._looked_at, now)
        if now >= min(self._look_at, self._due_look()) or self.timers.wants_more or self._drained():
            self._launch(now, group)  # what is known need not wait for the look
            await self._look(now)
            now = self._clock.now_ms()
        self._launch(now, group)
        self._chores.launch(now, group)

    def _launch(self, now: int, group: asyncio.TaskGroup) -> None:
        self.timers.launch(now, group)
        self.schedules.launch(now, group)

    def _drained(self) -> bool:
        """All that the last look brought is settled: what comes next is not known."""
        return self._fresh and not self._busy

    @property
    def _busy(self) -> bool:
        return self.timers.busy or self.schedules.busy

    def _due_look(self) -> float:
        """When a ring or a failure asks for a look."""
        return max(min(self._asked, self.timers.look_by, self.schedules.look_by), self._looked_at + GAP_MS)

    def _next_at(self) -> float:
        return min(
            self._look_at,
            self._due_look(),
            self.timers.next_at(),
            self.schedules.next_at(),
            self._chores.next_at(),
        )

    async def _look(self, now: int) -> None:
        self._asked, self._looked_at = inf, now
        try:
            until = now + AHEAD_MS if self._deadline is None else min(now + AHEAD_MS, self._deadline)
            await self.timers.look(now, until)
            await self.schedules.look(now, until)
            self._fresh = self._busy
            self._look_at = max(await self._plan(now, until), now + GAP_MS)
            self._failures = 0
        except Exception as error:
            self._failures += 1
            self._fresh = False
            wait = min(backoff(self._failures), LONGEST_PAUSE_MS)
            self._look_at = self._clock.now_ms() + wait
            if self._deadline is not None:
                self.error = error
            log.warning("cannot read timers (%s); next try in %d ms", error, wait)

    async def _plan(self, now: int, until: int) -> float:
        """When to look again."""
        self._idle = False
        if self._fresh:
            return now + AHEAD_MS
        horizon = now + PROBE_MS if self._deadline is None else self._deadline
        at = await self._upcoming(now, until, horizon)
        self._idle = at > horizon
        return min(at, now + PROBE_MS)

    async def _upcoming(self, now: int, until: int, horizon: int) -> float:
        """When the next thing falls due that is not held back, ms; infinity if that is past the horizon."""
        if horizon < now:
            return inf
        first = await self._store.next_due()
        if first is None or first > horizon:
            return inf
        if first > until:
            return first
        # What comes first is held back and hides the others.
        return min(await self.timers.probe(now, horizon), await self.schedules.probe(now, horizon))

    def _finished(self) -> bool:
        if self._stopped or self._deadline is None:
            return self._stopped
        if self.error or self.timers.error or self.schedules.error:
            return True
        return self._idle and not self._busy and self._due_look() > self._deadline

    async def _listen(self) -> None:
        """Follow the doorbell; when it is away the looks go on, and this comes back to it."""
        failures = 0
        while True:
            ringing = self._doorbell.listen(TOPIC)
            try:
                async for message in ringing:
                    failures = 0
                    self._rung(message)
            except Exception as error:
                log.warning("the doorbell is away (%s); timers are looked for every %d ms", error, PROBE_MS)
            finally:
                if isinstance(ringing, AsyncGenerator):
                    await ringing.aclose()
            failures += 1
            await self._clock.sleep(min(backoff(failures), LONGEST_PAUSE_MS) / 1000)
            self._rung(b"0")  # one may have been lost

    def _rung(self, message: bytes) -> None:
        at = int(message) if message.isdigit() and len(message) < 20 else 0
        if at < self._asked:
            self._asked = at
            if max(at, self._looked_at + GAP_MS) < self._look_at:
                self._wake.poke()
