"""Replays over the stored executions, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from linkflow.domain.ids import shard_of_execution
from linkflow.domain.replay import Replay, replay
from linkflow.domain.state import FORMAT

from .database import Database
from .queries import queries
from .shards import home

PAGE = 200
_sql = queries("audit")


async def replays(database: Database, execution_id: str = "") -> AsyncIterator[tuple[str, Replay]]:
    """Fold one execution's events, or every one's in id order, and compare with the stored state.

    Events and state are read in one statement, so a run that moves on meanwhile is seen as it was.
    """
    after = "00000000-0000-0000-0000-000000000000"
    while True:
        async with database.connection() as connection:
            args = {"id": execution_id or None, "after": after, "limit": PAGE, "format": FORMAT}
            rows = await (await connection.execute(_sql["states_with_events"], args)).fetchall()
        for id, state, version, snapshot, parts in rows:
            after = id
            events = b"[" + b",".join(bytes(part)[1:-1] for part in parts) + b"]"
            yield id, replay(id, events, bytes(state or b""), version, snapshot)
        if execution_id or len(rows) < PAGE:
            return


async def replays_of(databases: Sequence[Database], execution_id: str = "") -> AsyncIterator[tuple[str, Replay]]:
    """The same of several databases, each run where its shard is: copies on their way do not count."""
    for database in databases:
        async with database.connection() as connection:
            there = await home(connection)
        async for id, result in replays(database, execution_id):
            if there.holds(shard_of_execution(id)):
                yield id, result
