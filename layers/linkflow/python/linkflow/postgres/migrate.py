"""Migrations: numbered files, forward only, each applied once. Old code must run on the new schema, and goes on writing
while they are applied: none may keep writers waiting.

- Each is a transaction of its own that gives up after a second of waiting for a lock, since all who come behind it
  would wait as well, and tries again.
- What follows a line ``-- concurrently`` is outside of a transaction, paragraph by paragraph: indexes that are made and
  dropped ``CONCURRENTLY``, and UPDATEs with a ``LIMIT``, repeated while they find that many rows: others may make new
  ones for ever. What stands before that line has to bear being repeated, too.
- An empty database gets all of it in one transaction.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import errors, sql

from linkflow.domain.errors import InvalidInput

from .queries import queries
from .shards import MAIN

_LOCK = 0x4C_46_4D_49  # "LFMI": one migrator at a time
_ALONE = re.compile(r"^-- concurrently\b.*$", re.MULTILINE)
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY (\w+)")
_BATCH = re.compile(r"^\s*LIMIT (\d+)$", re.MULTILINE)
_TRIES = 120
_WAIT_FOR_LOCK, _WAIT_FOR_INDEX = "1s", "10min"  # an index that is made concurrently holds nobody up while it waits

Connection = psycopg.Connection[tuple[Any, ...]]
_sql = queries("migrate")
_shards = queries("shards")


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and text of each migration, in order."""
    found = []
    for entry in files("linkflow.postgres").joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, what = entry.name.removesuffix(".sql").partition("_")
            found.append((int(number), what, entry.read_text(encoding="utf-8")))
    found.sort()
    return found


def migrate_all(url: str, others: Mapping[str, str]) -> dict[str, list[str]]:
    """Bring the main database and the others up to date, and make empty ones part of the deployment; what was applied,
    by name. Raises `InvalidInput` for a database that is somebody else's."""
    done = {MAIN: migrate(url)}
    with psycopg.connect(url, prepare_threshold=None) as main:
        row = main.execute(_shards["home"]).fetchone()
        deployment = row[0] if row else ""
    for name, other in others.items():
        done[name] = migrate(other)
        with psycopg.connect(other, prepare_threshold=None) as connection:
            _adopt(connection, deployment, name)
    return done


def _adopt(connection: psycopg.Connection[tuple[Any, ...]], deployment: str, name: str) -> None:
    row, used = connection.execute(_shards["home"]).fetchone(), connection.execute(_shards["used"]).fetchone()
    if row and (row[0], row[1]) == (deployment, name):
        return
    if not row or row[0] == deployment or row[1] != MAIN or (used and used[0]):
        called = f"{row[1]!r} of {'this' if row[0] == deployment else 'another'} deployment" if row else "unknown"
        raise InvalidInput(
            f"The database that is configured as {name!r} is in use already: it is {called}. Give an empty one."
        )
    connection.execute(_shards["adopt"], {"deployment": deployment, "name": name})
    connection.execute(_shards["set_guard"])


def migrate(url: str, until: int = 0) -> list[str]:
    """Bring the database up to date, or as far as a number; returns the names that were applied."""
    with _only(url), psycopg.connect(url, prepare_threshold=None, autocommit=True) as connection:
        connection.execute(_sql["table"])
        done = {number for (number,) in connection.execute(_sql["applied"])}
        rest = [one for one in migrations() if one[0] not in done and not 0 < until < one[0]]
        if done:
            for number, what, text in rest:
                _apply(connection, number, what, text)
            _patiently(connection, lambda: connection.execute(_sql["partitions"]))
        else:
            with connection.transaction():
                for number, what, text in rest:
                    connection.execute(sql.SQL(text.replace("CONCURRENTLY ", "")))
                    connection.execute(_sql["record"], (number, what))
                connection.execute(_sql["partitions"])
    return [f"{number:04d}_{what}" for number, what, _ in rest]


@contextmanager
def _only(url: str) -> Iterator[None]:
    """While no other migrates. The lock is a transaction's that sees nothing, so that indexes need not wait for it; it
    is asked for again and again, since who waits for it inside a statement would be waited for by those indexes."""
    with psycopg.connect(url, prepare_threshold=None) as keeper:
        while (row := keeper.execute(_sql["lock"], (_LOCK,)).fetchone()) and not row[0]:
            keeper.rollback()
            time.sleep(0.1)
        # The last statement of a transaction keeps what it saw until the next one: here one that sees nothing.
        keeper.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


def _apply(connection: Connection, number: int, what: str, text: str) -> None:
    parts = _ALONE.split(text, maxsplit=1)

    def begin() -> None:
        connection.execute(sql.SQL(parts[0]))
        if len(parts) == 1:
            connection.execute(_sql["record"], (number, what))

    _patiently(connection, begin)
    if len(parts) > 1:
        connection.execute(sql.SQL("SET lock_timeout = {}").format(_WAIT_FOR_INDEX))
        for statement in re.split(r"\n\s*\n", parts[1].strip()):
            _alone(connection, statement)
        connection.execute(_sql["record"], (number, what))


def _alone(connection: Connection, statement: str) -> None:
    index = _INDEX.search(statement)
    if index:
        row = connection.execute(_sql["index"], (index[1],)).fetchone()
        if row and row[0]:
            return
        if row:  # who made it died over it
            connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(index[1])))
    batch = _BATCH.search(statement)
    while connection.execute(sql.SQL(statement)).rowcount >= (int(batch[1]) if batch else 1 << 60):
        pass


def _patiently(connection: Connection, act: Callable[[], object]) -> None:
    """In a transaction, again and again until it gets its locks at once. Raises `LockNotAvailable` after minutes."""
    for tried in range(_TRIES):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(_WAIT_FOR_LOCK))
                act()
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            if tried == _TRIES - 1:
                raise
            time.sleep(min(2.0, 0.1 * 1.3**tried))
        else:
            return
