"""What the benchmark asks Postgres: is what was reported really there?"""

from __future__ import annotations

RUNNING = "SELECT count(*) FROM executions WHERE workflow_id = %(workflow)s AND status = 0"

RUNS = """
SELECT count(*) FILTER (WHERE e.status = 1), count(*) FILTER (WHERE e.status <> 1),
       count(*) FILTER (WHERE coalesce(h.events, 0) <> e.version), round(avg(e.version), 1)
FROM executions e
LEFT JOIN (SELECT execution_id, sum(last_event - first_event + 1) AS events FROM history GROUP BY 1) h
  ON h.execution_id = e.id
WHERE e.workflow_id = %(workflow)s
"""
"""Runs that completed, those that did not, and those whose events are not all there."""

ROWS = """
SELECT count(*), count(DISTINCT h.xmin::text)
FROM history h JOIN executions e ON e.id = h.execution_id WHERE e.workflow_id = %(workflow)s
"""
"""Rows of history, and the transactions that wrote them: a row's xmin is its transaction."""

LATENESS = """
SELECT closed_at - (convert_from(state, 'UTF8')::jsonb #>> '{trigger,until}')::bigint AS late
FROM executions WHERE workflow_id = %(workflow)s ORDER BY late
"""

SAMPLE = """
SELECT h.execution_id::text, h.last_event, h.events, e.state
FROM history h
JOIN (SELECT id, state FROM executions WHERE workflow_id = %(workflow)s AND status = 1 ORDER BY id DESC LIMIT 1) e
  ON e.id = h.execution_id
ORDER BY h.first_event
"""
