"""Credentials in Postgres (`secret_ports.CredentialStore`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.contracts.secrets import SealedCredential
from linkflow.domain.errors import Internal
from linkflow.sealed import Sealed
from linkflow.services.secret_ports import Brief, Credential, CredentialRow

from .audit_log import Unchanged, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("credentials")

TAKEN = "23505"
"""Postgres: unique_violation."""


class PostgresCredentials:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, workspace_id: str, kind: str, before: str, limit: int) -> list[Credential]:
        values = {"workspace": workspace_id, "kind": kind, "before": before or None, "limit": limit}
        return [_credential(row) for row in await self._all("page", values)]

    async def get(self, workspace_id: str, id: str) -> Credential | None:
        rows = await self._all("get", {"workspace": workspace_id, "id": id})
        return _credential(rows[0]) if rows else None

    async def insert(self, row: CredentialRow) -> bool:
        return await self._write("insert", _values(row)) == 1

    async def update(self, row: CredentialRow, expected: int) -> str:
        try:
            changed = await self._write("update", {**_values(row), "expected": expected})
        except Internal as error:
            if error.details.get("sqlstate") != TAKEN:
                raise
            return "taken"
        return "ok" if changed else "stale"

    async def delete(self, workspace_id: str, id: str) -> bool:
        return await self._write("delete", {"workspace": workspace_id, "id": id}) == 1

    async def sealed(
        self, workspace_id: str, ids: Sequence[str] = (), slugs: Sequence[str] = ()
    ) -> list[SealedCredential]:
        values = {"workspace": workspace_id, "ids": list(ids), "slugs": list(slugs)}
        return [_sealed(row) for row in await self._all("sealed", values)]

    async def briefs(self, workspace_id: str, ids: Sequence[str], slugs: Sequence[str]) -> list[Brief]:
        values = {"workspace": workspace_id, "ids": list(ids), "slugs": list(slugs)}
        return [(*row[:4], tuple(row[4]), tuple(row[5])) for row in await self._all("briefs", values)]

    async def uses(
        self, workspace_id: str, spelt: Sequence[str], before: str, limit: int
    ) -> list[tuple[str, str, bool, bool]]:
        values = {
            "workspace": workspace_id, "one": spelt[0].encode(), "other": spelt[-1].encode(), "before": before or None,
            "limit": limit,
        }  # fmt: skip
        return [tuple(row) for row in await self._all("uses", values)]

    async def claim(self, workspace_id: str, id: str, holder: str, now: int, until: int) -> bool:
        values = {"workspace": workspace_id, "id": id, "holder": holder, "now": now, "until": until}
        return await self._count("claim", values) == 1

    async def keep_tokens(
        self, workspace_id: str, id: str, holder: str, expected: int, tokens: Sealed | None, status: str, detail: str,
        now: int,
    ) -> bool:  # fmt: skip
        values = {
            "workspace": workspace_id, "id": id, "holder": holder, "expected": expected, "status": status,
            "detail": detail[:500], "now": now, **_of(tokens),
        }  # fmt: skip
        return await self._count("keep_tokens", values) == 1

    async def _all(self, name: str, values: dict[str, Any]) -> list[Any]:
        async with self._database.connection() as connection:
            return list(await (await connection.execute(_sql[name], values)).fetchall())

    async def _write(self, name: str, values: dict[str, Any]) -> int:
        """A change by a person, with its line in the audit log."""
        count = 0
        async with recorded_if_changed(self._database) as connection:
            count = (await connection.execute(_sql[name], values)).rowcount
            if not count:
                raise Unchanged
        return count

    async def _count(self, name: str, values: dict[str, Any]) -> int:
        async with self._database.connection() as connection:
            return (await connection.execute(_sql[name], values)).rowcount


def _of(sealed: Sealed | None) -> dict[str, Any]:
    if sealed is None:
        return {"key_id": None, "key": None, "data": None}
    return {"key_id": sealed.key_id, "key": sealed.key, "data": sealed.data}


def _values(row: CredentialRow) -> dict[str, Any]:
    made = row.credential
    return {
        "id": made.id, "workspace": made.workspace_id, "name": made.name, "slug": row.slug, "kind": made.kind,
        "description": made.description, "hosts": list(made.hosts), "roles": list(made.roles),
        "shown": msgspec.json.encode(made.shown), "version": made.version, "expires_at": made.expires_at,
        "status": made.status, "actor": made.created_by, "at": made.updated_at, **_of(row.sealed),
    }  # fmt: skip


def _credential(row: Any) -> Credential:
    hosts, roles, shown = tuple(row[5]), tuple(row[6]), msgspec.json.decode(bytes(row[7]))
    found: list[Any] = [*row[:5], hosts, roles, shown, *row[8:-1], tuple(row[-1])]
    return Credential(*found)


def _sealed(row: Any) -> SealedCredential:
    tokens = Sealed(row[12], bytes(row[13]), bytes(row[14])) if row[12] else None
    sealed = Sealed(row[6], bytes(row[7]), bytes(row[8]))
    found: list[Any] = [*row[:6], sealed, tuple(row[9]), row[10], row[11], tokens, row[15]]
    return SealedCredential(*found)
