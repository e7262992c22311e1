-- Variables of workspaces, for one environment or ('') for all of them. A secret one is sealed and has no `value`.

CREATE TABLE variables (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  environment text NOT NULL DEFAULT '',
  key text NOT NULL,
  value text NOT NULL DEFAULT '',
  secret boolean NOT NULL DEFAULT false,
  description text NOT NULL DEFAULT '',
  version integer NOT NULL,                  -- counts sealings; part of what the value is sealed for
  key_id text NOT NULL DEFAULT '',
  sealed_key bytea,
  data bytea,
  lock_version integer NOT NULL DEFAULT 1,
  created_by text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  UNIQUE (workspace_id, key, environment)
);
CREATE INDEX variables_by_workspace ON variables (workspace_id, id DESC);
