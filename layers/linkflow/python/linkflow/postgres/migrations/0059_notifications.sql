-- Who is told of what. The id is also that of a workflow that no list shows: its runs are the rule's deliveries.
CREATE TABLE notification_rules (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text NOT NULL,
  enabled boolean NOT NULL,
  kinds text[] NOT NULL,
  workflows uuid[] NOT NULL,               -- none: all
  every_ms bigint NOT NULL,                -- the same is told once in this time; 0: each time
  after_ms bigint NOT NULL,                -- how long a run is open before it is long-running
  channel bytea NOT NULL,                  -- JSON, see domain/notices.py
  version integer NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  looked_to bigint NOT NULL,               -- long-running: runs accepted before this have been looked at
  look_at bigint                           -- and when to look again; null: never
);
CREATE INDEX notification_rules_by_workspace ON notification_rules (workspace_id, id);
CREATE INDEX notification_rules_by_look ON notification_rules (look_at) WHERE look_at IS NOT NULL;
