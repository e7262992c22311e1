-- What transitions did, for statistics and usage: a row a batch and workflow, written in the transition's own transaction, so
-- that nothing is counted twice or missed. The sweep takes them away after seconds.
CREATE TABLE tallies (
  workspace_id uuid NOT NULL,
  workflow_id uuid NOT NULL,
  at bigint NOT NULL,                 -- ms since the epoch
  started integer NOT NULL DEFAULT 0,
  nodes integer NOT NULL DEFAULT 0,   -- attempts of node runs that ended
  compute_us bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,    -- of events, with the payloads in them
  statuses smallint[],                -- of runs that ended, and how long each took (ms)
  durations bigint[],
  ai_input bigint NOT NULL DEFAULT 0, -- tokens
  ai_output bigint NOT NULL DEFAULT 0,
  ai_cost bigint NOT NULL DEFAULT 0   -- millionths of a dollar
);
CREATE INDEX tallies_by_time ON tallies (at);

-- The same summed up, by minute (for two days) and by hour; with the null uuid for all workflows of a workspace.
CREATE TABLE usage_sums (
  workspace_id uuid NOT NULL,
  span smallint NOT NULL,             -- minutes: 1 or 60
  at bigint NOT NULL,                 -- when the span begins, ms since the epoch
  workflow_id uuid NOT NULL,
  started bigint NOT NULL,
  nodes bigint NOT NULL,
  compute_us bigint NOT NULL,
  bytes bigint NOT NULL,
  ended bigint[] NOT NULL,            -- how many, by the number of the status
  durations bigint[] NOT NULL,        -- how many, by length of time (domain/statistics.py)
  ai_input bigint NOT NULL,
  ai_output bigint NOT NULL,
  ai_cost bigint NOT NULL,
  PRIMARY KEY (workspace_id, span, workflow_id, at)
);
