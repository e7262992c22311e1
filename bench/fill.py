"""Stored runs in bulk: copies of one real run, spread over the last days, under workflows of their own."""

from __future__ import annotations

import psycopg

CHUNK = 50_000
WORKFLOWS = 100
STEP_MS = 1_000
"""Between two runs: a million of them are eleven days."""

EXECUTIONS = """
INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at,
                        closed_at, parent_id, state, state_version, state_format, history_bytes)
SELECT pg_temp.bench_run(n), e.shard, e.workspace_id, md5('bench workflow ' || n %% %(workflows)s)::uuid,
       e.workflow_version, e.status, e.mode, e.version, e.started_at - n * %(step)s, e.closed_at - n * %(step)s, NULL,
       e.state, e.state_version, e.state_format, e.history_bytes
FROM executions e, generate_series(%(last)s::bigint, %(first)s::bigint, -1) n WHERE e.id = %(sample)s
"""
"""The oldest first, as they would have come."""

HISTORY = """
INSERT INTO history (execution_id, first_event, last_event, events)
SELECT pg_temp.bench_run(n), h.first_event, h.last_event, h.events
FROM history h, generate_series(%(last)s::bigint, %(first)s::bigint, -1) n WHERE h.execution_id = %(sample)s
"""

RUN = """
CREATE OR REPLACE FUNCTION pg_temp.bench_run(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex({now} - n * {step}), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
    || '8' || substr(md5('bench run ' || n), 1, 15))::uuid
$$
"""


def fill(database: psycopg.Connection, workflow: str, now_ms: int, start: int, end: int) -> None:
    """Stored runs `start` to `end` (a number counted back in time), like the last one of `workflow` that completed."""
    found = database.execute(
        "SELECT id FROM executions WHERE workflow_id = %s AND status = 1 ORDER BY id DESC LIMIT 1", (workflow,)
    ).fetchone()
    assert found is not None
    database.execute(RUN.replace("{now}", str(now_ms)).replace("{step}", str(STEP_MS)))
    for first in range(start + 1, end + 1, CHUNK):
        args = {
            "first": first, "last": min(end, first + CHUNK - 1), "sample": found[0], "workflows": WORKFLOWS,
            "step": STEP_MS,
        }  # fmt: skip
        with database.transaction():
            database.execute(EXECUTIONS, args)
            database.execute(HISTORY, args)
    database.execute("ANALYZE")
    database.execute("CHECKPOINT")
