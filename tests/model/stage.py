"""The real engine: History on Postgres and Matching on Valkey, wired as in a process, with a clock that is ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from random import Random
from typing import Any

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.contracts.history import HistoryApi
from linkflow.contracts.matching import ClaimRequest, MatchingApi, ReleaseRequest
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.postgres.database import Database
from linkflow.services.history import History

WORKER = "model"
START_MS = 1_764_000_000_000
CHANCE = 0.25
"""What every draw of the engine comes to, so that jitter is known."""

Task = tuple[str, str, int]
"""Execution id, node key, attempt."""

_ROWS = {
    "tasks": "SELECT execution_id::text, node_key, attempt FROM tasks",
    "timers": "SELECT execution_id::text, timer_id, due_at FROM timers",
    "waits": "SELECT execution_id::text, node_key, kind FROM waits",
    "heartbeats": "SELECT execution_id::text, node_key, attempt FROM heartbeats",
    "messages": "SELECT execution_id::text, id FROM messages",
    "kept_events": "SELECT workspace_id::text, id FROM kept_events",
}
_NEWS = """
SELECT x.workspace_id::text, h.execution_id::text, h.last_event, h.events
FROM executions x
LEFT JOIN unnest(%(ids)s::uuid[], %(seen)s::int[]) AS s (id, seen) ON s.id = x.id
JOIN history h ON h.execution_id = x.id AND h.first_event > coalesce(s.seen, 0)
WHERE x.version > coalesce(s.seen, 0)
ORDER BY h.execution_id, h.first_event
"""


class OwnedClock:
    """Time stands until it is moved."""

    def __init__(self) -> None:
        self.now = START_MS
        self._random = Random(1)

    def now_ms(self) -> int:
        return self.now

    def random(self) -> float:
        return CHANCE

    def rand_bits(self, bits: int) -> int:
        return self._random.getrandbits(bits)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


class _Watched(System):
    service: History

    def history(self) -> Any:
        self.service = super().history()
        return self.service


class Stage:
    """Serves many scenarios at once. Each has a workspace of its own; they share time and transactions."""

    def __init__(self, database_url: str, redis_url: str, databases: Mapping[str, str] | None = None) -> None:
        self.clock = OwnedClock()
        config = Config(
            database_url=database_url, redis_url=redis_url, secret="model " * 8, lease=3600.0, republish_after=1e9,
            head_start=False, databases=dict(databases or {}),
        )  # fmt: skip
        self._system = _Watched(config, "model")
        self._system.clock = self.clock  # type: ignore[assignment]
        self._system.serve_all(("history", "matching"))
        self.history = self._system.client(HistoryApi)
        self.matching = self._system.client(MatchingApi)
        self.timers = self._system.timer_store()
        self._seen: dict[str, int] = {}
        self._leases: dict[Task, str] = {}

    @property
    def _databases(self) -> list[Database]:
        return list(self._system.shards.databases.values()) if self._system.shards else [self._system.database]

    async def close(self) -> None:
        await self._system.close()

    async def quiet(self) -> None:
        """Wait until the engine has done all that follows from what it was asked."""
        await self._system.service.close()

    async def add_workflows(self, workflows: Iterable[tuple[str, str, d.Definition]]) -> None:
        """(workspace id, workflow id, definition); all are version 1."""
        rows = list(workflows)
        async with self._system.database.transaction() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO workspaces VALUES (%s, 'w', 0, 0, 0) ON CONFLICT DO NOTHING", [(row[0],) for row in rows]
            )
            await cursor.executemany(
                "INSERT INTO workflows (id, workspace_id, name, description, version, created_at, updated_at)"
                " VALUES (%s, %s, 't', '', 1, 0, 0)",
                [(row[1], row[0]) for row in rows],
            )
            await cursor.executemany(
                "INSERT INTO workflow_versions (workflow_id, version, definition, created_at) VALUES (%s, 1, %s, 0)",
                [(row[1], d.encode(row[2])) for row in rows],
            )

    async def news(self) -> dict[str, list[tuple[str, tuple[e.Event, ...]]]]:
        """The transitions since this was last asked, by workspace: execution id and events."""
        found: dict[str, list[tuple[str, tuple[e.Event, ...]]]] = {}
        arguments = {"ids": list(self._seen), "seen": list(self._seen.values())}
        rows: list[tuple[Any, ...]] = []
        for database in self._databases:
            async with database.connection() as connection:
                rows += await (await connection.execute(_NEWS, arguments)).fetchall()
        for workspace, id, last, events in rows:
            self._seen[id] = last
            found.setdefault(workspace, []).append((id, e.decode(bytes(events))))
        return found

    async def tables(self) -> dict[str, dict[str, set[tuple[Any, ...]]]]:
        """What stands in each table, by execution (kept events: by workspace)."""
        found: dict[str, dict[str, set[tuple[Any, ...]]]] = {}
        for database, (table, statement) in product(self._databases, _ROWS.items()):
            async with database.connection() as connection:
                held = found.setdefault(table, {})
                for owner, *row in await (await connection.execute(statement)).fetchall():
                    held.setdefault(owner, set()).add(tuple(row))
        return found

    async def claim(self) -> None:
        """A worker takes every task that is offered."""
        while True:
            claimed = await self.matching.claim(ClaimRequest(WORKER, limit=500))
            for lease in claimed.leases:
                task = lease.task
                self._leases[task.execution_id, task.node_key, task.attempt] = lease.token
            if not claimed.leases:
                return

    def holds(self, task: Task) -> bool:
        return task in self._leases

    async def let_go(self, wanted: set[Task]) -> None:
        """The worker gives up tasks that are done, or that nobody wants any more."""
        gone = [task for task in self._leases if task not in wanted]
        if gone:
            await self.matching.release(ReleaseRequest(WORKER, done=tuple(self._leases.pop(task) for task in gone)))

    async def states(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """Stored states by execution."""
        found = {}
        for database in self._databases:
            async with database.connection() as connection:
                cursor = await connection.execute(
                    "SELECT id::text, state FROM executions WHERE id = ANY(%s)", (list(ids),)
                )
                found.update({id: bytes(state) for id, state in await cursor.fetchall()})
        return found

    async def empty(self) -> None:
        """Forget all that ran: the next batch finds small tables."""
        for database in self._databases:
            async with database.connection() as connection:
                await connection.execute(
                    "TRUNCATE executions, history, tasks, timers, waits, messages, heartbeats, kept_events,"
                    " idempotency_keys"
                )
        self._seen.clear()
