"""Schedules for the control plane, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.domain.firings import Firing
from linkflow.domain.timetable import Timetable
from linkflow.ports import Move, Schedule
from linkflow.services.schedule_ports import ScheduleRow

from .database import Database
from .queries import queries
from .timers import put_firings

_sql = queries("schedules")
_LOWEST = "00000000-0000-0000-0000-000000000000"
_table = msgspec.json.Decoder(Timetable)


class PostgresSchedules:
    """`schedule_ports.ScheduleStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, workspace_id: str, workflow_id: str, after: str, limit: int) -> list[ScheduleRow]:
        values = {"workspace_id": workspace_id, "workflow_id": workflow_id, "after": after or _LOWEST, "limit": limit}
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["page_of_workflow" if workflow_id else "page"], values)
            return [_row(row) for row in await cursor.fetchall()]

    async def get(self, workspace_id: str, schedule_id: str) -> ScheduleRow | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["get"], {"id": schedule_id, "workspace_id": workspace_id})
            row = await cursor.fetchone()
            return _row(row) if row else None

    async def hold(self, schedule_id: str, note: str, by: str, at: int) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["hold"], {"id": schedule_id, "note": note, "by": by, "at": at})

    async def resume(
        self, schedule: ScheduleRow, next_at: int | None, delay_ms: int, skipped: Sequence[Firing]
    ) -> bool:
        values = {"id": schedule.id, "revision": schedule.revision, "next_at": next_at, "delay_ms": delay_ms}
        async with self._database.transaction() as connection:
            if (await connection.execute(_sql["resume"], values)).rowcount == 0:
                return False
            await put_firings(connection, [_move(schedule, skipped)])
            return True

    async def add(self, schedule: ScheduleRow, firings: Sequence[Firing], at: int) -> None:
        async with self._database.transaction() as connection:
            if (await connection.execute(_sql["look"], {"id": schedule.id, "at": at})).rowcount:
                await put_firings(connection, [_move(schedule, firings)])

    async def firings(
        self, schedule: ScheduleRow, outcome: str, before: tuple[int, str] | None, limit: int
    ) -> list[Firing]:
        due_at, cause = before or (None, "")
        values = {
            "workflow_id": schedule.workflow_id, "node_id": schedule.node_id, "outcome": outcome, "due_at": due_at,
            "cause": cause, "limit": limit,
        }  # fmt: skip
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["firings"], values)
            return [Firing(*row) for row in await cursor.fetchall()]


def _row(row: tuple[Any, ...]) -> ScheduleRow:
    id, workflow_id, name, node_id, cron, timezone, ends_at, timetable, *others = row
    table = _table.decode(timetable) if timetable else Timetable(cron, timezone=timezone, ends_at=ends_at or 0)
    return ScheduleRow(id, workflow_id, name, node_id, table, *others)


def _move(schedule: ScheduleRow, firings: Sequence[Firing]) -> Move:
    place = Schedule(schedule.workflow_id, schedule.node_id, "", 0, "", "", 0)
    return Move(place, None, firings=tuple(firings))
