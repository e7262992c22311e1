"""Schedules in people's hands: looking at them, pausing, running now, running for a time that is past."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from linkflow.domain.arrivals import Stretch
from linkflow.domain.errors import Conflict, InvalidInput, NotFound, Problem, VersionConflict
from linkflow.domain.firings import QUEUED, SKIPPED, Firing
from linkflow.domain.ids import is_uuid
from linkflow.domain.timetable import delay, following, latest, upcoming
from linkflow.ports import Clock, Doorbell

from . import audit
from .schedule_ports import ScheduleRow, ScheduleStore
from .triggers import read_schedule
from .workspaces import Membership

TIMERS = "timers"
"""Doorbell topic of the timer."""

MAX_BACKFILL = 1000
PAUSED = "paused"
_TRIES = 5


class Schedules:
    """The rules of schedules. What is to run goes to the timer as firings that wait, so that one place decides."""

    def __init__(self, store: ScheduleStore, doorbell: Doorbell, clock: Clock) -> None:
        self._store, self._doorbell, self._clock = store, doorbell, clock

    async def page(self, who: Membership, workflow_id: str, after: str, limit: int) -> list[ScheduleRow]:
        return await self._store.page(who.workspace_id, workflow_id, after, limit)

    async def show(self, who: Membership, schedule_id: str) -> ScheduleRow:
        """Raises `NotFound`."""
        found = await self._store.get(who.workspace_id, schedule_id) if is_uuid(schedule_id) else None
        if found is None:
            raise NotFound("There is no such schedule.")
        return found

    async def preview(self, who: Membership, schedule_id: str, after: int, count: int) -> tuple[ScheduleRow, list[int]]:
        """Its next fires after a time (ms; 0: now), paused or not."""
        found = await self.show(who, schedule_id)
        return found, upcoming(found.table, after or self._clock.now_ms(), count)

    def preview_config(self, config: Mapping[str, Any], timezone: str, count: int) -> tuple[str, list[int]]:
        """The time zone and next fires of a trigger that is being written. Raises `InvalidDefinition`."""
        table, _ = read_schedule(config, timezone)
        return table.timezone, upcoming(table, self._clock.now_ms(), count)

    async def pause(self, who: Membership, schedule_id: str, note: str) -> ScheduleRow:
        """No fires from now on, whatever becomes of the workflow's switch. Runs, and firings that wait, go on."""
        found = await self.show(who, schedule_id)
        audit.changed({"paused": found.held, "note": found.held_note}, {"paused": True, "note": note})
        await self._store.hold(found.id, note, who.actor, self._clock.now_ms())
        return await self.show(who, schedule_id)

    async def resume(self, who: Membership, schedule_id: str) -> ScheduleRow:
        """Fire again, from now on. What fell due meanwhile is skipped, on record. Raises `VersionConflict`."""
        for _ in range(_TRIES):
            found = await self.show(who, schedule_id)
            if not found.held:
                return found
            now = self._clock.now_ms()
            audit.changed({"paused": True, "note": found.held_note}, {"paused": False, "note": ""})
            next_at = following(found.table, now)
            late = 0 if next_at is None else delay(found.table, found.key, next_at)
            if await self._store.resume(found, next_at, late, _passed(found, now)):
                await self._ring(now)
                return await self.show(who, schedule_id)
        raise VersionConflict("This schedule changes too quickly; try again.")

    async def trigger(self, who: Membership, schedule_id: str, overlap: str = "") -> Firing:
        """Run it now, paused or not, under its overlap policy or the given one. Raises `Conflict` where it is off."""
        found = await self._running(who, schedule_id)
        now = self._clock.now_ms()
        cause = f"trigger:{self._clock.rand_bits(62):016x}"
        firing = Firing(now, cause, QUEUED, now, overlap or found.overlap, open=True)
        await self._store.add(found, [firing], now)
        await self._ring(now)
        return firing

    async def backfill(
        self, who: Membership, schedule_id: str, first: int, last: int, overlap: str = ""
    ) -> tuple[str, list[Firing]]:
        """Run it for every fire from `first` to `last` (ms, both inside), which may be past. Returns the backfill's id.

        Raises `InvalidInput` for a range without fires or with more than `MAX_BACKFILL`, `Conflict` where it is off.
        """
        found = await self._running(who, schedule_id)
        fires = upcoming(found.table, first - 1, MAX_BACKFILL + 1, last)
        if not fires or len(fires) > MAX_BACKFILL:
            message = f"The range has more than {MAX_BACKFILL} fires." if fires else "The schedule has no fire in it."
            raise InvalidInput(message, problems=[Problem("/to", "bad_range", message)])
        now, id = self._clock.now_ms(), f"{self._clock.rand_bits(62):016x}"
        policy = overlap or found.overlap
        firings = [Firing(at, f"backfill:{id}", QUEUED, now, policy, open=True) for at in fires]
        await self._store.add(found, firings, now)
        await self._ring(now)
        return id, firings

    async def firings(
        self, who: Membership, schedule_id: str, outcome: str, before: tuple[int, str] | None, limit: int
    ) -> list[Firing]:
        """What became of its fires, the latest first."""
        return await self._store.firings(await self.show(who, schedule_id), outcome, before, limit)

    async def _running(self, who: Membership, schedule_id: str) -> ScheduleRow:
        found = await self.show(who, schedule_id)
        if not found.active:
            raise Conflict("This schedule's workflow is switched off. Activate it first.")
        return found

    async def _ring(self, at: int) -> None:
        """A ring that is lost costs seconds: the timer looks for itself."""
        with suppress(Exception):
            await self._doorbell.ring(TIMERS, str(at).encode())


def _passed(schedule: ScheduleRow, now: int) -> list[Firing]:
    if not schedule.active or schedule.next_at is None or schedule.next_at > now:
        return []
    last, before = latest(schedule.table, schedule.next_at, now)
    passed = Stretch(schedule.next_at, last, before + 1, PAUSED)
    return [
        Firing(
            passed.first, "schedule", SKIPPED, now, schedule.overlap, passed.reason, fires=passed.fires,
            last_due_at=passed.last,
        )
    ]  # fmt: skip
