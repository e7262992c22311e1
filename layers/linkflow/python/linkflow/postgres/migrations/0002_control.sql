-- The control plane: people, workspaces, workflows and their versions, what starts them, and answers worth repeating.
-- Times are ms since the epoch. Workspaces and workflows are only marked as deleted: a run outlives its workflow and
-- still needs the version it is pinned to.

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  first_name text NOT NULL,
  last_name text NOT NULL,
  password_hash text NOT NULL,             -- argon2id, with its own parameters and salt
  created_at bigint NOT NULL
);
CREATE UNIQUE INDEX users_by_email ON users (lower(email));

-- A refresh token is used once. Its successor has the same family; a used one that comes back revokes the family.
CREATE TABLE refresh_tokens (
  hash bytea PRIMARY KEY,                  -- sha256 of the token, which is stored nowhere
  family uuid NOT NULL,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,
  used_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX refresh_tokens_by_family ON refresh_tokens (family);
CREATE INDEX refresh_tokens_by_user ON refresh_tokens (user_id, expires_at);

CREATE TABLE workspaces (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  deleted_at bigint NOT NULL DEFAULT 0
);

CREATE TABLE members (
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  role text NOT NULL CHECK (role IN ('owner', 'admin', 'member', 'viewer')),
  joined_at bigint NOT NULL,
  PRIMARY KEY (workspace_id, user_id)
);
CREATE INDEX members_by_user ON members (user_id);

CREATE TABLE workflows (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text NOT NULL,
  description text NOT NULL,
  active boolean NOT NULL DEFAULT false,
  version integer NOT NULL,                -- the current one
  lock_version integer NOT NULL DEFAULT 1, -- counts every change: the ETag
  created_by uuid,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  deleted_at bigint NOT NULL DEFAULT 0
);
CREATE INDEX workflows_by_workspace ON workflows (workspace_id, id DESC) WHERE deleted_at = 0;

-- Immutable: an execution is pinned to one of these.
CREATE TABLE workflow_versions (
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  version integer NOT NULL,
  definition bytea NOT NULL,               -- JSON, see domain/definition.py
  created_at bigint NOT NULL,
  created_by uuid,
  PRIMARY KEY (workflow_id, version)
);

-- One a webhook trigger node. The row, and with it the address, stays while the node comes and goes.
CREATE TABLE webhooks (
  id text PRIMARY KEY,                     -- 192 random bits, url-safe: whoever knows it may knock
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  node_id text NOT NULL,
  workspace_id uuid NOT NULL,
  workflow_version integer NOT NULL,
  active boolean NOT NULL,
  rules bytea NOT NULL,                    -- JSON: path, methods, auth (secrets hashed), mode, response; see services/triggers.py
  updated_at bigint NOT NULL,
  UNIQUE (workflow_id, node_id)
);

-- One a schedule trigger node. `next_at` is null where the expression never fires again.
CREATE TABLE schedules (
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  node_id text NOT NULL,
  workspace_id uuid NOT NULL,
  workflow_version integer NOT NULL,
  cron text NOT NULL,
  timezone text NOT NULL,
  next_at bigint,
  ends_at bigint,                          -- no fire after this; null where it goes on for ever
  paused boolean NOT NULL DEFAULT false,
  PRIMARY KEY (workflow_id, node_id)
);
CREATE INDEX schedules_by_next ON schedules (next_at) WHERE NOT paused;

-- Answers of POST calls that came with an Idempotency-Key. Status 0: the first call is still under way.
CREATE TABLE replies (
  workspace_id uuid NOT NULL,
  key text NOT NULL,
  fingerprint bytea NOT NULL,              -- sha256 of who asked what
  status smallint NOT NULL DEFAULT 0,
  headers bytea NOT NULL DEFAULT '{}',
  body bytea NOT NULL DEFAULT '',
  expires_at bigint NOT NULL,
  PRIMARY KEY (workspace_id, key)
);
CREATE INDEX replies_by_expiry ON replies (expires_at);
