"""What is kept of a workspace outside of its runs, taken away in portions (`ports.PurgeStore`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.domain.drawers import drawer_of
from linkflow.services import audit

from .audit_log import Unchanged, recorded_if_changed
from .database import Database
from .queries import queries

WORKFLOWS, FILES, ROWS = 100, 20, 5000
"""In one portion. A file may have some megabytes."""

_sql = queries("purging")
_BY_PORTION = ("drop_replies", "drop_events", "drop_bulks")
_FEW = ("drop_reach", "drop_settings", "drop_shares")


class PostgresPurge:
    """`databases` are all that have runs and files, the main one among them."""

    def __init__(self, database: Database, databases: Sequence[Database] = ()) -> None:
        self._main = database
        self._all = databases or (database,)

    async def take(self, now: int, before: int, until: int, limit: int) -> list[str]:
        values = {"now": now, "before": before, "until": until, "limit": limit}
        async with self._main.connection() as connection:
            return [id for (id,) in await (await connection.execute(_sql["take"], values)).fetchall()]

    async def silence(self, workspace_id: str) -> None:
        await self._run(self._main, "silence_rules", workspace=workspace_id)

    async def portion(self, workspace_id: str) -> int:
        gone = 0
        for database in self._all:
            drawer = drawer_of(workspace_id)
            gone += await self._run(database, "drop_files", drawer=drawer, workspace=workspace_id, limit=FILES)
            gone += await self._run(database, "drop_sums", workspace=workspace_id, limit=ROWS)
        gone += await self._workflows(workspace_id)
        for statement in _BY_PORTION:
            gone += await self._run(self._main, statement, workspace=workspace_id, limit=ROWS)
        return gone

    async def finish(self, workspace_id: str, entry: audit.Entry) -> bool:
        for database in self._all:  # the last runs may have been summed up meanwhile
            await self._run(database, "drop_tallies", workspace=workspace_id)
            await self._run(database, "drop_sums", workspace=workspace_id, limit=ROWS)
        for statement in _FEW:
            await self._run(self._main, statement, workspace=workspace_id)
        with audit.recording(entry):
            async with recorded_if_changed(self._main) as connection:
                row = await (await connection.execute(_sql["drop"], {"workspace": workspace_id})).fetchone()
                if row is None:
                    raise Unchanged
                audit.changed({"name": row[0]}, None)
                return True
        return False

    async def _workflows(self, workspace_id: str) -> int:
        values = {"workspace": workspace_id, "limit": WORKFLOWS}
        async with self._main.connection() as connection:
            rows = await (await connection.execute(_sql["some_workflows"], values)).fetchall()
        found = [id for (id,) in rows]
        if not found:
            return 0
        for database in self._all:
            await self._run(database, "drop_rates", workflows=found)
            await self._run(database, "drop_keys", workflows=found)
        return await self._run(self._main, "drop_workflows", workflows=found, workspace=workspace_id)

    async def _run(self, database: Database, statement: str, **values: Any) -> int:
        async with database.connection() as connection:
            return (await connection.execute(_sql[statement], values)).rowcount
