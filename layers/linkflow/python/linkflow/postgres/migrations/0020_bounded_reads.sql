-- Reads that stay as small as their answer, whatever the tables hold: tests/integration/plans says which statement needs what.

-- concurrently
-- Runs that are not completed, and modes that are rare, by workspace and by workflow: no cost for a run that completes at
-- once. `executions_running` was one of them.
CREATE INDEX CONCURRENTLY executions_by_status ON executions (workspace_id, status, id DESC) WHERE status <> 1;

CREATE INDEX CONCURRENTLY executions_by_workflow_status ON executions (workflow_id, status, id DESC) WHERE status <> 1;

CREATE INDEX CONCURRENTLY executions_by_mode ON executions (workspace_id, mode, id DESC)
  WHERE mode IN ('manual', 'retry', 'error', 'fork', 'rerun');

CREATE INDEX CONCURRENTLY executions_by_workflow_mode ON executions (workflow_id, mode, id DESC)
  WHERE mode IN ('manual', 'retry', 'error', 'fork', 'rerun');

DROP INDEX CONCURRENTLY IF EXISTS executions_running;

-- Who waits for an event, the oldest first.
CREATE INDEX CONCURRENTLY waits_by_age ON waits (workspace_id, name, key, at) WHERE kind = 'event';

DROP INDEX CONCURRENTLY IF EXISTS waits_by_event;

-- Kept events of a name, with or without a key, the first to be forgotten first.
CREATE INDEX CONCURRENTLY kept_events_by_key ON kept_events (workspace_id, name, key, until, id);

CREATE INDEX CONCURRENTLY kept_events_in_order ON kept_events (workspace_id, name, until, id);

DROP INDEX CONCURRENTLY IF EXISTS kept_events_by_name;

-- Slots that are taken: as many of a key as its limit says.
CREATE INDEX CONCURRENTLY slots_taken ON slots (workflow_id, key) WHERE NOT queued;
