"""Environments, releases and drafts, in Postgres."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from linkflow.services.release_ports import DraftRow, Environment, Release, Running

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("releases")


class PostgresReleases:
    """`release_ports.ReleaseStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def environments(self, workspace_id: str) -> list[Environment]:
        return [Environment(*row) for row in await self._rows("environments", {"workspace_id": workspace_id})]

    async def add_environment(self, workspace_id: str, environment: Environment) -> bool:
        values = _values(workspace_id, environment)
        async with recorded_if_changed(self._database) as connection:
            if not (await connection.execute(_sql["add_environment"], values)).rowcount:
                raise Unchanged
            return True
        return False

    async def change_environment(self, workspace_id: str, environment: Environment) -> None:
        values = _values(workspace_id, environment)
        async with recorded(self._database) as connection:
            await connection.execute(_sql["change_environment"], values)
            if not environment.active:
                for name in ("rest_running", "rest_hooks", "rest_firings", "rest_crons"):
                    await connection.execute(_sql[name], values)

    async def drop_environment(self, workspace_id: str, name: str) -> None:
        values = {"workspace_id": workspace_id, "name": name}
        async with recorded(self._database) as connection:
            for statement in ("drop_running", "drop_hooks", "rest_firings", "drop_crons", "drop_environment"):
                await connection.execute(_sql[statement], values)

    async def running(self, workflow_id: str) -> list[Running]:
        rows = await self._rows("running", {"id": workflow_id})
        return [Running(row[0], row[1], row[2], _release(row) if row[3] else None) for row in rows]

    async def releases(self, workflow_id: str, environment: str | None, before: int, limit: int) -> list[Release]:
        values = {"id": workflow_id, "environment": environment, "before": before, "limit": limit}
        return [Release(*row) for row in await self._rows("releases" if environment is None else "releases_of", values)]

    async def draft(self, workflow_id: str) -> DraftRow | None:
        rows = await self._rows("draft", {"id": workflow_id})
        return DraftRow(bytes(rows[0][0]), *rows[0][1:]) if rows else None

    async def put_draft(
        self, workflow_id: str, definition: bytes, base: int, at: int, actor: str, expected: Collection[int] | None
    ) -> int:
        values = {
            "id": workflow_id, "definition": definition, "base": base, "at": at, "actor": actor,
            "expected": None if expected is None else list(expected),
        }  # fmt: skip
        async with recorded_if_changed(self._database) as connection:
            row = await (await connection.execute(_sql["put_draft"], values)).fetchone()
            if row is None:
                raise Unchanged
            return int(row[0])
        return 0

    async def drop_draft(self, workflow_id: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            if not (await connection.execute(_sql["drop_draft"], {"id": workflow_id})).rowcount:
                raise Unchanged
            return True
        return False

    async def _rows(self, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        async with self._database.connection() as connection:
            return await (await connection.execute(_sql[name], values)).fetchall()


def _values(workspace_id: str, environment: Environment) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id, "name": environment.name, "description": environment.description,
        "active": environment.active, "at": environment.updated_at,
    }  # fmt: skip


def _release(row: tuple[Any, ...]) -> Release:
    environment, version, _, number, verb, source, note, at, actor = row
    return Release(number, environment, version, verb, source, note, at, actor)
