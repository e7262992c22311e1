-- name: create
-- Start runs: the row, its first events, tasks, timers and messages in one statement, which is one transaction.
-- An idempotency key that is taken, or an id that exists, leaves its run out and nothing of it is written.
WITH input AS (
  SELECT * FROM unnest(
    %(id)s::uuid[], %(shard)s::smallint[], %(workspace)s::uuid[], %(workflow)s::uuid[], %(workflow_version)s::int[],
    %(status)s::smallint[], %(mode)s::text[], %(version)s::int[], %(started)s::bigint[], %(closed)s::bigint[],
    %(parent)s::uuid[], %(state)s::bytea[], %(events)s::bytea[], %(key)s::text[], %(tally)s::int[],
    %(compute)s::bigint[]
  ) AS u (id, shard, workspace, workflow, workflow_version, status, mode, version, started, closed, parent, state,
          events, key, tally, compute)
), keyed AS (
  INSERT INTO idempotency_keys AS k (workflow_id, key, execution_id)
  SELECT DISTINCT ON (workflow, key) workflow, key, id FROM input WHERE key <> ''
  ON CONFLICT (workflow_id, key) DO UPDATE SET execution_id = excluded.execution_id
  WHERE idempotency_key_is_free(k.key, k.execution_id, excluded.execution_id)
  RETURNING execution_id
), written AS (
  INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at,
                          closed_at, parent_id, state, state_format, history_bytes)
  SELECT id, shard, workspace, workflow, workflow_version, status, mode, version, started, closed, parent, state,
         %(format)s, octet_length(events)
  FROM input WHERE key = '' OR id IN (SELECT execution_id FROM keyed)
  ON CONFLICT DO NOTHING
  RETURNING id
), counted AS (
  INSERT INTO tallies (workspace_id, workflow_id, at, started, nodes, compute_us, bytes, statuses, durations)
  SELECT workspace, workflow, %(tally_at)s::bigint, count(*), sum(tally >> 1), sum(compute), sum(octet_length(events)),
         array_agg(status) FILTER (WHERE tally & 1 = 1), array_agg(closed - started) FILTER (WHERE tally & 1 = 1)
  FROM input WHERE tally >= 0 AND id IN (SELECT id FROM written) GROUP BY 1, 2
), appended AS (
  INSERT INTO history (execution_id, first_event, last_event, events)
  SELECT i.id, 1, i.version, i.events FROM input i WHERE i.id IN (SELECT id FROM written)
), queued AS (
  INSERT INTO tasks (execution_id, node_key, attempt, queue, priority, scheduled_at, offer_at)
  SELECT t.* FROM unnest(
    %(task_id)s::uuid[], %(task_key)s::text[], %(task_attempt)s::int[], %(task_queue)s::text[],
    %(task_priority)s::smallint[], %(task_at)s::bigint[], %(task_offer)s::bigint[]) AS t (id, k, a, q, p, at, o)
  WHERE t.id IN (SELECT id FROM written)
), timed AS (
  INSERT INTO timers (execution_id, timer_id, due_at)
  SELECT t.* FROM unnest(%(timer_id)s::uuid[], %(timer_name)s::text[], %(timer_due)s::bigint[]) AS t (id, n, d)
  WHERE t.id IN (SELECT id FROM written)
), told AS (
  INSERT INTO messages (execution_id, id, kind, body, offer_at)
  SELECT m.* FROM unnest(%(message_id)s::uuid[], %(message_name)s::text[], %(message_kind)s::text[],
                         %(message_body)s::bytea[], %(message_offer)s::bigint[]) AS m (id, n, k, b, o)
  WHERE m.id IN (SELECT id FROM written)
)
SELECT id::text FROM written

-- name: holder
-- Which run holds an idempotency key.
SELECT execution_id::text FROM idempotency_keys WHERE workflow_id = %(workflow)s AND key = %(key)s

-- name: advance
-- Move runs on: the fence (`version` as it was read) guards the row, and all else follows from it in one statement.
WITH input AS (
  SELECT * FROM unnest(
    %(id)s::uuid[], %(expected)s::int[], %(version)s::int[], %(status)s::smallint[], %(closed)s::bigint[],
    %(state)s::bytea[], %(events)s::bytea[], %(snapshot)s::int[], %(tally)s::int[], %(compute)s::bigint[]
  ) AS u (id, expected, version, status, closed, state, events, snapshot, tally, compute)
), written AS (
  UPDATE executions e
  SET version = i.version, status = i.status, closed_at = i.closed,
      state = CASE WHEN i.snapshot = 0 THEN i.state ELSE e.state END, -- kept as it is, it is not written
      state_version = nullif(i.snapshot, 0), state_format = %(format)s,
      history_bytes = e.history_bytes + octet_length(i.events)
  FROM input i WHERE e.id = i.id AND e.version = i.expected
  RETURNING e.id, e.workspace_id, e.workflow_id, e.started_at
), counted AS (
  INSERT INTO tallies (workspace_id, workflow_id, at, nodes, compute_us, bytes, statuses, durations)
  SELECT w.workspace_id, w.workflow_id, %(tally_at)s::bigint, sum(tally >> 1), sum(compute), sum(octet_length(events)),
         array_agg(status) FILTER (WHERE tally & 1 = 1),
         array_agg(CASE WHEN w.started_at > 0 THEN i.closed - w.started_at ELSE 0 END) FILTER (WHERE tally & 1 = 1)
  FROM written w JOIN input i ON i.id = w.id AND i.tally >= 0 GROUP BY 1, 2
), appended AS (
  INSERT INTO history (execution_id, first_event, last_event, events)
  SELECT i.id, i.expected + 1, i.version, i.events FROM input i WHERE i.id IN (SELECT id FROM written)
), finished AS (
  DELETE FROM tasks t
  USING unnest(%(done_id)s::uuid[], %(done_key)s::text[], %(done_attempt)s::int[]) AS d (id, k, a)
  WHERE t.execution_id = d.id AND t.node_key = d.k AND t.attempt = d.a AND d.id IN (SELECT id FROM written)
), queued AS (
  INSERT INTO tasks (execution_id, node_key, attempt, queue, priority, scheduled_at, offer_at)
  SELECT t.* FROM unnest(
    %(task_id)s::uuid[], %(task_key)s::text[], %(task_attempt)s::int[], %(task_queue)s::text[],
    %(task_priority)s::smallint[], %(task_at)s::bigint[], %(task_offer)s::bigint[]) AS t (id, k, a, q, p, at, o)
  WHERE t.id IN (SELECT id FROM written)
), stopped AS (
  DELETE FROM timers t
  USING unnest(%(gone_id)s::uuid[], %(gone_name)s::text[]) AS d (id, n)
  WHERE t.execution_id = d.id AND t.timer_id = d.n AND d.id IN (SELECT id FROM written)
), timed AS (
  INSERT INTO timers (execution_id, timer_id, due_at)
  SELECT t.* FROM unnest(%(timer_id)s::uuid[], %(timer_name)s::text[], %(timer_due)s::bigint[]) AS t (id, n, d)
  WHERE t.id IN (SELECT id FROM written)
  ON CONFLICT (execution_id, timer_id) DO UPDATE SET due_at = excluded.due_at
), told AS (
  INSERT INTO messages (execution_id, id, kind, body, offer_at)
  SELECT m.* FROM unnest(%(message_id)s::uuid[], %(message_name)s::text[], %(message_kind)s::text[],
                         %(message_body)s::bytea[], %(message_offer)s::bigint[]) AS m (id, n, k, b, o)
  WHERE m.id IN (SELECT id FROM written)
)
SELECT id::text FROM written

-- name: advance_waits
-- Waits of the runs that `advance` moved, in its transaction: those that ended, then those that began or changed.
WITH ended AS (
  DELETE FROM waits w USING unnest(%(over_id)s::uuid[], %(over_key)s::text[], %(over_attempt)s::int[]) AS d (i, k, a)
  WHERE w.execution_id = d.i AND w.node_key = d.k AND w.attempt = d.a
)
INSERT INTO waits (execution_id, node_key, attempt, workspace_id, workflow_id, kind, name, key, due_at, at, detail)
SELECT * FROM unnest(%(wait_id)s::uuid[], %(wait_node)s::text[], %(wait_attempt)s::int[], %(wait_workspace)s::uuid[],
                     %(wait_workflow)s::uuid[], %(wait_kind)s::text[], %(wait_name)s::text[], %(wait_key)s::text[],
                     %(wait_due)s::bigint[], %(wait_at)s::bigint[], %(wait_detail)s::bytea[])
ON CONFLICT (execution_id, node_key, attempt) DO UPDATE SET due_at = excluded.due_at, detail = excluded.detail

-- name: waiting
-- Who waits for an event of this name and key, or for any of this name.
(SELECT execution_id::text, workspace_id::text, workflow_id::text, w.at, node_key, attempt, kind, name, key, due_at, detail
 FROM waits w
 WHERE workspace_id = %(workspace)s::uuid AND kind = 'event' AND name = %(name)s AND key = %(key)s
 ORDER BY w.at LIMIT %(limit)s)
UNION ALL
(SELECT execution_id::text, workspace_id::text, workflow_id::text, w.at, node_key, attempt, kind, name, key, due_at, detail
 FROM waits w
 WHERE workspace_id = %(workspace)s::uuid AND kind = 'event' AND name = %(name)s AND key = '' AND %(key)s <> ''
 ORDER BY w.at LIMIT %(limit)s)
ORDER BY 4 LIMIT %(limit)s

-- name: approvals
-- Open approvals of a workspace, or of one workflow of it, newest runs first. A run may have several.
SELECT execution_id::text, workspace_id::text, workflow_id::text, at, node_key, attempt, kind, name, key, due_at, detail
FROM waits w
WHERE workspace_id = %(workspace)s::uuid AND kind = 'approval' AND w.execution_id <= %(before)s::uuid
  AND (w.execution_id < %(before)s::uuid OR (%(after)s <> '' AND w.node_key > %(after)s))
  AND (%(workflow)s::uuid IS NULL OR w.workflow_id = %(workflow)s::uuid)
ORDER BY w.execution_id DESC, w.node_key LIMIT %(limit)s

-- name: keep_event
-- Keep an event for a run that will wait for it.
INSERT INTO kept_events (workspace_id, id, name, key, payload, actor, until)
VALUES (%(workspace)s, %(id)s, %(name)s, %(key)s, %(payload)s, %(actor)s, %(until)s)
ON CONFLICT DO NOTHING

-- name: kept_events
-- Events that came early; a wait without a key takes any.
(SELECT id, name, key, payload, actor, until FROM kept_events
 WHERE workspace_id = %(workspace)s::uuid AND name = %(name)s AND key = %(key)s AND %(key)s <> '' AND until > %(now)s
 ORDER BY until, id LIMIT 100)
UNION ALL
(SELECT id, name, key, payload, actor, until FROM kept_events
 WHERE workspace_id = %(workspace)s::uuid AND name = %(name)s AND %(key)s = '' AND until > %(now)s
 ORDER BY until, id LIMIT 100)
ORDER BY until, id

-- name: kept_after
-- Kept events behind one, in the order of their time.
SELECT until, workspace_id::text, k.id, name, key FROM kept_events k
WHERE until > %(now)s AND until >= %(until)s AND (until, workspace_id, k.id) > (%(until)s, %(workspace)s::uuid, %(id)s)
ORDER BY until, k.workspace_id, k.id LIMIT %(limit)s

-- name: overlooked
-- Waits for any of these events, each once, the oldest of each event first.
SELECT w.execution_id::text, w.workspace_id::text, w.workflow_id::text, w.at, w.node_key, w.attempt, w.kind, w.name,
       w.key, w.due_at, w.detail
FROM unnest(%(workspace)s::uuid[], %(name)s::text[], %(key)s::text[]) AS k (workspace, name, key)
CROSS JOIN LATERAL (
  SELECT * FROM waits a
  WHERE a.workspace_id = k.workspace AND a.kind = 'event' AND a.name = k.name AND a.key = k.key
  ORDER BY a.at LIMIT %(limit)s) AS w
LIMIT %(limit)s

-- name: forget_events
-- Kept events that nobody took in time.
DELETE FROM kept_events WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM kept_events WHERE until <= %(now)s ORDER BY until LIMIT %(limit)s FOR UPDATE SKIP LOCKED))

-- name: drop_events
-- They were delivered.
DELETE FROM kept_events WHERE workspace_id = %(workspace)s::uuid AND id = ANY (%(ids)s::text[])

-- name: drop_timers
-- Forget timers that lead nowhere any more, unless they were moved meanwhile.
DELETE FROM timers t USING unnest(%(id)s::uuid[], %(name)s::text[], %(due)s::bigint[]) AS d (id, n, due)
WHERE t.execution_id = d.id AND t.timer_id = d.n AND t.due_at <= d.due

-- name: load
-- States with their versions, and the events since (a snapshot is of a row's last event); all events where the state is of another format.
SELECT e.id::text, e.version, CASE WHEN e.state_format = %(format)s THEN e.state END,
       CASE WHEN e.state_format <> %(format)s OR e.state_version IS NOT NULL THEN ARRAY(
         SELECT h.events FROM history h
         WHERE h.execution_id = e.id
           AND h.first_event > CASE WHEN e.state_format = %(format)s THEN e.state_version ELSE 0 END
         ORDER BY h.first_event) END, e.history_bytes
FROM executions e WHERE e.id = ANY (%(ids)s::uuid[])

-- name: describe
-- Runs of a workspace by id.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), CASE WHEN %(with_state)s AND state_format = %(format)s THEN state END,
       CASE WHEN %(with_state)s AND (state_format <> %(format)s OR state_version IS NOT NULL) THEN ARRAY(
         SELECT h.events FROM history h
         WHERE h.execution_id = executions.id
           AND h.first_event > CASE WHEN state_format = %(format)s THEN state_version ELSE 0 END
         ORDER BY h.first_event) END
FROM executions
WHERE id = ANY (%(ids)s::uuid[]) AND (%(workspace)s = '*' OR workspace_id = %(workspace_id)s::uuid)

-- name: error_runs
-- Runs of error workflows, by the failed runs that they were started for.
SELECT parent_id::text, id::text FROM executions
WHERE mode = 'error' AND parent_id = ANY (%(ids)s::uuid[]) ORDER BY executions.id

-- name: page_by_workspace
-- A page of a workspace's runs, newest first. `ORDER BY e.id`: a bare `id` is the text, and every run would be read.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND (%(status)s < 0 OR status = %(status)s) AND (%(mode)s = '' OR mode = %(mode)s)
ORDER BY e.id DESC LIMIT %(limit)s

-- name: page_by_workspace_status
-- The same of runs that are not completed, which are few among many.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND status = %(status)s AND status <> 1 AND (%(mode)s = '' OR mode = %(mode)s)
ORDER BY e.id DESC LIMIT %(limit)s

-- name: page_by_workspace_mode
-- The same of modes that are rare.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND mode = %(mode)s AND mode IN ('manual', 'retry', 'error', 'fork', 'rerun', 'test') AND (%(status)s < 0 OR status = %(status)s)
ORDER BY e.id DESC LIMIT %(limit)s

-- name: page_by_workflow
-- A page of a workflow's runs, newest first.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE workflow_id = %(workflow)s::uuid AND workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND (%(status)s < 0 OR status = %(status)s) AND (%(mode)s = '' OR mode = %(mode)s)
ORDER BY e.id DESC LIMIT %(limit)s

-- name: page_by_workflow_status
-- The same of runs that are not completed.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE workflow_id = %(workflow)s::uuid AND workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND status = %(status)s AND status <> 1 AND (%(mode)s = '' OR mode = %(mode)s)
ORDER BY e.id DESC LIMIT %(limit)s

-- name: page_by_workflow_mode
-- The same of modes that are rare.
SELECT id::text, workspace_id::text, workflow_id::text, workflow_version, status, mode, version, started_at,
       closed_at, coalesce(parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE workflow_id = %(workflow)s::uuid AND workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND mode = %(mode)s AND mode IN ('manual', 'retry', 'error', 'fork', 'rerun', 'test') AND (%(status)s < 0 OR status = %(status)s)
ORDER BY e.id DESC LIMIT %(limit)s

-- name: history
-- The run's last event, and the rows that begin behind one event and hold the next so many.
SELECT e.version, h.first_event, h.last_event, h.events
FROM executions e LEFT JOIN history h
  ON h.execution_id = e.id AND h.first_event > %(after)s AND h.first_event <= %(after)s::int + %(limit)s
WHERE e.id = %(id)s::uuid
ORDER BY h.first_event

-- name: history_within
-- The row that an event is in, where it is not the last one of it.
SELECT first_event, last_event, events FROM history
WHERE execution_id = %(id)s::uuid AND first_event <= %(after)s AND last_event > %(after)s
ORDER BY first_event DESC LIMIT 1

-- name: delete
-- Closed runs with all that is known of them; to forget their blobs is left as a message.
WITH gone AS (
  DELETE FROM executions e
  WHERE e.id = ANY (%(ids)s::uuid[]) AND e.workspace_id = %(workspace)s::uuid AND e.closed_at > 0
  RETURNING e.id, e.workflow_id
), keys AS (
  DELETE FROM idempotency_keys k USING gone g
  WHERE k.workflow_id = g.workflow_id AND k.key = ANY (%(keys)s::text[]) AND k.execution_id = g.id
), events AS (
  DELETE FROM history h USING gone g WHERE h.execution_id = g.id
), facts AS (
  DELETE FROM run_facts f USING gone g WHERE f.execution_id = g.id
), terms AS (
  DELETE FROM run_terms t USING gone g WHERE t.execution_id = g.id
), lineage AS (
  DELETE FROM forks f USING gone g WHERE f.source_id = g.id
), left_over AS (
  INSERT INTO messages (execution_id, id, kind, body, offer_at)
  SELECT id, %(kind)s::text, %(kind)s::text, %(body)s::bytea, %(offer)s::bigint FROM gone ON CONFLICT DO NOTHING
)
SELECT id::text FROM gone

-- name: definition
-- A workflow version.
SELECT definition FROM workflow_versions WHERE workflow_id = %(workflow)s::uuid AND version = %(version)s

-- name: lost_tasks
-- Tasks to offer again, put off at once so that two sweeps share the work.
WITH due AS (
  SELECT execution_id, node_key, attempt FROM tasks
  WHERE offer_at <= %(now)s ORDER BY offer_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), moved AS (
  UPDATE tasks t SET offer_at = %(next)s FROM due d
  WHERE t.execution_id = d.execution_id AND t.node_key = d.node_key AND t.attempt = d.attempt
  RETURNING t.*
)
SELECT m.execution_id::text, e.workspace_id::text, e.workflow_id::text, e.workflow_version, m.node_key, m.attempt,
       m.queue, m.priority, m.scheduled_at, coalesce(f.key, '')
FROM moved m JOIN executions e ON e.id = m.execution_id LEFT JOIN fairness_keys f ON f.execution_id = m.execution_id

-- name: lost_messages
-- Messages that were not told yet.
WITH due AS (
  SELECT execution_id, id FROM messages
  WHERE offer_at <= %(now)s ORDER BY offer_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE messages m SET offer_at = %(next)s FROM due d
WHERE m.execution_id = d.execution_id AND m.id = d.id
RETURNING m.id, m.execution_id::text, m.kind, m.body

-- name: drop_messages
-- They were told.
DELETE FROM messages m USING unnest(%(execution)s::uuid[], %(id)s::text[]) AS d (e, i)
WHERE m.execution_id = d.e AND m.id = d.i

-- name: touch
-- A worker still has these: put off their sweep.
UPDATE tasks t SET offer_at = %(until)s
FROM unnest(%(id)s::uuid[], %(key)s::text[], %(attempt)s::int[]) AS d (id, k, a)
WHERE t.execution_id = d.id AND t.node_key = d.k AND t.attempt = d.a
RETURNING t.execution_id::text, t.node_key, t.attempt

-- name: workflow
-- Where a workflow lives and which version runs in an environment.
SELECT w.workspace_id::text, CASE WHEN %(environment)s = '' THEN w.version ELSE coalesce(e.version, 0) END
FROM workflows w LEFT JOIN workflow_environments e ON e.workflow_id = w.id AND e.environment = %(environment)s
WHERE w.id = %(workflow)s::uuid AND w.deleted_at = 0

-- name: under_way
-- How many runs of a workspace are running: a bounded scan of executions_running.
SELECT count(*) FROM (
  SELECT FROM executions WHERE workspace_id = %(workspace)s::uuid AND status = 0 LIMIT %(limit)s
) AS running
