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
  (SELECT wake_at FROM schedules WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1)
)

-- name: wanted
-- When anything of what the timer does wants to be done next: timers, schedules, and what a sweep looks at. The first
-- entry of each index.
SELECT least(
  (SELECT due_at FROM timers ORDER BY due_at LIMIT 1),
  (SELECT wake_at FROM schedules WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1),
  (SELECT offer_at FROM tasks ORDER BY offer_at LIMIT 1),
  (SELECT offer_at FROM messages ORDER BY offer_at LIMIT 1),
  (SELECT offer_at FROM bulk_operations WHERE status = 'running' ORDER BY offer_at LIMIT 1),
  (SELECT look_at FROM notification_rules WHERE look_at IS NOT NULL ORDER BY look_at LIMIT 1)
)

-- name: due_schedules
-- Schedules that want attention, earliest first: one range scan of schedules_by_wake.
SELECT workflow_id::text, node_id, workspace_id::text, workflow_version, cron, timezone, wake_at,
       CASE WHEN NOT paused THEN next_at END, delay_ms, revision, ends_at, coalesce(timetable, ''), overlap,
       catch_up_window, catch_up
FROM schedules
WHERE wake_at <= %(now)s
ORDER BY wake_at
LIMIT %(limit)s

-- name: open_firings
-- What is still under way of these schedules; whether a run goes on is one probe of its row.
SELECT f.workflow_id::text, f.node_id, f.due_at, f.cause, f.outcome, f.at, f.overlap, f.reason,
       coalesce(f.execution_id::text, ''), f.missed, f.fires, f.last_due_at, f.offer_at, f.open,
       f.outcome = 'started' AND e.id IS NOT NULL
FROM unnest(%(workflow)s::uuid[], %(node)s::text[], %(tracked)s::boolean[]) AS s (workflow, node, tracked)
JOIN schedule_firings f ON f.workflow_id = s.workflow AND f.node_id = s.node AND f.open
LEFT JOIN executions e ON e.id = f.execution_id AND e.closed_at = 0
WHERE f.outcome <> 'started' OR s.tracked OR EXISTS (
  SELECT FROM schedule_firings q
  WHERE q.workflow_id = s.workflow AND q.node_id = s.node AND q.open AND q.outcome = 'queued' AND q.overlap <> 'allow')

-- name: settle
-- Move schedules on, each unless another timer process, a new version or a person has touched it first.
UPDATE schedules s
SET next_at = CASE WHEN s.paused THEN s.next_at WHEN m.next_at > s.ends_at THEN NULL ELSE m.next_at END,
    delay_ms = m.delay_ms, look_at = m.look_at, revision = s.revision + 1
FROM unnest(%(workflow)s::uuid[], %(node)s::text[], %(revision)s::bigint[], %(was)s::bigint[], %(version)s::int[],
            %(next)s::bigint[], %(delay)s::bigint[], %(look)s::bigint[])
  AS m (workflow, node, revision, was, version, next_at, delay_ms, look_at)
WHERE s.workflow_id = m.workflow AND s.node_id = m.node AND s.revision = m.revision AND s.workflow_version = m.version
  AND (s.paused OR s.next_at IS NOT DISTINCT FROM m.was)
RETURNING s.workflow_id::text, s.node_id

-- name: rest
-- Starts were answered: come back later, unless somebody has touched the schedule since.
UPDATE schedules s SET look_at = m.look_at
FROM unnest(%(workflow)s::uuid[], %(node)s::text[], %(revision)s::bigint[], %(look)s::bigint[])
  AS m (workflow, node, revision, look_at)
WHERE s.workflow_id = m.workflow AND s.node_id = m.node AND s.revision = m.revision

-- name: look_at_firings
-- A run of a schedule has ended: firings that wait want attention now. Whoever is deciding on what was before has to
-- look again, so the revision counts it.
UPDATE schedules s SET look_at = %(now)s, revision = s.revision + 1
WHERE s.workflow_id = ANY(%(workflow)s::uuid[]) AND (s.look_at IS NULL OR s.look_at > %(now)s) AND EXISTS (
  SELECT FROM schedule_firings f
  WHERE f.workflow_id = s.workflow_id AND f.node_id = s.node_id AND f.open AND f.outcome = 'queued')

-- name: put_firings
-- What became of fires. A start that is confirmed is never taken back by a slower process.
INSERT INTO schedule_firings AS f (workflow_id, node_id, due_at, cause, outcome, at, overlap, reason, execution_id,
                                   missed, fires, last_due_at, offer_at, open)
SELECT * FROM unnest(
  %(workflow)s::uuid[], %(node)s::text[], %(due)s::bigint[], %(cause)s::text[], %(outcome)s::text[], %(at)s::bigint[],
  %(overlap)s::text[], %(reason)s::text[], %(execution)s::uuid[], %(missed)s::int[], %(fires)s::int[],
  %(last)s::bigint[], %(offer)s::bigint[], %(open)s::boolean[])
ON CONFLICT (workflow_id, node_id, due_at, cause) DO UPDATE
SET outcome = excluded.outcome, reason = excluded.reason, execution_id = excluded.execution_id,
    offer_at = excluded.offer_at, open = excluded.open
WHERE f.outcome <> 'started' OR excluded.outcome = 'started'

-- name: upkeep_lock
-- Making a partition twice at once would fail: one at a time, released by the end of the transaction.
SELECT pg_advisory_xact_lock(%s)

-- name: upkeep
-- Make the history partitions of this month and the next ones.
SELECT linkflow_make_partitions(3)

-- name: close_firings
-- Runs that ended, of schedules that never ask.
UPDATE schedule_firings f SET open = false
WHERE f.open AND f.outcome = 'started'
  AND NOT EXISTS (SELECT FROM executions e WHERE e.id = f.execution_id AND e.closed_at = 0)

-- name: drop_old_firings
-- Records of firings are kept for so long, those under way for ever.
DELETE FROM schedule_firings WHERE at < %(before)s AND NOT open

-- name: drop_many_firings
-- And so many of each schedule, the newest.
DELETE FROM schedule_firings f
USING (
  SELECT s.workflow_id, s.node_id, (
    SELECT k.due_at FROM schedule_firings k
    WHERE k.workflow_id = s.workflow_id AND k.node_id = s.node_id
    ORDER BY k.due_at DESC OFFSET %(keep)s LIMIT 1) AS oldest
  FROM schedules s
) AS m
WHERE f.workflow_id = m.workflow_id AND f.node_id = m.node_id AND f.due_at <= m.oldest AND NOT f.open

-- name: now_ms
-- The database's clock, ms.
SELECT (extract(epoch FROM now()) * 1000)::bigint
