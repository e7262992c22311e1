-- Environments, releases, drafts, and versions that do not run yet. Code of before goes on working: production is where it
-- was, and what is new has defaults. Triggers of other environments are rows of `webhooks` and `schedules` under a key of
-- node and environment (domain/environments.py).

CREATE TABLE environments (
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text NOT NULL,
  description text NOT NULL DEFAULT '',
  active boolean NOT NULL DEFAULT true,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (workspace_id, name)
);

-- What runs in an environment other than production, where the workflow's own row says it.
CREATE TABLE workflow_environments (
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  environment text NOT NULL,
  workspace_id uuid NOT NULL,
  version integer NOT NULL,
  active boolean NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (workflow_id, environment)
);
CREATE INDEX workflow_environments_by_name ON workflow_environments (workspace_id, environment);

-- Every time that another version came to run somewhere; `number` counts by workflow.
CREATE TABLE releases (
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  number integer NOT NULL,
  environment text NOT NULL,               -- empty: production
  version integer NOT NULL,
  verb text NOT NULL,                      -- publish | promote | rollback | restore
  source text,                             -- promote: from which environment
  note text NOT NULL DEFAULT '',
  at bigint NOT NULL,
  actor uuid,
  PRIMARY KEY (workflow_id, number)
);
CREATE INDEX releases_by_environment ON releases (workflow_id, environment, number DESC);
INSERT INTO releases (workflow_id, number, environment, version, verb, at, actor)
SELECT id, 1, '', version, 'publish', updated_at, created_by FROM workflows WHERE deleted_at = 0;

CREATE TABLE workflow_drafts (
  workflow_id uuid PRIMARY KEY REFERENCES workflows ON DELETE CASCADE,
  definition bytea NOT NULL,               -- JSON as of a version, but it may have problems
  base_version integer NOT NULL,           -- the version it was begun on
  revision integer NOT NULL,               -- counts its saves: the ETag
  saved_at bigint NOT NULL,
  saved_by uuid
);

ALTER TABLE workflows ADD COLUMN last_version integer NOT NULL DEFAULT 0; -- the newest, where that is not what runs
ALTER TABLE workflow_versions ADD COLUMN summary text NOT NULL DEFAULT '';
