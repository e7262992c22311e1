-- A big state is not written with every transition: the row has a snapshot, and `history` the events since.
-- Code of 0008 and before leaves both columns alone, and writes whole states of format 1.

ALTER TABLE executions
  ADD COLUMN state_version integer,                    -- event up to which `state` is folded; null: `version`
  ADD COLUMN state_format smallint NOT NULL DEFAULT 1; -- domain/state.py FORMAT; any other is folded anew on loading
