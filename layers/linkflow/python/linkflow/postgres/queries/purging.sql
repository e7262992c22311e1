-- name: take
-- Workspaces whose time to be restored is over, the oldest first; others leave them alone until `until`.
UPDATE workspaces w SET purge_at = %(until)s
FROM (
  SELECT id FROM workspaces WHERE deleted_at > 0 AND deleted_at <= %(before)s AND purge_at <= %(now)s
  ORDER BY deleted_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) due
WHERE w.id = due.id
RETURNING w.id::text

-- name: silence_rules
-- Nobody is told of what is done to its runs now.
DELETE FROM notification_rules WHERE workspace_id = %(workspace)s

-- name: some_workflows
-- A portion of its workflows.
SELECT id::text FROM workflows WHERE workspace_id = %(workspace)s AND deleted_at > 0 ORDER BY id LIMIT %(limit)s

-- name: drop_rates
-- What was counted of them, in every database.
DELETE FROM start_rates WHERE workflow_id = ANY (%(workflows)s::uuid[])

-- name: drop_keys
-- Idempotency keys that outlived their runs, in every database.
DELETE FROM idempotency_keys WHERE workflow_id = ANY (%(workflows)s::uuid[])

-- name: drop_workflows
-- They go with their versions, releases, drafts, webhooks and schedules.
DELETE FROM workflows WHERE id = ANY (%(workflows)s::uuid[]) AND workspace_id = %(workspace)s

-- name: drop_files
-- A portion of its files, in every database.
DELETE FROM blobs WHERE execution_id = %(drawer)s::uuid AND name IN (
  SELECT name FROM blobs WHERE execution_id = %(drawer)s::uuid AND workspace_id = %(workspace)s LIMIT %(limit)s)

-- name: drop_replies
-- A portion of answers that were kept for calls that are repeated.
DELETE FROM replies WHERE workspace_id = %(workspace)s AND key IN (
  SELECT key FROM replies WHERE workspace_id = %(workspace)s ORDER BY key LIMIT %(limit)s)

-- name: drop_events
-- A portion of events that nobody took.
DELETE FROM kept_events WHERE workspace_id = %(workspace)s AND id IN (
  SELECT id FROM kept_events WHERE workspace_id = %(workspace)s ORDER BY id LIMIT %(limit)s)

-- name: drop_sums
-- A portion of its statistics, in every database.
DELETE FROM usage_sums s USING (
  SELECT workspace_id, span, workflow_id, at FROM usage_sums WHERE workspace_id = %(workspace)s
  ORDER BY span, workflow_id, at LIMIT %(limit)s
) o
WHERE (s.workspace_id, s.span, s.workflow_id, s.at) = (o.workspace_id, o.span, o.workflow_id, o.at)

-- name: drop_bulks
-- A portion of operations on many runs.
DELETE FROM bulk_operations WHERE workspace_id = %(workspace)s AND id IN (
  SELECT id FROM bulk_operations WHERE workspace_id = %(workspace)s ORDER BY id DESC LIMIT %(limit)s)

-- name: drop_reach
-- What it might reach.
DELETE FROM workspace_reach WHERE workspace_id = %(workspace)s

-- name: drop_settings
-- How long its runs were kept.
DELETE FROM retention_settings WHERE workspace_id = %(workspace)s

-- name: drop_tallies
-- What is not summed up yet, in every database: the table has no more than of the last seconds.
DELETE FROM tallies WHERE workspace_id = %(workspace)s

-- name: drop_shares
-- Its shares of queues.
DELETE FROM queue_rules WHERE workspace_id = %(workspace)s::text

-- name: drop
-- The workspace, and with it members, roles, invitations, keys, credentials, variables, tags, folders, environments and
-- policies.
DELETE FROM workspaces WHERE id = %(workspace)s AND deleted_at > 0 AND purge_at > 0
RETURNING name
