"""Schedules as people see and handle them, and the store they need for that. Times are ms since the epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from linkflow.domain.firings import Firing
from linkflow.domain.timetable import Timetable


class ScheduleRow(Struct, frozen=True):
    """A schedule as it stands. `active` is its workflow's switch; `held` means that a person has paused it."""

    id: str
    workflow_id: str
    workflow_name: str
    node_id: str
    table: Timetable
    overlap: str
    catch_up_window: int
    catch_up: str
    next_at: int | None
    delay_ms: int
    active: bool
    held: bool
    held_note: str
    held_by: str
    held_at: int
    revision: int

    @property
    def key(self) -> str:
        """What its jitter depends on."""
        return f"{self.workflow_id}/{self.node_id}"


class ScheduleStore(Protocol):
    """The schedules of workspaces. Every write counts `revision` up, so a timer that has read before decides anew."""

    async def page(self, workspace_id: str, workflow_id: str, after: str, limit: int) -> list[ScheduleRow]:
        """By id, after one; `workflow_id` empty means all."""
        ...

    async def get(self, workspace_id: str, schedule_id: str) -> ScheduleRow | None: ...
    async def hold(self, schedule_id: str, note: str, by: str, at: int) -> None: ...
    async def resume(
        self, schedule: ScheduleRow, next_at: int | None, delay_ms: int, skipped: Sequence[Firing]
    ) -> bool:
        """False, with nothing written, if somebody else has touched it since it was read."""
        ...

    async def add(self, schedule: ScheduleRow, firings: Sequence[Firing], at: int) -> None:
        """Queue firings, for the timer to decide about from `at` on."""
        ...

    async def firings(
        self, schedule: ScheduleRow, outcome: str, before: tuple[int, str] | None, limit: int
    ) -> list[Firing]:
        """Latest due first, before the one with this due time and cause; `outcome` empty means all."""
        ...
