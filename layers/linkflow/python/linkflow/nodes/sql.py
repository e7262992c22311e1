"""Statements on a Postgres server, through a checked and pinned address."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from linkflow.nodes.base import Egress, NodeFailure

_KNOWN = frozenset(
    {"host", "port", "user", "password", "dbname", "sslmode", "application_name", "options", "channel_binding"}
)
"""Settings that a credential may give. Others make the client read files or other servers' addresses."""

_ISOLATED = {"passfile": "/dev/null", "sslcertmode": "disable", "gssencmode": "disable", "connect_timeout": "30"}
"""What keeps libpq from the worker's own files: passwords, client certificates, tickets."""

_RETRYABLE = ("08", "40", "53", "57P", "55P03")
_NUMBERED = re.compile(r"\$\d")

Row = dict[str, Any]


async def run(
    text: str,
    statements: Sequence[tuple[str, list[Any] | dict[str, Any]]],
    *,
    egress: Egress,
    timeout: float,
    max_rows: int,
    trusted: bool,
) -> list[tuple[list[Row], int]]:
    """Rows and count of every statement, all in one transaction. `max_rows` 0 drops rows.

    Raises `NodeFailure`: ``egress_refused``, ``bad_credential``, ``db_connect``, ``db_timeout``, ``db_error``,
    ``db_too_many_rows``.
    """
    settings = await _settings(text, egress, trusted)
    try:
        async with asyncio.timeout(timeout):
            connection = await psycopg.AsyncConnection.connect(**settings, prepare_threshold=None)
            async with connection:
                return [await _statement(connection, query, values, max_rows) for query, values in statements]
    except TimeoutError:
        raise NodeFailure("db_timeout", f"The database did not answer within {timeout:g} s.") from None
    except psycopg.Error as error:
        raise _failure(error) from None


async def _settings(text: str, egress: Egress, trusted: bool) -> dict[str, Any]:
    """Connection settings with the checked address in `hostaddr`; `host` stays the name that TLS verifies."""
    try:
        given = conninfo_to_dict(text)
    except psycopg.Error:
        raise NodeFailure("bad_credential", "The connection string cannot be read.", retryable=False) from None
    host, user = str(given.get("host") or ""), str(given.get("user") or "")
    if not host or not user or "," in host or host.startswith(("/", "@")):
        message = "The connection string must name one host and a user: postgresql://user:password@host:5432/database."
        raise NodeFailure("bad_credential", message, retryable=False)
    unknown = given.keys() - _KNOWN if not trusted else given.keys() & {"hostaddr", "service"}
    if unknown:
        message = f"The connection string may not set {', '.join(sorted(unknown))}."
        raise NodeFailure("bad_credential", message, retryable=False)
    try:
        address, port = await egress.open_address(host, int(given.get("port") or 5432))
    except ValueError:
        raise NodeFailure("bad_credential", "The connection string's port is not a number.", retryable=False) from None
    if str(given.get("sslmode", "")).startswith("verify") and "sslrootcert" not in given:
        given["sslrootcert"] = "system"
    defaults = {**({} if trusted else _ISOLATED), "password": "", "dbname": user, "application_name": "linkflow"}
    return {**defaults, **given, "hostaddr": address, "port": port}


async def _statement(
    connection: psycopg.AsyncConnection[Any], query: str, values: list[Any] | dict[str, Any], max_rows: int
) -> tuple[list[Row], int]:
    # The original's placeholders are Postgres's own ($1); %s and %(name)s are what Python people write.
    raw = isinstance(values, list) and _NUMBERED.search(query)
    kind = psycopg.AsyncRawCursor if raw else psycopg.AsyncCursor
    async with kind(connection, row_factory=dict_row) as cursor:
        # The query is the workflow author's; values never become part of its text.
        await cursor.execute(query.encode(), _adapt(values) or None)
        if cursor.description is None or not max_rows:
            return [], max(cursor.rowcount, 0)
        rows = await cursor.fetchmany(max_rows + 1)
        if len(rows) > max_rows:
            message = f"The query gave more than {max_rows} rows; add a LIMIT or raise `max_rows`."
            raise NodeFailure("db_too_many_rows", message, retryable=False)
        return [{name: plain(value) for name, value in row.items()} for row in rows], max(cursor.rowcount, 0)


def _adapt(values: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
    if isinstance(values, dict):
        return {name: _value(value) for name, value in values.items()}
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    """Objects go as jsonb. Lists of plain values stay arrays, for ``= any($1)``."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        return Jsonb(value)
    return value


def plain(value: Any) -> Any:
    """A value from Postgres as JSON."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _failure(error: psycopg.Error) -> NodeFailure:
    state = error.sqlstate or ""
    text = (error.diag.message_primary or str(error)).strip()
    if not state:
        return NodeFailure("db_connect", f"The connection to the database failed: {text}")
    # 28: the server turned the user away, which no retry mends.
    code = "db_connect" if state.startswith(("08", "28", "57P")) else "db_error"
    return NodeFailure(code, text, retryable=state.startswith(_RETRYABLE), details={"sqlstate": state})
