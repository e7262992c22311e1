-- Several databases: which of the 4,096 virtual shards this one holds, and the guard that refuses writes to any other.
-- A database that holds all of them has no guard at all. See docs/sharding.md.

-- `epoch` counts the changes: whoever reads by a map he has in hand looks at it afterwards.
CREATE TABLE shard_home (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  deployment uuid NOT NULL DEFAULT gen_random_uuid(), -- the main database's; others have it from there
  name text NOT NULL DEFAULT 'default',               -- what the shard map calls this database
  epoch bigint NOT NULL DEFAULT 1,
  firsts smallint[] NOT NULL DEFAULT '{0}',           -- the ranges it holds
  lasts smallint[] NOT NULL DEFAULT '{4095}',
  move_role text CHECK (move_role IN ('out', 'in')),  -- a range that is on its way
  move_first smallint,
  move_last smallint
);
INSERT INTO shard_home DEFAULT VALUES;

-- The shard that an execution id carries (domain/ids.py).
CREATE FUNCTION linkflow_shard(id uuid) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT ('x' || substr(id::text, 16, 3))::bit(12)::integer
$$;

-- Called for rows of shards that are not here, or on their way. The lock is the write stop of a range that leaves: who
-- has begun to write holds it to the end of his transaction, and a mover that has it keeps the others off. Then the row
-- says whose the shard is: it is read behind the lock, so what the mover committed is seen.
CREATE FUNCTION linkflow_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  at integer; free boolean;
BEGIN
  IF current_setting('linkflow.mover', true) = 'on' THEN
    RETURN NEW;
  END IF;
  IF TG_ARGV[0] = 'id' THEN at := linkflow_shard(NEW.id); ELSE at := linkflow_shard(NEW.execution_id); END IF;
  free := pg_try_advisory_xact_lock_shared(1279677256);
  IF free THEN -- a statement of its own, so with a snapshot behind the lock
    PERFORM FROM shard_home h, unnest(h.firsts, h.lasts) AS r (first, last) WHERE at BETWEEN r.first AND r.last;
    IF FOUND THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'shard % is not in this database', at USING ERRCODE = 'LF001';
END $$;

-- Make the guard fit `shard_home`. Rows of shards that are here and stay cost one comparison; other tables are written
-- in the transaction of an `executions` row, or it does no harm.
CREATE FUNCTION linkflow_set_guard() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  home shard_home; part text; key text; here text; leaving text;
BEGIN
  SELECT * INTO home FROM shard_home;
  FOREACH part IN ARRAY ARRAY['executions', 'blobs', 'heartbeats'] LOOP
    IF home.firsts = '{0}' AND home.lasts = '{4095}' AND home.move_role IS NULL THEN
      EXECUTE format('DROP TRIGGER IF EXISTS linkflow_guard ON %I', part);
      CONTINUE;
    END IF;
    key := CASE part WHEN 'executions' THEN 'id' ELSE 'execution_id' END;
    SELECT coalesce(string_agg(format('linkflow_shard(NEW.%I) BETWEEN %s AND %s', key, r.first, r.last), ' OR '), 'false')
    INTO here FROM unnest(home.firsts, home.lasts) AS r (first, last);
    leaving := CASE WHEN home.move_role IS NULL THEN 'false' ELSE
      format('linkflow_shard(NEW.%I) BETWEEN %s AND %s', key, home.move_first, home.move_last) END;
    EXECUTE format('CREATE OR REPLACE TRIGGER linkflow_guard BEFORE INSERT OR UPDATE ON %I FOR EACH ROW'
      ' WHEN (NOT (%s) OR %s) EXECUTE FUNCTION linkflow_guard(%L)', part, here, leaving, key);
  END LOOP;
END $$;

-- Rows of a leaving range that changed since its copying began, by their keys: those of tables that are copied before
-- the write stop.
CREATE TABLE shard_changes (
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  part text NOT NULL,
  a text NOT NULL,
  b text NOT NULL
);

CREATE FUNCTION linkflow_note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    EXECUTE TG_ARGV[0] USING OLD;
  ELSE
    EXECUTE TG_ARGV[0] USING NEW;
  END IF;
  RETURN NULL;
END $$;

-- Note the changes of a table's rows in a range of shards; `holder` is the column with the execution id.
CREATE FUNCTION linkflow_note_changes(part text, holder text, a text, b text, first integer, last integer) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  note text; row text;
BEGIN
  note := format('INSERT INTO shard_changes (part, a, b) VALUES (%L, ($1).%I::text, %s)', part, a,
    CASE b WHEN '' THEN '''''' ELSE format('($1).%I::text', b) END);
  FOREACH row IN ARRAY ARRAY['NEW', 'OLD'] LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER linkflow_note_%s AFTER %s ON %I FOR EACH ROW'
      ' WHEN (linkflow_shard(%s.%I) BETWEEN %s AND %s) EXECUTE FUNCTION linkflow_note_change(%L)',
      lower(row), CASE row WHEN 'NEW' THEN 'INSERT OR UPDATE' ELSE 'DELETE' END, part, row, holder, first, last, note);
  END LOOP;
END $$;

-- A move: one at a time, in the main database.
CREATE TABLE shard_moves (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  first_shard smallint NOT NULL,
  last_shard smallint NOT NULL,
  source text NOT NULL,
  target text NOT NULL,
  phase text NOT NULL CHECK (phase IN ('copying', 'handed_over', 'dropping')),
  started_at timestamptz NOT NULL DEFAULT now()
);
