"""The Timer service: fires timers, starts schedules, and sees to what has to be done now and then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from linkflow.config import Config
from linkflow.contracts.history import DueTimer, HistoryApi, SweepRequest
from linkflow.contracts.timer import TickReply, TickRequest
from linkflow.ports import Clock, Doorbell, Schedule, TimerStore

from .firing import Firing, timer_key
from .lane import Lane
from .loop import Loop
from .rest import Rest
from .starting import Starting, schedule_key
from .wake import Holds, Wake

log = logging.getLogger(__name__)

TIMERS, SCHEDULES = 1000, 100
"""Largest batch of each."""

IN_THE_AIR = 2
"""Timer batches under way at once."""

UPKEEP_SECONDS = 3600.0
SWEEPS = 20
"""Full sweeps in a row before others get their turn."""

BULK_SWEEPS = 5
"""Sweeps in a row for the sake of bulk operations alone, which take a few seconds each."""

FORGET_MS = 900_000


class Timer:
    """Implements `contracts.timer.TimerApi`. Any number may run: History and the store decide who was first."""

    def __init__(
        self, store: TimerStore, history: HistoryApi, clock: Clock, doorbell: Doorbell, config: Config,
        rest: Rest | None = None,
    ) -> None:  # fmt: skip
        """With `rest` a tick leaves the store alone while it is known that nothing is to be done."""
        self._store, self._history, self._clock, self._doorbell = store, history, clock, doorbell
        self._rest = rest
        self._firing = Firing(history, clock)
        self._starting = Starting(store, history, clock)
        self._held_timers, self._held_schedules = Holds(), Holds()
        self._sweep = _Chore("sweep", self._sweep_all, config.sweep_interval)
        self._upkeep = _Chore("upkeep", self._keep_up, UPKEEP_SECONDS)

    async def tick(self, request: TickRequest) -> TickReply:
        """One pass over all that is due, and further ones while something falls due within `request.seconds`.

        Returns as soon as nothing more does. Raises `Unavailable` when Postgres or History is away.
        """
        if self._rest is None:
            return await self._tick(request)
        if not request.look and await self._rest.goes_on():
            return TickReply(0, 0, rested=True)
        if request.look:
            await self._rest.wake()
        seen = await self._rest.begin(self._clock.now_ms() + int(max(request.seconds, 0) * 1000))
        before = self._sweep.good
        if seen is not None:
            self._sweep.next_at = 0  # nobody rests on an old one
        reply = await self._tick(request)
        if reply.timers or reply.schedules or reply.swept:
            await self._rest.wake()
        elif seen is not None and self._sweep.good > before:
            await self._rest.take(seen)
        return reply

    async def _tick(self, request: TickRequest) -> TickReply:
        deadline = self._clock.now_ms() + int(max(request.seconds, 0) * 1000)
        swept = self._sweep.done
        loop = self._loop(deadline)
        await loop.run(listening=request.seconds > 0)
        if loop.error is not None:
            raise loop.error
        return TickReply(loop.timers.done, loop.schedules.done, self._sweep.done - swept)

    async def run_forever(self, stop: asyncio.Event) -> None:
        """Loop until `stop` is set, then let what is under way land. Outlives any part being away."""
        loop = self._loop(None)
        stopper = asyncio.ensure_future(stop.wait())
        stopper.add_done_callback(lambda _: loop.stop())
        try:
            await loop.run(listening=True)
        finally:
            stopper.cancel()

    def _loop(self, deadline: int | None) -> Loop:
        wake = Wake(self._clock)
        timers: Lane[DueTimer] = Lane(
            "timers", self._store.due, self._firing.send, timer_key,
            clock=self._clock, wake=wake, holds=self._held_timers, batch=TIMERS, slots=IN_THE_AIR,
        )  # fmt: skip
        schedules: Lane[Schedule] = Lane(
            "schedules", self._store.due_schedules, self._starting.send, schedule_key,
            clock=self._clock, wake=wake, holds=self._held_schedules, batch=SCHEDULES, slots=1,
        )  # fmt: skip
        chores = _Chores(self._sweep, self._upkeep)
        return Loop(self._store, self._doorbell, self._clock, wake, (timers, schedules), chores, deadline)

    async def _sweep_all(self) -> int:
        """Offer lost pushes again, until a sweep is not full."""
        request = SweepRequest()
        swept = 0
        for number in range(SWEEPS):
            reply = await self._history.sweep(request)
            swept += reply.tasks + reply.messages + reply.events + reply.forgotten
            swept += reply.bulk
            more_runs = reply.bulk and number < BULK_SWEEPS
            if max(reply.tasks, reply.messages, reply.forgotten) < request.limit and not more_runs:
                break
        return swept

    async def _keep_up(self) -> int:
        horizon = self._clock.now_ms() - FORGET_MS
        self._held_timers.forget(horizon)
        self._held_schedules.forget(horizon)
        changed = await self._store.upkeep()
        await self._history.sweep(SweepRequest(purge=True))
        return changed


class _Chore:
    """Something done every `seconds`, never twice at once, whose failure waits for the next time."""

    def __init__(self, name: str, act: Callable[[], Awaitable[int]], seconds: float) -> None:
        self._name, self._act, self._every = name, act, int(seconds * 1000)
        self._running = False
        self.next_at = 0
        self.done = 0
        self.good = 0
        """How often it was done."""

    def launch(self, now: int, group: asyncio.TaskGroup) -> None:
        self.next_at = min(self.next_at, now + self._every)  # the clock may have been set back
        if now >= self.next_at:
            self.next_at = now + self._every
            if not self._running:
                self._running = True
                group.create_task(self._run())

    async def _run(self) -> None:
        try:
            self.done += await self._act()
            self.good += 1
        except Exception as error:
            log.warning("%s failed: %s", self._name, error)
        finally:
            self._running = False


class _Chores:
    def __init__(self, *chores: _Chore) -> None:
        self._chores = chores

    def launch(self, now: int, group: asyncio.TaskGroup) -> None:
        for chore in self._chores:
            chore.launch(now, group)

    def next_at(self) -> float:
        return min(chore.next_at for chore in self._chores)
