"""The storage floor: what the same Postgres takes when a bare client writes the same bytes and nothing else happens.

It writes what the store writes for one chain-pure run, into tables made by the same migrations in a schema of its own:
the execution's row and its history in one commit; or, asked for `two`, the execution's row, two rows of history, the
task in and out, the fenced update, in two commits. One connection, pipeline mode, prepared statements, arrays of a whole batch. The payloads are those of a run of this very session.
The statements are plain ones of its own: what the product's cost on top of these is the product's.
"""

from __future__ import annotations

import asyncio
import base64
import time
import uuid
from typing import Any
from urllib.parse import quote

import psycopg

from .children import obey, read_settings, say

SCHEMA = "bench_floor"
FAR = 1 << 60  # no sweep ever looks at these tasks

INSERT_EXECUTION = """
INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at,
                        state)
SELECT i, 7, %(workspace)s::uuid, %(workflow)s::uuid, 1, %(status)s, 'api', %(last)s, %(now)s, s
FROM unnest(%(ids)s::uuid[], %(states)s::bytea[]) AS u (i, s)
"""
INSERT_HISTORY = """
INSERT INTO history (execution_id, first_event, last_event, events)
SELECT i, %(from)s, %(to)s, e FROM unnest(%(ids)s::uuid[], %(events)s::bytea[]) AS u (i, e)
"""
INSERT_TASK = """
INSERT INTO tasks (execution_id, node_key, attempt, queue, priority, scheduled_at, offer_at)
SELECT i, 'set0', 1, 'default', 0, %(now)s, %(far)s FROM unnest(%(ids)s::uuid[]) AS u (i)
"""
UPDATE_EXECUTION = """
UPDATE executions e SET version = %(last)s, status = 1, closed_at = %(now)s, state = u.s
FROM unnest(%(ids)s::uuid[], %(states)s::bytea[]) AS u (i, s) WHERE e.id = u.i AND e.version = %(first)s
"""
DELETE_TASK = """
DELETE FROM tasks t USING unnest(%(ids)s::uuid[]) AS u (i)
WHERE t.execution_id = u.i AND t.node_key = 'set0' AND t.attempt = 1
"""


def in_schema(url: str) -> str:
    """The same database with the floor's schema as the only one."""
    return f"{url}{'&' if '?' in url else '?'}options={quote(f'-csearch_path={SCHEMA}')}"


class _Cut:
    """One transition of the sample."""

    def __init__(self, cut: dict[str, Any]) -> None:
        self.first, self.last = cut["first"], cut["last"]
        self.events, self.state = base64.b64decode(cut["events"]), base64.b64decode(cut["state"])


class Floor:
    """One connection that writes batches of runs."""

    def __init__(self, url: str, sample: dict[str, Any]) -> None:
        from linkflow.postgres.migrate import migrate

        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
            admin.execute(f"CREATE SCHEMA {SCHEMA}")
        migrate(in_schema(url))
        self._url = url
        self._connection = psycopg.connect(in_schema(url))
        self._connection.prepare_threshold = 0
        self._shapes = {name: [_Cut(cut) for cut in cuts] for name, cuts in sample.items()}
        self._workspace, self._workflow = str(uuid.uuid4()), str(uuid.uuid4())

    async def rate(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Executions per second at one batch size."""
        size, begin, cpu, count = ask["batch"], time.perf_counter(), time.process_time(), 0
        first, *rest = self._shapes[ask.get("shape", "stored")]
        while (length := time.perf_counter() - begin) < ask["seconds"]:
            ids = [_uuid7() for _ in range(size)]
            self._create(ids, first, bool(rest))
            for before, cut in zip([first, *rest], rest, strict=False):
                self._advance(ids, before, cut)
            count += size
        return {"rate": count / length, "client_cpu": (time.process_time() - cpu) / length}

    def _create(self, ids: list[str], cut: _Cut, goes_on: bool) -> None:
        now, size = round(time.time() * 1000), len(ids)
        history = {"ids": ids, "from": cut.first, "to": cut.last, "events": [cut.events] * size}
        row = {
            "ids": ids, "workspace": self._workspace, "workflow": self._workflow, "last": cut.last, "now": now,
            "status": 0 if goes_on else 1, "states": [cut.state] * size,
        }  # fmt: skip
        with self._connection.pipeline():
            self._connection.execute(INSERT_EXECUTION, row)
            self._connection.execute(INSERT_HISTORY, history)
            if goes_on:
                self._connection.execute(INSERT_TASK, {"ids": ids, "now": now, "far": FAR})
            self._connection.commit()

    def _advance(self, ids: list[str], before: _Cut, cut: _Cut) -> None:
        now, size = round(time.time() * 1000), len(ids)
        rest = {"ids": ids, "from": cut.first, "to": cut.last, "events": [cut.events] * size}
        row = {"ids": ids, "first": before.last, "last": cut.last, "now": now, "states": [cut.state] * size}
        with self._connection.pipeline():
            self._connection.execute(UPDATE_EXECUTION, row)
            self._connection.execute(INSERT_HISTORY, rest)
            self._connection.execute(DELETE_TASK, {"ids": ids})
            self._connection.commit()

    async def check(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Was all of it written? Counts of rows."""
        found = self._connection.execute(
            "SELECT (SELECT count(*) FROM executions WHERE status = 1), (SELECT count(*) FROM history),"
            " (SELECT count(*) FROM tasks)"
        ).fetchone()
        self._connection.commit()
        assert found is not None
        return dict(zip(("executions", "history", "tasks"), found, strict=True))

    def close(self) -> None:
        self._connection.close()
        with psycopg.connect(self._url, autocommit=True) as admin:
            admin.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


def _uuid7() -> str:
    """Time-ordered like the engine's ids, so that the indexes grow at the same end."""
    return str(uuid.UUID(int=(round(time.time() * 1000) << 80) | (7 << 76) | (uuid.uuid4().int & ((1 << 76) - 1))))


async def main(settings: dict[str, Any]) -> None:
    """Obey until the parent closes our input."""
    floor = Floor(settings["url"], settings["sample"])
    say({"ready": True})
    try:
        await obey({"rate": floor.rate, "check": floor.check})
    finally:
        floor.close()


if __name__ == "__main__":
    asyncio.run(main(read_settings()))
