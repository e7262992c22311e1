"""Timers and schedules in Postgres."""

from __future__ import annotations

from linkflow.contracts.history import DueTimer
from linkflow.ports import Schedule

from .database import Database
from .queries import queries

_UPKEEP = 0x4C_46_55_50  # "LFUP"
_sql = queries("timers")


class PostgresTimers:
    """`ports.TimerStore` over one database. Every method raises `Unavailable` when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, now_ms: int, limit: int) -> list[DueTimer]:
        """At most `limit` timers due at `now_ms`, earliest first. Nothing is locked: History's fence decides."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["due"], {"now": now_ms, "limit": limit})
            return [DueTimer(*row) for row in await cursor.fetchall()]

    async def next_due(self) -> int | None:
        """When the earliest timer or active schedule falls due, in ms; it may be past."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["next_due"])).fetchone()
            return row[0] if row else None

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        """At most `limit` schedules due at `now_ms`, earliest first, without paused ones."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["due_schedules"], {"now": now_ms, "limit": limit})
            return [Schedule(*row) for row in await cursor.fetchall()]

    async def advance(self, schedule: Schedule, next_at: int | None) -> bool:
        """Set the next fire (ms; None: never again). False if it is no longer as `schedule` was read."""
        values = {
            "next_at": next_at,
            "workflow_id": schedule.workflow_id,
            "node_id": schedule.node_id,
            "due_at": schedule.due_at,
            "version": schedule.workflow_version,
        }
        async with self._database.connection() as connection:
            return (await connection.execute(_sql["advance"], values)).rowcount == 1

    async def upkeep(self) -> int:
        """Make the history partitions of the coming months; returns how many were new."""
        async with self._database.transaction() as connection:
            await connection.execute(_sql["upkeep_lock"], (_UPKEEP,))
            row = await (await connection.execute(_sql["upkeep"])).fetchone()
            return int(row[0]) if row else 0
