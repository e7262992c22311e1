-- name: lock
-- Locks of this transaction, in the order given.
SELECT count(pg_advisory_xact_lock(n)) FROM unnest(%(locks)s::bigint[]) AS n

-- name: runs
-- Which of these runs exist.
SELECT id::text FROM executions WHERE id = ANY (%(ids)s::uuid[])

-- name: holders
-- Who holds these idempotency keys.
SELECT key, execution_id::text FROM idempotency_keys
WHERE workflow_id = %(workflow)s::uuid AND key = ANY (%(keys)s::text[])
  AND NOT idempotency_key_is_free(key, execution_id, %(newest)s::uuid)

-- name: lines
-- Who has and who waits for the slots of these keys; of those who wait, no more than a thousand are counted.
SELECT k, (SELECT count(*) FROM slots s WHERE s.workflow_id = %(workflow)s::uuid AND s.key = k AND NOT s.queued),
       (SELECT count(*) FROM (
          SELECT FROM slots s WHERE s.workflow_id = %(workflow)s::uuid AND s.key = k AND s.queued AND NOT s.ending
          LIMIT 1000) AS w),
       coalesce((SELECT max(s.position) FROM slots s WHERE s.workflow_id = %(workflow)s::uuid AND s.key = k), 0)
FROM unnest(%(keys)s::text[]) AS k

-- name: staying
-- Whom nobody has asked to end, the oldest first.
SELECT key, execution_id::text FROM slots
WHERE workflow_id = %(workflow)s::uuid AND key = ANY (%(keys)s::text[]) AND NOT ending ORDER BY position

-- name: rates
-- Up to when the rates of these keys are used.
SELECT key, used_until FROM start_rates WHERE workflow_id = %(workflow)s::uuid AND key = ANY (%(keys)s::text[])

-- name: collectors
-- What collects for these triggers and keys.
SELECT c.trigger_node, c.key, c.execution_id::text
FROM unnest(%(triggers)s::text[], %(keys)s::text[]) AS a (t, k)
JOIN collectors c ON c.trigger_node = a.t AND c.key = a.k
WHERE c.workflow_id = %(workflow)s::uuid AND c.trigger_node = ANY (%(triggers)s::text[]) AND c.key = ANY (%(keys)s::text[])

-- name: next
-- Who waits for a slot, in order.
SELECT execution_id::text, bound, position FROM slots
WHERE workflow_id = %(workflow)s::uuid AND key = %(key)s AND queued AND NOT ending
ORDER BY position LIMIT %(limit)s

-- name: leave
-- These runs give up what they had at the door.
WITH given_up AS (
  DELETE FROM slots WHERE execution_id = ANY (%(ids)s::uuid[])
), collected AS (
  DELETE FROM collectors WHERE execution_id = ANY (%(ids)s::uuid[])
)
DELETE FROM fairness_keys WHERE execution_id = ANY (%(ids)s::uuid[])

-- name: take_slots
-- Slots and places; one who waited keeps his place.
INSERT INTO slots (execution_id, workflow_id, key, queued, position, bound)
SELECT * FROM unnest(%(slot_id)s::uuid[], %(slot_workflow)s::uuid[], %(slot_key)s::text[], %(slot_queued)s::boolean[],
                     %(slot_position)s::bigint[], %(slot_bound)s::int[])
ON CONFLICT (execution_id) DO UPDATE SET queued = excluded.queued

-- name: pass_slot
-- The slot of a run that is about to end passes to the one that goes on in its place.
DELETE FROM slots
WHERE execution_id = %(source)s::uuid AND workflow_id = %(workflow)s::uuid AND key = %(key)s AND NOT queued

-- name: known
-- Is there this run already, or one with its idempotency key?
SELECT 1 FROM executions WHERE id = %(id)s::uuid
UNION ALL
SELECT 1 FROM idempotency_keys WHERE workflow_id = %(workflow)s::uuid AND key = %(key)s AND key <> ''
  AND NOT idempotency_key_is_free(key, execution_id, %(id)s::uuid)
LIMIT 1

-- name: let_in
-- When waiting runs began.
UPDATE executions e SET started_at = i.at FROM unnest(%(in_id)s::uuid[], %(in_at)s::bigint[]) AS i (id, at)
WHERE e.id = i.id

-- name: fairness
-- Fairness keys of open runs.
INSERT INTO fairness_keys (execution_id, key)
SELECT * FROM unnest(%(fair_id)s::uuid[], %(fair_key)s::text[])
ON CONFLICT (execution_id) DO UPDATE SET key = excluded.key

-- name: collects
-- Runs that begin to collect; one that did before takes no more.
INSERT INTO collectors (workflow_id, trigger_node, key, execution_id)
SELECT * FROM unnest(%(col_workflow)s::uuid[], %(col_trigger)s::text[], %(col_key)s::text[], %(col_id)s::uuid[])
ON CONFLICT (workflow_id, trigger_node, key) DO UPDATE SET execution_id = excluded.execution_id

-- name: keep_keys
-- Idempotency keys of collected starts.
INSERT INTO idempotency_keys AS k (workflow_id, key, execution_id)
SELECT * FROM unnest(%(kept_workflow)s::uuid[], %(kept_key)s::text[], %(kept_id)s::uuid[])
ON CONFLICT (workflow_id, key) DO UPDATE SET execution_id = excluded.execution_id
WHERE idempotency_key_is_free(k.key, k.execution_id, excluded.execution_id) RETURNING 1

-- name: pass_keys
-- Idempotency keys that pass from one run to another.
INSERT INTO idempotency_keys (workflow_id, key, execution_id)
SELECT * FROM unnest(%(passed_workflow)s::uuid[], %(passed_key)s::text[], %(passed_id)s::uuid[])
ON CONFLICT (workflow_id, key) DO UPDATE SET execution_id = excluded.execution_id

-- name: mark_ending
-- They were asked to end.
UPDATE slots SET ending = true WHERE execution_id = ANY (%(ids)s::uuid[])

-- name: keep_rates
-- Rates as they are used now.
INSERT INTO start_rates (workflow_id, key, used_until)
SELECT * FROM unnest(%(rate_workflow)s::uuid[], %(rate_key)s::text[], %(rate_until)s::bigint[])
ON CONFLICT (workflow_id, key) DO UPDATE SET used_until = excluded.used_until

-- name: positions
-- The places of runs that wait for a slot; 1,000 stands for any behind that.
SELECT s.execution_id::text, (SELECT count(*) FROM (
  SELECT FROM slots a WHERE a.workflow_id = s.workflow_id AND a.key = s.key AND a.queued
    AND (NOT a.ending OR a.execution_id = s.execution_id) AND a.position <= s.position
  LIMIT 1000) AS before)
FROM slots s WHERE s.execution_id = ANY (%(ids)s::uuid[]) AND s.queued

-- name: free_closed
-- Slots of runs that are closed, among those behind an id: somebody who knew nothing of slots closed them. Returns the
-- ids that were looked at, in order.
WITH looked AS MATERIALIZED (
  SELECT execution_id FROM slots WHERE execution_id > %(after)s::uuid ORDER BY execution_id LIMIT %(limit)s
), freed AS (
  DELETE FROM slots WHERE execution_id = ANY (ARRAY(
    SELECT e.id FROM executions e WHERE e.id = ANY (ARRAY(SELECT execution_id FROM looked)) AND e.closed_at > 0))
)
SELECT l.execution_id::text FROM looked l ORDER BY l.execution_id

-- name: forget_rates
-- Rates that were not used for an hour longer than they last.
DELETE FROM start_rates WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM start_rates WHERE used_until < %(before)s ORDER BY used_until LIMIT %(limit)s
  FOR UPDATE SKIP LOCKED))

-- name: overlooked
-- Keys where somebody waits though there is room: the word was lost. From key to key, not from row to row.
WITH RECURSIVE keys AS (
  (SELECT workflow_id, key FROM slots WHERE queued ORDER BY workflow_id, key LIMIT 1)
  UNION ALL
  SELECT n.workflow_id, n.key FROM keys k CROSS JOIN LATERAL (
    SELECT s.workflow_id, s.key FROM slots s WHERE s.queued AND (s.workflow_id, s.key) > (k.workflow_id, k.key)
    ORDER BY s.workflow_id, s.key LIMIT 1) AS n
)
SELECT k.workflow_id::text, k.key FROM keys k CROSS JOIN LATERAL (
  SELECT bound FROM slots s WHERE s.workflow_id = k.workflow_id AND s.key = k.key AND s.queued AND NOT s.ending
  ORDER BY s.position LIMIT 1) AS q
WHERE (SELECT count(*) FROM (
  SELECT FROM slots s WHERE s.workflow_id = k.workflow_id AND s.key = k.key AND NOT s.queued LIMIT q.bound) AS t) < q.bound
LIMIT %(limit)s
