"""Webhooks as their owners look after them, in Postgres (`services.hook_ports`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.services.control_ports import Webhook
from linkflow.services.hook_ports import Capture, Refusal
from linkflow.services.hook_rules import WebhookRules

from .database import Database
from .queries import queries

NEWEST = "f" * 32
_sql = queries("hook_calls")
_rules = msgspec.json.Decoder(WebhookRules)


class PostgresHookCalls:
    """`hook_ports.HookCalls`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, rows: Sequence[Refusal], older: int, most: int) -> None:
        names = ("id", "webhook", "at", "method", "path", "ip", "status", "code", "detail", "headers", "size")
        values = zip(*(msgspec.structs.astuple(row) for row in rows), strict=True)
        args: dict[str, Any] = {name: list(column) for name, column in zip(names, values, strict=True)}
        async with self._database.connection() as connection:
            await connection.execute(_sql["note"], args)
            await connection.execute(_sql["forget_many"], {"webhooks": sorted(set(args["webhook"])), "most": most})
            await connection.execute(_sql["forget_old"], {"older": older})

    async def refusals(self, webhook_id: str, before: str, limit: int) -> list[Refusal]:
        args = {"webhook": webhook_id, "before": before or NEWEST, "limit": limit}
        return [Refusal(*row) for row in await self._all("refusals", args)]

    async def of_workspace(self, workspace_id: str, workflow_id: str, before: str, limit: int) -> list[Webhook]:
        args = {"workspace": workspace_id, "workflow": workflow_id, "before": before, "limit": limit}
        return [_webhook(row) for row in await self._all("of_workflow" if workflow_id else "of_workspace", args)]

    async def get(self, workspace_id: str, webhook_id: str) -> Webhook | None:
        rows = await self._all("get", {"id": webhook_id, "workspace": workspace_id})
        return _webhook(rows[0]) if rows else None

    async def switch(self, workspace_id: str, webhook_id: str, active: bool, at: int) -> bool:
        args = {"id": webhook_id, "workspace": workspace_id, "active": active, "at": at}
        return await self._do("switch", args) == 1

    async def move(self, workspace_id: str, webhook_id: str, new_id: str, at: int) -> bool:
        args = {"id": webhook_id, "workspace": workspace_id, "new": new_id, "at": at}
        return await self._do("move", args) == 1

    async def listen(self, webhook_id: str, until: int, now: int) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(_sql["listen"], {"webhook": webhook_id, "until": until})
            await connection.execute(_sql["forget_captures"], {"webhook": webhook_id})

    async def capture(self, row: Capture, now: int, most: int) -> bool:
        args = {
            "id": row.id, "webhook": row.webhook_id, "at": row.at, "trigger": row.trigger, "now": now, "most": most,
        }  # fmt: skip
        return await self._do("capture", args) == 1

    async def captures(self, webhook_id: str, limit: int) -> list[Capture]:
        return [Capture(*row) for row in await self._all("captures", {"webhook": webhook_id, "limit": limit})]

    async def _all(self, name: str, args: dict[str, Any]) -> list[tuple[Any, ...]]:
        async with self._database.connection() as connection:
            return await (await connection.execute(_sql[name], args)).fetchall()

    async def _do(self, name: str, args: dict[str, Any]) -> int:
        async with self._database.connection() as connection:
            return (await connection.execute(_sql[name], args)).rowcount


def _webhook(row: tuple[Any, ...]) -> Webhook:
    return Webhook(*(*row[:6], _rules.decode(row[6])))
