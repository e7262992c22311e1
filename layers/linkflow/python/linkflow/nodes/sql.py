"""Statements on a Postgres server, through a checked and pinned address."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from linkflow.nodes.base import Egress, NodeFailure
from linkflow.nodes.sql_params import Bounds, Result, Weight
from linkflow.nodes.sql_values import plain

_KNOWN = frozenset(
    {"host", "port", "user", "password", "dbname", "sslmode", "application_name", "options", "channel_binding"}
)
"""Settings that a credential may give. Others make the client read files or other servers' addresses."""

_ISOLATED = {"passfile": "/dev/null", "sslcertmode": "disable", "gssencmode": "disable", "connect_timeout": "30"}
"""What keeps libpq from the worker's own files: passwords, client certificates, tickets."""

_RETRYABLE = ("08", "40", "53", "57P", "55P03")
_NUMBERED = re.compile(r"\$\d")

_READS = re.compile(r"(select|with|values|table|show)\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(insert|update|delete|merge|into)\b", re.IGNORECASE)
AT_ONCE = 100
"""Rows that are read together."""


async def run(
    text: str,
    statements: Sequence[tuple[str, list[Any] | dict[str, Any]]],
    *,
    egress: Egress,
    bounds: Bounds,
    trusted: bool,
    authorities: str = "",
) -> list[Result]:
    """What every statement came to, all in one transaction. `authorities` (PEM) are trusted in place of the system's.

    Raises `NodeFailure`: ``egress_refused``, ``bad_credential``, ``db_connect``, ``db_timeout``, ``db_error``,
    ``db_too_many_rows``, ``db_too_large``.
    """
    settings = await _settings(text, egress, trusted)
    try:
        async with asyncio.timeout(bounds.seconds):
            with _certificates(settings, authorities):
                connection = await psycopg.AsyncConnection.connect(**settings, prepare_threshold=None)
            async with connection:
                await _prepare(connection, bounds)
                weight = Weight(bounds)
                return [await _statement(connection, query, values, bounds, weight) for query, values in statements]
    except TimeoutError:
        raise NodeFailure("db_timeout", f"The database did not answer within {bounds.seconds:g} s.") from None
    except psycopg.Error as error:
        raise _failure(error) from None


async def _prepare(connection: psycopg.AsyncConnection[Any], bounds: Bounds) -> None:
    """Bounds that hold on the server as well, where this worker is gone before it could cancel anything."""
    if bounds.read_only:
        await connection.set_read_only(True)
    milliseconds = str(round(bounds.seconds * 1000))
    await connection.execute(b"SELECT set_config('statement_timeout', %s, true)", [milliseconds])


@contextmanager
def _certificates(settings: dict[str, Any], authorities: str) -> Iterator[None]:
    """libpq reads authorities from a file only: it is there for as long as connecting takes."""
    if not authorities:
        yield
        return
    handle, path = tempfile.mkstemp(prefix="linkflow-")  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(authorities)
        settings["sslrootcert"] = path
        if not str(settings.get("sslmode", "")).startswith("verify"):
            settings["sslmode"] = "verify-full"
        yield
    finally:
        os.unlink(path)


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
    connection: psycopg.AsyncConnection[Any], query: str, values: list[Any] | dict[str, Any], bounds: Bounds,
    weight: Weight,
) -> Result:  # fmt: skip
    # The original's placeholders are Postgres's own ($1); %s and %(name)s are what Python people write.
    raw = isinstance(values, list) and _NUMBERED.search(query)
    kind = psycopg.AsyncRawCursor if raw else psycopg.AsyncCursor
    # The query is the workflow author's; values never become part of its text.
    data, given = query.encode(), _adapt(values) or None
    async with kind(connection, row_factory=dict_row) as cursor:
        if bounds.rows and _only_reads(query):
            found: Any = cursor.stream(data, given, size=AT_ONCE)  # never all of them in memory
            async with aclosing(found):
                rows = [weight.add(_plain_row(row)) async for row in found]
            return Result(rows, len(rows))
        await cursor.execute(data, given)
        if cursor.description is None or not bounds.rows:
            return Result([], max(cursor.rowcount, 0))
        return Result([weight.add(_plain_row(row)) async for row in cursor], max(cursor.rowcount, 0))


def _only_reads(query: str) -> bool:
    """Is it one statement that gives rows and changes nothing? Only such a one can be read piece by piece."""
    text = query.strip().rstrip(";")
    return bool(_READS.match(text)) and not _WRITES.search(text) and ";" not in text


def _plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in row.items()}


def _adapt(values: list[Any] | dict[str, Any]) -> list[Any] | dict[str, Any]:
    if isinstance(values, dict):
        return {name: _value(value) for name, value in values.items()}
    return [_value(value) for value in values]


def _value(value: Any) -> Any:
    """Objects go as jsonb. Lists of plain values stay arrays, for ``= any($1)``."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value)):
        return Jsonb(value)
    return value


def _failure(error: psycopg.Error) -> NodeFailure:
    state = error.sqlstate or ""
    text = (error.diag.message_primary or str(error)).strip()
    if not state:
        return NodeFailure("db_connect", f"The connection to the database failed: {text}")
    # 28: the server turned the user away, which no retry mends.
    code = "db_connect" if state.startswith(("08", "28", "57P")) else "db_error"
    return NodeFailure(code, text, retryable=state.startswith(_RETRYABLE), details={"sqlstate": state})
