-- name: read
-- What a workspace may reach.
SELECT allow, "only", changed_at, changed_by FROM workspace_reach WHERE workspace_id = %(id)s

-- name: write
-- Replace it.
INSERT INTO workspace_reach (workspace_id, allow, "only", changed_at, changed_by)
VALUES (%(id)s, %(allow)s, %(only)s, %(at)s, %(by)s)
ON CONFLICT (workspace_id) DO UPDATE
SET allow = EXCLUDED.allow, "only" = EXCLUDED."only", changed_at = EXCLUDED.changed_at, changed_by = EXCLUDED.changed_by
