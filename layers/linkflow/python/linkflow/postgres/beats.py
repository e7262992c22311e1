"""Heartbeats: rows that come and change without a transition, and go with the attempt they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.contracts.history import Beat, LastBeat, TaskRef
from linkflow.domain.errors import Unavailable
from linkflow.domain.timing import HEARTBEAT, timer_id
from linkflow.ports import Transition

from .database import RETRY_STATES, Connection, Database
from .queries import queries

TRIES = 4
"""A deadlock between a beat and a transition is tried again: nothing was written."""

_sql = queries("beats")
_encode = msgspec.json.Encoder().encode


class PostgresBeats:
    """The part of `linkflow.ports.EventStore` that is about heartbeats."""

    _db: Database

    async def beat(self, beats: Sequence[Beat], now_ms: int) -> list[TaskRef]:
        latest = {TaskRef(b.execution_id, b.node_key, b.attempt): b for b in beats}
        rows = sorted(latest.values(), key=lambda b: (b.execution_id, b.node_key))
        args = {
            "id": [b.execution_id for b in rows],
            "key": [b.node_key for b in rows],
            "attempt": [b.attempt for b in rows],
            "timer": [timer_id(HEARTBEAT, b.node_key, b.attempt) for b in rows],
            "due": [now_ms + b.timeout for b in rows],
            "details": [None if b.details is None else _encode(b.details) for b in rows],
            "at": now_ms,
        }
        alive = {TaskRef(*row) for row in await self._move(args)}
        return [ref for ref in latest if ref not in alive]

    async def _move(self, args: dict[str, Any]) -> list[tuple[Any, ...]]:
        for left in reversed(range(TRIES)):
            try:
                async with self._db.connection() as connection:
                    return await (await connection.execute(_sql["beat"], args)).fetchall()
            except Unavailable as error:
                if not left or error.details.get("sqlstate") not in RETRY_STATES:
                    raise
        return []

    async def beats(self, refs: Sequence[TaskRef]) -> list[LastBeat]:
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["beats"], _columns(refs))).fetchall()
        return [_last(row) for row in rows]

    async def beats_of(self, execution_ids: Sequence[str]) -> list[LastBeat]:
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["beats_of"], {"ids": list(execution_ids)})).fetchall()
        return [_last(row) for row in rows]


async def beaten(connection: Connection, items: Sequence[Transition]) -> set[str]:
    """Runs of which a beat came before the transition that timed them out, which has been executed but not committed:
    no later beat finds a timer to move."""
    guards = [(t.execution_id, key, attempt, seen) for t in items for key, attempt, seen in t.unbeaten]
    if not guards:
        return set()
    args = {name: [guard[i] for guard in guards] for i, name in enumerate(("id", "key", "attempt", "seen"))}
    return {id for (id,) in await (await connection.execute(_sql["beaten"], args)).fetchall()}


async def drop_beats(connection: Connection, items: Sequence[Transition]) -> None:
    """Heartbeats of attempts that these transitions ended, in their transaction."""
    over = [TaskRef(t.execution_id, key, attempt) for t in items for key, attempt in t.done_beats]
    if over:
        await connection.execute(_sql["drop_beats"], _columns(over))


def _columns(refs: Sequence[TaskRef]) -> dict[str, Any]:
    return {
        "id": [ref.execution_id for ref in refs],
        "key": [ref.node_key for ref in refs],
        "attempt": [ref.attempt for ref in refs],
    }


def _last(row: tuple[Any, ...]) -> LastBeat:
    id, key, attempt, at, details = row
    return LastBeat(id, key, attempt, at, None if details is None else msgspec.json.decode(bytes(details)))
