-- name: beat
-- Heartbeats: the timer's row tells whether the attempt still runs, and locking it puts a beat before or behind the
-- transition that ends the attempt, which deletes it.
WITH input AS (
  SELECT * FROM unnest(%(id)s::uuid[], %(key)s::text[], %(attempt)s::int[], %(timer)s::text[], %(due)s::bigint[],
                       %(details)s::bytea[]) AS u (id, key, attempt, timer, due, details)
), moved AS (
  UPDATE timers t SET due_at = greatest(t.due_at, i.due)
  FROM input i WHERE t.execution_id = i.id AND t.timer_id = i.timer
  RETURNING i.id, i.key, i.attempt, i.details
), kept AS (
  INSERT INTO heartbeats AS h (execution_id, node_key, attempt, at, details)
  SELECT id, key, attempt, %(at)s, details FROM moved
  ON CONFLICT (execution_id, node_key, attempt) DO UPDATE
  SET at = greatest(h.at, excluded.at), details = coalesce(excluded.details, h.details)
)
SELECT id::text, key, attempt FROM moved

-- name: beats
-- The latest heartbeats of attempts.
SELECT h.execution_id::text, h.node_key, h.attempt, h.at, h.details
FROM heartbeats h JOIN unnest(%(id)s::uuid[], %(key)s::text[], %(attempt)s::int[]) AS r (id, k, a)
  ON h.execution_id = r.id AND h.node_key = r.k AND h.attempt = r.a

-- name: beats_of
-- The latest heartbeats of runs.
SELECT execution_id::text, node_key, attempt, at, details FROM heartbeats
WHERE execution_id = ANY (%(ids)s::uuid[]) ORDER BY execution_id, node_key

-- name: beaten
-- Runs whose attempt sent a heartbeat after the one that the transition knew of.
SELECT h.execution_id::text
FROM heartbeats h JOIN unnest(%(id)s::uuid[], %(key)s::text[], %(attempt)s::int[], %(seen)s::bigint[])
  AS r (id, k, a, seen) ON h.execution_id = r.id AND h.node_key = r.k AND h.attempt = r.a
WHERE h.at > r.seen

-- name: drop_beats
-- Attempts that ended.
DELETE FROM heartbeats h USING unnest(%(id)s::uuid[], %(key)s::text[], %(attempt)s::int[]) AS d (id, k, a)
WHERE h.execution_id = d.id AND h.node_key = d.k AND h.attempt = d.a
