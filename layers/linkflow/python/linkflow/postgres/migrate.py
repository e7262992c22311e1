"""Migrations: numbered files, forward only, each applied once. Old code must run on the new schema."""

from __future__ import annotations

from importlib.resources import files

import psycopg
from psycopg import sql

from .queries import queries

_LOCK = 0x4C_46_4D_49  # "LFMI": one migrator at a time
_sql = queries("migrate")


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and text of each migration, in order."""
    found = []
    for entry in files("linkflow.postgres").joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, what = entry.name.removesuffix(".sql").partition("_")
            found.append((int(number), what, entry.read_text(encoding="utf-8")))
    found.sort()
    return found


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
