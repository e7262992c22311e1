-- name: of
-- Rules of a workspace that hold: whoever writes a transition that may be told asks for them.
SELECT id::text, workspace_id::text, version, kinds, workflows::text[], every_ms, after_ms, looked_to
FROM notification_rules WHERE workspace_id = %(workspace)s::uuid AND enabled

-- name: take_long
-- Rules about long runs that are due; nobody else gets them until they are due again.
UPDATE notification_rules SET look_at = %(until)s::bigint
WHERE id IN (
  SELECT id FROM notification_rules WHERE look_at <= %(now)s::bigint ORDER BY look_at LIMIT %(limit)s
  FOR UPDATE SKIP LOCKED
)
RETURNING id::text, workspace_id::text, version, kinds, workflows::text[], every_ms, after_ms, looked_to

-- name: looked
-- How far a rule has looked, and when it is to look again.
UPDATE notification_rules SET looked_to = %(to)s::bigint, look_at = %(again)s::bigint
WHERE id = %(id)s::uuid AND looked_to < %(to)s::bigint AND look_at IS NOT NULL

-- name: list
-- All rules of a workspace, the oldest first.
SELECT id::text, name, enabled, kinds, workflows::text[], every_ms, after_ms, channel, version, created_at, updated_at
FROM notification_rules WHERE workspace_id = %(workspace)s::uuid ORDER BY id

-- name: get
-- One of them.
SELECT id::text, name, enabled, kinds, workflows::text[], every_ms, after_ms, channel, version, created_at, updated_at
FROM notification_rules WHERE workspace_id = %(workspace)s::uuid AND id = %(id)s::uuid

-- name: put
-- A new rule, or what it is from now on, unless somebody else changed it first.
INSERT INTO notification_rules AS n
  (id, workspace_id, name, enabled, kinds, workflows, every_ms, after_ms, channel, version, created_at, updated_at,
   looked_to, look_at)
VALUES (%(id)s::uuid, %(workspace)s::uuid, %(name)s, %(enabled)s, %(kinds)s::text[], %(workflows)s::uuid[], %(every)s,
        %(after)s, %(channel)s::bytea, %(version)s, %(at)s, %(at)s, %(looked_to)s, %(look_at)s::bigint)
ON CONFLICT (id) DO UPDATE
SET name = excluded.name, enabled = excluded.enabled, kinds = excluded.kinds, workflows = excluded.workflows,
    every_ms = excluded.every_ms, after_ms = excluded.after_ms, channel = excluded.channel,
    version = excluded.version, updated_at = excluded.updated_at,
    looked_to = CASE WHEN n.look_at IS NOT NULL AND n.after_ms = excluded.after_ms
                     THEN n.looked_to ELSE excluded.looked_to END,
    look_at = excluded.look_at
WHERE n.workspace_id = excluded.workspace_id AND n.version = excluded.version - 1
RETURNING 1

-- name: put_workflow
-- The workflow that carries a rule's deliveries. To people it is a deleted one, so no list of workflows shows it; the
-- engine runs deleted ones to their end as it runs any.
INSERT INTO workflows (id, workspace_id, name, description, version, created_at, updated_at, deleted_at)
VALUES (%(id)s::uuid, %(workspace)s::uuid, %(name)s, '', %(version)s, %(at)s, %(at)s, %(at)s)
ON CONFLICT (id) DO UPDATE
SET name = excluded.name, version = excluded.version, updated_at = excluded.updated_at

-- name: add_version
-- A version of it, for ever.
INSERT INTO workflow_versions (workflow_id, version, definition, created_at)
VALUES (%(id)s::uuid, %(version)s, %(definition)s::bytea, %(at)s)

-- name: delete
-- It tells nobody any more. What is on its way arrives.
DELETE FROM notification_rules WHERE workspace_id = %(workspace)s::uuid AND id = %(id)s::uuid RETURNING 1

-- name: workflows
-- Which of these are the workspace's.
SELECT id::text FROM workflows
WHERE id = ANY (%(ids)s::uuid[]) AND workspace_id = %(workspace)s::uuid AND deleted_at = 0
