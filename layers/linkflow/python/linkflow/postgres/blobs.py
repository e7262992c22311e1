"""Large payloads in Postgres: the blob store where no other is configured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linkflow.domain.ids import is_uuid

from .database import Database
from .queries import queries

AT_ONCE = 16 * 1024 * 1024
"""Bytes in one statement."""
_sql = queries("blobs")


class PostgresBlobs:
    """Implements `linkflow.ports.Blobs`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        batch: dict[str, bytes] = {}
        size = 0
        for key in sorted(blobs):  # one order for all, so that two who put the same do not deadlock
            if batch and size + len(blobs[key]) > AT_ONCE:
                await self._put(batch)
                batch, size = {}, 0
            batch[key] = blobs[key]
            size += len(blobs[key])
        if batch:
            await self._put(batch)

    async def _put(self, blobs: Mapping[str, bytes]) -> None:
        async with self._db.connection() as connection:
            await connection.execute(_sql["put"], {**_columns(list(blobs)), "data": list(blobs.values())})

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        known = [key for key in keys if _is_key(key)]
        if not known:
            return {}
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["get"], _columns(known), binary=True)).fetchall()
        return {f"{workspace}/{execution}/{name}": bytes(data) for workspace, execution, name, data in rows}

    async def drop(self, runs: Sequence[tuple[str, str]]) -> None:
        args = {"workspace": [workspace for workspace, _ in runs], "execution": [id for _, id in runs]}
        async with self._db.connection() as connection:
            await connection.execute(_sql["drop"], args)


def _columns(keys: Sequence[str]) -> dict[str, list[str]]:
    rows = [key.split("/") for key in keys]
    return {name: [row[place] for row in rows] for place, name in enumerate(("workspace", "execution", "name"))}


def _is_key(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 3 and is_uuid(parts[0]) and is_uuid(parts[1])
