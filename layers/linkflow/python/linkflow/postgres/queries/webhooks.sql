-- name: find
-- Webhooks by the ids in their addresses.
SELECT id, workflow_id::text, node_id, workspace_id::text, workflow_version, active AND NOT held, rules FROM webhooks
WHERE id = ANY(%s)
