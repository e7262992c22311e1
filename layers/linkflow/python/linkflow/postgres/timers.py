"""Timers and schedules in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from linkflow.contracts.history import DueTimer
from linkflow.domain.firings import ALLOW, Firing
from linkflow.ports import Move, Schedule

from .database import Connection, Database
from .queries import queries
from .retention import Retention
from .tallies import forget_usage

KEEP_MS = 30 * 86_400_000
"""How long records of firings are kept."""

KEEP_ROWS = 1000
"""How many of each schedule are kept, the newest."""

_UPKEEP = 0x4C_46_55_50  # "LFUP"
_sql = queries("timers")


class PostgresTimers:
    """`ports.TimerStore` over one database. Every method raises `Unavailable` when the database does not answer."""

    def __init__(self, database: Database, retention: Retention | None = None, *, closes: bool = True) -> None:
        """Without `closes` upkeep leaves firings open whose runs have ended: those live in other databases as well."""
        self._database = database
        self._retention = retention
        self._closes = closes

    async def due(self, now_ms: int, limit: int) -> list[DueTimer]:
        """At most `limit` timers due at `now_ms`, earliest first. Nothing is locked: History's fence decides."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["due"], {"now": now_ms, "limit": limit})
            return [DueTimer(*row) for row in await cursor.fetchall()]

    async def next_due(self) -> int | None:
        """When the earliest timer or schedule wants attention, in ms; it may be past."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["next_due"])).fetchone()
            return row[0] if row else None

    async def wanted(self) -> int | None:
        """When a timer, a schedule or a sweep wants attention next, in ms; it may be past."""
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["wanted"])).fetchone()
            return row[0] if row else None

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        """At most `limit` schedules that want attention at `now_ms`, earliest first."""
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["due_schedules"], {"now": now_ms, "limit": limit})
            return [_schedule(row) for row in await cursor.fetchall()]

    async def open_firings(self, schedules: Sequence[Schedule]) -> dict[tuple[str, str], list[Firing]]:
        values = {
            "workflow": [s.workflow_id for s in schedules],
            "node": [s.node_id for s in schedules],
            "tracked": [s.overlap != ALLOW for s in schedules],
        }
        found: dict[tuple[str, str], list[Firing]] = {}
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["open_firings"], values)
            for workflow, node, *row in await cursor.fetchall():
                found.setdefault((workflow, node), []).append(Firing(*row))
        return found

    async def settle(self, moves: Sequence[Move]) -> list[bool]:
        """The schedule's row is the fence, and its lock orders two processes that settle at once."""
        values = {
            **_places(moves),
            "was": [m.schedule.next_at for m in moves],
            "version": [m.schedule.workflow_version for m in moves],
            "next": [m.next_at for m in moves],
            "delay": [m.delay_ms for m in moves],
        }
        async with self._database.transaction() as connection:
            rows = await (await connection.execute(_sql["settle"], values)).fetchall()
            won = set(rows)
            await put_firings(connection, [m for m in moves if _key(m) in won])
        return [_key(m) in won for m in moves]

    async def confirm(self, moves: Sequence[Move]) -> None:
        places = _places(moves)
        places["revision"] = [m.schedule.revision + 1 for m in moves]  # as `settle` has left it
        async with self._database.transaction() as connection:
            await connection.execute(_sql["rest"], places)
            await put_firings(connection, moves)

    async def upkeep(self) -> int:
        """Make the partitions of the coming months, drop old firings and old runs; returns how many partitions came and
        went."""
        changed = await self._tidy()
        if self._retention is not None:
            changed += (await self._retention.run(await self._now())).partitions
        return changed

    async def _now(self) -> int:
        async with self._database.connection() as connection:
            clock = await (await connection.execute(_sql["now_ms"])).fetchone()
            return int(clock[0]) if clock else 0

    async def _tidy(self) -> int:
        now = await self._now()
        async with self._database.transaction() as connection:
            await connection.execute(_sql["upkeep_lock"], (_UPKEEP,))
            row = await (await connection.execute(_sql["upkeep"])).fetchone()
            if self._closes:
                await connection.execute(_sql["close_firings"])
            await connection.execute(_sql["drop_old_firings"], {"before": now - KEEP_MS})
            await connection.execute(_sql["drop_many_firings"], {"keep": KEEP_ROWS})
            await forget_usage(connection, now)
            return int(row[0]) if row else 0


async def put_firings(connection: Connection, moves: Sequence[Move]) -> None:
    """Write the moves' firings, in the caller's transaction."""
    rows = [(m.schedule, f) for m in moves for f in m.firings]
    if not rows:
        return
    values = {
        "workflow": [s.workflow_id for s, _ in rows],
        "node": [s.node_id for s, _ in rows],
        "due": [f.due_at for _, f in rows],
        "cause": [f.cause for _, f in rows],
        "outcome": [f.outcome for _, f in rows],
        "at": [f.at for _, f in rows],
        "overlap": [f.overlap for _, f in rows],
        "reason": [f.reason for _, f in rows],
        "execution": [f.execution_id or None for _, f in rows],
        "missed": [f.missed for _, f in rows],
        "fires": [f.fires for _, f in rows],
        "last": [f.last_due_at for _, f in rows],
        "offer": [f.offer_at for _, f in rows],
        "open": [f.open for _, f in rows],
    }
    await connection.execute(_sql["put_firings"], values)


def _places(moves: Sequence[Move]) -> dict[str, list[Any]]:
    return {
        "workflow": [m.schedule.workflow_id for m in moves],
        "node": [m.schedule.node_id for m in moves],
        "revision": [m.schedule.revision for m in moves],
        "look": [m.look_at for m in moves],
    }


def _key(move: Move) -> tuple[str, str]:
    return move.schedule.workflow_id, move.schedule.node_id


def _schedule(row: tuple[Any, ...]) -> Schedule:
    *plain, timetable, overlap, window, catch_up = row
    read = Schedule(*plain)
    return replace(read, timetable=bytes(timetable), overlap=overlap, catch_up_window=window, catch_up=catch_up)
