-- What the nodes of a workspace may reach beyond what is public, and within it.

CREATE TABLE workspace_reach (
  workspace_id uuid PRIMARY KEY,
  allow text[] NOT NULL DEFAULT '{}',  -- reachable although not public
  "only" text[] NOT NULL DEFAULT '{}',   -- where not empty: nothing else is
  changed_at bigint NOT NULL,
  changed_by text NOT NULL
);
