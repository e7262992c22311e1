-- Who changed what, from where. Rows are never changed, and outlive what they are about: no foreign keys.

CREATE TABLE audit_log (
  id uuid PRIMARY KEY,                     -- UUIDv7: the time is in it
  workspace_id uuid,                       -- null: about an account
  user_id uuid,                            -- whose account it is, or who did it
  actor text NOT NULL,                     -- user:…, key:…, operator:…
  via text NOT NULL,                       -- session, key, cli, public, operator
  via_id text NOT NULL,                    -- which session or key
  action text NOT NULL,
  target_type text NOT NULL,
  target_id text NOT NULL,
  ip text NOT NULL,
  user_agent text NOT NULL,
  request_id text NOT NULL,
  changes bytea NOT NULL                   -- JSON: [{path, from, to}], without secrets
);
CREATE INDEX audit_by_workspace ON audit_log (workspace_id, id);
CREATE INDEX audit_by_account ON audit_log (user_id, id) WHERE workspace_id IS NULL;
-- One value each, or a plan for any arguments would look through the whole workspace.
CREATE INDEX audit_by_actor ON audit_log ((workspace_id::text || ' ' || actor), id);
CREATE INDEX audit_by_action ON audit_log ((workspace_id::text || ' ' || action), id);
CREATE INDEX audit_by_target ON audit_log ((workspace_id::text || ' ' || target_id), id);
