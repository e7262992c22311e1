-- name: add
-- A link that was made.
INSERT INTO approval_links (execution_id, node_key, id, workspace_id, note, created_by, created_at, expires_at)
VALUES (%(execution)s, %(node)s, %(id)s, %(workspace)s, %(note)s, %(actor)s, %(at)s, %(until)s)

-- name: list
-- Those of an approval, the newest first.
SELECT id, note, created_by, created_at, expires_at, revoked_by, revoked_at FROM approval_links
WHERE execution_id = %(execution)s AND node_key = %(node)s AND workspace_id = %(workspace)s
ORDER BY created_at DESC, id DESC LIMIT 200

-- name: revoke
-- One of them is good no more.
UPDATE approval_links SET revoked_by = %(actor)s, revoked_at = %(at)s
WHERE execution_id = %(execution)s AND node_key = %(node)s AND id = %(id)s AND workspace_id = %(workspace)s
  AND revoked_at = 0

-- name: revoke_messages
-- Those in messages are good no more.
INSERT INTO approval_links (execution_id, node_key, id, workspace_id, created_at, expires_at, revoked_by, revoked_at)
VALUES (%(execution)s, %(node)s, '', %(workspace)s, %(at)s, 0, %(actor)s, %(at)s)
ON CONFLICT DO NOTHING

-- name: stands
-- Is a link good still? Nobody decides by a link to a workspace that is gone.
SELECT CASE WHEN %(id)s = '' THEN coalesce(l.revoked_at, 0) = 0 ELSE l.revoked_at = 0 END
FROM workspaces w LEFT JOIN approval_links l
  ON l.execution_id = %(execution)s AND l.node_key = %(node)s AND l.id = %(id)s AND l.workspace_id = w.id
WHERE w.id = %(workspace)s AND w.deleted_at = 0

-- name: forget
-- Those whose time is over, some at once.
DELETE FROM approval_links WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM approval_links WHERE expires_at > 0 AND expires_at <= %(now)s ORDER BY expires_at LIMIT 5000))
