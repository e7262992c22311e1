-- name: put
-- Keep blobs; one that is there is the same.
INSERT INTO blobs (execution_id, workspace_id, name, data)
SELECT * FROM unnest(%(execution)s::uuid[], %(workspace)s::uuid[], %(name)s::text[], %(data)b::bytea[])
ON CONFLICT DO NOTHING

-- name: get
-- Blobs by run and name, each only in its own workspace.
SELECT b.workspace_id::text, b.execution_id::text, b.name, b.data
FROM unnest(%(execution)s::uuid[], %(workspace)s::uuid[], %(name)s::text[]) AS k (execution, workspace, name)
JOIN blobs b ON b.execution_id = k.execution AND b.name = k.name AND b.workspace_id = k.workspace

-- name: drop
-- Forget all blobs of runs.
DELETE FROM blobs b
USING unnest(%(execution)s::uuid[], %(workspace)s::uuid[]) AS r (execution, workspace)
WHERE b.execution_id = r.execution AND b.workspace_id = r.workspace
