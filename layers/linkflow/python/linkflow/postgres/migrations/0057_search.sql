-- What runs are found by: a row for those that have failed or have attributes, and an index entry for each term of it.
CREATE TABLE run_facts (
  execution_id uuid PRIMARY KEY,
  workspace_id uuid NOT NULL,
  environment text NOT NULL DEFAULT '',
  attributes bytea NOT NULL,   -- JSON
  error bytea                  -- JSON: code, message, node
);

CREATE TABLE run_terms (
  execution_id uuid NOT NULL,
  term text COLLATE "C" NOT NULL,
  workspace_id uuid NOT NULL,
  PRIMARY KEY (execution_id, term)
);
CREATE INDEX run_terms_by_term ON run_terms (workspace_id, term, execution_id DESC);
