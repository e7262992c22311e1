-- name: page
-- A page of a workspace's workflows, newest first.
SELECT id::text, workspace_id::text, name, description, active, version, lock_version, created_at, updated_at,
       greatest(last_version, version), coalesce(folder_id::text, ''), locked_at, locked_by, locker, lock_reason
FROM workflows w
WHERE workspace_id = %(workspace_id)s AND deleted_at = 0
  AND (%(active)s::boolean IS NULL OR active = %(active)s)
  AND (%(before)s::uuid IS NULL OR w.id < %(before)s)
ORDER BY w.id DESC
LIMIT %(limit)s

-- name: get
-- One workflow of a workspace.
SELECT id::text, workspace_id::text, name, description, active, version, lock_version, created_at, updated_at,
       greatest(last_version, version), coalesce(folder_id::text, ''), locked_at, locked_by, locker, lock_reason
FROM workflows
WHERE id = %(id)s AND workspace_id = %(workspace_id)s AND deleted_at = 0

-- name: running
-- What of a workflow runs in an environment besides production.
SELECT coalesce(w.version, 0), e.active
FROM environments e LEFT JOIN workflow_environments w ON w.workflow_id = %(id)s AND w.environment = e.name
WHERE e.workspace_id = %(workspace_id)s AND e.name = %(name)s

-- name: definition
-- One version's definition.
SELECT definition FROM workflow_versions WHERE workflow_id = %(id)s AND version = %(version)s

-- name: versions
-- A page of a workflow's versions, newest first.
SELECT v.version, v.created_at, coalesce(v.created_by::text, ''), v.summary,
       coalesce(trim(u.first_name || ' ' || u.last_name), '')
FROM workflow_versions v LEFT JOIN users u ON u.id = v.created_by
WHERE v.workflow_id = %(id)s AND (%(before)s = 0 OR v.version < %(before)s)
ORDER BY v.version DESC
LIMIT %(limit)s

-- name: triggers
-- What starts these workflows, in each environment in the version that runs there.
SELECT h.workflow_id::text, h.node_id, h.id, h.rules, '', '', NULL::bigint, h.active AND NOT h.held
FROM webhooks h JOIN workflows w ON w.id = h.workflow_id
LEFT JOIN workflow_environments e ON e.workflow_id = h.workflow_id AND e.environment = split_part(h.node_id, E'\x1f', 2)
WHERE h.workflow_id = ANY (%(ids)s::uuid[])
  AND h.workflow_version = CASE WHEN strpos(h.node_id, E'\x1f') = 0 THEN w.version ELSE e.version END
UNION ALL
SELECT s.workflow_id::text, s.node_id, '', NULL::bytea, s.cron, s.timezone, s.next_at, NOT s.paused
FROM schedules s
WHERE s.workflow_id = ANY (%(ids)s::uuid[])
ORDER BY 1, 2

-- name: named
-- The oldest workflow of each of these names.
SELECT DISTINCT ON (name) name, id::text FROM workflows
WHERE workspace_id = %(workspace_id)s AND deleted_at = 0 AND name = ANY (%(names)s)
ORDER BY name, id

-- name: tags
-- What hangs on these workflows.
SELECT u.workflow_id::text, t.id::text, t.name, t.color FROM workflow_tags u JOIN tags t ON t.id = u.tag_id
WHERE u.workflow_id = ANY (%(ids)s::uuid[])
ORDER BY lower(t.name)

-- name: insert
-- A new workflow.
INSERT INTO workflows (id, workspace_id, name, description, active, version, created_by, created_at, updated_at, node_types)
VALUES (%(id)s, %(workspace_id)s, %(name)s, %(description)s, %(active)s, %(version)s, %(actor)s, %(at)s, %(at)s,
        %(node_types)s)

-- name: place_like
-- Into the folder that another one is in.
UPDATE workflows w SET folder_id = o.folder_id FROM workflows o
WHERE w.id = %(id)s AND o.id = %(like)s AND o.workspace_id = w.workspace_id

-- name: tag_like
-- With the tags that another one has.
INSERT INTO workflow_tags (workflow_id, tag_id) SELECT %(id)s, tag_id FROM workflow_tags WHERE workflow_id = %(like)s

-- name: update
-- Change a workflow, unless somebody else did first.
UPDATE workflows
SET name = %(name)s, description = %(description)s, active = %(active)s, version = %(version)s,
    last_version = greatest(last_version, version, %(number)s), lock_version = lock_version + 1, updated_at = %(at)s,
    node_types = %(node_types)s
WHERE id = %(id)s AND lock_version = %(expected)s AND deleted_at = 0

-- name: touch
-- Something about a workflow changes besides what runs in production, unless somebody else changed it first.
UPDATE workflows
SET last_version = greatest(last_version, version, %(number)s), lock_version = lock_version + 1, updated_at = %(at)s
WHERE id = %(id)s AND lock_version = %(expected)s AND deleted_at = 0

-- name: put_environment
-- What runs in another environment.
INSERT INTO workflow_environments (workflow_id, environment, workspace_id, version, active, updated_at)
VALUES (%(id)s, %(environment)s, %(workspace_id)s, %(version)s, %(active)s, %(at)s)
ON CONFLICT (workflow_id, environment) DO UPDATE
SET version = excluded.version, active = excluded.active, updated_at = excluded.updated_at

-- name: add_release
-- Another version runs somewhere; the workflow's own row, which was written first, orders two at once.
INSERT INTO releases (workflow_id, number, environment, version, verb, source, note, at, actor)
SELECT %(id)s, coalesce(max(number), 0) + 1, %(environment)s, %(version)s, %(verb)s, %(source)s, %(note)s, %(at)s, %(actor)s
FROM releases WHERE workflow_id = %(id)s

-- name: drop_draft
-- A draft became a version, or is not wanted any more.
DELETE FROM workflow_drafts WHERE workflow_id = %(id)s

-- name: add_version
-- A version, for ever.
INSERT INTO workflow_versions (workflow_id, version, definition, created_at, created_by, summary)
VALUES (%(id)s, %(number)s, %(definition)s, %(at)s, %(actor)s, %(summary)s)

-- name: put_webhook
-- The webhook of a node, under the id that it has, if it has one.
INSERT INTO webhooks (id, workflow_id, node_id, workspace_id, workflow_version, active, rules, updated_at)
VALUES (%(webhook_id)s, %(id)s, %(node_id)s, %(workspace_id)s, %(version)s, %(active)s, %(rules)s, %(at)s)
ON CONFLICT (workflow_id, node_id) DO UPDATE
SET workflow_version = excluded.workflow_version, active = excluded.active, rules = excluded.rules,
    updated_at = excluded.updated_at

-- name: stop_webhooks
-- Webhooks of nodes that are gone answer no more; the address waits for the node to come back.
UPDATE webhooks SET active = false
WHERE workflow_id = %(id)s AND node_id <> ALL (%(nodes)s)
  AND (%(environment)s::text IS NULL OR split_part(node_id, E'\x1f', 2) = %(environment)s)

-- name: put_schedule
-- The schedule of a node. One that runs and did not change keeps its next fire, which may be due this moment.
INSERT INTO schedules AS s (workflow_id, node_id, workspace_id, workflow_version, cron, timezone, next_at, ends_at, paused,
                            timetable, overlap, catch_up_window, catch_up, delay_ms)
VALUES (%(id)s, %(node_id)s, %(workspace_id)s, %(version)s, %(cron)s, %(timezone)s, %(next_at)s, %(ends_at)s, NOT %(active)s,
        %(timetable)s, %(overlap)s, %(catch_up_window)s, %(catch_up)s, %(delay_ms)s)
ON CONFLICT (workflow_id, node_id) DO UPDATE
SET workflow_version = excluded.workflow_version, cron = excluded.cron, timezone = excluded.timezone,
    ends_at = excluded.ends_at, paused = excluded.paused OR s.held, timetable = excluded.timetable,
    overlap = excluded.overlap, catch_up_window = excluded.catch_up_window, catch_up = excluded.catch_up,
    look_at = CASE WHEN NOT excluded.paused THEN s.look_at END, revision = s.revision + 1,
    (next_at, delay_ms) = (
      SELECT CASE WHEN kept THEN s.next_at ELSE excluded.next_at END,
             CASE WHEN kept THEN s.delay_ms ELSE excluded.delay_ms END
      FROM (SELECT (NOT s.paused OR s.held) AND (s.cron, s.timezone) = (excluded.cron, excluded.timezone)
              AND s.ends_at IS NOT DISTINCT FROM excluded.ends_at
              AND coalesce(s.timetable, excluded.timetable) = excluded.timetable) AS same (kept))

-- name: drop_firings
-- Firings that wait lose their schedule with its node, or rest for ever with a workflow that is off.
UPDATE schedule_firings SET outcome = 'skipped', reason = 'switched_off', open = false
WHERE workflow_id = %(id)s AND open AND outcome IN ('queued', 'starting') AND node_id <> ALL (%(nodes)s)
  AND (%(environment)s::text IS NULL OR split_part(node_id, E'\x1f', 2) = %(environment)s)

-- name: drop_schedules
-- Schedules of nodes that are gone.
DELETE FROM schedules
WHERE workflow_id = %(id)s AND node_id <> ALL (%(nodes)s)
  AND (%(environment)s::text IS NULL OR split_part(node_id, E'\x1f', 2) = %(environment)s)

-- name: delete
-- Hide a workflow, unless somebody changed it first; its runs still need its versions.
UPDATE workflows SET deleted_at = %(at)s, active = false, lock_version = lock_version + 1
WHERE id = %(id)s AND lock_version = %(expected)s AND deleted_at = 0
