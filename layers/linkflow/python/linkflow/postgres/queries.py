"""Named statements, read once from the `.sql` files beside this module.

A file holds statements headed ``-- name: what_it_does``, then a line of purpose; Python never spells SQL.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from psycopg import sql


class Queries:
    """The statements of one file: ``Queries("history")["append"]``."""

    def __init__(self, file: str) -> None:
        text = files("linkflow.postgres").joinpath("queries", f"{file}.sql").read_text(encoding="utf-8")
        self._statements: dict[str, sql.SQL] = {}
        for part in text.split("-- name:")[1:]:
            name, _, body = part.partition("\n")
            self._statements[name.strip()] = sql.SQL(body.strip())
        self.file = file

    def __getitem__(self, name: str) -> sql.SQL:
        try:
            return self._statements[name]
        except KeyError:
            raise KeyError(f"queries/{self.file}.sql has no statement {name}") from None


@lru_cache(maxsize=32)
def queries(file: str) -> Queries:
    """The statements of `queries/<file>.sql`."""
    return Queries(file)
