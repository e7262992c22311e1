"""Rules of who is told of what, in Postgres (`ports.RuleBook`, `services.notifications.RuleStore`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.domain.definition import Definition, encode
from linkflow.domain.notices import LONG, Channel, Rule
from linkflow.services.notifications import Saved

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("notifications")
_channel = msgspec.json.Decoder(Channel).decode


class PostgresRules:
    """Raises `Unavailable` while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, workspace_id: str) -> Sequence[Rule]:
        return [_rule(row) for row in await self._rows("of", workspace=workspace_id)]

    async def take_long(self, now: int, until: int, limit: int) -> Sequence[Rule]:
        return [_rule(row) for row in await self._rows("take_long", now=now, until=until, limit=limit)]

    async def looked(self, rule_id: str, to: int, again: int) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_sql["looked"], {"id": rule_id, "to": to, "again": again})

    async def list(self, workspace_id: str) -> Sequence[Saved]:
        return [_saved(row) for row in await self._rows("list", workspace=workspace_id)]

    async def get(self, workspace_id: str, id: str) -> Saved | None:
        rows = await self._rows("get", workspace=workspace_id, id=id)
        return _saved(rows[0]) if rows else None

    async def save(self, workspace_id: str, rule: Saved, definition: Definition) -> bool:
        """The carrier of deliveries is written with it."""
        args = {
            "id": rule.id, "workspace": workspace_id, "name": rule.name, "enabled": rule.enabled,
            "kinds": list(rule.kinds), "workflows": list(rule.workflows), "every": rule.every, "after": rule.after,
            "channel": msgspec.json.encode(rule.channel), "version": rule.version, "at": rule.updated_at,
            "looked_to": rule.updated_at - rule.after, "definition": encode(definition),
            "look_at": rule.updated_at if rule.enabled and LONG in rule.kinds else None,
        }  # fmt: skip
        async with recorded_if_changed(self._database) as connection:
            if await (await connection.execute(_sql["put"], args)).fetchone() is None:
                raise Unchanged
            await connection.execute(_sql["put_workflow"], args)
            await connection.execute(_sql["add_version"], args)
            return True
        return False

    async def delete(self, workspace_id: str, id: str) -> bool:
        async with recorded(self._database) as connection:
            args = {"workspace": workspace_id, "id": id}
            return await (await connection.execute(_sql["delete"], args)).fetchone() is not None

    async def known(self, workspace_id: str, workflow_ids: Sequence[str]) -> set[str]:
        return {id for (id,) in await self._rows("workflows", workspace=workspace_id, ids=list(workflow_ids))}

    async def _rows(self, statement: str, **args: Any) -> Sequence[Any]:
        async with self._database.connection() as connection:
            return await (await connection.execute(_sql[statement], args)).fetchall()


def _rule(row: Any) -> Rule:
    id, workspace, version, kinds, workflows, every, after, looked_to = row
    return Rule(id, workspace, version, tuple(kinds), tuple(workflows), every, after, looked_to)


def _saved(row: Any) -> Saved:
    id, name, enabled, kinds, workflows, every, after, channel, version, created, updated = row
    return Saved(
        id, name, enabled, tuple(kinds), tuple(workflows), every, after, _channel(bytes(channel)), version, created,
        updated,
    )  # fmt: skip
