"""Workspaces and members in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.services.control_ports import Deleted, Entering, Member, OwnRole, Workspace

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("workspaces")


class PostgresWorkspaces:
    """`control_ports.WorkspaceStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, workspace_id: str, name: str, owner: str, at: int) -> None:
        values = {"id": workspace_id, "name": name, "at": at, "user_id": owner, "role": "owner", "role_id": None}
        async with recorded(self._database) as connection:
            await connection.execute(_sql["add"], values)
            await connection.execute(_sql["put_member"], values)

    async def of_user(self, user_id: str) -> list[Workspace]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["of_user"], (user_id,))
            return [_workspace(row) for row in await cursor.fetchall()]

    async def get(self, workspace_id: str, user_id: str) -> Workspace | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["get"], {"id": workspace_id, "user_id": user_id})
            row = await cursor.fetchone()
            return _workspace(row) if row else None

    async def enter(self, callers: Sequence[Entering]) -> list[tuple[bool, Workspace | None]]:
        ids, users, families = zip(*callers, strict=True)
        values = {"ids": list(ids), "users": list(users), "families": list(families)}
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql["enter"], values)).fetchall()
        return [(bool(row[0]), _workspace(row[1:]) if row[1] else None) for row in rows]

    async def plain(self, workspace_id: str) -> Workspace | None:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["plain"], (workspace_id,))).fetchone()
            return Workspace(*row) if row else None

    async def own_role(self, workspace_id: str, name: str) -> OwnRole | None:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["own_role"], {"id": workspace_id, "name": name})).fetchone()
            return OwnRole(row[0], row[1], frozenset(row[2])) if row else None

    async def rename(self, workspace_id: str, name: str, at: int) -> None:
        async with recorded(self._database) as connection:
            await connection.execute(_sql["rename"], {"id": workspace_id, "name": name, "at": at})

    async def delete(self, workspace_id: str, at: int) -> None:
        async with recorded(self._database) as connection:
            for statement in ("delete", "delete_workflows", "stop_environments", "stop_webhooks", "stop_schedules"):
                await connection.execute(_sql[statement], {"id": workspace_id, "at": at})

    async def deleted(self, user_id: str, grace_ms: int) -> list[Deleted]:
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql["deleted"], (user_id,))).fetchall()
            return [Deleted(*(*row, row[-1] + grace_ms)) for row in rows]

    async def restore(self, workspace_id: str, user_id: str, at: int) -> int | None:
        values = {"id": workspace_id, "user_id": user_id, "at": at}
        async with recorded_if_changed(self._database) as connection:
            row = await (await connection.execute(_sql["lock_deleted"], values)).fetchone()
            if row is None:
                raise Unchanged
            came = await connection.execute(_sql["restore_workflows"], {**values, "deleted_at": row[0]})
            await connection.execute(_sql["restore"], values)
            return came.rowcount
        return None

    async def members(self, workspace_id: str) -> list[Member]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["members"], (workspace_id,))
            return [Member(*(*row[:-1], _grants(row[-1]))) for row in await cursor.fetchall()]

    async def put_member(self, workspace_id: str, user_id: str, role: str, at: int, role_id: str = "") -> bool:
        values = {"id": workspace_id, "user_id": user_id, "role": role, "role_id": role_id or None, "at": at}
        return await self._change("put_member", values)

    async def remove_member(self, workspace_id: str, user_id: str) -> bool:
        return await self._change("remove_member", {"id": workspace_id, "user_id": user_id})

    async def _change(self, statement: str, values: dict[str, Any]) -> bool:
        async with recorded_if_changed(self._database) as connection:
            await connection.execute(_sql["lock"], values)
            if (await connection.execute(_sql[statement], values)).rowcount != 1:
                raise Unchanged
            return True
        return False


def _workspace(row: Sequence[Any]) -> Workspace:
    return Workspace(*(*row[:-2], _grants(row[-2]), row[-1]))


def _grants(permissions: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if permissions is None else tuple(permissions)
