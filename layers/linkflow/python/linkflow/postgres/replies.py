"""Answers to calls with an idempotency key, in Postgres."""

from __future__ import annotations

import msgspec

from linkflow.services.control_ports import Reply

from .database import Database
from .queries import queries

_sql = queries("replies")


class PostgresReplies:
    """`control_ports.ReplyStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, workspace_id: str, key: str, fingerprint: bytes, at: int, until: int) -> Reply | None:
        values = {"workspace_id": workspace_id, "key": key, "fingerprint": fingerprint, "at": at, "until": until}
        async with self._database.transaction() as connection:
            await connection.execute(_sql["sweep"], values)
            if (await connection.execute(_sql["claim"], values)).rowcount == 1:
                return None
            row = await (await connection.execute(_sql["get"], values)).fetchone()
        if row is None:  # the first call failed this moment and gave the key back
            return Reply(fingerprint, 0, {}, b"")
        return Reply(row[0], row[1], msgspec.json.decode(row[2], type=dict[str, str]), row[3])

    async def keep(self, workspace_id: str, key: str, reply: Reply, until: int) -> None:
        values = {
            "workspace_id": workspace_id,
            "key": key,
            "status": reply.status,
            "headers": msgspec.json.encode(reply.headers),
            "body": reply.body,
            "until": until,
        }
        async with self._database.connection() as connection:
            await connection.execute(_sql["keep"], values)

    async def drop(self, workspace_id: str, key: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["drop"], {"workspace_id": workspace_id, "key": key})
