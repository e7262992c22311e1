"""The audit log in Postgres: written with the change, read by page, cut off by age."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from linkflow.clock import SystemClock
from linkflow.domain.errors import Internal, LinkFlowError
from linkflow.domain.ids import uuid7
from linkflow.services import audit
from linkflow.services.audit import Asked, Entry, Line
from linkflow.services.together import Together

from .database import Connection, Database
from .queries import queries

_sql = queries("audit_log")
_clock = SystemClock()
_log = logging.getLogger(__name__)

FIRST, LAST = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
FORGET_AT_ONCE = 5000
DAY_MS = 86_400_000


@asynccontextmanager
async def recorded(database: Database) -> AsyncIterator[Connection]:
    """A transaction with a change in it, and what the audit log says of it. Nothing is written where nobody asked for
    it over the API, or where the change is undone."""
    entry = audit.current()
    async with database.transaction() as connection:
        yield connection
        wanted = entry is not None and not entry.written and bool(entry.actor)
        if entry is not None and wanted:
            await connection.execute(_sql["add"], _row(entry, audit.new_id(_clock)))
    if entry is not None and wanted:
        entry.written = True


class Unchanged(Exception):
    """Within `recorded`: nothing was changed, so there is nothing to put on record."""


@asynccontextmanager
async def recorded_if_changed(database: Database) -> AsyncIterator[Connection]:
    """`recorded`, from which `Unchanged` leads out quietly, with nothing written."""
    try:
        async with recorded(database) as connection:
            yield connection
    except Unchanged:
        return


class PostgresAudit:
    """`audit.AuditStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, dict[str, Any]] = {}
        self._writing: Together[Exception] = Together(self._write)

    async def write(self, entry: Entry, id: str) -> None:
        """Written when this returns, together with what others write at the time."""
        self._waiting[id] = _row(entry, id)
        if error := await self._writing.find(id):
            raise error

    async def _write(self, ids: Sequence[str]) -> dict[str, Exception]:
        """What went wrong, by entry."""
        rows = [self._waiting.pop(id) for id in ids]
        if len(rows) > 1:
            try:
                await self._add("add_many", {name: [row[name] for row in rows] for name in rows[0]})
                return {}
            except Internal:  # one is not as it should be: the others are written all the same
                _log.exception("Audit lines could not be written together")
        wrong: dict[str, Exception] = {}
        for id, row in zip(ids, rows, strict=True):
            try:
                await self._add("add", row)
            except LinkFlowError as error:
                wrong[id] = error
        return wrong

    async def _add(self, statement: str, values: dict[str, Any]) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql[statement], values)

    async def read(self, asked: Asked) -> list[Line]:
        values: dict[str, Any] = {
            "workspace": asked.workspace_id or None, "user": asked.user_id or None, "actor": asked.actor,
            "action": asked.action, "target": asked.target_id, "limit": asked.limit,
            "first": _bound(asked.after) if asked.after else FIRST,
            "beyond": min(asked.cursor or LAST, _bound(asked.before) if asked.before else LAST),
        }  # fmt: skip
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql[_statement(asked)], values)).fetchall()
            names = dict(await (await connection.execute(_sql["names"], _actors(row[3] for row in rows))).fetchall())
            return [Line(*(*row[:4], names.get(row[3], ""), *row[4:-1], bytes(row[-1]))) for row in rows]

    async def forget(self, now_ms: int, days: int) -> int:
        """Delete entries that are older, some thousands at a time; returns how many."""
        gone = 0
        while days:
            async with self._database.connection() as connection:
                values = {"beyond": _bound(now_ms - days * DAY_MS), "limit": FORGET_AT_ONCE}
                found = (await connection.execute(_sql["forget"], values)).rowcount
            gone += found
            if found < FORGET_AT_ONCE:
                break
        return gone


def _statement(asked: Asked) -> str:
    """The narrowest filter has an index of its own; the others hold within it."""
    if not asked.workspace_id:
        return "of_account"
    if asked.target_id:
        return "by_target"
    if asked.actor:
        return "by_actor"
    return "by_action" if asked.action else "page"


def _actors(named: Iterable[str]) -> dict[str, list[str]]:
    """The ids among ``user:…`` and ``key:…``."""
    found: dict[str, list[str]] = {"user": [], "key": []}
    for kind, _, id in {tuple(one.partition(":")) for one in named}:
        if kind in found:
            found[kind].append(id)
    return {"users": found["user"], "keys": found["key"]}


def _bound(ms: int) -> str:
    """The first id of this time."""
    return uuid7(ms, 0, 0)


def _row(entry: Entry, id: str) -> dict[str, Any]:
    return {
        "id": id, "workspace": entry.workspace_id or None, "user": entry.user_id or None, "actor": entry.actor,
        "via": entry.via, "via_id": entry.via_id, "action": entry.action, "target_type": entry.target_type,
        "target_id": entry.target_id, "ip": entry.ip, "user_agent": entry.user_agent,
        "request_id": entry.request_id, "changes": msgspec.json.encode(entry.told()),
    }  # fmt: skip
