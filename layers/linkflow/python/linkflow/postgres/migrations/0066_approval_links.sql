-- Links to approvals that were made over the API, and those that were revoked. The row with the empty id is about the links
-- in messages, which are not written down one by one: it is there when those are revoked. Times are ms since the epoch.
CREATE TABLE approval_links (
  execution_id uuid NOT NULL,
  node_key text NOT NULL,
  id text NOT NULL,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  note text NOT NULL DEFAULT '',
  created_by text NOT NULL DEFAULT '',
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL,              -- 0: never, for a run may send messages for years
  revoked_by text NOT NULL DEFAULT '',
  revoked_at bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (execution_id, node_key, id)
);
CREATE INDEX approval_links_by_workspace ON approval_links (workspace_id);
CREATE INDEX approval_links_by_expiry ON approval_links (expires_at) WHERE expires_at > 0;
