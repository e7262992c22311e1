-- What workspaces let their workflows do.
CREATE TABLE workspace_policies (
  workspace_id uuid PRIMARY KEY REFERENCES workspaces ON DELETE CASCADE,
  policy bytea NOT NULL                    -- JSON, see domain/policy.py
);
