"""Migrations: numbered files, forward only, each applied once. Old code must run on the new schema."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from linkflow.domain.errors import InvalidInput

from .queries import queries
from .shards import MAIN

_LOCK = 0x4C_46_4D_49  # "LFMI": one migrator at a time
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


def migrate(url: str) -> list[str]:
    """Bring the database up to date, all in one transaction; returns the names that were applied."""
    applied = []
    with psycopg.connect(url, prepare_threshold=None) as connection:
        connection.execute(_sql["lock"], (_LOCK,))
        connection.execute(_sql["table"])
        done = {number for (number,) in connection.execute(_sql["applied"])}
        for number, what, text in migrations():
            if number not in done:
                connection.execute(sql.SQL(text))
                connection.execute(_sql["record"], (number, what))
                applied.append(f"{number:04d}_{what}")
        connection.execute(_sql["partitions"])
    return applied
