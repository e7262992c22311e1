"""What hangs on an account, in Postgres: sessions, links by mail, lock-outs, second factors, accounts at providers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from linkflow.services import audit
from linkflow.services.control_ports import User
from linkflow.services.people_ports import Attempt, Factor, Linked, Sent, SignIn

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Connection, Database
from .queries import queries
from .users import add_user

_sql = queries("accounts")

FORGET_MS = 86_400_000


class PostgresAccounts:
    """`people_ports.AccountStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def alive(self, family: str) -> bool:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["alive"], (family,))).fetchone()
            return bool(row and row[0])

    async def sessions(self, user_id: str, at: int) -> list[SignIn]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["sessions"], {"user_id": user_id, "at": at})
            return [SignIn(*row) for row in await cursor.fetchall()]

    async def end_sessions(self, user_id: str, but: str = "") -> int:
        async with recorded(self._database) as connection:
            return await _end_sessions(connection, user_id, but)

    async def end_session(self, user_id: str, id: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            values = {"id": id, "user_id": user_id}
            if not (await connection.execute(_sql["end_session"], values)).rowcount:
                raise Unchanged
            await connection.execute(_sql["drop_sessions"], values)
            return True
        return False

    async def rename(self, user: User) -> None:
        async with recorded(self._database) as connection:
            await connection.execute(_sql["rename"], structs.asdict(user))

    async def send(self, token: Sent) -> None:
        async with self._database.transaction() as connection:
            values = structs.asdict(token)
            await connection.execute(_sql["drop_sent"], values)
            await connection.execute(_sql["send"], values)

    async def sent(self, hash: bytes, purpose: str, at: int) -> Sent | None:
        async with self._database.connection() as connection:
            return await _sent(connection, "sent", hash, purpose, at)

    async def verify(self, hash: bytes, at: int) -> str:
        async with recorded_if_changed(self._database) as connection:
            found = await _sent(connection, "take", hash, "verify", at)
            if found is None:
                raise Unchanged
            done = {"id": found.user_id, "at": at, "email": found.detail}
            await connection.execute(_sql["verified"], done)
            audit.about("user", found.user_id, user_id=found.user_id)
            return found.user_id
        return ""

    async def reset(self, hash: bytes, password_hash: str, at: int) -> str:
        async with recorded_if_changed(self._database) as connection:
            found = await _sent(connection, "take", hash, "reset", at)
            if found is None:
                raise Unchanged
            await _set_password(connection, found.user_id, password_hash)
            done = await connection.execute(_sql["verified"], {"id": found.user_id, "at": at, "email": ""})
            if done.rowcount:  # the first who proves that the address is his: nothing of anybody else's stays
                for statement in ("clean_keys", "clean_identities", "drop_factor", "drop_codes"):
                    await connection.execute(_sql[statement], (found.user_id,))
            await _end_sessions(connection, found.user_id, "")
            return found.user_id
        return ""

    async def take(self, hash: bytes, purpose: str, at: int) -> Sent | None:
        async with self._database.connection() as connection:
            return await _sent(connection, "take", hash, purpose, at)

    async def set_password(self, user_id: str, password_hash: str, but: str | None) -> None:
        async with recorded(self._database) as connection:
            await _set_password(connection, user_id, password_hash)
            if but is not None:
                await _end_sessions(connection, user_id, but)

    async def sole_owner_of(self, user_id: str) -> list[tuple[str, str]]:
        async with self._database.connection() as connection:
            return [(id, name) for id, name in await _all(connection, "sole_owner_of", (user_id,))]

    async def delete(self, user_id: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            await connection.execute(_sql["lock_workspaces"], (user_id,))
            if await _all(connection, "sole_owner_of", (user_id,)):
                raise Unchanged
            await connection.execute(_sql["delete"], (user_id,))
            return True
        return False

    async def forget(self, now_ms: int) -> None:
        """Drop what is too old to count."""
        async with self._database.connection() as connection:
            await connection.execute(_sql["drop_old_tokens"], (now_ms,))
            await connection.execute(_sql["drop_attempts"], (now_ms,))
            await connection.execute(_sql["drop_old_failures"], (now_ms - FORGET_MS,))


class PostgresFailures:
    """`people_ports.FailureStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def locked_until(self, key: bytes) -> int:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["locked_until"], (key,))).fetchone()
            return int(row[0]) if row else 0

    async def failed(self, key: bytes, at: int, free: int, first_ms: int, longest_ms: int, forget_ms: int) -> int:
        values = {"key": key, "at": at, "free": free, "first": first_ms, "longest": longest_ms, "forget": forget_ms}
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["failed"], values)).fetchone()
            return int(row[0]) if row else 0

    async def clear(self, key: bytes) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["clear_failures"], (key,))


class PostgresFactors:
    """`people_ports.FactorStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, user_id: str) -> Factor | None:
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["factor"], (user_id,))).fetchone()
            return Factor(bytes(row[0]), *row[1:]) if row else None

    async def begin(self, user_id: str, secret: bytes, at: int) -> bool:
        async with self._database.connection() as connection:
            values = {"user_id": user_id, "secret": secret, "at": at}
            return (await connection.execute(_sql["begin_factor"], values)).rowcount == 1

    async def confirm(self, user_id: str, step: int, codes: Sequence[bytes], at: int) -> bool:
        async with recorded_if_changed(self._database) as connection:
            values = {"user_id": user_id, "step": step, "at": at}
            if not (await connection.execute(_sql["confirm_factor"], values)).rowcount:
                raise Unchanged
            await _replace(connection, user_id, codes)
            return True
        return False

    async def use_step(self, user_id: str, step: int) -> bool:
        async with self._database.connection() as connection:
            values = {"user_id": user_id, "step": step}
            return (await connection.execute(_sql["use_step"], values)).rowcount == 1

    async def use_code(self, user_id: str, hash: bytes) -> bool:
        async with self._database.connection() as connection:
            return (await connection.execute(_sql["use_code"], {"user_id": user_id, "hash": hash})).rowcount == 1

    async def replace_codes(self, user_id: str, codes: Sequence[bytes]) -> None:
        async with recorded(self._database) as connection:
            await _replace(connection, user_id, codes)

    async def remove(self, user_id: str) -> None:
        async with recorded(self._database) as connection:
            await connection.execute(_sql["drop_factor"], (user_id,))
            await connection.execute(_sql["drop_codes"], (user_id,))


class PostgresIdentities:
    """`people_ports.IdentityStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, attempt: Attempt, at: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_sql["drop_attempts"], (at,))
            values = structs.asdict(attempt)
            await connection.execute(_sql["begin_attempt"], values | {"user_id": attempt.user_id or None})

    async def finish(self, hash: bytes, browser: bytes, provider: str, at: int) -> Attempt | None:
        async with self._database.connection() as connection:
            values = {"hash": hash, "browser": browser, "provider": provider, "at": at}
            row = await (await connection.execute(_sql["finish_attempt"], values)).fetchone()
            return Attempt(bytes(row[0]), bytes(row[1]), *row[2:]) if row else None

    async def find(self, provider: str, subject: str, at: int) -> str:
        async with self._database.connection() as connection:
            values = {"provider": provider, "subject": subject, "at": at}
            row = await (await connection.execute(_sql["find_identity"], values)).fetchone()
            return str(row[0]) if row else ""

    async def link(self, linked: Linked, verified: bool = False) -> bool:
        async with recorded_if_changed(self._database) as connection:
            if not (await connection.execute(_sql["link"], structs.asdict(linked))).rowcount:
                raise Unchanged
            if verified:
                values = {"id": linked.user_id, "at": linked.created_at, "email": linked.email}
                await connection.execute(_sql["verified"], values)
            return True
        return False

    async def register(self, user: User, workspace_id: str, workspace_name: str, linked: Linked) -> bool:
        async with recorded_if_changed(self._database) as connection:
            if not await add_user(connection, user, workspace_id, workspace_name):
                raise Unchanged
            await connection.execute(_sql["link"], structs.asdict(linked))
            await connection.execute(_sql["verified"], {"id": user.id, "at": user.created_at, "email": ""})
            return True
        return False

    async def of_user(self, user_id: str) -> list[Linked]:
        async with self._database.connection() as connection:
            return [Linked(*row) for row in await _all(connection, "identities", (user_id,))]

    async def unlink(self, user_id: str, provider: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            values = {"user_id": user_id, "provider": provider}
            if not (await connection.execute(_sql["unlink"], values)).rowcount:
                raise Unchanged
            return True
        return False


async def _all(connection: Connection, statement: str, values: Any) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_sql[statement], values)).fetchall()


async def _sent(connection: Connection, statement: str, hash: bytes, purpose: str, at: int) -> Sent | None:
    values = {"hash": hash, "purpose": purpose, "at": at}
    row = await (await connection.execute(_sql[statement], values)).fetchone()
    return Sent(bytes(row[0]), *row[1:]) if row else None


async def _set_password(connection: Connection, user_id: str, hash: str) -> None:
    """Links that would reset it are worth nothing any more."""
    await connection.execute(_sql["set_password"], {"id": user_id, "hash": hash})
    await connection.execute(_sql["drop_sent"], {"user_id": user_id, "purpose": "reset"})


async def _end_sessions(connection: Connection, user_id: str, but: str) -> int:
    values = {"user_id": user_id, "but": but or None}
    families = {row[0] for row in await _all(connection, "end_sessions", values)}
    await connection.execute(_sql["drop_sessions"], values)
    return len(families)


async def _replace(connection: Connection, user_id: str, codes: Sequence[bytes]) -> None:
    await connection.execute(_sql["drop_codes"], (user_id,))
    await connection.execute(_sql["add_codes"], {"user_id": user_id, "hashes": list(codes)})
