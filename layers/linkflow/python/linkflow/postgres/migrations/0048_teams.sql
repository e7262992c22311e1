-- Teams: roles of a workspace's own, invitations, API keys.

CREATE TABLE roles (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text NOT NULL,
  permissions text[] NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX roles_by_name ON roles (workspace_id, lower(name));

-- Whoever has a role of the workspace's own is a viewer to older code.
ALTER TABLE members ADD COLUMN role_id uuid REFERENCES roles;
CREATE INDEX members_by_own_role ON members (role_id) WHERE role_id IS NOT NULL;

CREATE TABLE invitations (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  email text NOT NULL,
  role text NOT NULL,
  role_id uuid REFERENCES roles ON DELETE CASCADE,
  token_hash bytea NOT NULL,
  invited_by uuid NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE UNIQUE INDEX invitations_by_email ON invitations (workspace_id, lower(email));
CREATE UNIQUE INDEX invitations_by_token ON invitations (token_hash);
CREATE INDEX invitations_by_own_role ON invitations (role_id) WHERE role_id IS NOT NULL;

CREATE TABLE api_keys (
  id uuid PRIMARY KEY,
  hash bytea NOT NULL,                     -- sha256 of the key, which is stored nowhere
  hint text NOT NULL,                      -- its first characters, to tell keys apart
  name text NOT NULL,
  user_id uuid REFERENCES users ON DELETE CASCADE,            -- whose it is; null: the workspace's own (service key)
  workspace_id uuid REFERENCES workspaces ON DELETE CASCADE,  -- where it is good; null: wherever its owner is in
  permissions text[] NOT NULL,             -- within the owner's role; empty: all of them
  created_by uuid NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,              -- 0: never
  last_used_at bigint NOT NULL DEFAULT 0,
  last_used_ip text NOT NULL DEFAULT '',
  CHECK (user_id IS NOT NULL OR (workspace_id IS NOT NULL AND permissions <> '{}'))
);
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (hash);
CREATE INDEX api_keys_by_user ON api_keys (user_id, id);
CREATE INDEX api_keys_by_workspace ON api_keys (workspace_id, id);
