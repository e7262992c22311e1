-- Heartbeats: the latest of each attempt that runs. A row lives from an attempt's first beat to its end.

CREATE TABLE heartbeats (
  execution_id uuid NOT NULL,
  node_key text NOT NULL,
  attempt integer NOT NULL,
  at bigint NOT NULL,                      -- ms since the epoch
  details bytea,                           -- JSON
  PRIMARY KEY (execution_id, node_key, attempt)
) WITH (fillfactor = 80);
