-- name: page
-- A page of a workspace's credentials, newest first.
SELECT id::text, workspace_id::text, name, kind, description, hosts, roles, shown, status, status_at, status_detail,
       expires_at, version, lock_version, created_by, created_at, updated_at, key_id,
       ARRAY(
         SELECT coalesce(r.name, k.role) FROM unnest(c.roles) WITH ORDINALITY k (role, place)
         LEFT JOIN roles r ON r.workspace_id = c.workspace_id AND r.id::text = k.role ORDER BY k.place)
FROM credentials c
WHERE workspace_id = %(workspace)s AND (%(before)s::uuid IS NULL OR c.id < %(before)s)
  AND (%(kind)s = '' OR kind = %(kind)s)
ORDER BY c.id DESC
LIMIT %(limit)s

-- name: get
-- One of them.
SELECT id::text, workspace_id::text, name, kind, description, hosts, roles, shown, status, status_at, status_detail,
       expires_at, version, lock_version, created_by, created_at, updated_at, key_id,
       ARRAY(
         SELECT coalesce(r.name, k.role) FROM unnest(c.roles) WITH ORDINALITY k (role, place)
         LEFT JOIN roles r ON r.workspace_id = c.workspace_id AND r.id::text = k.role ORDER BY k.place)
FROM credentials c
WHERE id = %(id)s AND workspace_id = %(workspace)s

-- name: insert
-- A new one, unless there is one with such a name.
INSERT INTO credentials (id, workspace_id, name, slug, kind, description, hosts, roles, shown, version, key_id, key, data,
                         expires_at, status, status_at, status_detail, created_by, created_at, updated_at)
VALUES (%(id)s, %(workspace)s, %(name)s, %(slug)s, %(kind)s, %(description)s, %(hosts)s, %(roles)s, %(shown)s, %(version)s,
        %(key_id)s, %(key)s, %(data)s, %(expires_at)s, %(status)s, %(at)s, '', %(actor)s, %(at)s, %(at)s)
ON CONFLICT (workspace_id, slug) DO NOTHING

-- name: update
-- Change it, unless somebody else did first. New fields end what its tokens were for.
UPDATE credentials
SET name = %(name)s, slug = %(slug)s, description = %(description)s, hosts = %(hosts)s, roles = %(roles)s,
    shown = %(shown)s, expires_at = %(expires_at)s, updated_at = %(at)s, lock_version = lock_version + 1,
    version = %(version)s,
    key_id = coalesce(%(key_id)s, key_id), key = coalesce(%(key)s, key), data = coalesce(%(data)s, data),
    status = CASE WHEN %(key_id)s::text IS NULL THEN status ELSE %(status)s END,
    status_at = CASE WHEN %(key_id)s::text IS NULL THEN status_at ELSE %(at)s END,
    status_detail = CASE WHEN %(key_id)s::text IS NULL THEN status_detail ELSE '' END,
    tokens_version = tokens_version + CASE WHEN %(key_id)s::text IS NULL THEN 0 ELSE 1 END,
    tokens_key_id = CASE WHEN %(key_id)s::text IS NULL THEN tokens_key_id ELSE '' END,
    tokens_key = CASE WHEN %(key_id)s::text IS NULL THEN tokens_key END,
    tokens_data = CASE WHEN %(key_id)s::text IS NULL THEN tokens_data END
WHERE id = %(id)s AND workspace_id = %(workspace)s AND lock_version = %(expected)s

-- name: delete
-- It is gone, and what was sealed with it.
DELETE FROM credentials WHERE id = %(id)s AND workspace_id = %(workspace)s

-- name: sealed
-- What a worker opens.
SELECT id::text, workspace_id::text, name, slug, kind, version, key_id, key, data, hosts, expires_at, status,
       tokens_key_id, tokens_key, tokens_data, tokens_version
FROM credentials
WHERE workspace_id = %(workspace)s AND id = ANY (%(ids)s::uuid[])
UNION ALL
SELECT id::text, workspace_id::text, name, slug, kind, version, key_id, key, data, hosts, expires_at, status,
       tokens_key_id, tokens_key, tokens_data, tokens_version
FROM credentials
WHERE workspace_id = %(workspace)s AND slug = ANY (%(slugs)s) AND NOT id = ANY (%(ids)s::uuid[])

-- name: briefs
-- What a workflow that refers to them has to know.
SELECT id::text, name, slug, kind, roles,
       ARRAY(
         SELECT coalesce(r.name, k.role) FROM unnest(c.roles) WITH ORDINALITY k (role, place)
         LEFT JOIN roles r ON r.workspace_id = c.workspace_id AND r.id::text = k.role ORDER BY k.place)
FROM credentials c
WHERE workspace_id = %(workspace)s AND id = ANY (%(ids)s::uuid[])
UNION ALL
SELECT id::text, name, slug, kind, roles,
       ARRAY(
         SELECT coalesce(r.name, k.role) FROM unnest(c.roles) WITH ORDINALITY k (role, place)
         LEFT JOIN roles r ON r.workspace_id = c.workspace_id AND r.id::text = k.role ORDER BY k.place)
FROM credentials c
WHERE workspace_id = %(workspace)s AND slug = ANY (%(slugs)s) AND NOT id = ANY (%(ids)s::uuid[])

-- name: uses
-- A page of the workspace's workflows, newest first, and whether each speaks of the credential now.
SELECT w.id::text, w.name, w.active,
       position(%(one)s::bytea IN v.definition) > 0 OR position(%(other)s::bytea IN v.definition) > 0
FROM (
  SELECT id, name, active, version FROM workflows
  WHERE workspace_id = %(workspace)s AND deleted_at = 0 AND (%(before)s::uuid IS NULL OR id < %(before)s)
  ORDER BY id DESC
  LIMIT %(limit)s
) w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
ORDER BY w.id DESC

-- name: claim
-- The right to fetch new tokens, for one at a time.
UPDATE credentials SET lease_holder = %(holder)s, lease_until = %(until)s
WHERE id = %(id)s AND workspace_id = %(workspace)s AND (lease_until <= %(now)s OR lease_holder = %(holder)s)

-- name: keep_tokens
-- What came of it, unless the right was lost meanwhile.
UPDATE credentials
SET tokens_version = tokens_version + CASE WHEN %(key_id)s::text IS NULL THEN 0 ELSE 1 END,
    tokens_key_id = coalesce(%(key_id)s, tokens_key_id), tokens_key = coalesce(%(key)s, tokens_key),
    tokens_data = coalesce(%(data)s, tokens_data),
    status = CASE WHEN %(status)s = '' THEN status ELSE %(status)s END,
    status_at = CASE WHEN %(status)s = '' THEN status_at ELSE %(now)s END,
    status_detail = CASE WHEN %(status)s = '' THEN status_detail ELSE %(detail)s END,
    lease_holder = '', lease_until = 0
WHERE id = %(id)s AND workspace_id = %(workspace)s AND tokens_version = %(expected)s AND lease_holder = %(holder)s

-- name: after
-- Everything sealed, a page in the order of ids.
SELECT id::text, workspace_id::text, version, key_id, key, data, tokens_version, tokens_key_id, tokens_key, tokens_data
FROM credentials c
WHERE c.id > %(after)s
ORDER BY c.id
LIMIT %(limit)s

-- name: rewrap
-- The same under another key, unless somebody else wrote first.
UPDATE credentials
SET key_id = %(key_id)s, key = %(key)s, data = %(data)s, tokens_key_id = %(tokens_key_id)s, tokens_key = %(tokens_key)s,
    tokens_data = %(tokens_data)s
WHERE id = %(id)s AND version = %(version)s AND tokens_version = %(tokens_version)s AND key_id = %(old_key_id)s
  AND tokens_key_id = %(old_tokens_key_id)s

-- name: keys
-- How much each key has sealed. For operators: it reads the whole table, which is small.
SELECT key_id, count(*) FROM (
  SELECT key_id FROM credentials
  UNION ALL
  SELECT tokens_key_id FROM credentials WHERE tokens_key_id <> ''
  UNION ALL
  SELECT key_id FROM variables WHERE secret
) sealed (key_id)
GROUP BY key_id
ORDER BY key_id
