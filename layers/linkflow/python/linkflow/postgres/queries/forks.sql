-- name: remember
-- New runs and what they were made from, in the transaction that creates them.
INSERT INTO forks (source_id, execution_id)
SELECT * FROM unnest(%(source)s::uuid[], %(id)s::uuid[])
ON CONFLICT DO NOTHING

-- name: page_by_source
-- A page of the runs that were made from one, newest first.
SELECT e.id::text, e.workspace_id::text, e.workflow_id::text, e.workflow_version, e.status, e.mode, e.version,
       e.started_at, e.closed_at, coalesce(e.parent_id::text, ''), NULL::bytea, NULL::bytea[]
FROM executions e
WHERE e.id = ANY (ARRAY(SELECT f.execution_id FROM forks f WHERE f.source_id = %(source)s::uuid)) AND e.workspace_id = %(workspace)s::uuid AND e.id < %(before)s::uuid
  AND (%(workflow)s::uuid IS NULL OR e.workflow_id = %(workflow)s::uuid)
  AND (%(status)s < 0 OR e.status = %(status)s) AND (%(mode)s = '' OR e.mode = %(mode)s)
ORDER BY e.id DESC LIMIT %(limit)s
