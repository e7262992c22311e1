-- name: environments
-- A workspace's environments besides production.
SELECT name, description, active, created_at, updated_at FROM environments WHERE workspace_id = %(workspace_id)s ORDER BY name

-- name: add_environment
-- A new one, unless its name is taken.
INSERT INTO environments (workspace_id, name, description, active, created_at, updated_at)
VALUES (%(workspace_id)s, %(name)s, %(description)s, %(active)s, %(at)s, %(at)s)
ON CONFLICT DO NOTHING

-- name: change_environment
-- What it is for, and whether anything runs in it.
UPDATE environments SET description = %(description)s, active = %(active)s, updated_at = %(at)s
WHERE workspace_id = %(workspace_id)s AND name = %(name)s

-- name: drop_environment
-- It is not wanted any more.
DELETE FROM environments WHERE workspace_id = %(workspace_id)s AND name = %(name)s

-- name: drop_running
-- Nothing is released in it any more.
DELETE FROM workflow_environments WHERE workspace_id = %(workspace_id)s AND environment = %(name)s

-- name: rest_running
-- Everything in it is switched off.
UPDATE workflow_environments SET active = false WHERE workspace_id = %(workspace_id)s AND environment = %(name)s

-- name: drop_hooks
-- Its webhooks go.
DELETE FROM webhooks WHERE workspace_id = %(workspace_id)s AND split_part(node_id, E'\x1f', 2) = %(name)s

-- name: rest_hooks
-- Its webhooks answer no more.
UPDATE webhooks SET active = false WHERE workspace_id = %(workspace_id)s AND split_part(node_id, E'\x1f', 2) = %(name)s

-- name: drop_crons
-- Its schedules go.
DELETE FROM schedules WHERE workspace_id = %(workspace_id)s AND split_part(node_id, E'\x1f', 2) = %(name)s

-- name: rest_crons
-- Its schedules fire no more.
UPDATE schedules SET paused = true, revision = revision + 1
WHERE workspace_id = %(workspace_id)s AND split_part(node_id, E'\x1f', 2) = %(name)s

-- name: rest_firings
-- Firings of its schedules that wait rest for ever.
UPDATE schedule_firings f SET outcome = 'skipped', reason = 'switched_off', open = false
FROM schedules s
WHERE s.workspace_id = %(workspace_id)s AND split_part(s.node_id, E'\x1f', 2) = %(name)s
  AND f.workflow_id = s.workflow_id AND f.node_id = s.node_id AND f.open AND f.outcome IN ('queued', 'starting')

-- name: running
-- What runs of a workflow in which environment, and since which release.
SELECT e.environment, e.version, e.active, r.number, coalesce(r.verb, ''), r.source, coalesce(r.note, ''), coalesce(r.at, 0),
       coalesce(r.actor::text, '')
FROM (
  SELECT '' AS environment, version, active FROM workflows WHERE id = %(id)s
  UNION ALL
  SELECT environment, version, active FROM workflow_environments WHERE workflow_id = %(id)s
) AS e
LEFT JOIN LATERAL (
  SELECT number, verb, source, note, at, actor FROM releases
  WHERE workflow_id = %(id)s AND environment = e.environment ORDER BY number DESC LIMIT 1
) AS r ON true
ORDER BY e.environment

-- name: releases
-- A page of a workflow's releases, newest first.
SELECT number, environment, version, verb, source, note, at, coalesce(actor::text, '')
FROM releases
WHERE workflow_id = %(id)s AND (%(before)s = 0 OR number < %(before)s)
ORDER BY number DESC
LIMIT %(limit)s

-- name: releases_of
-- The same of one environment.
SELECT number, environment, version, verb, source, note, at, coalesce(actor::text, '')
FROM releases
WHERE workflow_id = %(id)s AND environment = %(environment)s AND (%(before)s = 0 OR number < %(before)s)
ORDER BY number DESC
LIMIT %(limit)s

-- name: draft
-- The draft of a workflow.
SELECT definition, base_version, revision, saved_at, coalesce(saved_by::text, '') FROM workflow_drafts WHERE workflow_id = %(id)s

-- name: put_draft
-- Save it, unless somebody else saved another one first.
INSERT INTO workflow_drafts AS d (workflow_id, definition, base_version, revision, saved_at, saved_by)
VALUES (%(id)s, %(definition)s, %(base)s, 1, %(at)s, %(actor)s)
ON CONFLICT (workflow_id) DO UPDATE
SET definition = excluded.definition, base_version = excluded.base_version, revision = d.revision + 1,
    saved_at = excluded.saved_at, saved_by = excluded.saved_by
WHERE %(expected)s::integer[] IS NULL OR d.revision = ANY (%(expected)s::integer[])
RETURNING revision

-- name: drop_draft
-- It is not wanted any more.
DELETE FROM workflow_drafts WHERE workflow_id = %(id)s
