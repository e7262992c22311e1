-- Credentials of workspaces. What is secret is sealed: a data key each, wrapped by a master key (`key_id`) that the
-- database never sees. Times are ms since the epoch.

CREATE TABLE credentials (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text NOT NULL,
  slug text NOT NULL,                        -- how expressions spell the name
  kind text NOT NULL,
  description text NOT NULL DEFAULT '',
  hosts text[] NOT NULL DEFAULT '{}',        -- where not empty: it is used for these alone
  roles text[] NOT NULL DEFAULT '{}',        -- who may use it; empty: everybody who may build workflows
  shown bytea NOT NULL,                      -- JSON: what is no secret
  version integer NOT NULL,                  -- counts sealings of the fields; part of what they are sealed for
  key_id text NOT NULL,
  key bytea NOT NULL,
  data bytea NOT NULL,
  expires_at bigint NOT NULL DEFAULT 0,
  status text NOT NULL,
  status_at bigint NOT NULL,
  status_detail text NOT NULL DEFAULT '',
  tokens_version integer NOT NULL DEFAULT 0, -- OAuth 2: counts what the other side gave
  tokens_key_id text NOT NULL DEFAULT '',
  tokens_key bytea,
  tokens_data bytea,
  lease_holder text NOT NULL DEFAULT '',     -- who is fetching new tokens
  lease_until bigint NOT NULL DEFAULT 0,
  lock_version integer NOT NULL DEFAULT 1,
  created_by text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  UNIQUE (workspace_id, slug)
);
CREATE INDEX credentials_by_workspace ON credentials (workspace_id, id DESC);
