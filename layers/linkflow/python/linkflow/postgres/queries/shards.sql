-- name: map
-- Which database has which ranges of shards.
SELECT first_shard, last_shard, database FROM shard_map ORDER BY first_shard

-- name: home
-- What this database says that it holds.
SELECT deployment::text, name, epoch, firsts, lasts, coalesce(move_role, ''), coalesce(move_first, -1),
       coalesce(move_last, -1)
FROM shard_home

-- name: epoch
-- Has it changed?
SELECT epoch FROM shard_home

-- name: used
-- Does anything live here?
SELECT EXISTS (SELECT FROM executions) OR EXISTS (SELECT FROM workflows) OR EXISTS (SELECT FROM users)

-- name: adopt
-- An empty database becomes one of a deployment, and holds nothing yet.
UPDATE shard_home SET deployment = %(deployment)s, name = %(name)s, firsts = '{}', lasts = '{}', epoch = epoch + 1

-- name: set_guard
-- Make the guard fit.
SELECT linkflow_set_guard()

-- name: open_runs
-- Which of these go on.
SELECT id::text FROM executions WHERE id = ANY (%(ids)s::uuid[]) AND closed_at = 0

-- name: started_firings
-- Started firings whose run is not known to have ended, from one on.
SELECT f.workflow_id::text, f.node_id, f.due_at, f.cause, f.execution_id::text
FROM schedule_firings f
WHERE f.open AND f.outcome = 'started'
  AND (f.workflow_id, f.node_id, f.due_at, f.cause) > (%(workflow)s::uuid, %(node)s, %(due)s, %(cause)s)
ORDER BY f.workflow_id, f.node_id, f.due_at, f.cause LIMIT %(limit)s

-- name: close_firings
-- Their runs have ended.
UPDATE schedule_firings f SET open = false
FROM unnest(%(workflow)s::uuid[], %(node)s::text[], %(due)s::bigint[], %(cause)s::text[]) AS d (w, n, u, c)
WHERE f.workflow_id = d.w AND f.node_id = d.n AND f.due_at = d.u AND f.cause = d.c AND f.outcome = 'started'
