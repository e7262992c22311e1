-- Workspaces that are deleted are purged after a while. `purge_at`: 0 until that has begun (until then they can be
-- restored), then up to when somebody is at it, ms since the epoch.
ALTER TABLE workspaces ADD COLUMN purge_at bigint NOT NULL DEFAULT 0;

-- concurrently
CREATE INDEX CONCURRENTLY workspaces_deleted ON workspaces (deleted_at) WHERE deleted_at > 0;

CREATE INDEX CONCURRENTLY workflows_deleted ON workflows (workspace_id, id) WHERE deleted_at > 0;
