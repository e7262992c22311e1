-- How runs are let in. Rows are there only for workflows with such settings.

-- A run's place at a concurrency key, from its start to its end. Taken under an advisory lock on the key.
CREATE TABLE slots (
  execution_id uuid PRIMARY KEY,
  workflow_id uuid NOT NULL,
  key text NOT NULL,
  queued boolean NOT NULL,                 -- it waits for a slot
  position bigint NOT NULL,                -- in the order of coming
  bound integer NOT NULL,                  -- the limit of the version it runs
  ending boolean NOT NULL DEFAULT false    -- it was asked to end, to make room
);
CREATE INDEX slots_by_key ON slots (workflow_id, key, position);
CREATE INDEX slots_queued ON slots (workflow_id, key, position) WHERE queued;

-- Up to when a key's rate is used (GCRA), microseconds since the epoch.
CREATE TABLE start_rates (
  workflow_id uuid NOT NULL,
  key text NOT NULL,
  used_until bigint NOT NULL,
  PRIMARY KEY (workflow_id, key)
);
CREATE INDEX start_rates_by_use ON start_rates (used_until);

-- The run that collects starts of a key.
CREATE TABLE collectors (
  workflow_id uuid NOT NULL,
  trigger_node text NOT NULL,
  key text NOT NULL,
  execution_id uuid NOT NULL,
  PRIMARY KEY (workflow_id, trigger_node, key)
);
CREATE INDEX collectors_by_execution ON collectors (execution_id);

-- The fairness key of an open run, for tasks that are offered again.
CREATE TABLE fairness_keys (
  execution_id uuid PRIMARY KEY,
  key text NOT NULL
);
