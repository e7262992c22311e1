"""Files of workspaces in the table of large payloads: a row each, a line about the file before its content."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.domain.drawers import FileInfo, Room, drawer_of
from linkflow.domain.errors import Conflict, PayloadTooLarge

from .database import Database
from .queries import queries

_PREFIX = "file:"
_sql = queries("files")


class _About(msgspec.Struct, frozen=True):
    type: str
    sha256: str
    at: int


class PostgresFiles:
    """Implements `linkflow.ports.FileStore`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def put(self, workspace_id: str, info: FileInfo, data: bytes, room: Room, overwrite: bool) -> FileInfo:
        about = msgspec.json.encode(_About(info.content_type, info.sha256, info.updated_at))
        args = _args(workspace_id, name=_PREFIX + info.path)
        async with self._db.transaction() as connection:
            await connection.execute(_sql["lock"], args)
            row = await (await connection.execute(_sql["others"], args)).fetchone()
            count, size, first = row or (0, 0, None)
            if first is not None and not overwrite:
                there = _info(args["name"], base64.b64decode(first), 0)
                if there.sha256 != info.sha256:
                    raise Conflict(f"There is a file {info.path} already.")
            if count + 1 > room.files or size + len(data) > room.all:
                text = f"The workspace has {count:,} other files with {size:,} bytes; with this one it would have more "
                raise PayloadTooLarge(f"{text}than {room.files:,} files or {room.all:,} bytes.")
            await connection.execute(_sql["put"], {**args, "data": about + b"\n" + data})
        return info

    async def get(self, workspace_id: str, path: str) -> tuple[FileInfo, bytes] | None:
        args = _args(workspace_id, name=_PREFIX + path)
        async with self._db.connection() as connection:
            row = await (await connection.execute(_sql["get"], args, binary=True)).fetchone()
        if row is None:
            return None
        info = _info(args["name"], row[0], len(row[0]))
        return info, row[0][-info.size :] if info.size else b""

    async def head(self, workspace_id: str, path: str) -> FileInfo | None:
        args = _args(workspace_id, name=_PREFIX + path)
        async with self._db.connection() as connection:
            row = await (await connection.execute(_sql["head"], args, binary=True)).fetchone()
        return _info(args["name"], *row) if row else None

    async def list(self, workspace_id: str, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        args = _args(workspace_id, prefix=_PREFIX + prefix, after=_PREFIX + after, limit=limit)
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["list"], args, binary=True)).fetchall()
        return [_info(*row) for row in rows]

    async def delete(self, workspace_id: str, paths: Sequence[str]) -> Sequence[str]:
        args = _args(workspace_id, names=[_PREFIX + path for path in paths])
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["delete"], args)).fetchall()
        return sorted(name.removeprefix(_PREFIX) for (name,) in rows)


def _args(workspace_id: str, **more: Any) -> dict[str, Any]:
    return {"drawer": drawer_of(workspace_id), "workspace": workspace_id, **more}


def _info(name: str, first: bytes, length: int) -> FileInfo:
    """What a row's first bytes say of its file."""
    line = first[: first.index(b"\n")]
    about = msgspec.json.decode(line, type=_About)
    return FileInfo(name.removeprefix(_PREFIX), length - len(line) - 1, about.type, about.sha256, about.at)
