"""Policies of workspaces, in Postgres (`ports.PolicyBook`)."""

from __future__ import annotations

import msgspec

from linkflow.domain.policy import OPEN, Policy

from .audit_log import recorded
from .database import Database
from .queries import queries

_sql = queries("policies")
_policy = msgspec.json.Decoder(Policy)


class PostgresPolicies:
    """Raises `Unavailable` while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, workspace_id: str) -> Policy:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["read"], {"id": workspace_id})).fetchone()
        return _policy.decode(row[0]) if row else OPEN

    async def write(self, workspace_id: str, policy: Policy) -> None:
        async with recorded(self._database) as connection:
            await connection.execute(_sql["write"], {"id": workspace_id, "policy": msgspec.json.encode(policy)})
