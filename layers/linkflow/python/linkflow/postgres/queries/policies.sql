-- name: read
-- A workspace's policy.
SELECT policy FROM workspace_policies WHERE workspace_id = %(id)s

-- name: write
-- Replace it.
INSERT INTO workspace_policies (workspace_id, policy) VALUES (%(id)s, %(policy)s)
ON CONFLICT (workspace_id) DO UPDATE SET policy = EXCLUDED.policy
