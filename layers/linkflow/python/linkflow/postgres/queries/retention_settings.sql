-- name: read
-- What a workspace has set.
SELECT workflow_id::text, days FROM retention_settings WHERE workspace_id = %(workspace)s::uuid ORDER BY workflow_id

-- name: clear
-- It is set anew.
DELETE FROM retention_settings WHERE workspace_id = %(workspace)s::uuid

-- name: put
-- All that it sets.
INSERT INTO retention_settings (workspace_id, workflow_id, days)
SELECT %(workspace)s::uuid, * FROM unnest(%(workflows)s::uuid[], %(days)s::int[])

-- name: every
-- What all have set: upkeep goes by it.
SELECT workspace_id::text, workflow_id::text, days FROM retention_settings

-- name: workflows
-- Which of these are the workspace's.
SELECT id::text FROM workflows
WHERE id = ANY (%(ids)s::uuid[]) AND workspace_id = %(workspace)s::uuid AND deleted_at = 0
