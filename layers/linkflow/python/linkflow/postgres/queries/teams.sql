-- name: roles
-- A workspace's own roles, by name.
SELECT r.id::text, r.name, r.permissions, r.created_at, r.updated_at,
       (SELECT count(*) FROM members m WHERE m.role_id = r.id AND m.role = 'viewer')
FROM roles r WHERE r.workspace_id = %s ORDER BY lower(r.name)

-- name: add_role
-- A new one, unless the name is taken.
INSERT INTO roles (id, workspace_id, name, permissions, created_at, updated_at)
VALUES (%(id)s, %(workspace_id)s, %(name)s, %(permissions)s, %(created_at)s, %(updated_at)s)
ON CONFLICT (workspace_id, lower(name)) DO NOTHING

-- name: update_role
-- Another name and other permissions, unless the name is another one's.
UPDATE roles SET name = %(name)s, permissions = %(permissions)s, updated_at = %(updated_at)s
WHERE id = %(id)s AND workspace_id = %(workspace_id)s AND NOT EXISTS (
  SELECT FROM roles o WHERE o.workspace_id = %(workspace_id)s AND lower(o.name) = lower(%(name)s) AND o.id <> %(id)s)

-- name: loosen_role
-- Whoever had it once, and has another one by older code, has it no more.
UPDATE members SET role_id = NULL WHERE role_id = %(id)s AND role <> 'viewer'

-- name: delete_role
-- Unless a member has it.
DELETE FROM roles r WHERE r.id = %(id)s AND r.workspace_id = %(workspace_id)s
  AND NOT EXISTS (SELECT FROM members m WHERE m.role_id = r.id)

-- name: lock
-- One change of a workspace's members at a time.
SELECT id FROM workspaces WHERE id = %(workspace_id)s FOR UPDATE

-- name: invite
-- An invitation; one that the address has already is replaced.
INSERT INTO invitations (id, workspace_id, email, role, role_id, token_hash, invited_by, created_at, expires_at)
VALUES (%(id)s, %(workspace_id)s, %(email)s, %(role)s, %(role_id)s, %(token_hash)s, %(invited_by)s, %(created_at)s,
        %(expires_at)s)
ON CONFLICT (workspace_id, lower(email)) DO UPDATE SET
  id = excluded.id, email = excluded.email, role = excluded.role, role_id = excluded.role_id,
  token_hash = excluded.token_hash, invited_by = excluded.invited_by, created_at = excluded.created_at,
  expires_at = excluded.expires_at

-- name: drop_old_invitations
-- Those whose time is over.
DELETE FROM invitations WHERE workspace_id = %(workspace_id)s AND expires_at <= %(at)s

-- name: invitations
-- Those that are open, newest first.
SELECT i.id::text, i.workspace_id::text, i.email, coalesce(r.name, i.role), coalesce(i.role_id::text, ''),
       i.invited_by::text, i.created_at, i.expires_at, w.name, coalesce(u.email, '')
FROM invitations i JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN roles r ON r.id = i.role_id
LEFT JOIN users u ON u.id = i.invited_by
WHERE i.workspace_id = %(workspace_id)s AND i.expires_at > %(at)s
ORDER BY i.id DESC LIMIT 500

-- name: invitation
-- The one with this token.
SELECT i.id::text, i.workspace_id::text, i.email, coalesce(r.name, i.role), coalesce(i.role_id::text, ''),
       i.invited_by::text, i.created_at, i.expires_at, w.name, coalesce(u.email, '')
FROM invitations i JOIN workspaces w ON w.id = i.workspace_id LEFT JOIN roles r ON r.id = i.role_id
LEFT JOIN users u ON u.id = i.invited_by
WHERE i.token_hash = %(hash)s AND i.expires_at > %(at)s AND w.deleted_at = 0

-- name: withdraw
-- Not any more.
DELETE FROM invitations WHERE id = %(id)s AND workspace_id = %(workspace_id)s

-- name: join
-- A new member. One who is in already stays what he is.
INSERT INTO members (workspace_id, user_id, role, role_id, joined_at)
VALUES (%(workspace_id)s, %(user_id)s, %(role)s, %(role_id)s, %(at)s)
ON CONFLICT (workspace_id, user_id) DO NOTHING

-- name: hand_over
-- The owner becomes an admin, the heir owner: both or none.
UPDATE members SET role = CASE WHEN user_id = %(heir)s THEN 'owner' ELSE 'admin' END, role_id = NULL
WHERE workspace_id = %(workspace_id)s AND user_id IN (%(owner)s, %(heir)s) AND EXISTS (
  SELECT FROM members o WHERE o.workspace_id = %(workspace_id)s AND o.user_id = %(owner)s AND o.role = 'owner')

-- name: add_key
-- A key, stored as its hash.
INSERT INTO api_keys (id, hash, hint, name, user_id, workspace_id, permissions, created_by, created_at, expires_at)
VALUES (%(id)s, %(hash)s, %(hint)s, %(name)s, %(user_id)s, %(workspace_id)s, %(permissions)s, %(created_by)s,
        %(created_at)s, %(expires_at)s)

-- name: find_key
-- A key by its hash: asked at every call that comes with one.
SELECT id::text, hint, name, coalesce(user_id::text, ''), coalesce(workspace_id::text, ''), permissions,
       created_by::text, created_at, expires_at, last_used_at, last_used_ip
FROM api_keys WHERE hash = %s

-- name: used_key
-- When it was last used, and from where.
UPDATE api_keys SET last_used_at = %(at)s, last_used_ip = %(ip)s WHERE id = %(id)s AND last_used_at < %(at)s

-- name: keys_of_user
-- Somebody's own keys, newest first.
SELECT id::text, hint, name, coalesce(user_id::text, ''), coalesce(workspace_id::text, ''), permissions,
       created_by::text, created_at, expires_at, last_used_at, last_used_ip
FROM api_keys WHERE user_id = %s ORDER BY id DESC LIMIT 200

-- name: keys_of_workspace
-- A workspace's own keys, newest first.
SELECT id::text, hint, name, coalesce(user_id::text, ''), coalesce(workspace_id::text, ''), permissions,
       created_by::text, created_at, expires_at, last_used_at, last_used_ip
FROM api_keys WHERE workspace_id = %s AND user_id IS NULL ORDER BY id DESC LIMIT 200

-- name: delete_key
-- Revoke one: a person's own, or a workspace's own.
DELETE FROM api_keys WHERE id = %(id)s AND user_id IS NOT DISTINCT FROM %(user_id)s::uuid
  AND (%(workspace_id)s::uuid IS NULL OR workspace_id = %(workspace_id)s::uuid)
