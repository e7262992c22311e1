-- Which runs were made from which, and verbs upon many runs. Times are ms since the epoch.

CREATE TABLE forks (
  source_id uuid NOT NULL,
  execution_id uuid NOT NULL,
  PRIMARY KEY (source_id, execution_id)
);

-- `targets` are chosen once, when the operation begins; `cursor` of them have been seen to.
CREATE TABLE bulk_operations (
  id uuid PRIMARY KEY,                     -- UUIDv7: sorts by start
  workspace_id uuid NOT NULL,
  verb text NOT NULL,
  request bytea NOT NULL,                  -- JSON: filter and options, see contracts/controlling.py
  actor text NOT NULL,
  status text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'completed', 'cancelled')),
  targets uuid[] NOT NULL,
  more boolean NOT NULL,                   -- further runs fitted
  cursor integer NOT NULL DEFAULT 0,
  done integer NOT NULL DEFAULT 0,
  failed integer NOT NULL DEFAULT 0,
  skipped integer NOT NULL DEFAULT 0,
  errors bytea NOT NULL DEFAULT '[]',      -- JSON, the first ones
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  finished_at bigint NOT NULL DEFAULT 0,
  offer_at bigint NOT NULL,                -- when somebody else may go on with it
  owner text NOT NULL DEFAULT ''           -- who is at it
);
CREATE INDEX bulk_operations_by_workspace ON bulk_operations (workspace_id, id DESC);
CREATE INDEX bulk_operations_by_offer ON bulk_operations (offer_at) WHERE status = 'running';
