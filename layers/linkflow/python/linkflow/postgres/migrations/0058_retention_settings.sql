-- How long workspaces keep runs that have closed: of all their workflows (the null uuid), or of one.
CREATE TABLE retention_settings (
  workspace_id uuid NOT NULL,
  workflow_id uuid NOT NULL,
  days integer NOT NULL,
  PRIMARY KEY (workspace_id, workflow_id)
);
