-- Webhooks: idempotency keys that are free again after a time, and calls that were refused or captured.

-- A key `ttl:<ms>:…` is free again so long after its run began; any other stays as long as its run. Ids of runs are UUIDv7:
-- their first 48 bits are ms since the epoch, and `newest` is the id of the run that asks.
CREATE FUNCTION idempotency_key_is_free(key text, execution_id uuid, newest uuid) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN key ~ '^ttl:[0-9]{1,15}:' THEN
    ('x' || left(replace(newest::text, '-', ''), 12))::bit(48)::bigint
    - ('x' || left(replace(execution_id::text, '-', ''), 12))::bit(48)::bigint
    >= split_part(key, ':', 2)::bigint
  ELSE false END
$$;

-- Held back by hand, whatever the workflow's own switch says.
ALTER TABLE webhooks ADD COLUMN held boolean NOT NULL DEFAULT false;

-- Calls that started no run, by webhook, the newest first; those that did are the runs themselves.
CREATE TABLE webhook_refusals (
  id uuid PRIMARY KEY,
  webhook_id text NOT NULL REFERENCES webhooks ON DELETE CASCADE ON UPDATE CASCADE,
  at bigint NOT NULL,
  method text NOT NULL,
  path text NOT NULL,
  ip text NOT NULL,
  status smallint NOT NULL,
  code text NOT NULL,
  detail text NOT NULL,
  headers bytea NOT NULL,                  -- JSON, without what may be secret
  size integer NOT NULL
);
CREATE INDEX webhook_refusals_by_webhook ON webhook_refusals (webhook_id, id DESC);
CREATE INDEX webhook_refusals_by_time ON webhook_refusals (at);

-- Calls of a webhook's test address while somebody listens there.
CREATE TABLE webhook_listeners (
  webhook_id text PRIMARY KEY REFERENCES webhooks ON DELETE CASCADE ON UPDATE CASCADE,
  until bigint NOT NULL,
  taken integer NOT NULL DEFAULT 0
);
CREATE TABLE webhook_captures (
  id uuid PRIMARY KEY,
  webhook_id text NOT NULL REFERENCES webhooks ON DELETE CASCADE ON UPDATE CASCADE,
  at bigint NOT NULL,
  trigger bytea NOT NULL                   -- JSON: what a run would have been given
);
CREATE INDEX webhook_captures_by_webhook ON webhook_captures (webhook_id, id DESC);
CREATE INDEX webhooks_by_workspace ON webhooks (workspace_id, id);
