"""A MySQL server on loopback: MySQL's protocol by mysql-mimic, and SQLite behind it. A real server stands in for it
where `TEST_MYSQL_URL` names one (its user may create databases)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import sqlite3
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql
from mysql_mimic import IdentityProvider, MysqlServer, NativePasswordAuthPlugin, Session, User
from mysql_mimic.errors import ErrorCode, MysqlError
from mysql_mimic.stream import MysqlStream
from sqlglot import exp

USER, PASSWORD = "ada", "s3cret/@:"
REAL = os.environ.get("TEST_MYSQL_URL", "")


async def start_tls(stream: Any, context: ssl.SSLContext) -> None:
    """mysql-mimic loses what a client sends of its handshake together with its wish for TLS: it is read already."""
    early = bytes(stream.reader._buffer)
    stream.reader._buffer.clear()
    began = asyncio.ensure_future(_start_tls(stream, context))
    if early:
        await asyncio.sleep(0.01)
        protocol = stream.writer.transport.get_protocol()
        protocol.get_buffer(len(early))[: len(early)] = early
        protocol.buffer_updated(len(early))
    await began


_start_tls = MysqlStream.start_tls


class People(IdentityProvider):
    def get_plugins(self) -> list[Any]:
        return [NativePasswordAuthPlugin()]

    async def get_user(self, username: str) -> User | None:
        if username != USER:
            return None
        auth = NativePasswordAuthPlugin.create_auth_string(PASSWORD)
        return User(name=USER, auth_string=auth, auth_plugin="mysql_native_password")


class Lite(Session):
    """A session with SQLite behind it: `query` gets what is not about the session itself."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._db = sqlite3.connect(path, isolation_level=None, timeout=2)
        self.middlewares = [one for one in self.middlewares if one.__name__ in ("_set_middleware", "_kill_middleware")]
        self.affected: dict[str, int] = {}

    async def init(self, connection: Any) -> None:
        await super().init(connection)
        ok = connection.ok
        connection.ok = lambda **more: ok(**{**self.affected, **more})  # mysql-mimic tells no counts

    async def close(self) -> None:
        await super().close()
        self._db.close()

    async def query(self, expression: exp.Expression, sql: str, attrs: dict[str, str]) -> Any:
        self.affected = {}
        if found := re.search(r"sleep\(([\d.]+)\)", sql, re.IGNORECASE):
            await asyncio.sleep(float(found[1]))
            return [(0,)], ["sleep"]
        if sql.upper().startswith("START TRANSACTION"):
            self._db.execute("PRAGMA query_only = " + ("on" if "READ ONLY" in sql.upper() else "off"))
            sql = "BEGIN"
        elif sql.upper() in ("COMMIT", "ROLLBACK"):
            sql = sql if self._db.in_transaction else "SELECT 1"
        else:
            sql = _sqlite(expression, sql)
        try:
            cursor = self._db.execute(sql)
        except sqlite3.IntegrityError as error:
            raise MysqlError(
                str(error), ErrorCode(1062) if 1062 in list(ErrorCode) else ErrorCode.UNKNOWN_ERROR
            ) from None
        except sqlite3.Error as error:
            raise MysqlError(str(error), ErrorCode.UNKNOWN_ERROR) from None
        if cursor.description is None:
            self.affected = {"affected_rows": max(cursor.rowcount, 0), "last_insert_id": cursor.lastrowid or 0}
            return None
        return cursor.fetchall(), [one[0] for one in cursor.description]


def _sqlite(expression: exp.Expression, sql: str) -> str:
    text = expression.sql(dialect="sqlite").replace("18446744073709551615", "-1")
    if "ON DUPLICATE KEY UPDATE" in sql:
        head, _, tail = sql.partition(" ON DUPLICATE KEY UPDATE ")
        values = re.sub(r"VALUES\((`[^`]+`)\)", r"excluded.\1", tail)
        text = f"{head} ON CONFLICT DO UPDATE SET {values}"
    return text


@asynccontextmanager
async def mysql(folder: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of an empty database."""
    if REAL:
        name = f"test_{secrets.token_hex(4)}"
        parts = urlsplit(REAL)
        admin = pymysql.connect(
            host=parts.hostname, port=parts.port or 3306, user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        )  # fmt: skip
        with admin, admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
            yield parts._replace(path=f"/{name}").geturl()
            cursor.execute(f"DROP DATABASE {name}")
        return
    path = str(folder / "mysql.sqlite")
    MysqlStream.start_tls = start_tls  # type: ignore[method-assign]
    server = MysqlServer(lambda: Lite(path), identity_provider=People(), ssl=tls)
    await server.start_server(host="127.0.0.1", port=0)
    port = server._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        yield f"mysql://{USER}:s3cret%2F%40%3A@127.0.0.1:{port}/shop"
    finally:
        server.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 1)
