-- name: page
-- A page of a workspace's variables, newest first.
SELECT id::text, workspace_id::text, environment, key, value, secret, description, version, lock_version, created_at,
       updated_at, key_id
FROM variables v
WHERE workspace_id = %(workspace)s AND (%(before)s::uuid IS NULL OR v.id < %(before)s)
  AND (%(environment)s::text IS NULL OR environment = %(environment)s)
ORDER BY v.id DESC
LIMIT %(limit)s

-- name: get
-- One of them.
SELECT id::text, workspace_id::text, environment, key, value, secret, description, version, lock_version, created_at,
       updated_at, key_id
FROM variables
WHERE id = %(id)s AND workspace_id = %(workspace)s

-- name: count
-- How many there are: their number is bounded.
SELECT count(*) FROM variables WHERE workspace_id = %(workspace)s

-- name: insert
-- A new one, unless there is one.
INSERT INTO variables (id, workspace_id, environment, key, value, secret, description, version, key_id, sealed_key, data,
                       created_by, created_at, updated_at)
VALUES (%(id)s, %(workspace)s, %(environment)s, %(key)s, %(value)s, %(secret)s, %(description)s, %(version)s, %(key_id)s,
        %(sealed_key)s, %(data)s, %(actor)s, %(at)s, %(at)s)
ON CONFLICT (workspace_id, key, environment) DO NOTHING

-- name: update
-- Change it, unless somebody else did first.
UPDATE variables
SET environment = %(environment)s, key = %(key)s, value = %(value)s, secret = %(secret)s, description = %(description)s,
    version = %(version)s, updated_at = %(at)s, lock_version = lock_version + 1,
    key_id = CASE WHEN NOT %(secret)s THEN '' ELSE coalesce(%(key_id)s, key_id) END,
    sealed_key = CASE WHEN %(secret)s THEN coalesce(%(sealed_key)s, sealed_key) END,
    data = CASE WHEN %(secret)s THEN coalesce(%(data)s, data) END
WHERE id = %(id)s AND workspace_id = %(workspace)s AND lock_version = %(expected)s

-- name: delete
-- It is gone.
DELETE FROM variables WHERE id = %(id)s AND workspace_id = %(workspace)s

-- name: plain
-- Values for a run: those of its environment before those of all.
SELECT DISTINCT ON (key) key, value, secret FROM variables
WHERE workspace_id = %(workspace)s AND environment IN ('', %(environment)s)
  AND (%(keys)s::text[] IS NULL OR key = ANY (%(keys)s))
ORDER BY key, environment DESC

-- name: sealed
-- What a worker opens. A plain one of the environment hides a secret one of all.
SELECT id, workspace_id, key, version, key_id, sealed_key, data
FROM (
  SELECT DISTINCT ON (key) id::text, workspace_id::text, key, version, key_id, sealed_key, data, secret FROM variables
  WHERE workspace_id = %(workspace)s AND environment IN ('', %(environment)s) AND key = ANY (%(keys)s)
  ORDER BY key, environment DESC
) nearest
WHERE secret

-- name: after
-- Everything sealed, a page in the order of ids.
SELECT id::text, workspace_id::text, version, key_id, sealed_key, data
FROM variables v
WHERE v.id > %(after)s AND secret
ORDER BY v.id
LIMIT %(limit)s

-- name: rewrap
-- The same under another key, unless somebody else wrote first.
UPDATE variables SET key_id = %(key_id)s, sealed_key = %(key)s, data = %(data)s
WHERE id = %(id)s AND version = %(version)s AND key_id = %(old_key_id)s
