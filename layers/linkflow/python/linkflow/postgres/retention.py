"""Retention: the history of old runs goes by partition, never row by row.

A run's time begins when it has closed, so whatever still runs or waits stays, however old it is. First the rows of runs
whose time is over go, in one statement; then each old partition is dropped, and what belongs to runs that are still
there moves to the default partition in the same transaction. A crash in between leaves events of runs that are gone:
the next pass drops them.

`executions` is not partitioned: its rows are small beside the history, and one delete of closed rows a month costs less
than routing every transition to a partition would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from linkflow.domain.errors import Unavailable
from linkflow.observability import logger

from .accounts import PostgresAccounts
from .approval_links import PostgresApprovalLinks
from .audit_log import PostgresAudit
from .database import Connection, Database
from .queries import queries
from .retention_settings import ALL

DAY_MS = 86_400_000
FEW = 0.1
"""Before the deployment's own time is over, a partition goes if no more than this share of its runs has to stay."""

TRIES, LOCK_WAIT, PAUSE = 5, "300ms", 0.5
"""Dropping needs a lock that every transition would wait behind: it is asked for briefly, and again in an hour."""

_FOREVER = 1_000_000  # days
RETENTION_LOCK = 0x4C_46_52_54  # "LFRT"
_LOCKED = "55P03"
_sql = queries("retention")
_settings = queries("retention_settings")


class Old(Struct, frozen=True):
    """A partition (of each table that has one) whose time is over. `runs` go, `stay` are moved. `size` is bytes."""

    parts: tuple[tuple[str, str], ...]
    first: str
    beyond: str
    runs: int
    stay: int
    size: int


class Dropped(Struct):
    """What a pass came to. `waiting` partitions are left for the next one: the first could not be locked in time."""

    runs: int = 0
    partitions: int = 0
    moved: int = 0
    waiting: int = 0


class Retention:
    """What a workspace has set for a workflow holds; else that workflow's `settings.retention_days`; else what the
    workspace has set for all; else `days`, the deployment's retention, 0 for ever."""

    def __init__(self, database: Database, days: int, control: Database | None = None, audit_days: int = 0) -> None:
        """`control` is where workflows are, if that is another database. `audit_days` is how long the audit log is
        kept, 0 for ever."""
        self._audit_days = audit_days
        self._database = database
        self._days = days
        self._control = control or database

    async def plan(self, now_ms: int) -> list[Old]:
        """The partitions that a pass would drop now, oldest first."""
        return (await self._look(now_ms, await self._own()))[0]

    async def run(self, now_ms: int) -> Dropped:
        """Drop what is over. Any number may do it at once: one does, the others do nothing."""
        if self._control is self._database:
            await PostgresAccounts(self._database).forget(now_ms)
            await PostgresApprovalLinks(self._database).forget(now_ms)
            await PostgresAudit(self._database).forget(now_ms, self._audit_days)
        own = await self._own()
        due, beyond = await self._look(now_ms, own)
        done = Dropped()
        if not beyond:
            return done
        async with self._alone() as connection:
            if connection is None:
                return done
            values = {"beyond": beyond, "now": now_ms, "days": self._days or _FOREVER, **own}
            row = await (await connection.execute(_sql["forget"], values)).fetchone()
            done.runs = row[0] if row else 0
        left = [(parent, part, old) for old in due for parent, part in old.parts]
        while left and await self._drop(*left[0], done):
            del left[0]
        done.waiting = len(left)
        async with self._alone() as connection:
            if connection is not None:
                await connection.execute(_sql["clear_history"], {"beyond": beyond})
                await connection.execute(_sql["clear_blobs"], {"beyond": beyond})
        if done.runs or done.partitions or done.waiting:
            logger.info("Old runs were dropped", extra=asdict(done))
        return done

    async def _own(self) -> dict[str, list[Any]]:
        """What workflow versions ask for themselves, and what workspaces have set, a column each."""
        async with self._control.connection() as connection:
            rows = [row for row in await (await connection.execute(_sql["own"])).fetchall() if row[2] is not None]
            ruled = await (await connection.execute(_settings["every"])).fetchall()
        columns = {name: [row[at] for row in rows] for at, name in enumerate(("workflow", "version", "own"))}
        whose = [workspace if workflow == ALL else workflow for workspace, workflow, _ in ruled]
        return {**columns, "ruled": whose, "ruled_days": [days for _, _, days in ruled]}

    async def _look(self, now_ms: int, own: dict[str, list[Any]]) -> tuple[list[Old], str]:
        """Partitions that are due, and the id below which runs whose time is over are forgotten."""
        async with self._database.connection() as connection:
            asked = [days for days in (self._days, *own["own"], *own["ruled_days"]) if days > 0]
            if not asked:
                return [], ""
            found = await (await connection.execute(_sql["partitions"])).fetchall()
            ranges: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
            for parent, part, first, beyond, size in found:
                ranges.setdefault((first, beyond), []).append((parent, part, size))
            due = []
            for (first, beyond), parts in ranges.items():
                end = _ms(beyond)
                if end > now_ms - min(asked) * DAY_MS:
                    break
                values = {"first": first, "beyond": beyond, "now": now_ms, "days": self._days or _FOREVER, **own}
                count = await (await connection.execute(_sql["count"], values)).fetchone()
                over, stay = count or (0, 0)
                if (self._days and end <= now_ms - self._days * DAY_MS) or stay <= (over + stay) * FEW:
                    names = tuple((parent, part) for parent, part, _ in parts)
                    due.append(Old(names, first, beyond, over, stay, sum(size for _, _, size in parts)))
        below = due[-1].beyond if due else min((first for first, _ in ranges), default="")
        return due, below

    async def _drop(self, parent: str, part: str, old: Old, done: Dropped) -> bool:
        """False where the lock could not be had."""
        values = {"parent": parent, "part": part, "first": old.first, "beyond": old.beyond}
        for left in reversed(range(TRIES)):
            try:
                async with self._alone() as connection:
                    if connection is None:
                        return True
                    await connection.execute(_sql["patience"], {"wait": LOCK_WAIT})
                    row = await (await connection.execute(_sql["drop_partition"], values)).fetchone()
            except Unavailable as error:
                if error.details.get("sqlstate") != _LOCKED:
                    raise
                if left:
                    await asyncio.sleep(PAUSE)
                continue
            if row and row[0] is not None:
                done.partitions += 1
                done.moved += row[0]
            return True
        logger.warning("A partition is in use; it is dropped later", extra={"partition": part})
        return False

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection | None]:
        """A transaction in which nobody else does this; None where somebody does, or shards are being moved."""
        async with self._database.transaction() as connection:
            row = await (await connection.execute(_sql["lock"], {"lock": RETENTION_LOCK})).fetchone()
            moving = await (await connection.execute(_sql["moving"])).fetchone()  # behind the lock
            yield connection if row and row[0] and not (moving and moving[0]) else None


def _ms(id: str) -> int:
    """When the ids of a partition begin, ms since the epoch."""
    return int(id[:8] + id[9:13], 16)
