-- name: read
-- What is known of runs.
SELECT execution_id::text, environment, attributes, error FROM run_facts WHERE execution_id = ANY (%(ids)s::uuid[])

-- name: drop_terms
-- Their terms are told anew.
DELETE FROM run_terms WHERE execution_id = ANY (%(ids)s::uuid[])

-- name: put
-- In the transaction of the transitions that tell of it.
INSERT INTO run_facts (execution_id, workspace_id, environment, attributes, error)
SELECT * FROM unnest(%(id)s::uuid[], %(workspace)s::uuid[], %(environment)s::text[], %(attributes)s::bytea[],
                     %(error)s::bytea[])
ON CONFLICT (execution_id) DO UPDATE SET attributes = excluded.attributes, error = excluded.error

-- name: put_terms
-- The same of terms.
INSERT INTO run_terms (execution_id, term, workspace_id)
SELECT * FROM unnest(%(id)s::uuid[], %(term)s::text[], %(workspace)s::uuid[])
ON CONFLICT DO NOTHING

-- name: spread
-- How many runs have each of these terms, counted up to a few: the rarest leads a search.
SELECT t.term, (SELECT count(*) FROM (
  SELECT FROM run_terms r WHERE r.workspace_id = %(workspace)s::uuid AND r.term = t.term LIMIT %(most)s) AS found)
FROM unnest(%(terms)s::text[]) AS t (term)

-- name: by_terms
-- Runs that have one term, the newest first, and whether they have all the others.
SELECT r.execution_id::text, (SELECT count(*) FROM run_terms o
                              WHERE o.execution_id = r.execution_id AND o.term = ANY (%(others)s::text[]))
FROM run_terms r
WHERE r.workspace_id = %(workspace)s::uuid AND r.term = %(term)s AND r.execution_id < %(before)s::uuid
  AND r.execution_id >= %(floor)s::uuid
ORDER BY r.execution_id DESC LIMIT %(limit)s

-- name: runs
-- Their rows, those that fit.
SELECT e.id::text, e.workspace_id::text, e.workflow_id::text, e.workflow_version, e.status, e.mode, e.version,
       e.started_at, e.closed_at, coalesce(e.parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE e.id = ANY (%(ids)s::uuid[]) AND e.workspace_id = %(workspace)s::uuid
  AND (%(workflow)s::uuid IS NULL OR e.workflow_id = %(workflow)s::uuid)
  AND (%(status)s < 0 OR e.status = %(status)s) AND (%(mode)s = '' OR e.mode = %(mode)s)
  AND (%(version)s = 0 OR e.workflow_version = %(version)s)
  AND (%(min)s = 0 OR (e.closed_at > 0 AND e.closed_at - e.started_at >= %(min)s))
  AND (%(max)s = 0 OR (e.closed_at > 0 AND e.closed_at - e.started_at <= %(max)s))
ORDER BY e.id DESC

-- name: scan_workspace
-- The newest runs below one, so many: where the next look begins, and those of them that fit.
WITH looked AS MATERIALIZED (
  SELECT e.id, e.workspace_id, e.workflow_id, e.workflow_version, e.status, e.mode, e.version, e.started_at,
         e.closed_at, e.parent_id
  FROM executions e
  WHERE e.workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid AND e.id >= %(floor)s::uuid
  ORDER BY e.id DESC LIMIT %(scan)s
), past AS (SELECT count(*) AS count, (SELECT l.id::text FROM looked l ORDER BY l.id LIMIT 1) AS id FROM looked)
SELECT past.count, past.id, f.* FROM past LEFT JOIN LATERAL (
  SELECT l.id::text, l.workspace_id::text, l.workflow_id::text, l.workflow_version, l.status, l.mode, l.version,
         l.started_at, l.closed_at, coalesce(l.parent_id::text, ''), NULL::bytea, NULL::bytea[]
  FROM looked l
  WHERE (%(status)s < 0 OR l.status = %(status)s) AND (%(mode)s = '' OR l.mode = %(mode)s)
    AND (%(version)s = 0 OR l.workflow_version = %(version)s)
    AND (%(min)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at >= %(min)s))
    AND (%(max)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at <= %(max)s))
  ORDER BY l.id DESC LIMIT %(limit)s) AS f ON true

-- name: scan_workspace_status
-- The same of runs that are not completed.
WITH looked AS MATERIALIZED (
  SELECT e.id, e.workspace_id, e.workflow_id, e.workflow_version, e.status, e.mode, e.version, e.started_at,
         e.closed_at, e.parent_id
  FROM executions e
  WHERE e.workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid AND e.id >= %(floor)s::uuid
    AND e.status = %(status)s AND e.status <> 1
  ORDER BY e.id DESC LIMIT %(scan)s
), past AS (SELECT count(*) AS count, (SELECT l.id::text FROM looked l ORDER BY l.id LIMIT 1) AS id FROM looked)
SELECT past.count, past.id, f.* FROM past LEFT JOIN LATERAL (
  SELECT l.id::text, l.workspace_id::text, l.workflow_id::text, l.workflow_version, l.status, l.mode, l.version,
         l.started_at, l.closed_at, coalesce(l.parent_id::text, ''), NULL::bytea, NULL::bytea[]
  FROM looked l
  WHERE (%(mode)s = '' OR l.mode = %(mode)s) AND (%(version)s = 0 OR l.workflow_version = %(version)s)
    AND (%(min)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at >= %(min)s))
    AND (%(max)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at <= %(max)s))
  ORDER BY l.id DESC LIMIT %(limit)s) AS f ON true

-- name: scan_workflow
-- The same of one workflow.
WITH looked AS MATERIALIZED (
  SELECT e.id, e.workspace_id, e.workflow_id, e.workflow_version, e.status, e.mode, e.version, e.started_at,
         e.closed_at, e.parent_id
  FROM executions e
  WHERE e.workflow_id = %(workflow)s::uuid AND e.workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
    AND e.id >= %(floor)s::uuid
  ORDER BY e.id DESC LIMIT %(scan)s
), past AS (SELECT count(*) AS count, (SELECT l.id::text FROM looked l ORDER BY l.id LIMIT 1) AS id FROM looked)
SELECT past.count, past.id, f.* FROM past LEFT JOIN LATERAL (
  SELECT l.id::text, l.workspace_id::text, l.workflow_id::text, l.workflow_version, l.status, l.mode, l.version,
         l.started_at, l.closed_at, coalesce(l.parent_id::text, ''), NULL::bytea, NULL::bytea[]
  FROM looked l
  WHERE (%(status)s < 0 OR l.status = %(status)s) AND (%(mode)s = '' OR l.mode = %(mode)s)
    AND (%(version)s = 0 OR l.workflow_version = %(version)s)
    AND (%(min)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at >= %(min)s))
    AND (%(max)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at <= %(max)s))
  ORDER BY l.id DESC LIMIT %(limit)s) AS f ON true

-- name: scan_workflow_status
-- The same of one workflow's that are not completed.
WITH looked AS MATERIALIZED (
  SELECT e.id, e.workspace_id, e.workflow_id, e.workflow_version, e.status, e.mode, e.version, e.started_at,
         e.closed_at, e.parent_id
  FROM executions e
  WHERE e.workflow_id = %(workflow)s::uuid AND e.workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
    AND e.id >= %(floor)s::uuid AND e.status = %(status)s AND e.status <> 1
  ORDER BY e.id DESC LIMIT %(scan)s
), past AS (SELECT count(*) AS count, (SELECT l.id::text FROM looked l ORDER BY l.id LIMIT 1) AS id FROM looked)
SELECT past.count, past.id, f.* FROM past LEFT JOIN LATERAL (
  SELECT l.id::text, l.workspace_id::text, l.workflow_id::text, l.workflow_version, l.status, l.mode, l.version,
         l.started_at, l.closed_at, coalesce(l.parent_id::text, ''), NULL::bytea, NULL::bytea[]
  FROM looked l
  WHERE (%(mode)s = '' OR l.mode = %(mode)s) AND (%(version)s = 0 OR l.workflow_version = %(version)s)
    AND (%(min)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at >= %(min)s))
    AND (%(max)s = 0 OR (l.closed_at > 0 AND l.closed_at - l.started_at <= %(max)s))
  ORDER BY l.id DESC LIMIT %(limit)s) AS f ON true
