"""Rows of a range of shards, carried from one database to another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from psycopg import sql

from linkflow.domain.errors import Internal
from linkflow.domain.ids import shard_of_workflow

from .database import Connection, Database
from .queries import queries
from .ranges import Range

LOWEST = "00000000-0000-0000-0000-000000000000"
_sql = queries("moving")


class Part(Struct, frozen=True):
    """A table with rows of runs: `holder` is the column that says whose, `a` and `b` are its key. `at_once` rows are
    read together."""

    table: str
    holder: str
    a: str
    b: str
    b_type: str = "uuid"
    at_once: int = 2000

    @property
    def first_b(self) -> str | int:
        lowest: dict[str, str | int] = {"uuid": LOWEST, "integer": -1, "text": ""}
        return lowest[self.b_type]


COLD = (
    Part("executions", "id", "id", "id", at_once=500),
    Part("history", "execution_id", "execution_id", "first_event", "integer", 500),
    Part("blobs", "execution_id", "execution_id", "name", "text", 20),
    Part("idempotency_keys", "execution_id", "workflow_id", "key", "text"),
    Part("forks", "source_id", "source_id", "execution_id"),
    Part("run_facts", "execution_id", "execution_id", "execution_id"),
    Part("run_terms", "execution_id", "execution_id", "term", "text"),
)
"""What may be many: copied while the range is in use, with changes noted by key. Nobody looks for work in them."""

HOT = tuple(
    Part(table, "execution_id", "execution_id", "execution_id")
    for table in ("tasks", "timers", "messages", "waits", "heartbeats", "slots", "collectors", "fairness_keys")
)
"""What there is only for open runs: copied at once, in the write stop."""

RATES = "start_rates"
"""By workflow, and few: those of the last hour."""

BY_NAME = {part.table: part for part in COLD}

Keys = dict[str, list[tuple[str, str]]]
"""Keys of rows, by table."""


async def columns_of(connection: Connection, part: Part) -> list[str]:
    rows = await (await connection.execute(_sql["columns"], {"table": part.table})).fetchall()
    return [name for (name,) in rows]


def composed(name: str, part: Part, of: Range | None = None, **more: Any) -> sql.Composed:
    """A statement for one table."""
    names: dict[str, sql.Composable] = {
        "table": sql.Identifier(part.table), "holder": sql.Identifier(part.holder), "a": sql.Identifier(part.a),
        "b": sql.Identifier(part.b), "b_type": sql.SQL(part.b_type),
    }  # fmt: skip
    if of is not None:
        names |= {"first": sql.Literal(of.first), "last": sql.Literal(of.last)}
    for key, value in more.items():
        names[key] = sql.SQL(", ").join(map(sql.Identifier, value)) if key == "columns" else sql.Literal(value)
    return _sql[name].format(**names)


async def put(connection: Connection, part: Part, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> int:
    """Write rows, within a transaction of the mover's; those that are there stay. Returns how many were new."""
    if not rows:
        return 0
    await connection.execute(composed("incoming", part))
    async with connection.cursor() as cursor:
        async with cursor.copy(composed("receive", part, columns=columns)) as copy:
            for row in rows:
                await copy.write_row(row)
        new = (await cursor.execute(composed("take_in", part, columns=columns))).rowcount
    await connection.execute(_sql["drop_incoming"])
    return new


async def copy_part(
    source: Database, target: Database, part: Part, of: Range, told: Callable[[int], None] = lambda _: None
) -> int:
    """Copy a table's rows of a range, some at a time. Returns how many there were."""
    total = 0
    after: tuple[Any, Any] = (LOWEST, part.first_b)
    async with source.connection() as reading:
        columns = await columns_of(reading, part)
        keys = columns.index(part.a), columns.index(part.b)
        while True:
            read = composed("read", part, of, columns=columns, after_a=after[0], after_b=after[1], limit=part.at_once)
            rows = await (await reading.execute(read)).fetchall()
            if rows:
                async with target.transaction() as writing:
                    await writing.execute(_sql["as_mover"])
                    await put(writing, part, columns, rows)
                after = rows[-1][keys[0]], rows[-1][keys[1]]
                total += len(rows)
                told(len(rows))
            if len(rows) < part.at_once:
                return total


async def carry_over(reading: Connection, target: Database, keys: Keys) -> None:
    """Make the target's rows of these keys what the source's are now: changed, new or gone."""
    async with target.transaction() as writing:
        await writing.execute(_sql["as_mover"])
        for table, pairs in keys.items():
            part = BY_NAME[table]
            columns = await columns_of(reading, part)
            args = {"a": [a for a, _ in pairs], "b": [b for _, b in pairs]}
            rows = await (await reading.execute(composed("read_keys", part, columns=columns), args)).fetchall()
            await writing.execute(composed("drop_keys", part), args)
            expect(table, len(rows), await put(writing, part, columns, rows))


async def copy_hot(reading: Connection, target: Database, of: Range) -> None:
    """Copy what open runs have beside their rows. What was there from an attempt before goes."""
    async with target.transaction() as writing:
        await writing.execute(_sql["as_mover"])
        for part in HOT:
            columns = await columns_of(reading, part)
            rows = await (await reading.execute(composed("read_all", part, of, columns=columns))).fetchall()
            await writing.execute(composed("drop_all", part, of))
            expect(part.table, len(rows), await put(writing, part, columns, rows))
        rates = await _rates(reading, of)
        args = {name: [rate[at] for rate in rates] for at, name in enumerate(("workflow", "key", "until"))}
        await writing.execute(_sql["put_rates"], args)


async def drop_hot(connection: Connection, of: Range) -> None:
    for part in HOT:
        await connection.execute(composed("drop_all", part, of))
    workflows = sorted({workflow for workflow, _, _ in await _rates(connection, of)})
    await connection.execute(_sql["drop_rates"], {"workflow": workflows})


async def _rates(connection: Connection, of: Range) -> list[tuple[Any, ...]]:
    rows = await (await connection.execute(_sql["rates"])).fetchall()
    return [row for row in rows if of.first <= shard_of_workflow(row[0]) <= of.last]


async def drop_part(database: Database, part: Part, of: Range, told: Callable[[int], None] = lambda _: None) -> None:
    """Delete a table's rows of a range, some at a time."""
    after: tuple[Any, Any] = (LOWEST, part.first_b)
    at_once = 2000
    while True:
        async with database.transaction() as connection:
            await connection.execute(_sql["as_mover"])
            read = composed(
                "read", part, of, columns=[part.a, part.b], after_a=after[0], after_b=after[1], limit=at_once
            )
            rows = await (await connection.execute(read)).fetchall()
            if rows:
                args = {"a": [str(a) for a, _ in rows], "b": [str(b) for _, b in rows]}
                await connection.execute(composed("drop_keys", part), args)
                after = rows[-1]
                told(len(rows))
        if len(rows) < at_once:
            return


async def count(connection: Connection, part: Part, of: Range, but: Sequence[tuple[str, str]]) -> int:
    args = {"a": [a for a, _ in but], "b": [b for _, b in but]}
    row = await (await connection.execute(composed("count", part, of), args)).fetchone()
    return int(row[0]) if row else 0


def expect(table: str, wanted: int, found: int) -> None:
    if wanted != found:
        raise Internal(
            f"The copy of {table} has {found} rows where {wanted} should be; nothing was switched.",
            details={"table": table, "wanted": wanted, "found": found},
        )
