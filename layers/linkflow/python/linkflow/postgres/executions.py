"""The event store on Postgres: one statement, so one transaction, for a whole batch of transitions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from psycopg import Rollback

from linkflow.contracts.history import DueTimer, Execution, HistoryReply, ListRequest, Task, TaskRef
from linkflow.domain.errors import Unavailable
from linkflow.domain.state import FORMAT
from linkflow.ports import FORGET_BLOBS, Snapshot, StoredMessage, Transition

from .admission import PostgresDoor, PostgresDoors, reopen, write_entrances
from .arrays import arrays
from .beats import PostgresBeats, beaten, drop_beats
from .bulk import PostgresBulks
from .database import RETRY_STATES, Connection, Database
from .facts import PostgresFacts, write_facts
from .queries import queries
from .statuses import CODE, execution_of
from .tallies import PostgresTallies, count_ai, tally_columns
from .waits import PostgresWaits, columns, wait_args

RARE_MODES = ("manual", "retry", "error", "fork", "rerun", "test")
"""Modes that have an index of their own: people ask for these few among very many."""

DEADLOCK_TRIES = 4

_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_sql = queries("executions")
_timers = queries("timers")
_forks = queries("forks")


class PostgresEvents(PostgresWaits, PostgresBeats, PostgresDoors, PostgresBulks, PostgresTallies, PostgresFacts):
    """Implements `linkflow.ports.EventStore`."""

    def __init__(self, database: Database, republish_after_ms: int = 10_000) -> None:
        super().__init__(database)
        self._republish = republish_after_ms

    async def commit(self, transitions: Sequence[Transition]) -> list[str]:
        """See `EventStore.commit`. Deadlocks between two batches are tried again: nothing of them was written."""
        verdicts: dict[str, str] = {}
        for part in ([t for t in transitions if not t.expected], [t for t in transitions if t.expected]):
            if part:
                verdicts.update(zip((t.execution_id for t in part), await self._patiently(part), strict=True))
        return [verdicts[t.execution_id] for t in transitions]

    async def _patiently(self, transitions: Sequence[Transition]) -> list[str]:
        for _ in range(DEADLOCK_TRIES):
            try:
                return await self._commit(transitions)
            except Unavailable as error:
                if error.details.get("sqlstate") not in RETRY_STATES:
                    raise
        return await self._commit(transitions)

    async def _commit(self, transitions: Sequence[Transition]) -> list[str]:
        async with self._db.connection() as connection:
            if any(t.entrance for t in transitions):
                async with connection.transaction():
                    return await self._write_with_doors(connection, transitions)
            return await self._write(connection, transitions)

    @asynccontextmanager
    async def door(self, workflow_id: str) -> AsyncIterator[PostgresDoor]:
        """See `EventStore.door`."""
        async with self._db.transaction() as connection:
            yield PostgresDoor(connection, self._write_with_doors, self._load_on)

    async def _write_with_doors(self, connection: Connection, transitions: Sequence[Transition]) -> list[str]:
        """Within a transaction: also the rows of doors, of those transitions that are written."""
        items, full = await reopen(connection, transitions)
        written = await self._write(connection, items)
        await write_entrances(connection, [t for t, verdict in zip(items, written, strict=True) if verdict == "ok"])
        verdicts = dict(zip((t.execution_id for t in items), written, strict=True))
        return ["full" if t.execution_id in full else verdicts[t.execution_id] for t in transitions]

    async def _write(self, connection: Connection, transitions: Sequence[Transition]) -> list[str]:
        creates = [t for t in transitions if not t.expected]
        advances = sorted((t for t in transitions if t.expected), key=lambda t: t.execution_id)
        written: set[str] = set()
        verdicts: dict[str, str] = {}
        if creates:
            created = await self._create(connection, creates)
            for item in creates:
                if item.execution_id in created:
                    written.add(item.execution_id)
                else:
                    verdicts[item.execution_id] = await self._duplicate(connection, item)
        if advances:
            written |= await self._advance(connection, advances)
        return ["ok" if t.execution_id in written else verdicts.get(t.execution_id, "conflict") for t in transitions]

    async def _create(self, connection: Connection, items: Sequence[Transition]) -> set[str]:
        if not any(t.new_waits or t.source_id or t.ai or t.facts for t in items):
            rows = await (await connection.execute(_sql["create"], self._create_args(items))).fetchall()
            return {id for (id,) in rows}
        async with connection.transaction():
            rows = await (await connection.execute(_sql["create"], self._create_args(items))).fetchall()
            created = {id for (id,) in rows}
            await connection.execute(_sql["advance_waits"], wait_args([t for t in items if t.execution_id in created]))
            made = [t for t in items if t.source_id and t.execution_id in created]
            args = {"source": [t.source_id for t in made], "id": [t.execution_id for t in made]}
            await connection.execute(_forks["remember"], args)
            await count_ai(connection, [t for t in items if t.execution_id in created])
            await write_facts(connection, [t for t in items if t.execution_id in created])
        return created

    async def _advance(self, connection: Connection, items: Sequence[Transition]) -> set[str]:
        if not any(t.new_waits or t.done_waits or t.done_beats or t.ai or t.facts for t in items):
            rows = await (await connection.execute(_sql["advance"], self._advance_args(items))).fetchall()
            return {id for (id,) in rows}
        while items:
            async with connection.transaction() as transaction:
                rows = await (await connection.execute(_sql["advance"], self._advance_args(items))).fetchall()
                written = {id for (id,) in rows}
                done = [t for t in items if t.execution_id in written]
                lively = await beaten(connection, done)
                if lively:  # not dead after all: the others go without these
                    raise Rollback(transaction)
                if any(t.new_waits or t.done_waits for t in done):
                    await connection.execute(_sql["advance_waits"], wait_args(done))
                await drop_beats(connection, done)
                if any(t.ai for t in done):
                    await count_ai(connection, done)
                await write_facts(connection, done)
                return written
            items = [t for t in items if t.execution_id not in lively]
        return set()

    async def _duplicate(self, connection: Any, item: Transition) -> str:
        if item.idempotency_key:
            args = {"workflow": item.workflow_id, "key": item.idempotency_key}
            row = await (await connection.execute(_sql["holder"], args)).fetchone()
            if row:
                return f"duplicate:{row[0]}"
        return f"duplicate:{item.execution_id}"

    def _create_args(self, items: Sequence[Transition]) -> dict[str, Any]:
        return _args(
            {
                "id": [t.execution_id for t in items],
                "shard": [t.shard for t in items],
                "workspace": [t.workspace_id for t in items],
                "workflow": [t.workflow_id for t in items],
                "workflow_version": [t.workflow_version for t in items],
                "status": [CODE[t.status] for t in items],
                "mode": [t.mode for t in items],
                "version": [t.version for t in items],
                "started": [t.started_at for t in items],
                "closed": [t.closed_at for t in items],
                "parent": [t.parent_id or None for t in items],
                "state": [t.state for t in items],
                "events": [t.events for t in items],
                "key": [t.idempotency_key for t in items],
                **tally_columns(items),
                **self._outbox(items),
            },
            items,
        )

    def _advance_args(self, items: Sequence[Transition]) -> dict[str, Any]:
        done = [(t.execution_id, key, attempt) for t in items for key, attempt in t.done_tasks]
        gone = [(t.execution_id, name) for t in items for name in t.done_timers]
        return _args(
            {
                "id": [t.execution_id for t in items],
                "expected": [t.expected for t in items],
                "version": [t.version for t in items],
                "status": [CODE[t.status] for t in items],
                "closed": [t.closed_at for t in items],
                "state": [t.state for t in items],
                "events": [t.events for t in items],
                "snapshot": [t.snapshot for t in items],
                **tally_columns(items),
                **columns("done", ("id", "key", "attempt"), done),
                **columns("gone", ("id", "name"), gone),
                **self._outbox(items),
            },
            items,
        )

    def _outbox(self, items: Sequence[Transition]) -> dict[str, Any]:
        tasks = [
            (t.execution_id, k.node_key, k.attempt, k.queue, k.priority, t.at, t.at + self._republish)
            for t in items
            for k in t.new_tasks
        ]
        timers = [(t.execution_id, name, due) for t in items for name, due in t.new_timers]
        messages = [(t.execution_id, m.id, m.kind, m.body, t.at + self._republish) for t in items for m in t.messages]
        return {
            **columns("task", ("id", "key", "attempt", "queue", "priority", "at", "offer"), tasks),
            **columns("timer", ("id", "name", "due"), timers),
            **columns("message", ("id", "name", "kind", "body", "offer"), messages),
        }

    async def load(self, execution_ids: Sequence[str], afresh: bool = False) -> dict[str, Snapshot]:
        async with self._db.connection() as connection:
            return await self._load_on(connection, execution_ids, afresh)

    async def _load_on(
        self, connection: Connection, execution_ids: Sequence[str], afresh: bool = False
    ) -> dict[str, Snapshot]:
        args = {"ids": list(execution_ids), "format": 0 if afresh else FORMAT}
        rows = await (await connection.execute(_sql["load"], args)).fetchall()
        return {
            id: Snapshot(version, bytes(state or b""), tuple(tail or ()), size)
            for id, version, state, tail, size in rows
        }

    async def describe(self, execution_ids: Sequence[str], workspace_id: str, with_state: bool) -> list[Execution]:
        rows = await self._rows(
            "describe", ids=list(execution_ids), with_state=with_state, workspace=workspace_id, format=FORMAT,
            workspace_id=None if workspace_id == "*" else workspace_id,
        )  # fmt: skip
        return [execution_of(row) for row in rows]

    async def page(self, request: ListRequest) -> list[Execution]:
        args: dict[str, Any] = {
            "workspace": request.workspace_id,
            "before": request.before or _HIGHEST,
            "status": CODE.get(request.status, -1),
            "mode": request.mode,
            "limit": request.limit,
        }
        if request.source_id:
            args |= {"source": request.source_id, "workflow": request.workflow_id or None}
            async with self._db.connection() as connection:
                rows = await (await connection.execute(_forks["page_by_source"], args)).fetchall()
            return [execution_of(row) for row in rows]
        by = "page_by_workflow" if request.workflow_id else "page_by_workspace"
        if request.workflow_id:
            args["workflow"] = request.workflow_id
        if request.status not in ("", "completed"):
            by += "_status"
        elif request.mode in RARE_MODES:
            by += "_mode"
        return [execution_of(row) for row in await self._rows(by, **args)]

    async def history(self, execution_id: str, after: int, limit: int) -> HistoryReply:
        found = await self._rows("history", id=execution_id, after=after, limit=limit)
        version = found[0][0] if found else 0
        rows = [row[1:] for row in found if row[1] is not None]
        if after < version and (not rows or rows[0][0] > after + 1):  # the cursor stands inside a row
            rows = [*await self._rows("history_within", id=execution_id, after=after), *rows]
        parts: list[bytes] = []
        last, count = after, 0
        for first, last_event, events in rows:
            if count and count + last_event - first + 1 > limit:
                break
            data = bytes(events)
            if first <= after:
                kept = [e for e in msgspec.json.decode(data, type=list[msgspec.Raw]) if _event_id(e) > after]
                data = msgspec.json.encode(kept)
            parts.append(data[1:-1])
            count += last_event - max(first, after + 1) + 1
            last = last_event
        return HistoryReply(msgspec.Raw(b"[" + b",".join(parts) + b"]"), last, bool(parts) and last < version)

    async def delete(self, execution_id: str, workspace_id: str, keys: Sequence[str], offer_at: int) -> bool:
        rows = await self._rows(
            "delete", ids=[execution_id], workspace=workspace_id, keys=list(keys), kind=FORGET_BLOBS,
            body=workspace_id.encode(), offer=offer_at,
        )  # fmt: skip
        return bool(rows)

    async def definition(self, workflow_id: str, version: int) -> bytes | None:
        rows = await self._rows("definition", workflow=workflow_id, version=version)
        return bytes(rows[0][0]) if rows else None

    async def under_way(self, workspace_id: str, limit: int) -> int:
        return int((await self._rows("under_way", workspace=workspace_id, limit=limit))[0][0])

    async def workflow(self, workflow_id: str, environment: str = "") -> tuple[str, int] | None:
        rows = await self._rows("workflow", workflow=workflow_id, environment=environment)
        return (rows[0][0], rows[0][1]) if rows else None

    async def error_runs(self, execution_ids: Sequence[str]) -> list[tuple[str, str]]:
        return [(failed, id) for failed, id in await self._rows("error_runs", ids=list(execution_ids))]

    async def lost_tasks(self, now_ms: int, republish_after_ms: int, limit: int) -> list[Task]:
        rows = await self._rows("lost_tasks", now=now_ms, next=now_ms + republish_after_ms, limit=limit)
        return [msgspec.structs.replace(Task(*row[:-1]), fairness=row[-1]) for row in rows]

    async def lost_messages(self, now_ms: int, republish_after_ms: int, limit: int) -> list[StoredMessage]:
        rows = await self._rows("lost_messages", now=now_ms, next=now_ms + republish_after_ms, limit=limit)
        return [StoredMessage(id, execution, kind, bytes(body)) for id, execution, kind, body in rows]

    async def drop_messages(self, ids: Sequence[tuple[str, str]]) -> None:
        async with self._db.connection() as connection:
            await connection.execute(
                _sql["drop_messages"], {"execution": [e for e, _ in ids], "id": [i for _, i in ids]}
            )

    async def drop_timers(self, timers: Sequence[DueTimer]) -> None:
        args = {
            "id": [t.execution_id for t in timers],
            "name": [t.timer_id for t in timers],
            "due": [t.due_at for t in timers],
        }
        async with self._db.connection() as connection:
            await connection.execute(_sql["drop_timers"], args)

    async def look_at_firings(self, workflow_ids: Sequence[str], now_ms: int) -> int:
        """One indexed update; it finds nothing where nothing waits."""
        async with self._db.connection() as connection:
            args = {"workflow": list(workflow_ids), "now": now_ms}
            return (await connection.execute(_timers["look_at_firings"], args)).rowcount

    async def touch(self, tasks: Sequence[TaskRef], until_ms: int) -> list[TaskRef]:
        rows = await self._rows(
            "touch", until=until_ms, id=[t.execution_id for t in tasks], key=[t.node_key for t in tasks],
            attempt=[t.attempt for t in tasks],
        )  # fmt: skip
        there = {TaskRef(*row) for row in rows}
        return [task for task in tasks if task not in there]

    async def _rows(self, statement: str, **args: Any) -> list[tuple[Any, ...]]:
        async with self._db.connection() as connection:
            return await (await connection.execute(_sql[statement], args)).fetchall()


def _args(columns: dict[str, list[Any]], items: Sequence[Transition]) -> dict[str, Any]:
    return {**arrays(columns), "format": FORMAT, "tally_at": items[0].at}


class _Id(msgspec.Struct):
    event_id: int


_id_decoder = msgspec.json.Decoder(_Id)


def _event_id(event: msgspec.Raw) -> int:
    return _id_decoder.decode(event).event_id
