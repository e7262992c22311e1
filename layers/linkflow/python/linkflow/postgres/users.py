"""Users and their refresh tokens in Postgres."""

from __future__ import annotations

from msgspec import structs

from linkflow.services.control_ports import RefreshToken, User

from .database import Database
from .queries import queries

_sql = queries("users")
_workspaces = queries("workspaces")


class PostgresUsers:
    """`control_ports.UserStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, user: User, workspace_id: str, workspace_name: str) -> bool:
        async with self._database.transaction() as connection:
            if (await connection.execute(_sql["add"], structs.asdict(user))).rowcount == 0:
                return False
            first = {"id": workspace_id, "name": workspace_name, "at": user.created_at, "user_id": user.id}
            await connection.execute(_workspaces["add"], first)
            await connection.execute(_workspaces["put_member"], {**first, "role": "owner"})
            return True

    async def by_email(self, email: str) -> User | None:
        return await self._one("by_email", email)

    async def by_id(self, user_id: str) -> User | None:
        return await self._one("by_id", user_id)

    async def rehash(self, user_id: str, password_hash: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["rehash"], {"id": user_id, "hash": password_hash})

    async def add_token(self, token: RefreshToken) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_sql["drop_expired"], {"user_id": token.user_id, "at": token.created_at})
            await connection.execute(_sql["add_token"], structs.asdict(token))

    async def rotate(self, old: bytes, new_hash: bytes, at: int, expires_at: int) -> RefreshToken | None:
        async with self._database.transaction() as connection:
            used = await (await connection.execute(_sql["use_token"], {"old": old, "at": at})).fetchone()
            if used is None:
                await connection.execute(_sql["revoke_reused"], {"old": old})
                return None
            successor = RefreshToken(new_hash, used[0], used[1], at, expires_at)
            await connection.execute(_sql["add_token"], structs.asdict(successor))
            return successor

    async def revoke(self, family: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["revoke"], (family,))

    async def _one(self, statement: str, key: str) -> User | None:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql[statement], (key,))).fetchone()
            return User(*row) if row else None
