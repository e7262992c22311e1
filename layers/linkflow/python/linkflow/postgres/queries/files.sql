-- name: lock
-- One writer at a time in a drawer: its bounds are looked at before it is written.
SELECT pg_advisory_xact_lock(hashtextextended(%(drawer)s, 0))

-- name: others
-- How many other files a drawer has, their bytes, and whether it has this one with its first bytes.
SELECT count(*) FILTER (WHERE name <> %(name)s), coalesce(sum(octet_length(data)) FILTER (WHERE name <> %(name)s), 0),
  max(encode(substring(data FROM 1 FOR 1024), 'base64')) FILTER (WHERE name = %(name)s)
FROM blobs WHERE execution_id = %(drawer)s::uuid AND workspace_id = %(workspace)s::uuid AND starts_with(name, 'file:')

-- name: put
-- Write a file; one of that name is replaced.
INSERT INTO blobs (execution_id, workspace_id, name, data)
VALUES (%(drawer)s::uuid, %(workspace)s::uuid, %(name)s, %(data)b)
ON CONFLICT (execution_id, name) DO UPDATE SET data = EXCLUDED.data

-- name: get
-- A file, whole.
SELECT data FROM blobs
WHERE execution_id = %(drawer)s::uuid AND name = %(name)s AND workspace_id = %(workspace)s::uuid

-- name: head
-- A file's first bytes, and how many it has.
SELECT substring(data FROM 1 FOR 1024), octet_length(data) FROM blobs
WHERE execution_id = %(drawer)s::uuid AND name = %(name)s AND workspace_id = %(workspace)s::uuid

-- name: list
-- Files by name, behind one of them: first bytes and sizes.
SELECT name, substring(data FROM 1 FOR 1024), octet_length(data) FROM blobs
WHERE execution_id = %(drawer)s::uuid AND name > %(after)s AND workspace_id = %(workspace)s::uuid
  AND starts_with(name, %(prefix)s)
ORDER BY name LIMIT %(limit)s

-- name: delete
-- Forget files; those that were there.
DELETE FROM blobs
WHERE execution_id = %(drawer)s::uuid AND name = ANY(%(names)s::text[]) AND workspace_id = %(workspace)s::uuid
RETURNING name
