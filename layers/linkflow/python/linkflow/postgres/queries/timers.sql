-- name: due
-- Timers that are due, earliest first: one range scan of timers_by_due.
SELECT execution_id::text, timer_id, due_at
FROM timers
WHERE due_at <= %(now)s
ORDER BY due_at
LIMIT %(limit)s

-- name: next_due
-- When the earliest timer or schedule falls due: the first entry of each index; least() passes over nulls.
SELECT least(
  (SELECT due_at FROM timers ORDER BY due_at LIMIT 1),
  (SELECT next_at FROM schedules WHERE NOT paused AND next_at IS NOT NULL ORDER BY next_at LIMIT 1)
)

-- name: due_schedules
-- Schedules that are due, earliest first.
SELECT workflow_id::text, node_id, workspace_id::text, workflow_version, cron, timezone, next_at
FROM schedules
WHERE NOT paused AND next_at <= %(now)s
ORDER BY next_at
LIMIT %(limit)s

-- name: advance
-- Move a schedule on, unless another timer process, or a newly activated version, has moved it first.
-- After its end a schedule fires no more.
UPDATE schedules
SET next_at = CASE WHEN %(next_at)s::bigint > ends_at THEN NULL ELSE %(next_at)s::bigint END
WHERE workflow_id = %(workflow_id)s::uuid AND node_id = %(node_id)s
  AND next_at = %(due_at)s AND workflow_version = %(version)s

-- name: upkeep_lock
-- Making a partition twice at once would fail: one at a time, released by the end of the transaction.
SELECT pg_advisory_xact_lock(%s)

-- name: upkeep
-- Make the history partitions of this month and the next ones.
SELECT linkflow_make_partitions(3)
