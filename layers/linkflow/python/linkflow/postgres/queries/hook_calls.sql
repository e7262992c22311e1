-- name: note
-- Calls that started no run.
INSERT INTO webhook_refusals (id, webhook_id, at, method, path, ip, status, code, detail, headers, size)
SELECT r.* FROM unnest(%(id)s::uuid[], %(webhook)s::text[], %(at)s::bigint[], %(method)s::text[], %(path)s::text[],
                       %(ip)s::text[], %(status)s::smallint[], %(code)s::text[], %(detail)s::text[], %(headers)s::bytea[],
                       %(size)s::int[])
  AS r (id, webhook_id, at, method, path, ip, status, code, detail, headers, size)
WHERE EXISTS (SELECT FROM webhooks w WHERE w.id = r.webhook_id)
ON CONFLICT DO NOTHING

-- name: forget_old
-- What is older than anybody wants to know.
DELETE FROM webhook_refusals WHERE id IN (SELECT id FROM webhook_refusals WHERE at < %(older)s ORDER BY at LIMIT 500)

-- name: forget_many
-- What is beyond the newest of each of these webhooks.
DELETE FROM webhook_refusals r USING unnest(%(webhooks)s::text[]) AS w (id)
WHERE r.webhook_id = w.id AND r.id < (
  SELECT k.id FROM webhook_refusals k WHERE k.webhook_id = w.id ORDER BY k.id DESC OFFSET %(most)s LIMIT 1)

-- name: refusals
-- A page of a webhook's refused calls, the newest first.
SELECT id::text, webhook_id, at, method, path, ip, status, code, detail, headers, size FROM webhook_refusals
WHERE webhook_id = %(webhook)s AND id < %(before)s::uuid
ORDER BY webhook_refusals.id DESC LIMIT %(limit)s

-- name: of_workflow
-- The webhooks of a workflow.
SELECT id, workflow_id::text, node_id, workspace_id::text, workflow_version, active AND NOT held, rules FROM webhooks
WHERE workflow_id = %(workflow)s::uuid AND workspace_id = %(workspace)s::uuid AND id > %(before)s
ORDER BY id LIMIT %(limit)s

-- name: of_workspace
-- A page of a workspace's webhooks.
SELECT id, workflow_id::text, node_id, workspace_id::text, workflow_version, active AND NOT held, rules FROM webhooks
WHERE workspace_id = %(workspace)s::uuid AND id > %(before)s
ORDER BY id LIMIT %(limit)s

-- name: get
-- One webhook of a workspace.
SELECT id, workflow_id::text, node_id, workspace_id::text, workflow_version, active AND NOT held, rules FROM webhooks
WHERE id = %(id)s AND workspace_id = %(workspace)s::uuid

-- name: switch
-- Let calls in, or not.
UPDATE webhooks SET held = NOT %(active)s, updated_at = %(at)s WHERE id = %(id)s AND workspace_id = %(workspace)s::uuid

-- name: move
-- Another address; foreign keys follow.
UPDATE webhooks SET id = %(new)s, updated_at = %(at)s WHERE id = %(id)s AND workspace_id = %(workspace)s::uuid

-- name: listen
-- Take calls of the test address for a while.
INSERT INTO webhook_listeners (webhook_id, until, taken) VALUES (%(webhook)s, %(until)s, 0)
ON CONFLICT (webhook_id) DO UPDATE SET until = excluded.until, taken = 0

-- name: forget_captures
-- Those of before.
DELETE FROM webhook_captures WHERE webhook_id = %(webhook)s

-- name: capture
-- A call of the test address, where somebody listens.
WITH heard AS (
  UPDATE webhook_listeners SET taken = taken + 1
  WHERE webhook_id = %(webhook)s AND until > %(now)s AND taken < %(most)s RETURNING webhook_id
)
INSERT INTO webhook_captures (id, webhook_id, at, trigger)
SELECT %(id)s::uuid, webhook_id, %(at)s, %(trigger)s FROM heard

-- name: captures
-- The newest captured calls.
SELECT id::text, webhook_id, at, trigger FROM webhook_captures
WHERE webhook_id = %(webhook)s ORDER BY webhook_captures.id DESC LIMIT %(limit)s
