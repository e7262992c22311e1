"""Waits: how events and decisions from outside find the run that waits for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from linkflow.ports import KeptEvent, StoredWait, Transition, WaitRow

from .database import Database
from .queries import queries

LOOK_AT = 500
"""Kept events that one sweep holds against the waits."""

_LOWEST = (0, "00000000-0000-0000-0000-000000000000", "")
_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_sql = queries("executions")


class PostgresWaits:
    """The part of `linkflow.ports.EventStore` that is about waiting."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._looked_at = _LOWEST

    async def waiting(self, workspace_id: str, name: str, key: str, limit: int) -> list[StoredWait]:
        return await self._waits("waiting", workspace=workspace_id, name=name, key=key, limit=limit)

    async def approvals(
        self, workspace_id: str, workflow_id: str, before: str, after_node: str, limit: int
    ) -> list[StoredWait]:
        return await self._waits(
            "approvals", workspace=workspace_id, workflow=workflow_id or None, before=before or _HIGHEST,
            after=after_node, limit=limit,
        )  # fmt: skip

    async def overlooked(self, now_ms: int, limit: int) -> list[StoredWait]:
        asked = await self.kept_for(now_ms)
        return await self.waits_for(asked, limit) if asked else []

    async def kept_for(self, now_ms: int) -> list[tuple[str, str, str]]:
        """Whom there are kept events for, as (workspace, name, key). Goes through them some at a time, and begins anew
        behind the last."""
        until, workspace, id = self._looked_at
        async with self._db.connection() as connection:
            args = {"now": now_ms, "until": until, "workspace": workspace, "id": id, "limit": LOOK_AT}
            rows = await (await connection.execute(_sql["kept_after"], args)).fetchall()
        self._looked_at = rows[-1][:3] if len(rows) == LOOK_AT else _LOWEST
        return list(
            dict.fromkeys(
                (workspace, name, key) for _, workspace, _, name, own in rows for key in dict.fromkeys((own, ""))
            )
        )

    async def waits_for(self, asked: Sequence[tuple[str, str, str]], limit: int) -> list[StoredWait]:
        """Waits for any of these events."""
        return await self._waits("overlooked", **_asked(asked), limit=limit)

    async def _waits(self, statement: str, **args: Any) -> list[StoredWait]:
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql[statement], args)).fetchall()
        return [
            StoredWait(execution, workspace, workflow, at, WaitRow(node, attempt, kind, name, key, due, bytes(detail)))
            for execution, workspace, workflow, at, node, attempt, kind, name, key, due, detail in rows
        ]

    async def keep_event(self, workspace_id: str, event: KeptEvent, until_ms: int) -> None:
        args = {
            "workspace": workspace_id, "id": event.id, "name": event.name, "key": event.key, "payload": event.payload,
            "actor": event.actor, "until": until_ms,
        }  # fmt: skip
        async with self._db.connection() as connection:
            await connection.execute(_sql["keep_event"], args)

    async def kept_events(self, workspace_id: str, name: str, key: str, now_ms: int) -> list[KeptEvent]:
        args = {"workspace": workspace_id, "name": name, "key": key, "now": now_ms}
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["kept_events"], args)).fetchall()
        return [KeptEvent(id, name, key, bytes(payload), actor) for id, name, key, payload, actor, _ in rows]

    async def drop_events(self, workspace_id: str, ids: Sequence[str]) -> None:
        async with self._db.connection() as connection:
            await connection.execute(_sql["drop_events"], {"workspace": workspace_id, "ids": list(ids)})

    async def forget_events(self, now_ms: int, limit: int) -> int:
        async with self._db.connection() as connection:
            return (await connection.execute(_sql["forget_events"], {"now": now_ms, "limit": limit})).rowcount


def _asked(rows: Iterable[tuple[str, str, str]]) -> dict[str, list[str]]:
    workspaces, names, keys = zip(*rows, strict=True)
    return {"workspace": list(workspaces), "name": list(names), "key": list(keys)}


def wait_args(items: Sequence[Transition]) -> dict[str, Any]:
    """The arrays of `advance_waits`."""
    over = [(t.execution_id, key, attempt) for t in items for key, attempt in t.done_waits]
    begun = [
        (t.execution_id, w.node_key, w.attempt, t.workspace_id, t.workflow_id, w.kind, w.name, w.key, w.due_at, t.at,
         w.detail)
        for t in items for w in t.new_waits
    ]  # fmt: skip
    names = ("id", "node", "attempt", "workspace", "workflow", "kind", "name", "key", "due", "at", "detail")
    return {**columns("over", ("id", "key", "attempt"), over), **columns("wait", names, begun)}


def columns(prefix: str, names: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as one array a column: what `unnest` takes."""
    found: list[list[Any]] = [[] for _ in names]
    for row in rows:
        for column, value in zip(found, row, strict=True):
            column.append(value)
    return {f"{prefix}_{name}": column for name, column in zip(names, found, strict=True)}
