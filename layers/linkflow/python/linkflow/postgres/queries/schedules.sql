-- name: page
-- A page of a workspace's schedules, by id.
SELECT s.id::text, s.workflow_id::text, w.name, s.node_id, s.cron, s.timezone, s.ends_at, s.timetable, s.overlap,
       s.catch_up_window, s.catch_up, s.next_at, s.delay_ms, coalesce(e.active, w.active), s.held, s.held_note, s.held_by, s.held_at, s.revision
FROM schedules s JOIN workflows w ON w.id = s.workflow_id
LEFT JOIN workflow_environments e ON e.workflow_id = s.workflow_id AND e.environment = split_part(s.node_id, E'\x1f', 2)
WHERE s.workspace_id = %(workspace_id)s AND w.deleted_at = 0 AND s.id > %(after)s::uuid
ORDER BY s.id
LIMIT %(limit)s

-- name: page_of_workflow
-- The same of one workflow.
SELECT s.id::text, s.workflow_id::text, w.name, s.node_id, s.cron, s.timezone, s.ends_at, s.timetable, s.overlap,
       s.catch_up_window, s.catch_up, s.next_at, s.delay_ms, coalesce(e.active, w.active), s.held, s.held_note, s.held_by, s.held_at, s.revision
FROM schedules s JOIN workflows w ON w.id = s.workflow_id
LEFT JOIN workflow_environments e ON e.workflow_id = s.workflow_id AND e.environment = split_part(s.node_id, E'\x1f', 2)
WHERE s.workflow_id = %(workflow_id)s AND s.workspace_id = %(workspace_id)s AND w.deleted_at = 0
  AND s.id > %(after)s::uuid
ORDER BY s.id
LIMIT %(limit)s

-- name: get
-- One schedule of a workspace.
SELECT s.id::text, s.workflow_id::text, w.name, s.node_id, s.cron, s.timezone, s.ends_at, s.timetable, s.overlap,
       s.catch_up_window, s.catch_up, s.next_at, s.delay_ms, coalesce(e.active, w.active), s.held, s.held_note, s.held_by, s.held_at, s.revision
FROM schedules s JOIN workflows w ON w.id = s.workflow_id
LEFT JOIN workflow_environments e ON e.workflow_id = s.workflow_id AND e.environment = split_part(s.node_id, E'\x1f', 2)
WHERE s.id = %(id)s AND s.workspace_id = %(workspace_id)s AND w.deleted_at = 0

-- name: hold
-- A person pauses it; paused twice, the newer note counts, and the time of the first.
UPDATE schedules
SET held_at = CASE WHEN held THEN held_at ELSE %(at)s END, held = true, paused = true, held_note = %(note)s,
    held_by = %(by)s, revision = revision + 1
WHERE id = %(id)s

-- name: resume
-- It fires again, if its workflow is on.
UPDATE schedules s
SET held = false, held_note = '', held_by = '', held_at = 0, paused = NOT coalesce(e.active, w.active), next_at = %(next_at)s,
    delay_ms = %(delay_ms)s, revision = s.revision + 1
FROM workflows w LEFT JOIN workflow_environments e ON e.workflow_id = w.id
  AND e.environment = (SELECT split_part(o.node_id, E'\x1f', 2) FROM schedules o WHERE o.id = %(id)s)
WHERE s.id = %(id)s AND s.revision = %(revision)s AND w.id = s.workflow_id

-- name: look
-- Firings were added: the timer has to look, and who has read before decides anew.
UPDATE schedules SET look_at = least(look_at, %(at)s), revision = revision + 1 WHERE id = %(id)s

-- name: firings
-- A page of a schedule's firings, latest due first.
SELECT due_at, cause, outcome, at, overlap, reason, coalesce(execution_id::text, ''), missed, fires, last_due_at,
       offer_at, open
FROM schedule_firings
WHERE workflow_id = %(workflow_id)s AND node_id = %(node_id)s AND (%(outcome)s = '' OR outcome = %(outcome)s)
  AND (%(due_at)s::bigint IS NULL OR (due_at, cause) < (%(due_at)s, %(cause)s))
ORDER BY due_at DESC, cause DESC
LIMIT %(limit)s
