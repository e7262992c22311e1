"""A database with a run in every state in which one can stand still, and its dump."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.domain import definition as d
from linkflow.domain.outcomes import (
    CallWorkflow,
    Completed,
    Failed,
    Iterate,
    NodeError,
    Outcome,
    RequestApproval,
    Sleep,
    WaitEvent,
)
from linkflow.postgres.database import Database
from tests.integration.test_history import World
from tests.unit.engine.support import AT, flow

TABLES = (
    "workspaces", "workflows", "workflow_versions", "executions", "history", "tasks", "timers", "messages", "waits",
    "kept_events", "idempotency_keys",
)  # fmt: skip
SERVICE = Caller("*", frozenset({"*"}), "record")


class FixedClock:
    """Time that moves on only where a scene says so; chance from a seed."""

    def __init__(self, at: int = AT) -> None:
        self.at = at
        self._random = random.Random(at)

    def now_ms(self) -> int:
        return self.at

    def random(self) -> float:
        return self._random.random()

    def rand_bits(self, bits: int) -> int:
        return self._random.getrandbits(bits)

    async def sleep(self, seconds: float) -> None:
        self.at += round(seconds * 1000)


class Flight(World):
    """Starts runs and leaves each somewhere."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.clock = FixedClock()  # type: ignore[assignment]
        self.workspace = "5b0f7e0e-0000-4000-8000-000000000001"
        self.history = self.another()
        self._workflows = 0

    async def save(self, definition: d.Definition) -> str:
        """A workflow with an id that is the same in every recording."""
        self._workflows += 1
        id = f"5b0f7e0e-0000-4000-8000-{self._workflows:012x}"
        async with self.database.connection() as c:
            await c.execute(
                "INSERT INTO workspaces VALUES (%s, 'w', 0, 0, 0) ON CONFLICT DO NOTHING", (self.workspace,)
            )
            await c.execute(
                "INSERT INTO workflows (id, workspace_id, name, description, version, created_at, updated_at)"
                " VALUES (%s, %s, 't', '', 1, 0, 0)",
                (id, self.workspace),
            )
            await c.execute(
                "INSERT INTO workflow_versions (workflow_id, version, definition, created_at) VALUES (%s, 1, %s, 0)",
                (id, d.encode(definition)),
            )
        return id

    async def go(
        self, definition: d.Definition, *steps: tuple[str, Outcome], trigger: Any = None, key: str = ""
    ) -> str:
        """Start a run and report these outcomes, each a transition."""
        self.clock.at += 1000  # type: ignore[attr-defined]
        id = await self.start(await self.save(definition), trigger=trigger, idempotency_key=key)
        for node, outcome in steps:
            self.clock.at += 10  # type: ignore[attr-defined]
            name, _, attempt = node.partition("#")
            await self.report(id, name, outcome, int(attempt or 1))
        return id

    async def control(self, id: str, verb: str) -> None:
        await self.history.control(h.ControlRequest(id, self.workspace, verb, "ada", "for the record"))
        await self.history.close()

    async def signal(self, id: str, signal_id: str, name: str, key: str = "") -> None:
        await self.history.signal(h.SignalRequest(id, self.workspace, signal_id, name, key, {"from": signal_id}, "ada"))


def _boom(retryable: bool = True) -> Failed:
    return Failed(NodeError("boom", "boom!", retryable, {"status": 503}))


async def _nodes(w: Flight) -> None:
    """Scheduled, taken up, in backoff, half a join, under timeouts, retried by hand."""
    policy = d.Retry(max_attempts=5, initial_interval=60)
    limits = d.Timeout(start_to_close=50, schedule_to_start=90, schedule_to_close=900)
    timed = {"id": "a", "type": "noop", "retry": policy, "timeout": limits}
    await w.go(flow("t > a > b"), trigger={"order": 1}, key="order-1")
    await w.go(flow("t > a > b", a=timed, settings=d.Settings(timeout=3600)))
    begun = await w.go(flow("t > a > b", a=timed))
    await w.history.complete(h.CompleteBatch(started=(h.StartedNode(begun, "a", 1, "w1"),), worker="w1"))
    await w.go(flow("t > a > b", a=timed), ("a", _boom()))
    await w.go(flow("t > a > z", "t > b > z", "a:no > c > z"), ("a", Completed({"a": 1})))
    failed = await w.go(flow("t > a > z", "t > b > z"), ("a", _boom(False)))
    await w.control(failed, "retry")
    answered = ("a", Completed(1, respond={"ok": True}, answers=True))
    await w.go(flow("t > a > b > c", b={"id": "b", "type": "noop", "queue": "gpu", "priority": 3}), answered)


async def _waits(w: Flight) -> None:
    """Delays, events, kept events, approvals before and after their escalation, pauses."""
    hour = AT + 3_600_000
    await w.go(flow("t > a > b"), ("a", Sleep(hour, {"slept": True})))
    await w.go(flow("t > a > b"), ("a", WaitEvent("paid", "42", hour)))
    await w.go(flow("t > a > b"), ("a", WaitEvent("sent")))
    kept = await w.go(flow("t > a > b"))
    await w.signal(kept, "s1", "paid", "7")
    await w.signal(kept, "s2", "paid", "8")
    await w.go(
        flow("t > a > b"), ("a", RequestApproval("Ship?", "see it", {"o": 1}, ("ada",), hour, AT + 60_000, ("bob",)))
    )
    asked = await w.go(
        flow("t > a", "a:rejected > b"), ("a", RequestApproval("Ship?", "", None, ("ada",), 0, AT + 90_000, ("bob",)))
    )
    w.clock.at = AT + 100_000  # type: ignore[attr-defined]
    await w.history.fire(h.FireBatch((h.DueTimer(asked, "escalate/1/a", AT + 90_000),)))
    paused = await w.go(flow("t > a > b", "t > c"))
    await w.control(paused, "pause")
    await w.report(paused, "a", Completed(1))
    await w.history.publish(h.PublishRequest(w.workspace, "e1", "delivered", "9", {"n": 9}, "ada"))


async def _inside(w: Flight) -> None:
    """Loops half done, one inside another, with a wait inside; parents, children, a child that was never told of."""
    loop = ("loop1", Iterate(({"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}), 2, "collect"))
    await w.go(flow("t > loop1", "loop1:each > a > b", "loop1:done > z"), loop, ("a[0]", Completed(0)), ("b[0]", Completed(0)),
               ("a[1]", _boom(False)), ("a[2]", Sleep(AT + 3_600_000)))  # fmt: skip
    nested = flow("t > loop1", "loop1:each > a > loop2", "loop2:each > b", "loop1:done > z")
    await w.go(nested, loop, ("a[0]", Completed(0)), ("loop2[0]", Iterate(("x", "y", "z"))), ("b[0,0]", Completed("bx")),
               ("b[0,1]", WaitEvent("paid", "nested")), ("a[1]", Completed(1)))  # fmt: skip
    child = await w.save(flow("t > a"))
    await w.go(flow("t > a > b"), ("a", CallWorkflow(child, {"in": 1}, True, "cancel")))
    await w.go(flow("t > a > b"), ("a", CallWorkflow(child, {"in": 2}, False)))

    async def lost(execution_id: str, message: object) -> None:
        """The process died between its commit and the telling."""

    messenger = w.history._messenger
    messenger.tell_new, told = lost, messenger.tell_new  # type: ignore[method-assign,assignment]
    await w.go(flow("t > a > b"), ("a", CallWorkflow(child, {"in": 3}, True)))
    messenger.tell_new = told  # type: ignore[method-assign]


async def _over(w: Flight) -> None:
    """Runs that ended, in every way."""
    await w.go(flow("t > a"), ("a", Completed({"done": True})), key="order-2")
    await w.go(flow("t > a"), ("a", _boom(False)))
    for verb in ("cancel", "terminate"):
        await w.control(await w.go(flow("t > a")), verb)
    late = await w.go(flow("t > a", settings=d.Settings(timeout=1)))
    due = w.clock.at + 1000
    w.clock.at = due  # type: ignore[attr-defined]
    await w.history.fire(h.FireBatch((h.DueTimer(late, f"execution/{due}/", due),)))


async def in_flight(home: Path) -> bytes:
    """The dump of such a database: a JSON line a table, with its columns and its rows as COPY's text."""
    from linkflow.local.postgres import EmbeddedPostgres
    from linkflow.postgres.migrate import migrate

    with EmbeddedPostgres(home) as server:
        migrate(server.url)
        database = Database(server.url, size=2)
        flight = Flight(database)
        with acting_as(SERVICE):
            for part in (_nodes, _waits, _inside, _over):
                await part(flight)
        await flight.history.close()
        lines = [await _dumped(database, table) for table in TABLES]
        await database.close()
    return b"\n".join(lines)


async def _dumped(database: Database, table: str) -> bytes:
    async with database.connection() as c:
        found = await c.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'"
            " ORDER BY ordinal_position",
            (table,),
        )
        columns = [name for (name,) in await found.fetchall()]
        async with (
            c.cursor() as cursor,
            cursor.copy(f"COPY (SELECT {', '.join(columns)} FROM {table}) TO STDOUT") as copy,
        ):
            rows = b"".join([bytes(part) async for part in copy])
    return msgspec.json.encode({"table": table, "columns": columns, "rows": rows.decode()})
