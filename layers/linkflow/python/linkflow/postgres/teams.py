"""Roles, invitations and API keys in Postgres."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from linkflow.services.people_ports import Invitation, Key, Role

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("teams")
_accounts = queries("accounts")


class PostgresTeams:
    """`people_ports.TeamStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def roles(self, workspace_id: str) -> list[Role]:
        return [Role(*(*row[:2], tuple(row[2]), *row[3:])) for row in await self._rows("roles", (workspace_id,))]

    async def add_role(self, workspace_id: str, role: Role) -> bool:
        return await self._change("add_role", _role(workspace_id, role))

    async def update_role(self, workspace_id: str, role: Role) -> bool:
        return await self._change("update_role", _role(workspace_id, role))

    async def delete_role(self, workspace_id: str, id: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            values = {"id": id, "workspace_id": workspace_id}
            await connection.execute(_sql["lock"], values)
            await connection.execute(_sql["loosen_role"], values)
            if not (await connection.execute(_sql["delete_role"], values)).rowcount:
                raise Unchanged
            return True
        return False

    async def invite(self, invitation: Invitation, token_hash: bytes) -> None:
        async with recorded(self._database) as connection:
            values = structs.asdict(invitation) | {"token_hash": token_hash, "role_id": invitation.role_id or None}
            values["role"] = "viewer" if invitation.role_id else invitation.role
            await connection.execute(_sql["drop_old_invitations"], values | {"at": invitation.created_at})
            await connection.execute(_sql["invite"], values)

    async def invitations(self, workspace_id: str, at: int) -> list[Invitation]:
        return [Invitation(*row) for row in await self._rows("invitations", {"workspace_id": workspace_id, "at": at})]

    async def invitation(self, token_hash: bytes, at: int) -> Invitation | None:
        rows = await self._rows("invitation", {"hash": token_hash, "at": at})
        return Invitation(*rows[0]) if rows else None

    async def withdraw(self, workspace_id: str, id: str) -> bool:
        return await self._change("withdraw", {"id": id, "workspace_id": workspace_id})

    async def accept(self, invitation: Invitation, user_id: str, verified: bool, at: int) -> bool:
        async with recorded_if_changed(self._database) as connection:
            values: dict[str, Any] = {
                "id": invitation.id, "workspace_id": invitation.workspace_id, "user_id": user_id,
                "role_id": invitation.role_id or None, "role": "viewer" if invitation.role_id else invitation.role,
                "at": at,
            }  # fmt: skip
            await connection.execute(_sql["lock"], values)
            if not (await connection.execute(_sql["withdraw"], values)).rowcount:
                raise Unchanged
            await connection.execute(_sql["join"], values)
            if verified:
                await connection.execute(_accounts["verified"], {"id": user_id, "at": at, "email": invitation.email})
            return True
        return False

    async def transfer(self, workspace_id: str, owner: str, heir: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            values = {"workspace_id": workspace_id, "owner": owner, "heir": heir}
            await connection.execute(_sql["lock"], values)
            if (await connection.execute(_sql["hand_over"], values)).rowcount != 2:
                raise Unchanged
            return True
        return False

    async def add_key(self, key: Key, hash: bytes) -> None:
        values = structs.asdict(key) | {"hash": hash, "permissions": list(key.permissions)}
        values |= {"user_id": key.user_id or None, "workspace_id": key.workspace_id or None}
        await self._change("add_key", values)

    async def find_key(self, hash: bytes) -> Key | None:
        rows = await self._rows("find_key", (hash,))
        return _key(rows[0]) if rows else None

    async def used_key(self, id: str, at: int, ip: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["used_key"], {"id": id, "at": at, "ip": ip})

    async def keys_of_user(self, user_id: str) -> list[Key]:
        return [_key(row) for row in await self._rows("keys_of_user", (user_id,))]

    async def keys_of_workspace(self, workspace_id: str) -> list[Key]:
        return [_key(row) for row in await self._rows("keys_of_workspace", (workspace_id,))]

    async def delete_key(self, id: str, *, user_id: str = "", workspace_id: str = "") -> bool:
        values = {"id": id, "user_id": user_id or None, "workspace_id": workspace_id or None}
        return await self._change("delete_key", values)

    async def _rows(self, statement: str, values: Any) -> list[tuple[Any, ...]]:
        async with self._database.connection() as connection:
            return await (await connection.execute(_sql[statement], values)).fetchall()

    async def _change(self, statement: str, values: dict[str, Any]) -> bool:
        async with recorded_if_changed(self._database) as connection:
            if not (await connection.execute(_sql[statement], values)).rowcount:
                raise Unchanged
            return True
        return False


def _role(workspace_id: str, role: Role) -> dict[str, Any]:
    return structs.asdict(role) | {"workspace_id": workspace_id, "permissions": list(role.permissions)}


def _key(row: tuple[Any, ...]) -> Key:
    return Key(*(*row[:5], tuple(row[5]), *row[6:]))
