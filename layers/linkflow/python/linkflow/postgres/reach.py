"""What workspaces may reach, in Postgres (`ports.ReachBook`)."""

from __future__ import annotations

from linkflow.domain.reach import Reach

from .audit_log import recorded
from .database import Database
from .queries import queries

_sql = queries("reach")


class PostgresReach:
    """Raises `Unavailable` while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, workspace_id: str) -> Reach:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["read"], {"id": workspace_id})).fetchone()
        return Reach(tuple(row[0]), tuple(row[1]), row[2], row[3]) if row else Reach()

    async def write(self, workspace_id: str, reach: Reach) -> None:
        values = {
            "id": workspace_id,
            "allow": list(reach.allow),
            "only": list(reach.only),
            "at": reach.changed_at,
            "by": reach.changed_by,
        }
        async with recorded(self._database) as connection:
            await connection.execute(_sql["write"], values)
