-- name: add
-- A new workspace.
INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (%(id)s, %(name)s, %(at)s, %(at)s)

-- name: of_user
-- The workspaces that somebody is a member of, oldest first.
SELECT w.id::text, w.name, coalesce(r.name, m.role), w.created_at, w.updated_at, r.permissions,
       coalesce(r.id::text, '')
FROM members m JOIN workspaces w ON w.id = m.workspace_id
LEFT JOIN roles r ON r.id = m.role_id AND m.role = 'viewer'
WHERE m.user_id = %s AND w.deleted_at = 0
ORDER BY w.id

-- name: get
-- One workspace as one of its members sees it.
SELECT w.id::text, w.name, coalesce(r.name, m.role), w.created_at, w.updated_at, r.permissions,
       coalesce(r.id::text, '')
FROM members m JOIN workspaces w ON w.id = m.workspace_id
LEFT JOIN roles r ON r.id = m.role_id AND m.role = 'viewer'
WHERE m.workspace_id = %(id)s AND m.user_id = %(user_id)s AND w.deleted_at = 0

-- name: enter
-- Of callers: does the session live, and the workspace as the member sees it. Asked at every call.
SELECT EXISTS (SELECT FROM refresh_tokens WHERE family = e.family), w.id::text, w.name, coalesce(r.name, m.role),
       w.created_at, w.updated_at, r.permissions, coalesce(r.id::text, '')
FROM unnest(%(ids)s::uuid[], %(users)s::uuid[], %(families)s::uuid[]) WITH ORDINALITY e (workspace_id, user_id, family, n)
LEFT JOIN (members m JOIN workspaces w ON w.id = m.workspace_id AND w.deleted_at = 0)
  ON m.workspace_id = e.workspace_id AND m.user_id = e.user_id
LEFT JOIN roles r ON r.id = m.role_id AND m.role = 'viewer'
ORDER BY e.n

-- name: plain
-- One workspace, without a member.
SELECT id::text, name, '', created_at, updated_at FROM workspaces WHERE id = %s AND deleted_at = 0

-- name: own_role
-- A role of the workspace's own.
SELECT id::text, name, permissions FROM roles WHERE workspace_id = %(id)s AND lower(name) = lower(%(name)s)

-- name: rename
-- Another name.
UPDATE workspaces SET name = %(name)s, updated_at = %(at)s WHERE id = %(id)s

-- name: delete
-- Hide a workspace; its runs still need it.
UPDATE workspaces SET deleted_at = %(at)s WHERE id = %(id)s

-- name: deleted
-- Those that somebody may restore, the last one first.
SELECT w.id::text, w.name, w.created_at, w.deleted_at
FROM members m JOIN workspaces w ON w.id = m.workspace_id
WHERE m.user_id = %s AND m.role = 'owner' AND w.deleted_at > 0 AND w.purge_at = 0
ORDER BY w.deleted_at DESC LIMIT 200

-- name: lock_deleted
-- One of those, held.
SELECT w.deleted_at FROM workspaces w
WHERE w.id = %(id)s AND w.deleted_at > 0 AND w.purge_at = 0
  AND EXISTS (SELECT FROM members m WHERE m.workspace_id = w.id AND m.user_id = %(user_id)s AND m.role = 'owner')
FOR UPDATE OF w

-- name: restore_workflows
-- Those that were deleted with it come back, switched off.
UPDATE workflows SET deleted_at = 0, lock_version = lock_version + 1, updated_at = %(at)s
WHERE workspace_id = %(id)s AND deleted_at = %(deleted_at)s

-- name: restore
-- And the workspace.
UPDATE workspaces SET deleted_at = 0, updated_at = %(at)s WHERE id = %(id)s

-- name: stop_environments
-- Nothing is active in its other environments.
UPDATE workflow_environments SET active = false, updated_at = %(at)s WHERE workspace_id = %(id)s

-- name: delete_workflows
-- Hide its workflows.
UPDATE workflows SET deleted_at = %(at)s, active = false, lock_version = lock_version + 1
WHERE workspace_id = %(id)s AND deleted_at = 0

-- name: stop_webhooks
-- Its webhooks answer no more.
UPDATE webhooks SET active = false WHERE workspace_id = %(id)s

-- name: stop_schedules
-- Its schedules fire no more.
UPDATE schedules SET paused = true, look_at = NULL, revision = revision + 1 WHERE workspace_id = %(id)s

-- name: lock
-- One change of a workspace's members at a time, or two owners could remove each other.
SELECT id FROM workspaces WHERE id = %(id)s FOR UPDATE

-- name: members
-- Who is in, in order of joining.
SELECT u.id::text, u.email, u.first_name, u.last_name, coalesce(r.name, m.role), m.joined_at, r.permissions
FROM members m JOIN users u ON u.id = m.user_id
LEFT JOIN roles r ON r.id = m.role_id AND m.role = 'viewer'
WHERE m.workspace_id = %s
ORDER BY m.joined_at, u.id

-- name: put_member
-- Add a member or change the role, unless that takes the last owner away.
INSERT INTO members (workspace_id, user_id, role, role_id, joined_at)
VALUES (%(id)s, %(user_id)s, %(role)s, %(role_id)s, %(at)s)
ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = excluded.role, role_id = excluded.role_id
WHERE excluded.role = 'owner' OR EXISTS (
  SELECT FROM members o WHERE o.workspace_id = %(id)s AND o.role = 'owner' AND o.user_id <> %(user_id)s)

-- name: remove_member
-- Remove a member, unless it is the last owner.
DELETE FROM members m
WHERE m.workspace_id = %(id)s AND m.user_id = %(user_id)s
  AND (m.role <> 'owner' OR EXISTS (
    SELECT FROM members o WHERE o.workspace_id = %(id)s AND o.role = 'owner' AND o.user_id <> %(user_id)s))
