"""Which database has what, for people."""

from __future__ import annotations

from linkflow.domain.errors import Unavailable

from .queries import queries
from .ranges import Range
from .shards import Shards

_sql = queries("moving")
_shards = queries("shards")


async def overview(shards: Shards) -> tuple[list[dict[str, object]], dict[str, object] | None]:
    """Ranges with their database, runs and open runs (None where it is away), and the move that is under way."""
    async with shards.main.connection() as connection:
        spans = await (await connection.execute(_shards["map"])).fetchall()
        move = await (await connection.execute(_sql["found"])).fetchone()
    rows: list[dict[str, object]] = []
    for first, last, name in spans:
        runs = await _runs(shards, name, Range(first, last))
        counted = {"runs": runs[0], "open": runs[1]} if runs else {"runs": None, "open": None}
        rows.append({"first": first, "last": last, "database": name, **counted})
    names = ("first", "last", "source", "target", "phase")
    return rows, dict(zip(names, move, strict=True)) if move else None


async def _runs(shards: Shards, name: str, of: Range) -> tuple[int, int] | None:
    if name not in shards.databases:
        return None
    try:
        async with shards.databases[name].connection() as connection:
            row = await (await connection.execute(_sql["runs"], {"first": of.first, "last": of.last})).fetchone()
    except Unavailable:
        return None
    return (row[0], row[1]) if row else None
