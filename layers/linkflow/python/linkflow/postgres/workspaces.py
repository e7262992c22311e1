"""Workspaces and members in Postgres."""

from __future__ import annotations

from linkflow.services.control_ports import Member, Workspace

from .database import Database
from .queries import queries

_sql = queries("workspaces")


class PostgresWorkspaces:
    """`control_ports.WorkspaceStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, workspace_id: str, name: str, owner: str, at: int) -> None:
        values = {"id": workspace_id, "name": name, "at": at, "user_id": owner, "role": "owner"}
        async with self._database.transaction() as connection:
            await connection.execute(_sql["add"], values)
            await connection.execute(_sql["put_member"], values)

    async def of_user(self, user_id: str) -> list[Workspace]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["of_user"], (user_id,))
            return [Workspace(*row) for row in await cursor.fetchall()]

    async def get(self, workspace_id: str, user_id: str) -> Workspace | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["get"], {"id": workspace_id, "user_id": user_id})
            row = await cursor.fetchone()
            return Workspace(*row) if row else None

    async def rename(self, workspace_id: str, name: str, at: int) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["rename"], {"id": workspace_id, "name": name, "at": at})

    async def delete(self, workspace_id: str, at: int) -> None:
        async with self._database.transaction() as connection:
            for statement in ("delete", "delete_workflows", "stop_webhooks", "stop_schedules"):
                await connection.execute(_sql[statement], {"id": workspace_id, "at": at})

    async def members(self, workspace_id: str) -> list[Member]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["members"], (workspace_id,))
            return [Member(*row) for row in await cursor.fetchall()]

    async def put_member(self, workspace_id: str, user_id: str, role: str, at: int) -> bool:
        return await self._change("put_member", {"id": workspace_id, "user_id": user_id, "role": role, "at": at})

    async def remove_member(self, workspace_id: str, user_id: str) -> bool:
        return await self._change("remove_member", {"id": workspace_id, "user_id": user_id})

    async def _change(self, statement: str, values: dict[str, str | int]) -> bool:
        async with self._database.transaction() as connection:
            await connection.execute(_sql["lock"], values)
            return (await connection.execute(_sql[statement], values)).rowcount == 1
