-- Who waits for what: how an event or a decision from outside finds its run. Rows live as long as the wait.

CREATE TABLE waits (
  execution_id uuid NOT NULL,
  node_key text NOT NULL,
  attempt integer NOT NULL,
  workspace_id uuid NOT NULL,
  workflow_id uuid NOT NULL,
  kind text NOT NULL,                      -- event | approval
  name text NOT NULL,
  key text NOT NULL,
  due_at bigint NOT NULL,
  at bigint NOT NULL,                      -- when the wait began, ms
  detail bytea NOT NULL,                   -- JSON, see domain/state.py Wait
  PRIMARY KEY (execution_id, node_key, attempt)
);
CREATE INDEX waits_by_event ON waits (workspace_id, name, key) WHERE kind = 'event';
CREATE INDEX waits_by_approval ON waits (workspace_id, execution_id DESC) WHERE kind = 'approval';

-- Events that came before a run waited for them.
CREATE TABLE kept_events (
  workspace_id uuid NOT NULL,
  id text NOT NULL,
  name text NOT NULL,
  key text NOT NULL,
  payload bytea NOT NULL,
  actor text NOT NULL,
  until bigint NOT NULL,                   -- forgotten after this, ms
  PRIMARY KEY (workspace_id, id)
);
CREATE INDEX kept_events_by_name ON kept_events (workspace_id, name, key);
CREATE INDEX kept_events_by_until ON kept_events (until);
