"""Task queues' settings in Postgres (`ports.QueueBook`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from linkflow.contracts.matching import ConfigureRequest, QueueRule, QueueSettings
from linkflow.domain.errors import LimitExceeded

from .database import Connection, Database
from .queries import queries

MOST_OWN = 1_000
"""Rules that one workspace may make, over all queues."""

_LOCK = 0x4C_46_51_52  # "LFQR"
_sql = queries("queue_settings")


class PostgresQueueBook:
    """Raises `Unavailable` while the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, queue: str) -> QueueSettings:
        async with self._database.transaction() as connection:
            return await _read(connection, queue)

    async def every(self, workspace_id: str = "") -> list[QueueSettings]:
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql["every"], {"workspace": workspace_id})).fetchall()
            rules = await _rules(connection, [row[0] for row in rows], workspace_id)
        return [_settings(row, rules.get(row[0], ())) for row in rows]

    async def write(self, change: ConfigureRequest, at_ms: int) -> QueueSettings:
        """A queue's rules and numbers in one transaction. Raises `LimitExceeded` where a workspace has too many."""
        rules = [rule for rule in change.rules if not _is_plain(rule)]
        values = {
            "queue": change.queue,
            "partitions": change.partitions,
            "max_backlog": change.max_backlog,
            "at": at_ms,
            "by": change.actor,
        }
        named = {
            "queue": change.queue,
            "workspace": change.workspace_id,
            "workspaces": [rule.workspace_id for rule in change.rules],
            "keys": [rule.fairness for rule in change.rules],
        }
        async with self._database.transaction() as connection:
            if change.workspace_id:
                await connection.execute(_sql["own_lock"], {"lock": _LOCK, "workspace": change.workspace_id})
            await connection.execute(_sql["change"], values)
            await connection.execute(_sql["drop_rules"], named)
            if rules:
                await connection.execute(_sql["add_rules"], {"queue": change.queue, **_columns(rules)})
            if change.workspace_id:
                await _count(connection, change.workspace_id)
            return await _read(connection, change.queue)


async def _read(connection: Connection, queue: str) -> QueueSettings:
    row = await (await connection.execute(_sql["read"], {"queue": queue})).fetchone()
    if row is None:
        return QueueSettings(queue, 0)
    return _settings(row, (await _rules(connection, [queue])).get(queue, ()))


async def _rules(connection: Connection, queues: Sequence[str], workspace: str = "") -> dict[str, list[QueueRule]]:
    found: dict[str, list[QueueRule]] = {}
    values = {"queues": list(queues), "workspace": workspace}
    for queue, *rule in await (await connection.execute(_sql["rules"], values)).fetchall():
        found.setdefault(queue, []).append(QueueRule(*rule))
    return found


async def _count(connection: Connection, workspace_id: str) -> None:
    row = await (await connection.execute(_sql["own_rules"], {"workspace": workspace_id})).fetchone()
    if row and row[0] > MOST_OWN:
        raise LimitExceeded(
            f"A workspace may have {MOST_OWN:,} limits over all queues, and this would make {row[0]:,}.",
            details={"limit": MOST_OWN},
        )


def _settings(row: Sequence[Any], rules: Sequence[QueueRule]) -> QueueSettings:
    queue, partitions, max_backlog, revision, changed_at, changed_by = row
    made = QueueSettings(queue, partitions, rules=tuple(rules), max_backlog=max_backlog)
    return replace(made, revision=revision, changed_at=changed_at, changed_by=changed_by)


def _columns(rules: Sequence[QueueRule]) -> dict[str, list[Any]]:
    return {
        "workspaces": [rule.workspace_id for rule in rules],
        "keys": [rule.fairness for rule in rules],
        "own": [rule.own for rule in rules],
        "weights": [rule.weight for rule in rules],
        "rates": [rule.rate for rule in rules],
        "bursts": [rule.burst for rule in rules],
    }


def _is_plain(rule: QueueRule) -> bool:
    return (rule.weight, rule.rate) == (1.0, 0.0)
