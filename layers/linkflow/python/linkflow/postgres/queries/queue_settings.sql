-- name: read
-- A queue's settings with its rules.
SELECT queue, partitions, max_backlog, revision, changed_at, changed_by
FROM queue_settings WHERE queue = %(queue)s

-- name: rules
-- The rules of queues, those about a workspace where one is named.
SELECT queue, workspace_id, fairness, weight, rate, burst, own
FROM queue_rules
WHERE queue = ANY(%(queues)s) AND (%(workspace)s = '' OR workspace_id = %(workspace)s)
ORDER BY queue, workspace_id, fairness, own

-- name: every
-- All queues, or those with rules about a workspace.
SELECT queue, partitions, max_backlog, revision, changed_at, changed_by
FROM queue_settings s
WHERE %(workspace)s = '' OR EXISTS (
  SELECT FROM queue_rules r WHERE r.queue = s.queue AND r.workspace_id = %(workspace)s)
ORDER BY queue

-- name: change
-- The next revision. The row's lock orders those who change a queue at once.
INSERT INTO queue_settings AS s (queue, partitions, max_backlog, changed_at, changed_by)
VALUES (%(queue)s, %(partitions)s, greatest(0, %(max_backlog)s), %(at)s, %(by)s)
ON CONFLICT (queue) DO UPDATE
SET revision = s.revision + 1,
    partitions = CASE WHEN %(partitions)s > 0 THEN excluded.partitions ELSE s.partitions END,
    max_backlog = CASE WHEN %(max_backlog)s >= 0 THEN excluded.max_backlog ELSE s.max_backlog END,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by

-- name: drop_rules
-- Rules that are said anew, or no more: by name, or all of a workspace's own.
DELETE FROM queue_rules r
WHERE r.queue = %(queue)s AND r.own = (%(workspace)s <> '') AND (
  r.workspace_id = %(workspace)s AND %(workspace)s <> ''
  OR (r.workspace_id, r.fairness) IN (
    SELECT * FROM unnest(%(workspaces)s::text[], %(keys)s::text[])) AND %(workspace)s = '')

-- name: add_rules
INSERT INTO queue_rules (queue, workspace_id, fairness, own, weight, rate, burst)
SELECT %(queue)s, * FROM unnest(%(workspaces)s::text[], %(keys)s::text[], %(own)s::boolean[], %(weights)s::float8[],
                                %(rates)s::float8[], %(bursts)s::int[])

-- name: own_lock
-- A workspace's own rules are counted and added by one at a time.
SELECT pg_advisory_xact_lock(%(lock)s, hashtext(%(workspace)s))

-- name: own_rules
-- How many rules a workspace has made.
SELECT count(*) FROM queue_rules WHERE workspace_id = %(workspace)s AND own
