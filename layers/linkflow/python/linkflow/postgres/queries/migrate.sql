-- name: lock
-- One migrator at a time; released by the end of the transaction.
SELECT pg_try_advisory_xact_lock(%s)

-- name: index
-- Is there such an index, and is it whole?
SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)

-- name: table
-- What was applied.
CREATE TABLE IF NOT EXISTS linkflow_migrations (
  number integer PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)

-- name: applied
-- Numbers that are done.
SELECT number FROM linkflow_migrations

-- name: record
-- Note one as done.
INSERT INTO linkflow_migrations (number, name) VALUES (%s, %s)

-- name: partitions
-- Make the history partitions of this month and the next ones.
SELECT linkflow_make_partitions(3)
