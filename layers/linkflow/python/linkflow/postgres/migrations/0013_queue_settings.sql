-- Task queues' settings: the truth, of which Valkey has a copy.

CREATE TABLE queue_settings (
  queue text PRIMARY KEY,
  revision bigint NOT NULL DEFAULT 1,      -- counts the changes
  partitions smallint NOT NULL DEFAULT 0,  -- 0: the deployment's number
  max_backlog integer NOT NULL DEFAULT 0,  -- likewise
  changed_at bigint NOT NULL,
  changed_by text NOT NULL
);

-- Weights and rates: of a queue (no workspace), of a workspace in it, or of a workspace's fairness key.
CREATE TABLE queue_rules (
  queue text NOT NULL REFERENCES queue_settings ON DELETE CASCADE,
  workspace_id text NOT NULL,
  fairness text NOT NULL,
  own boolean NOT NULL,                    -- the workspace's word, not the operator's
  weight double precision NOT NULL,
  rate double precision NOT NULL,
  burst integer NOT NULL,
  PRIMARY KEY (queue, workspace_id, fairness, own)
);
CREATE INDEX queue_rules_by_workspace ON queue_rules (workspace_id);
