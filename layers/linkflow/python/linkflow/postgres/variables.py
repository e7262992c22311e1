"""Variables in Postgres (`secret_ports.VariableStore`), and the rotation of keys over all that is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.contracts.secrets import SealedVariable, credential_about, tokens_about, variable_about
from linkflow.domain.errors import Internal
from linkflow.sealed import Sealed
from linkflow.services.secret_ports import Rewrap, Variable

from .audit_log import Unchanged, recorded_if_changed
from .credentials import TAKEN
from .database import Database
from .queries import queries

_sql = queries("variables")
_credentials = queries("credentials")


class PostgresVariables:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, workspace_id: str, environment: str | None, before: str, limit: int) -> list[Variable]:
        values = {"workspace": workspace_id, "environment": environment, "before": before or None, "limit": limit}
        return [Variable(*row) for row in await _rows(self._database, _sql["page"], values)]

    async def get(self, workspace_id: str, id: str) -> Variable | None:
        rows = await _rows(self._database, _sql["get"], {"workspace": workspace_id, "id": id})
        return Variable(*rows[0]) if rows else None

    async def count(self, workspace_id: str) -> int:
        return int((await _rows(self._database, _sql["count"], {"workspace": workspace_id}))[0][0])

    async def insert(self, row: Variable, sealed: Sealed | None, actor: str) -> bool:
        values = {**_values(row, sealed), "actor": actor, "key_id": sealed.key_id if sealed else ""}
        return await self._write("insert", values) == 1

    async def update(self, row: Variable, sealed: Sealed | None, expected: int) -> str:
        try:
            changed = await self._write("update", {**_values(row, sealed), "expected": expected})
        except Internal as error:
            if error.details.get("sqlstate") != TAKEN:
                raise
            return "taken"
        return "ok" if changed else "stale"

    async def delete(self, workspace_id: str, id: str) -> bool:
        return await self._write("delete", {"workspace": workspace_id, "id": id}) == 1

    async def _write(self, name: str, values: dict[str, Any]) -> int:
        """A change by a person, with its line in the audit log."""
        count = 0
        async with recorded_if_changed(self._database) as connection:
            count = (await connection.execute(_sql[name], values)).rowcount
            if not count:
                raise Unchanged
        return count

    async def plain(self, workspace_id: str, environment: str, keys: Sequence[str] | None) -> dict[str, str]:
        wanted = None if keys is None else list(keys)
        values = {"workspace": workspace_id, "environment": environment, "keys": wanted}
        rows = await _rows(self._database, _sql["plain"], values)
        return {key: value for key, value, secret in rows if not secret}

    async def sealed(self, workspace_id: str, environment: str, keys: Sequence[str]) -> list[SealedVariable]:
        values = {"workspace": workspace_id, "environment": environment, "keys": list(keys)}
        return [
            SealedVariable(id, workspace, key, version, Sealed(key_id, bytes(sealed_key), bytes(data)))
            for id, workspace, key, version, key_id, sealed_key, data in await _rows(
                self._database, _sql["sealed"], values
            )
        ]


class PostgresRotation:
    """`secret_ports.RotationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, table: str, id: str, limit: int) -> list[Rewrap]:
        values = {"after": id, "limit": limit}
        if table == "variables":
            found = await _rows(self._database, _sql["after"], values)
            return [
                Rewrap(table, row[0], variable_about(row[1], row[0], row[2]), "", _seal(*row[3:6]), None, row[2], 0)
                for row in found
            ]
        return [
            Rewrap(
                table, row[0], credential_about(row[1], row[0], row[2]), tokens_about(row[1], row[0], row[6]),
                _seal(*row[3:6]), _seal(*row[7:10]), row[2], row[6],
            )
            for row in await _rows(self._database, _credentials["after"], values)
        ]  # fmt: skip

    async def rewrap(self, before: Rewrap, sealed: Sealed | None, tokens: Sealed | None) -> bool:
        values: dict[str, Any] = {
            "id": before.id, "version": before.version, "tokens_version": before.tokens_version,
            "old_key_id": before.sealed.key_id if before.sealed else "",
            "old_tokens_key_id": before.tokens.key_id if before.tokens else "",
            "key_id": sealed.key_id if sealed else "", "key": sealed.key if sealed else None,
            "data": sealed.data if sealed else None, "tokens_key_id": tokens.key_id if tokens else "",
            "tokens_key": tokens.key if tokens else None, "tokens_data": tokens.data if tokens else None,
        }  # fmt: skip
        statement = (_sql if before.table == "variables" else _credentials)["rewrap"]
        async with self._database.connection() as connection:
            return (await connection.execute(statement, values)).rowcount == 1

    async def keys(self) -> dict[str, int]:
        return dict(await _rows(self._database, _credentials["keys"], {}))


async def _rows(database: Database, statement: Any, values: dict[str, Any]) -> list[Any]:
    async with database.connection() as connection:
        return list(await (await connection.execute(statement, values)).fetchall())


def _seal(key_id: str, key: bytes | None, data: bytes | None) -> Sealed | None:
    return Sealed(key_id, bytes(key), bytes(data)) if key_id and key is not None and data is not None else None


def _values(row: Variable, sealed: Sealed | None) -> dict[str, Any]:
    return {
        "id": row.id, "workspace": row.workspace_id, "environment": row.environment, "key": row.key,
        "value": "" if row.secret else row.value, "secret": row.secret, "description": row.description,
        "version": row.version, "at": row.updated_at, "key_id": sealed.key_id if sealed else None,
        "sealed_key": sealed.key if sealed else None, "data": sealed.data if sealed else None,
    }  # fmt: skip
