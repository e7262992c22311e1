-- What keeps many workflows in order: tags, folders, locks, and what people search by. Code of before goes on working: all
-- that is new has defaults, and a workflow that it saves is found by its former node types until it is saved again.

CREATE TABLE tags (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  name text NOT NULL,
  color text NOT NULL DEFAULT '',
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);
CREATE UNIQUE INDEX tags_by_name ON tags (workspace_id, lower(name));

CREATE TABLE workflow_tags (
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  tag_id uuid NOT NULL REFERENCES tags ON DELETE CASCADE,
  PRIMARY KEY (workflow_id, tag_id)
);
CREATE INDEX workflow_tags_by_tag ON workflow_tags (tag_id);

-- A tree in each workspace; who changes it holds the tree's own lock (queries/shelf.sql), so that it stays one.
CREATE TABLE folders (
  id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL REFERENCES workspaces ON DELETE CASCADE,
  parent_id uuid REFERENCES folders ON DELETE CASCADE,
  name text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL
);
CREATE INDEX folders_by_workspace ON folders (workspace_id);
CREATE INDEX folders_by_parent ON folders (parent_id);

ALTER TABLE workflows
  ADD COLUMN folder_id uuid REFERENCES folders ON DELETE SET NULL,
  ADD COLUMN locked_at bigint NOT NULL DEFAULT 0,       -- 0: anybody may change it
  ADD COLUMN locked_by text NOT NULL DEFAULT '',        -- user:… or key:…
  ADD COLUMN locker text NOT NULL DEFAULT '',           -- his name at that time
  ADD COLUMN lock_reason text NOT NULL DEFAULT '',
  ADD COLUMN node_types text[] NOT NULL DEFAULT '{}';   -- of what runs in production
CREATE INDEX workflows_by_folder ON workflows (folder_id) WHERE folder_id IS NOT NULL;
CREATE INDEX workflows_by_words ON workflows
  USING gin (to_tsvector('simple', regexp_replace(name || ' ' || description, '[^[:alnum:]]+', ' ', 'g')));

UPDATE workflows w
SET node_types = ARRAY(
  SELECT DISTINCT node ->> 'type'
  FROM workflow_versions v, json_array_elements(convert_from(v.definition, 'UTF8')::json -> 'nodes') node
  WHERE v.workflow_id = w.id AND v.version = w.version AND node ->> 'type' IS NOT NULL
)
WHERE deleted_at = 0;
