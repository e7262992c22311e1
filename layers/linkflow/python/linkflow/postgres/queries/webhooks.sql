-- name: find
-- A webhook by the id in its address.
SELECT id, workflow_id::text, node_id, workspace_id::text, workflow_version, active, rules FROM webhooks WHERE id = %s
