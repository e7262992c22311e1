-- name: count
-- How many runs fit, up to one more than the limit.
SELECT count(*) FROM (
  SELECT 1 FROM executions
  WHERE workspace_id = %(workspace)s::uuid
    AND (%(workflow)s::uuid IS NULL OR workflow_id = %(workflow)s::uuid)
    AND (%(status)s::smallint[] = '{}' OR status = ANY (%(status)s::smallint[]))
    AND (%(mode)s = '' OR mode = %(mode)s)
    AND started_at >= %(after)s AND (%(before)s = 0 OR started_at < %(before)s)
    AND (%(ids)s::uuid[] = '{}' OR id = ANY (%(ids)s::uuid[]))
  LIMIT %(limit)s + 1
) AS found

-- name: begin
-- Choose the runs, the newest first, and keep the choice. One that chose none is over at once.
INSERT INTO bulk_operations (id, workspace_id, verb, request, actor, status, targets, more, created_at, updated_at,
                             finished_at, offer_at, owner)
SELECT %(id)s::uuid, %(workspace)s::uuid, %(verb)s, %(request)s, %(actor)s,
       CASE WHEN cardinality(chosen.ids) = 0 THEN 'completed' ELSE 'running' END,
       chosen.ids[1:%(limit)s::int], cardinality(chosen.ids) > %(limit)s, %(now)s, %(now)s,
       CASE WHEN cardinality(chosen.ids) = 0 THEN %(now)s ELSE 0 END, %(offer)s, %(owner)s
FROM (SELECT ARRAY(
  SELECT id FROM executions
  WHERE workspace_id = %(workspace)s::uuid
    AND (%(workflow)s::uuid IS NULL OR workflow_id = %(workflow)s::uuid)
    AND (%(status)s::smallint[] = '{}' OR status = ANY (%(status)s::smallint[]))
    AND (%(mode)s = '' OR mode = %(mode)s)
    AND started_at >= %(after)s AND (%(before)s = 0 OR started_at < %(before)s)
    AND (%(ids)s::uuid[] = '{}' OR id = ANY (%(ids)s::uuid[]))
  ORDER BY id DESC LIMIT %(limit)s + 1
) AS ids) AS chosen
ON CONFLICT DO NOTHING

-- name: choose
-- The same choice, a page at a time: where runs are in several databases it is put together elsewhere.
SELECT e.id::text FROM executions e
WHERE workspace_id = %(workspace)s::uuid AND e.id < %(below)s::uuid
  AND (%(workflow)s::uuid IS NULL OR workflow_id = %(workflow)s::uuid)
  AND (%(status)s::smallint[] = '{}' OR status = ANY (%(status)s::smallint[]))
  AND (%(mode)s = '' OR mode = %(mode)s)
  AND started_at >= %(after)s AND (%(before)s = 0 OR started_at < %(before)s)
  AND (%(ids)s::uuid[] = '{}' OR e.id = ANY (%(ids)s::uuid[]))
ORDER BY e.id DESC LIMIT %(limit)s

-- name: begin_with
-- Keep a choice that was put together.
INSERT INTO bulk_operations (id, workspace_id, verb, request, actor, status, targets, more, created_at, updated_at,
                             finished_at, offer_at, owner)
SELECT %(id)s::uuid, %(workspace)s::uuid, %(verb)s, %(request)s, %(actor)s,
       CASE WHEN cardinality(chosen.ids) = 0 THEN 'completed' ELSE 'running' END,
       chosen.ids[1:%(limit)s::int], cardinality(chosen.ids) > %(limit)s, %(now)s, %(now)s,
       CASE WHEN cardinality(chosen.ids) = 0 THEN %(now)s ELSE 0 END, %(offer)s, %(owner)s
FROM (SELECT %(chosen)s::uuid[] AS ids) AS chosen
ON CONFLICT DO NOTHING

-- name: show
-- Operations of a workspace, newest first.
SELECT id::text, workspace_id::text, verb, request, actor, status, cardinality(targets), more, done, failed, skipped,
       errors, created_at, updated_at, finished_at
FROM bulk_operations b
WHERE workspace_id = %(workspace)s::uuid AND b.id < %(before)s::uuid
ORDER BY b.id DESC LIMIT %(limit)s

-- name: one
-- One operation of a workspace.
SELECT id::text, workspace_id::text, verb, request, actor, status, cardinality(targets), more, done, failed, skipped,
       errors, created_at, updated_at, finished_at
FROM bulk_operations
WHERE id = %(id)s::uuid AND workspace_id = %(workspace)s::uuid

-- name: cancel
-- Stop one that is under way.
UPDATE bulk_operations SET status = 'cancelled', updated_at = %(now)s, finished_at = %(now)s
WHERE id = %(id)s::uuid AND workspace_id = %(workspace)s::uuid AND status = 'running'
RETURNING id::text

-- name: claim
-- The next page of one that nobody is at, or that is one's own; others leave it alone until `until`.
WITH due AS (
  SELECT id FROM bulk_operations
  WHERE status = 'running' AND (offer_at <= %(now)s OR owner = %(owner)s)
  ORDER BY offer_at LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE bulk_operations b SET offer_at = %(until)s, owner = %(owner)s FROM due WHERE b.id = due.id
RETURNING b.id::text, b.workspace_id::text, b.verb, b.request, b.actor, b.cursor, b.errors, b.created_at,
          b.targets[b.cursor + 1 : b.cursor + %(page)s::int]::text[]

-- name: advance
-- A page was seen to. Whoever saw to the same one later changes nothing.
UPDATE bulk_operations
SET cursor = cursor + %(count)s, done = done + %(done)s, failed = failed + %(failed)s, skipped = skipped + %(skipped)s,
    errors = %(errors)s, updated_at = %(now)s, offer_at = %(until)s,
    status = CASE WHEN status = 'running' AND cursor + %(count)s >= cardinality(targets) THEN 'completed'
                  ELSE status END,
    finished_at = CASE WHEN status = 'running' AND cursor + %(count)s >= cardinality(targets) THEN %(now)s
                       ELSE finished_at END
WHERE id = %(id)s::uuid AND cursor = %(cursor)s

-- name: release
-- Let others go on with what one was at.
UPDATE bulk_operations SET offer_at = %(now)s, owner = '' WHERE owner = %(owner)s AND status = 'running'
