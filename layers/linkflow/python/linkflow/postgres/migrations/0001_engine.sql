-- The engine: executions, their history, the outbox, timers. Payloads are bytea holding JSON: a third of jsonb's cost.

CREATE TABLE executions (
  id uuid PRIMARY KEY,                     -- UUIDv7: sorts by start, carries the shard
  shard smallint NOT NULL,
  workspace_id uuid NOT NULL,
  workflow_id uuid NOT NULL,
  workflow_version integer NOT NULL,
  status smallint NOT NULL,                -- 0 running, then see postgres/executions.py
  mode text NOT NULL,
  version integer NOT NULL,                -- id of the last event: the fence
  started_at bigint NOT NULL,              -- ms since the epoch
  closed_at bigint NOT NULL DEFAULT 0,
  parent_id uuid,
  state bytea NOT NULL
) WITH (fillfactor = 80);

CREATE INDEX executions_by_workspace ON executions (workspace_id, id DESC);
CREATE INDEX executions_by_workflow ON executions (workflow_id, id DESC);
CREATE INDEX executions_running ON executions (workspace_id, id DESC) WHERE status = 0;

-- A row a transition; a run's events are its rows in order. Partitioned by month on the id, which is time-ordered.
CREATE TABLE history (
  execution_id uuid NOT NULL,
  first_event integer NOT NULL,
  last_event integer NOT NULL,
  events bytea NOT NULL,
  PRIMARY KEY (execution_id, first_event)
) PARTITION BY RANGE (execution_id);

CREATE TABLE history_other PARTITION OF history DEFAULT;

CREATE FUNCTION linkflow_uuid_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

CREATE FUNCTION linkflow_make_partitions(months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz; made integer := 0; part text;
BEGIN
  FOR i IN 0..months - 1 LOOP
    start := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
    part := 'history_' || to_char(start AT TIME ZONE 'UTC', 'YYYYMM');
    IF to_regclass(part) IS NULL THEN
      EXECUTE format('CREATE TABLE %I PARTITION OF history FOR VALUES FROM (%L) TO (%L)', part,
        linkflow_uuid_floor(start),
        linkflow_uuid_floor(((start AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;

-- The outbox: a row while a node run waits for a worker or is with one. `offer_at` is when the sweep looks at it.
CREATE TABLE tasks (
  execution_id uuid NOT NULL,
  node_key text NOT NULL,
  attempt integer NOT NULL,
  queue text NOT NULL,
  priority smallint NOT NULL,
  scheduled_at bigint NOT NULL,
  offer_at bigint NOT NULL,
  PRIMARY KEY (execution_id, node_key, attempt)
);
CREATE INDEX tasks_by_offer ON tasks (offer_at);

-- What one execution has to tell another, until it was told.
CREATE TABLE messages (
  execution_id uuid NOT NULL,
  id text NOT NULL,
  kind text NOT NULL,
  body bytea NOT NULL,
  offer_at bigint NOT NULL,
  PRIMARY KEY (execution_id, id)
);
CREATE INDEX messages_by_offer ON messages (offer_at);

CREATE TABLE timers (
  execution_id uuid NOT NULL,
  timer_id text NOT NULL,
  due_at bigint NOT NULL,
  PRIMARY KEY (execution_id, timer_id)
);
CREATE INDEX timers_by_due ON timers (due_at);

-- Decided in the start's own transaction; the row lives as long as the run's history.
CREATE TABLE idempotency_keys (
  workflow_id uuid NOT NULL,
  key text NOT NULL,
  execution_id uuid NOT NULL,
  PRIMARY KEY (workflow_id, key)
);

-- Ranges of the 4,096 virtual shards and the database that holds them; one row until a second database is added.
CREATE TABLE shard_map (
  first_shard smallint PRIMARY KEY,
  last_shard smallint NOT NULL,
  database text NOT NULL
);
INSERT INTO shard_map VALUES (0, 4095, 'default');

-- Events as rows, for people: SELECT * FROM events WHERE execution_id = '…' ORDER BY event_id.
CREATE VIEW events AS
SELECT h.execution_id,
       (e.value ->> 'event_id')::integer AS event_id,
       to_timestamp((e.value ->> 'at')::numeric / 1000) AS at,
       e.value ->> 'type' AS type,
       coalesce((e.value ->> 'version')::integer, 1) AS version,
       e.value - 'event_id' - 'at' - 'type' - 'version' AS attributes
FROM history h, jsonb_array_elements(convert_from(h.events, 'UTF8')::jsonb) AS e (value);
