"""How long workspaces keep their runs (`services.control_ports.RetentionStore`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .audit_log import recorded
from .database import Database
from .queries import queries

ALL = "00000000-0000-0000-0000-000000000000"
"""In place of a workflow: all of the workspace."""

_sql = queries("retention_settings")


class PostgresRetentionSettings:
    """Raises `Unavailable` while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, workspace_id: str) -> tuple[int, dict[str, int]]:
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql["read"], {"workspace": workspace_id})).fetchall()
        found: dict[str, int] = dict(rows)
        return found.pop(ALL, 0), found

    async def write(self, workspace_id: str, days: int, workflows: Mapping[str, int]) -> None:
        given = {**({ALL: days} if days else {}), **workflows}
        args = {"workspace": workspace_id, "workflows": list(given), "days": list(given.values())}
        async with recorded(self._database) as connection:
            await connection.execute(_sql["clear"], {"workspace": workspace_id})
            await connection.execute(_sql["put"], args)

    async def known(self, workspace_id: str, workflow_ids: Sequence[str]) -> set[str]:
        async with self._database.connection() as connection:
            args = {"workspace": workspace_id, "ids": list(workflow_ids)}
            return {id for (id,) in await (await connection.execute(_sql["workflows"], args)).fetchall()}
