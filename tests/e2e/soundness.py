"""What must hold of every database, whatever happened to the processes around it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import psycopg

from linkflow.postgres.audit import replays
from linkflow.postgres.database import Database

RESULTS = (
    "NodeCompleted",
    "NodeFailed",
    "NodeTimedOut",
    "NodeSkipped",
    "NodeCancelled",
    "ChildCompleted",
)
"""Events of which an attempt has one at most."""

WORK = ("tasks", "timers", "messages", "waits", "heartbeats")
"""Tables whose rows are still to be done for somebody, and gone when every run has ended."""


def assert_sound(database_url: str, *, expect: int = 1, ignore: frozenset[str] = frozenset()) -> None:
    """Every started run has ended (at least `expect` of them), no event is missing, doubled or out of order, every
    result is recorded once, nothing is left to do, and replaying the events gives the stored state byte for byte.

    `ignore` are runs that an earlier test, which failed for that, has left behind (`unfinished`).
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        problems = [problem for problem in _problems(connection) if not any(id in problem for id in ignore)]
        (count,) = connection.execute("SELECT count(*) FROM executions").fetchone() or (0,)
    problems += asyncio.run(_replayed(database_url))
    assert not problems, "\n".join(problems)
    assert count >= expect, f"{count} runs, {expect} were started"


def unfinished(database_url: str) -> frozenset[str]:
    """Runs that have not ended."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return frozenset(id for (id,) in connection.execute("SELECT id::text FROM executions WHERE status = 0"))


def _problems(connection: psycopg.Connection[Any]) -> list[str]:
    found = []
    rows = connection.execute(
        "SELECT e.id::text, e.status, e.version, e.closed_at,"
        " ARRAY(SELECT h.events FROM history h WHERE h.execution_id = e.id ORDER BY h.first_event) FROM executions e"
    )
    for id, status, version, closed_at, parts in rows.fetchall():
        events = [event for part in parts for event in json.loads(bytes(part))]
        if status == 0 or not closed_at:
            found.append(f"{id} has not ended: {[e['type'] for e in events][-5:]}")
        found += [f"{id}: {problem}" for problem in history_problems(events, version)]
    return found + leftovers(connection)


def leftovers(connection: psycopg.Connection[Any]) -> list[str]:
    """What is still to be done."""
    found = []
    for table in WORK:
        left = connection.execute(f"SELECT * FROM {table}").fetchall()
        found += [f"left in {table}: {[str(value) for value in row]}" for row in left]
    return found


def history_problems(events: list[dict[str, Any]], version: int) -> list[str]:
    """What is wrong with one run's events."""
    found = []
    ids = [event["event_id"] for event in events]
    if ids != list(range(1, version + 1)):
        found.append(f"event ids are not 1…{version}: {ids}")
    times = [event["at"] for event in events]
    if times != sorted(times):
        found.append("the events' times go back")
    for part in _rounds(events):
        once = Counter((e["type"], e["node"], e.get("attempt", 1)) for e in part if e["type"] in RESULTS)
        once.update((e["type"], e["node"], 0) for e in part if e["type"] == "NodeCompleted")
        found += [f"recorded {times} times: {what}" for what, times in once.items() if times > 1]
    return found


def _rounds(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The events, cut where the run was retried by hand: then its loops run again from the start."""
    parts: list[list[dict[str, Any]]] = [[]]
    for event in events:
        if event["type"] == "ExecutionRetried":
            parts.append([])
        parts[-1].append(event)
    return parts


async def _replayed(database_url: str) -> list[str]:
    database = Database(database_url, size=1)
    try:
        return [
            f"{id}: the replay differs from byte {result.at} on {result.fault}"
            async for id, result in replays(database)
            if not result.matches
        ]
    finally:
        await database.close()
