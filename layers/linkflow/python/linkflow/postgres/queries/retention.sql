-- name: lock
-- One at a time; released by the end of the transaction. False where somebody else is at it.
SELECT pg_try_advisory_xact_lock(%(lock)s)

-- name: patience
-- Wait so long for a lock, in this transaction.
SELECT set_config('lock_timeout', %(wait)s, true)

-- name: own
-- What workflow versions ask for themselves (days; 0 for ever).
SELECT workflow_id::text, version, (convert_from(definition, 'UTF8')::jsonb #>> '{settings,retention_days}')::int
FROM workflow_versions WHERE position('"retention_days":'::bytea IN definition) > 0

-- name: moving
-- While a range of shards is copied, nothing is dropped on either side.
SELECT EXISTS (SELECT FROM shard_home WHERE move_role IS NOT NULL)

-- name: partitions
-- Partitions with their bounds, the oldest first.
SELECT parent, part, bounds[1] AS first, bounds[2] AS beyond, size FROM (
  SELECT p.relname AS parent, c.relname AS part, pg_total_relation_size(c.oid) AS size,
         regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\) TO \(''([^'']+)''\)') AS bounds
  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
  WHERE p.oid IN ('history'::regclass, 'blobs'::regclass)
) AS found WHERE bounds IS NOT NULL ORDER BY bounds[1], parent

-- name: count
-- How many runs of a range of ids are over their time, and how many stay.
WITH own AS MATERIALIZED (
  SELECT * FROM unnest(%(workflow)s::uuid[], %(version)s::int[], %(own)s::int[]) AS o (workflow_id, version, days)
), ruled AS MATERIALIZED (
  SELECT * FROM unnest(%(ruled)s::uuid[], %(ruled_days)s::int[]) AS r (whose, days)
)
SELECT count(*) FILTER (WHERE over), count(*) FILTER (WHERE NOT over) FROM (
  SELECT e.closed_at > 0 AND e.closed_at < %(now)s - 86400000 * coalesce(
    (SELECT r.days FROM ruled r WHERE r.whose = e.workflow_id),
    (SELECT nullif(o.days, 0) FROM own o WHERE o.workflow_id = e.workflow_id AND o.version = e.workflow_version),
    (SELECT r.days FROM ruled r WHERE r.whose = e.workspace_id), %(days)s)::bigint AS over
  FROM executions e WHERE e.id >= %(first)s::uuid AND e.id < %(beyond)s::uuid
) AS runs

-- name: forget
-- Runs below an id whose time is over: their rows, and the idempotency keys and lists of forks that name them. One that
-- is retried at this moment is open again, and stays.
WITH own AS MATERIALIZED (
  SELECT * FROM unnest(%(workflow)s::uuid[], %(version)s::int[], %(own)s::int[]) AS o (workflow_id, version, days)
), ruled AS MATERIALIZED (
  SELECT * FROM unnest(%(ruled)s::uuid[], %(ruled_days)s::int[]) AS r (whose, days)
), gone AS (
  DELETE FROM executions e
  WHERE e.id < %(beyond)s::uuid AND e.closed_at > 0 AND e.closed_at < %(now)s - 86400000 * coalesce(
    (SELECT r.days FROM ruled r WHERE r.whose = e.workflow_id),
    (SELECT nullif(o.days, 0) FROM own o WHERE o.workflow_id = e.workflow_id AND o.version = e.workflow_version),
    (SELECT r.days FROM ruled r WHERE r.whose = e.workspace_id), %(days)s)::bigint
  RETURNING e.id, e.workflow_id
), keys AS (
  DELETE FROM idempotency_keys k USING gone g WHERE k.workflow_id = g.workflow_id AND k.execution_id = g.id
), facts AS (
  DELETE FROM run_facts f USING gone g WHERE f.execution_id = g.id
), terms AS (
  DELETE FROM run_terms t USING gone g WHERE t.execution_id = g.id
), lineage AS (
  DELETE FROM forks f USING gone g WHERE f.source_id = g.id  -- a source goes before what was made from it
)
SELECT count(*) FROM gone

-- name: drop_partition
-- Drop a partition; the rows of runs that stay move to the default one.
SELECT linkflow_drop_partition(%(parent)s, %(part)s, %(first)s::uuid, %(beyond)s::uuid)

-- name: clear_history
-- What is in the default partition is what stayed; its runs are gone by now. These are few, and in no other partition.
DELETE FROM history_other h
WHERE h.execution_id < %(beyond)s::uuid AND NOT EXISTS (SELECT FROM executions e WHERE e.id = h.execution_id)

-- name: clear_blobs
-- The same of blobs.
DELETE FROM blobs_other b
WHERE b.execution_id < %(beyond)s::uuid AND NOT EXISTS (SELECT FROM executions e WHERE e.id = b.execution_id)
