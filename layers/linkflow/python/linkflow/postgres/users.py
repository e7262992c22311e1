"""Users and their refresh tokens in Postgres."""

from __future__ import annotations

from msgspec import structs

from linkflow.services import audit
from linkflow.services.control_ports import RefreshToken, User

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Connection, Database
from .queries import queries

_sql = queries("users")
_accounts = queries("accounts")
_workspaces = queries("workspaces")


async def add_user(connection: Connection, user: User, workspace_id: str, workspace_name: str) -> bool:
    """A user with the first workspace that he owns; false if the address is taken."""
    if (await connection.execute(_sql["add"], structs.asdict(user))).rowcount == 0:
        return False
    first = {
        "id": workspace_id, "name": workspace_name, "at": user.created_at, "user_id": user.id, "role": "owner",
        "role_id": None,
    }  # fmt: skip
    await connection.execute(_workspaces["add"], first)
    await connection.execute(_workspaces["put_member"], first)
    return True


class PostgresUsers:
    """`control_ports.UserStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, user: User, workspace_id: str, workspace_name: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            if not await add_user(connection, user, workspace_id, workspace_name):
                raise Unchanged
            return True
        return False

    async def by_email(self, email: str) -> User | None:
        return await self._one("by_email", email)

    async def by_id(self, user_id: str) -> User | None:
        return await self._one("by_id", user_id)

    async def rehash(self, user_id: str, password_hash: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["rehash"], {"id": user_id, "hash": password_hash})

    async def open_session(self, token: RefreshToken, method: str, ip: str, user_agent: str) -> None:
        async with recorded(self._database) as connection:
            values = structs.asdict(token) | {"method": method, "ip": ip, "user_agent": user_agent}
            await connection.execute(_sql["drop_expired"], {"user_id": token.user_id, "at": token.created_at})
            await connection.execute(_sql["add_token"], values)
            await connection.execute(_accounts["drop_sessions"], values)
            await connection.execute(_accounts["open_session"], values)

    async def rotate(
        self, old: bytes, new_hash: bytes, at: int, expires_at: int, ip: str = "", user_agent: str = ""
    ) -> RefreshToken | None:
        async with recorded(self._database) as connection:
            used = await (await connection.execute(_sql["use_token"], {"old": old, "at": at})).fetchone()
            if used is None:
                over = await (await connection.execute(_sql["revoke_reused"], {"old": old})).fetchone()
                if over:  # it was copied: that, and nothing else of a refresh, is put on record
                    audit.about("session", over[0], user_id=over[1], action="accounts.token_reused")
                return None
            successor = RefreshToken(new_hash, used[0], used[1], at, expires_at)
            values = structs.asdict(successor) | {"at": at, "ip": ip, "user_agent": user_agent}
            await connection.execute(_sql["add_token"], values)
            await connection.execute(_accounts["touch_session"], values)
            return successor

    async def revoke(self, family: str) -> None:
        async with recorded(self._database) as connection:
            await connection.execute(_sql["revoke"], (family,))

    async def _one(self, statement: str, key: str) -> User | None:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql[statement], (key,))).fetchone()
            return User(*row) if row else None
