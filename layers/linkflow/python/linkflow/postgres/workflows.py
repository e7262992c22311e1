"""Workflows, their versions and what starts them, in Postgres."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import structs

from linkflow.domain.environments import trigger_of
from linkflow.services.control_ports import Change, TriggerRow, Workflow, WorkflowTag, WorkflowVersion
from linkflow.services.hook_rules import WebhookRules

from .audit_log import Unchanged, recorded_if_changed
from .database import Connection, Database
from .queries import queries

_sql = queries("workflows")
_rules = msgspec.json.Decoder(WebhookRules)


class PostgresWorkflows:
    """`control_ports.WorkflowStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, workspace_id: str, active: bool | None, before: str, limit: int) -> list[Workflow]:
        values = {"workspace_id": workspace_id, "active": active, "before": before or None, "limit": limit}
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["page"], values)
            return [Workflow(*row) for row in await cursor.fetchall()]

    async def get(self, workspace_id: str, workflow_id: str) -> Workflow | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["get"], {"id": workflow_id, "workspace_id": workspace_id})
            row = await cursor.fetchone()
            return Workflow(*row) if row else None

    async def running(self, workspace_id: str, workflow_id: str, environment: str) -> tuple[int, bool] | None:
        values = {"workspace_id": workspace_id, "id": workflow_id, "name": environment}
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["running"], values)).fetchone()
            return (row[0], row[1]) if row else None

    async def definition(self, workflow_id: str, version: int) -> bytes | None:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["definition"], {"id": workflow_id, "version": version})
            row = await cursor.fetchone()
            return bytes(row[0]) if row else None

    async def versions(self, workflow_id: str, before: int, limit: int) -> list[WorkflowVersion]:
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["versions"], {"id": workflow_id, "before": before, "limit": limit})
            return [WorkflowVersion(*row) for row in await cursor.fetchall()]

    async def triggers(self, workflow_ids: Sequence[str]) -> dict[str, list[TriggerRow]]:
        found: dict[str, list[TriggerRow]] = {}
        if not workflow_ids:
            return found
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["triggers"], {"ids": list(workflow_ids)})
            for workflow, node, webhook, rules, cron, timezone, next_at, active in await cursor.fetchall():
                path = _rules.decode(rules).path if rules else ""
                node_id, environment = trigger_of(node)
                row = TriggerRow(node_id, webhook, path, cron, timezone, next_at, active, environment)
                found.setdefault(workflow, []).append(row)
        return found

    async def named(self, workspace_id: str, names: Sequence[str]) -> dict[str, str]:
        async with self._database.connection() as connection:
            values = {"workspace_id": workspace_id, "names": list(names)}
            return dict(await (await connection.execute(_sql["named"], values)).fetchall())

    async def tags(self, workflow_ids: Sequence[str]) -> dict[str, tuple[WorkflowTag, ...]]:
        found: dict[str, tuple[WorkflowTag, ...]] = {}
        if not workflow_ids:
            return found
        async with self._database.connection() as connection:
            cursor = await connection.execute(_sql["tags"], {"ids": list(workflow_ids)})
            for workflow, *tag in await cursor.fetchall():
                found[workflow] = (*found.get(workflow, ()), WorkflowTag(*tag))
        return found

    async def save(self, change: Change) -> bool:
        values = {
            **structs.asdict(change), "number": change.number or change.version, "node_types": list(change.node_types),
        }  # fmt: skip
        async with recorded_if_changed(self._database) as connection:
            touch = "touch" if change.environment or not change.triggers else "update"
            written = await connection.execute(_sql[touch if change.expected else "insert"], values)
            if written.rowcount == 0:
                raise Unchanged
            if change.definition:
                await connection.execute(_sql["add_version"], values)
            if change.like:
                await connection.execute(_sql["place_like"], values)
                await connection.execute(_sql["tag_like"], values)
            if change.drops_draft:
                await connection.execute(_sql["drop_draft"], values)
            if change.triggers:
                if change.environment:
                    await connection.execute(_sql["put_environment"], values)
                if change.verb:
                    await connection.execute(_sql["add_release"], values)
                await self._put_triggers(connection, change)
            return True
        return False

    async def delete(self, workflow_id: str, expected: int, at: int) -> bool:
        values = {"id": workflow_id, "expected": expected, "at": at, "nodes": [], "environment": None}
        async with recorded_if_changed(self._database) as connection:
            if (await connection.execute(_sql["delete"], values)).rowcount == 0:
                raise Unchanged
            await connection.execute(_sql["stop_webhooks"], values)
            await connection.execute(_sql["drop_firings"], values)
            await connection.execute(_sql["drop_schedules"], values)
            return True
        return False

    async def _put_triggers(self, connection: Connection, change: Change) -> None:
        shared = {
            "id": change.id,
            "workspace_id": change.workspace_id,
            "version": change.version,
            "active": change.active,
            "at": change.at,
        }
        for hook in change.hooks:
            rules = msgspec.json.encode(hook.rules)
            values = {**shared, "webhook_id": hook.id, "node_id": hook.node_id, "rules": rules}
            await connection.execute(_sql["put_webhook"], values)
        for cron in change.crons:
            await connection.execute(_sql["put_schedule"], {**shared, **structs.asdict(cron)})
        where = {"id": change.id, "environment": change.environment}
        kept = [hook.node_id for hook in change.hooks]
        await connection.execute(_sql["stop_webhooks"], {**where, "nodes": kept})
        kept = [cron.node_id for cron in change.crons]
        await connection.execute(_sql["drop_firings"], {**where, "nodes": kept if change.active else []})
        await connection.execute(_sql["drop_schedules"], {**where, "nodes": kept})
