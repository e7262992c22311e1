-- Schedules by interval and once, overlap policies, catch-up, jitter, pause with note, and a record of every firing.
-- Times are ms since the epoch. Code of 0002 goes on working: all that is new has a default, and it is woken by next_at.

ALTER TABLE schedules
  ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(), -- what the API calls it
  ADD COLUMN timetable bytea,                      -- JSON, see domain/timetable.py; null: cron, timezone and ends_at say it all
  ADD COLUMN overlap text NOT NULL DEFAULT 'allow' -- see domain/firings.py
    CHECK (overlap IN ('allow', 'skip', 'queue_one', 'queue_all', 'cancel_other', 'terminate_other')),
  ADD COLUMN catch_up_window bigint NOT NULL DEFAULT 31536000000,
  ADD COLUMN catch_up text NOT NULL DEFAULT 'latest' CHECK (catch_up IN ('latest', 'all')),
  ADD COLUMN held boolean NOT NULL DEFAULT false,  -- paused by a person; `paused` also covers a workflow that is off
  ADD COLUMN held_note text NOT NULL DEFAULT '',
  ADD COLUMN held_by text NOT NULL DEFAULT '',
  ADD COLUMN held_at bigint NOT NULL DEFAULT 0,
  ADD COLUMN delay_ms bigint NOT NULL DEFAULT 0,   -- jitter of the next fire
  ADD COLUMN look_at bigint,                       -- when firings under way want attention, whatever the clock says
  ADD COLUMN revision bigint NOT NULL DEFAULT 0,   -- the fence: counts every decision and change
  ADD COLUMN wake_at bigint GENERATED ALWAYS AS
    (CASE WHEN paused THEN look_at ELSE least(next_at + delay_ms, look_at) END) STORED;

CREATE UNIQUE INDEX schedules_by_id ON schedules (id);
CREATE INDEX schedules_by_wake ON schedules (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX schedules_by_workspace ON schedules (workspace_id, id);

-- A row a firing; skipped ones in a row for one reason are one row (`fires`, up to `last_due_at`).
-- Also the outbox of starts: `starting` is decided and on its way to History, `queued` waits for the run before.
CREATE TABLE schedule_firings (
  workflow_id uuid NOT NULL REFERENCES workflows ON DELETE CASCADE,
  node_id text NOT NULL,
  due_at bigint NOT NULL,
  cause text NOT NULL,                     -- schedule | trigger:<id> | backfill:<id>
  outcome text NOT NULL CHECK (outcome IN ('queued', 'starting', 'started', 'skipped')),
  at bigint NOT NULL,                      -- when that was decided first
  overlap text NOT NULL,
  reason text NOT NULL DEFAULT '',
  execution_id uuid,
  missed integer NOT NULL DEFAULT 0,       -- fires before it that were skipped in the same pass
  fires integer NOT NULL DEFAULT 1,
  last_due_at bigint NOT NULL DEFAULT 0,
  offer_at bigint NOT NULL DEFAULT 0,
  open boolean NOT NULL DEFAULT false,     -- queued, starting, or started and not known to have ended
  PRIMARY KEY (workflow_id, node_id, due_at, cause)
);
CREATE INDEX schedule_firings_open ON schedule_firings (workflow_id, node_id) WHERE open;
CREATE INDEX schedule_firings_by_age ON schedule_firings (at);
