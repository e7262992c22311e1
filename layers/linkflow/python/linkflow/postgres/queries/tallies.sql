-- name: take
-- Tallies to sum up, those that nobody else is at.
DELETE FROM tallies WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM tallies ORDER BY at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING workspace_id::text, workflow_id::text, at, started, nodes, compute_us, bytes, statuses, durations, ai_input,
          ai_output, ai_cost

-- name: add
-- Add to the sums, in one order for all.
INSERT INTO usage_sums AS u (workspace_id, span, at, workflow_id, started, nodes, compute_us, bytes, ended, durations,
                             ai_input, ai_output, ai_cost)
SELECT i.workspace, i.span, i.at, i.workflow, i.started, i.nodes, i.compute, i.bytes, i.ended::bigint[], i.durations::bigint[],
       i.input, i.output, i.cost
FROM unnest(%(workspace)s::uuid[], %(span)s::smallint[], %(at)s::bigint[], %(workflow)s::uuid[], %(started)s::bigint[],
            %(nodes)s::bigint[], %(compute)s::bigint[], %(bytes)s::bigint[], %(ended)s::text[], %(durations)s::text[],
            %(input)s::bigint[], %(output)s::bigint[], %(cost)s::bigint[])
  AS i (workspace, span, at, workflow, started, nodes, compute, bytes, ended, durations, input, output, cost)
ORDER BY i.workspace, i.span, i.workflow, i.at
ON CONFLICT (workspace_id, span, workflow_id, at) DO UPDATE
SET started = u.started + excluded.started, nodes = u.nodes + excluded.nodes,
    compute_us = u.compute_us + excluded.compute_us, bytes = u.bytes + excluded.bytes,
    ended = ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0) FROM unnest(u.ended, excluded.ended) AS pair (a, b)),
    durations = ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0) FROM unnest(u.durations, excluded.durations) AS pair (a, b)),
    ai_input = u.ai_input + excluded.ai_input, ai_output = u.ai_output + excluded.ai_output,
    ai_cost = u.ai_cost + excluded.ai_cost

-- name: sums
-- Spans of a workspace, or of one workflow of it.
SELECT at, started, nodes, compute_us, bytes, ended, durations, ai_input, ai_output, ai_cost FROM usage_sums
WHERE workspace_id = %(workspace)s::uuid AND span = %(span)s AND workflow_id = %(workflow)s::uuid
  AND at >= %(first)s AND at < %(beyond)s
ORDER BY at LIMIT %(limit)s

-- name: count_ai
-- What model calls used, in the transaction of the transitions that tell of them.
INSERT INTO tallies (workspace_id, workflow_id, at, ai_input, ai_output, ai_cost)
SELECT * FROM unnest(%(workspace)s::uuid[], %(workflow)s::uuid[], %(at)s::bigint[], %(input)s::bigint[],
                     %(output)s::bigint[], %(cost)s::bigint[])

-- name: forget
-- Spans whose time is over.
DELETE FROM usage_sums WHERE (span = 1 AND at < %(minutes)s) OR (span = 60 AND at < %(hours)s)

-- name: open_of_workspace
-- Open runs of a workspace by status, each up to a number, without deliveries of notifications.
SELECT s.status, (SELECT count(*) FROM (
  SELECT FROM executions e
  WHERE e.workspace_id = %(workspace)s::uuid AND e.status = s.status AND e.status <> 1
    AND e.mode <> 'notification' LIMIT %(most)s) AS found)
FROM unnest(%(statuses)s::smallint[]) AS s (status)

-- name: open_of_workflow
-- The same of one workflow.
SELECT s.status, (SELECT count(*) FROM (
  SELECT FROM executions e
  WHERE e.workflow_id = %(workflow)s::uuid AND e.workspace_id = %(workspace)s::uuid AND e.status = s.status
    AND e.status <> 1 LIMIT %(most)s) AS found)
FROM unnest(%(statuses)s::smallint[]) AS s (status)
