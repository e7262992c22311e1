"""Bring a recorded database back, and every run in it to its end."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from linkflow.contracts import history as h
from linkflow.domain.outcomes import Completed, Iterate
from linkflow.domain.state import split_key
from linkflow.postgres.migrate import migrations
from tests.upgrade.flight import Flight

ROUNDS = 200


def restore(url: str, dump: Path, schema: int) -> None:
    """The database as it was: the migrations up to number `schema`, then the rows."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE linkflow_migrations (number integer PRIMARY KEY, name text NOT NULL,"
                           " applied_at timestamptz NOT NULL DEFAULT now())")  # fmt: skip
        for number, name, text in migrations():
            if number <= schema:
                connection.execute(sql.SQL(text))  # type: ignore[arg-type]
                connection.execute("INSERT INTO linkflow_migrations (number, name) VALUES (%s, %s)", (number, name))
        for line in gzip.decompress(dump.read_bytes()).splitlines():
            table = json.loads(line)
            columns = sql.SQL(", ").join(map(sql.Identifier, table["columns"]))
            copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table["table"]), columns)
            with connection.cursor() as cursor, cursor.copy(copy) as stream:
                stream.write(table["rows"])


async def land(flight: Flight) -> None:
    """Do what workers, timers, people and the world would do, until nothing is left to do."""
    for _ in range(ROUNDS):
        await flight.history.sweep(h.SweepRequest())
        await flight.history.close()
        busy = [await part(flight) for part in (_people, _workers, _world)]
        if not any(busy) and not await _timers(flight):
            return
    raise AssertionError("some runs do not end")


async def _rows(flight: Flight, statement: str) -> list[tuple[Any, ...]]:
    async with flight.database.connection() as c:
        return await (await c.execute(statement)).fetchall()


async def _people(flight: Flight) -> bool:
    paused = await _rows(flight, "SELECT id::text FROM executions WHERE status = 6")
    for (id,) in paused:
        await flight.control(id, "resume")
    asked = await _rows(
        flight, "SELECT execution_id::text, workspace_id::text, node_key FROM waits WHERE kind = 'approval'"
    )
    for id, workspace, node in asked:
        await flight.history.decide(h.DecideRequest(id, workspace, node, "approved", {"well": "done"}, "ada"))
    return bool(paused or asked)


async def _workers(flight: Flight) -> bool:
    tasks = await _rows(flight, "SELECT execution_id::text, node_key, attempt FROM tasks ORDER BY 1, 2")
    for id, node, attempt in tasks:
        loop = split_key(node)[0].startswith("loop")
        outcome = Iterate(("x", "y")) if loop else Completed({"ran": node})
        await flight.report(id, node, outcome, attempt)
    return bool(tasks)


async def _world(flight: Flight) -> bool:
    waits = await _rows(flight, "SELECT workspace_id::text, name, key FROM waits WHERE kind = 'event'")
    for workspace, name, key in waits:
        event = h.PublishRequest(workspace, f"{name}/{key}/{flight.clock.now_ms()}", name, key or "any", {"got": name})
        await flight.history.publish(event)
        await flight.history.close()
    return bool(waits)


async def _timers(flight: Flight) -> bool:
    timers = await _rows(flight, "SELECT execution_id::text, timer_id, due_at FROM timers ORDER BY due_at LIMIT 1")
    for id, timer, due in timers:
        flight.clock.at = max(flight.clock.at, due)  # type: ignore[attr-defined]
        await flight.history.fire(h.FireBatch((h.DueTimer(id, timer, due),)))
        await flight.history.close()
    return bool(timers)
