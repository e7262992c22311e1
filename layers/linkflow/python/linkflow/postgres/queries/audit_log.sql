-- name: add
-- One entry.
INSERT INTO audit_log (id, workspace_id, user_id, actor, via, via_id, action, target_type, target_id, ip, user_agent,
                       request_id, changes)
VALUES (%(id)s, %(workspace)s, %(user)s, %(actor)s, %(via)s, %(via_id)s, %(action)s, %(target_type)s, %(target_id)s,
        %(ip)s, %(user_agent)s, %(request_id)s, %(changes)s)

-- name: add_many
-- Entries of calls that came together.
INSERT INTO audit_log (id, workspace_id, user_id, actor, via, via_id, action, target_type, target_id, ip, user_agent,
                       request_id, changes)
SELECT * FROM unnest(%(id)s::uuid[], %(workspace)s::uuid[], %(user)s::uuid[], %(actor)s::text[], %(via)s::text[],
                     %(via_id)s::text[], %(action)s::text[], %(target_type)s::text[], %(target_id)s::text[],
                     %(ip)s::text[], %(user_agent)s::text[], %(request_id)s::text[], %(changes)s::bytea[])

-- name: page
-- A workspace's entries, newest first.
SELECT id::text, coalesce(workspace_id::text, ''), coalesce(user_id::text, ''), actor, via, via_id, action, target_type,
       target_id, ip, user_agent, request_id, changes
FROM audit_log a
WHERE workspace_id = %(workspace)s AND a.id >= %(first)s::uuid AND a.id < %(beyond)s::uuid
ORDER BY a.id DESC LIMIT %(limit)s

-- name: by_actor
-- What one actor did there; perhaps of one kind.
SELECT id::text, coalesce(workspace_id::text, ''), coalesce(user_id::text, ''), actor, via, via_id, action, target_type,
       target_id, ip, user_agent, request_id, changes
FROM audit_log a
WHERE workspace_id::text || ' ' || actor = %(workspace)s::text || ' ' || %(actor)s::text AND a.id >= %(first)s::uuid AND a.id < %(beyond)s::uuid
  AND (%(action)s = '' OR action = %(action)s)
ORDER BY a.id DESC LIMIT %(limit)s

-- name: by_action
-- What was done of one kind there.
SELECT id::text, coalesce(workspace_id::text, ''), coalesce(user_id::text, ''), actor, via, via_id, action, target_type,
       target_id, ip, user_agent, request_id, changes
FROM audit_log a
WHERE workspace_id::text || ' ' || action = %(workspace)s::text || ' ' || %(action)s::text AND a.id >= %(first)s::uuid AND a.id < %(beyond)s::uuid
ORDER BY a.id DESC LIMIT %(limit)s

-- name: by_target
-- What was done to one thing there.
SELECT id::text, coalesce(workspace_id::text, ''), coalesce(user_id::text, ''), actor, via, via_id, action, target_type,
       target_id, ip, user_agent, request_id, changes
FROM audit_log a
WHERE workspace_id::text || ' ' || target_id = %(workspace)s::text || ' ' || %(target)s::text AND a.id >= %(first)s::uuid AND a.id < %(beyond)s::uuid
  AND (%(actor)s = '' OR actor = %(actor)s)
  AND (%(action)s = '' OR action = %(action)s)
ORDER BY a.id DESC LIMIT %(limit)s

-- name: of_account
-- What was done to an account.
SELECT id::text, coalesce(workspace_id::text, ''), coalesce(user_id::text, ''), actor, via, via_id, action, target_type,
       target_id, ip, user_agent, request_id, changes
FROM audit_log a
WHERE workspace_id IS NULL AND user_id = %(user)s AND a.id >= %(first)s::uuid AND a.id < %(beyond)s::uuid
  AND (%(action)s = '' OR action = %(action)s)
ORDER BY a.id DESC LIMIT %(limit)s

-- name: names
-- What actors are called.
SELECT 'user:' || id, email FROM users WHERE id = ANY(%(users)s::uuid[])
UNION ALL SELECT 'key:' || id, name FROM api_keys WHERE id = ANY(%(keys)s::uuid[])

-- name: forget
-- The oldest entries from before a time, which is in their ids.
DELETE FROM audit_log WHERE id IN (
  SELECT id FROM audit_log WHERE id < %(beyond)s::uuid ORDER BY id LIMIT %(limit)s)
