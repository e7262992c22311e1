"""Statements on a MySQL or MariaDB server, through a checked and pinned address.

PyMySQL blocks, so each call has a thread; its connection is made over a socket to the address that was checked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import SSDictCursor

from linkflow.nodes.base import Egress, NodeFailure
from linkflow.nodes.sql_params import Bounds, Result, Weight
from linkflow.nodes.sql_values import plain

THREADS = 32
"""Calls at once in a worker; others wait for their turn."""
GOODBYE = 2.0
"""Seconds that a server has to cancel a statement."""
MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")

_RETRYABLE = frozenset({1040, 1053, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 2003, 2006, 2013, 2055})
_CONNECT = frozenset({1040, 1044, 1045, 1049, 1053, 1129, 1130, 1203, 1226, 1251, 1698, *range(2000, 2062)})
_LATE = frozenset({1969, 3024})
"""The server's own bound: `max_statement_time` of MariaDB, `max_execution_time` of MySQL."""
_DECODERS = {**conversions, FIELD_TYPE.JSON: json.loads}


@dataclass(frozen=True, slots=True)
class Server:
    """Where a database is, and who asks. `mode` is MySQL's ``ssl-mode``."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    mode: str
    authorities: str = ""


def read(text: str, authorities: str = "") -> Server:
    """A server from ``mysql://user:password@host:port/database?ssl-mode=…``. Raises `NodeFailure`
    ``bad_credential``."""
    try:
        parts = urlsplit(text)
        options = {name.lower().replace("_", "-"): values[-1] for name, values in parse_qs(parts.query).items()}
        strange = options.keys() - {"ssl-mode"}
        mode = options.get("ssl-mode", "verify_identity" if authorities else "preferred").lower()
        if strange or mode not in MODES or parts.scheme not in ("mysql", "mariadb") or not parts.hostname:
            raise ValueError
        if not parts.username or "/" in parts.path[1:]:
            raise ValueError
        return Server(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            database=unquote(parts.path[1:]),
            mode=mode,
            authorities=authorities,
        )
    except ValueError:
        text = f"The connection string is not one like mysql://user:password@host:3306/database, with ssl-mode one of \
{', '.join(MODES)}."
        raise NodeFailure("bad_credential", text, retryable=False) from None


async def run(
    server: Server, statements: Sequence[tuple[str, list[Any] | dict[str, Any]]], *, egress: Egress, bounds: Bounds
) -> list[Result]:
    """What every statement came to, all in one transaction.

    Raises `NodeFailure`: ``egress_refused``, ``bad_credential``, ``db_connect``, ``db_timeout``, ``db_error``,
    ``db_too_many_rows``, ``db_too_large``.
    """
    try:
        async with asyncio.timeout(bounds.seconds):
            address = await egress.open_address(server.host, server.port)
            call = _Call(server, address, bounds, statements)
            try:
                return await asyncio.get_running_loop().run_in_executor(_threads(), call.run)
            except asyncio.CancelledError:
                call.stop()
                raise
    except TimeoutError:
        raise NodeFailure("db_timeout", f"The database did not answer within {bounds.seconds:g} s.") from None
    except pymysql.Error as error:
        raise _failure(error) from None
    except OSError as error:
        raise NodeFailure("db_connect", f"The connection to {server.host} failed: {error}.") from None


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="mysql")


class _Call:
    """One connection with its transaction, in a thread of its own."""

    def __init__(
        self, server: Server, address: tuple[str, int], bounds: Bounds,
        statements: Sequence[tuple[str, list[Any] | dict[str, Any]]],
    ) -> None:  # fmt: skip
        self._server, self._address, self._bounds, self._statements = server, address, bounds, statements
        self._socket: socket.socket | None = None
        self._id = 0
        self._stopped = False

    def run(self) -> list[Result]:
        if self._stopped:
            return []
        connection = self._connect(self._bounds.seconds)
        try:
            self._id = connection.thread_id()
            _bound(connection, self._bounds)
            weight = Weight(self._bounds)
            results = [
                _statement(connection, query, values, self._bounds, weight) for query, values in self._statements
            ]
            connection.commit()
            return results
        finally:
            _leave(connection)

    def stop(self) -> None:
        """Called from outside: nobody waits for this any more. The server is told to cancel what it is at."""
        self._stopped = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        if self._id:
            _threads().submit(self._kill)

    def _kill(self) -> None:
        with contextlib.suppress(pymysql.Error, OSError, NodeFailure):
            connection = self._connect(GOODBYE)
            try:
                connection.kill(self._id)
            finally:
                _leave(connection)

    def _connect(self, seconds: float) -> Any:
        server = self._server
        found = socket.create_connection(self._address, timeout=seconds)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = pymysql.Connection(
            host=server.host, port=server.port, user=server.user, password=server.password,
            database=server.database or None, charset="utf8mb4", conv=_DECODERS, cursorclass=SSDictCursor,
            read_timeout=seconds + 1, write_timeout=seconds + 1,
            autocommit=False, local_infile=False, defer_connect=True, **_tls(server),
        )  # fmt: skip
        self._socket = found
        connection.connect(found)
        return connection


def _leave(connection: Any) -> None:
    """Close, which is to roll back. What was not read stays unread, however much it is."""
    left = connection._result
    if left is not None:
        left.unbuffered_active = False
    connection._result = None
    connection._force_close()


class _Refused:
    """Stands for ways of signing in that show the password to whoever asks."""

    def __init__(self, connection: Any) -> None:
        return

    def authenticate(self, packet: Any) -> Any:
        raise pymysql.err.OperationalError(2061, "The server wants the password in the clear, and there is no TLS.")


def _tls(server: Server) -> dict[str, Any]:
    refused = {"auth_plugin_map": {"mysql_clear_password": _Refused, "dialog": _Refused}}
    if server.mode == "disabled":
        return {"ssl_disabled": True, **refused}
    if server.mode == "preferred":
        return refused
    try:
        context = ssl.create_default_context(cadata=server.authorities or None)
    except (ssl.SSLError, ValueError):
        text = "The certificates of `ca` cannot be read: they are given in PEM."
        raise NodeFailure("bad_credential", text, retryable=False) from None
    if server.mode != "verify_identity":
        context.check_hostname = False
    if server.mode == "required":
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context, **(refused if server.mode == "required" else {})}


def _bound(connection: Any, bounds: Bounds) -> None:
    """A transaction, with bounds that hold on the server as well."""
    is_maria = "mariadb" in str(connection.get_server_info()).lower()
    text = (
        f"max_statement_time = {bounds.seconds:g}" if is_maria else f"max_execution_time = {bounds.seconds * 1000:.0f}"
    )
    with connection.cursor() as cursor:
        with contextlib.suppress(pymysql.Error):  # a server that is too old for it
            cursor.execute(f"SET SESSION {text}")
        cursor.execute("START TRANSACTION READ ONLY" if bounds.read_only else "START TRANSACTION")


def _statement(
    connection: Any, query: str, values: list[Any] | dict[str, Any], bounds: Bounds, weight: Weight
) -> Result:
    cursor = connection.cursor()
    # Values never become part of the query but as literals that PyMySQL escapes for this connection.
    cursor.execute(query, _adapt(values) or None)
    if cursor.description is None:
        result = Result([], max(cursor.rowcount, 0), cursor.lastrowid or None)
    elif not bounds.rows:
        count = sum(1 for _ in iter(cursor.fetchone, None))
        result = Result([], count)
    else:
        rows = [weight.add({str(name): plain(value) for name, value in row.items()})
                for row in iter(cursor.fetchone, None)]  # fmt: skip
        result = Result(rows, len(rows))
    cursor.close()
    return result


def _adapt(values: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
    if isinstance(values, dict):
        return {name: _value(value) for name, value in values.items()}
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    """Objects go as JSON. Lists of plain values stay lists, for ``IN %s``."""
    nested = isinstance(value, list) and (not value or any(isinstance(item, dict | list) for item in value))
    return msgspec.json.encode(value).decode() if isinstance(value, dict) or nested else value


def _failure(error: pymysql.Error) -> NodeFailure:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    text = str(error.args[1] if len(error.args) > 1 else error)
    if number in _LATE:
        return NodeFailure("db_timeout", text, details={"errno": number})
    if isinstance(error, pymysql.err.InternalError) and not number:
        return NodeFailure("db_connect", f"The connection to the database failed: {text}")
    code = "db_connect" if number in _CONNECT else "db_error"
    text = re.sub(r"\s+", " ", text)[:1000]
    again = number in _RETRYABLE and "CERTIFICATE_VERIFY_FAILED" not in text
    return NodeFailure(code, text, retryable=again, details={"errno": number})
