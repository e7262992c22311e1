-- name: alone
-- One mover at a time, until its connection ends.
SELECT pg_try_advisory_lock(%(lock)s)

-- name: not_alone
-- Let others move.
SELECT pg_advisory_unlock(%(lock)s)

-- name: found
-- The move that is under way.
SELECT first_shard, last_shard, source, target, phase FROM shard_moves

-- name: begin
-- Note that a range is about to move.
INSERT INTO shard_moves (first_shard, last_shard, source, target, phase)
VALUES (%(first)s, %(last)s, %(source)s, %(target)s, 'copying')

-- name: phase
-- How far it is.
UPDATE shard_moves SET phase = %(phase)s

-- name: end
-- It is over, or given up.
DELETE FROM shard_moves

-- name: strangers
-- Connections of processes that do not know a database: they would not find what moves there.
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND split_part(application_name, ' ', 1) = 'linkflow'
  AND NOT string_to_array(split_part(application_name, ' ', 2), ',') && ARRAY[%(name)s, '*']

-- name: wait
-- Behind whatever retention is doing.
SELECT pg_advisory_xact_lock(%(lock)s)

-- name: patience
-- Wait so long for a lock, in this transaction.
SELECT set_config('lock_timeout', %(wait)s, true)

-- name: not_for_ever
-- A mover that is frozen in the write stop is sent away, and the range goes on where it was.
SELECT set_config('idle_in_transaction_session_timeout', %(wait)s, true)

-- name: as_mover
-- The guard lets this transaction pass.
SELECT set_config('linkflow.mover', 'on', true)

-- name: still
-- One snapshot for all of this transaction.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: mark
-- A range of this database is on its way.
UPDATE shard_home SET move_role = %(role)s, move_first = %(first)s, move_last = %(last)s

-- name: unmark
-- No more.
UPDATE shard_home SET move_role = NULL, move_first = NULL, move_last = NULL

-- name: hold
-- What this database has from now on.
UPDATE shard_home SET firsts = %(firsts)s::smallint[], lasts = %(lasts)s::smallint[], epoch = epoch + 1

-- name: note_changes
-- From now on changes of these rows are noted.
SELECT linkflow_note_changes(%(part)s, %(holder)s, %(a)s, %(b)s, %(first)s::int, %(last)s::int)

-- name: forget_changes
-- No more notes of a table.
DROP TRIGGER IF EXISTS linkflow_note_new ON {table};
DROP TRIGGER IF EXISTS linkflow_note_old ON {table}

-- name: clear_changes
DELETE FROM shard_changes

-- name: changes
-- Notes, the oldest first.
SELECT seq, part, a, b FROM shard_changes ORDER BY seq LIMIT %(limit)s

-- name: drop_changes
-- These were carried over.
DELETE FROM shard_changes WHERE seq = ANY (%(seqs)s::bigint[])

-- name: columns
-- The columns of a table.
SELECT attname FROM pg_attribute
WHERE attrelid = %(table)s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum

-- name: read
-- The next rows of a range, by key.
SELECT {columns} FROM {table}
WHERE linkflow_shard({holder}) BETWEEN {first} AND {last} AND ({a}, {b}) > ({after_a}, {after_b})
ORDER BY {a}, {b} LIMIT {limit}

-- name: read_all
-- The rows of a range.
SELECT {columns} FROM {table} WHERE linkflow_shard({holder}) BETWEEN {first} AND {last}

-- name: read_keys
-- Rows by key.
SELECT {columns} FROM {table} t
JOIN unnest(%(a)s::text[], %(b)s::text[]) AS k (key_a, key_b) ON t.{a} = k.key_a::uuid AND t.{b} = k.key_b::{b_type}

-- name: incoming
-- Where rows arrive first.
CREATE TEMP TABLE incoming (LIKE {table}) ON COMMIT DROP

-- name: receive
COPY incoming ({columns}) FROM STDIN

-- name: take_in
-- Rows that are there already are the same, or come again with the notes.
INSERT INTO {table} ({columns}) SELECT {columns} FROM incoming ON CONFLICT DO NOTHING

-- name: drop_incoming
DROP TABLE incoming

-- name: drop_keys
-- Rows by key.
DELETE FROM {table} t USING unnest(%(a)s::text[], %(b)s::text[]) AS k (a, b)
WHERE t.{a} = k.a::uuid AND t.{b} = k.b::{b_type}

-- name: drop_all
-- The rows of a range.
DELETE FROM {table} WHERE linkflow_shard({holder}) BETWEEN {first} AND {last}

-- name: count
-- The rows of a range, but for some.
SELECT count(*) FROM {table} t
WHERE linkflow_shard(t.{holder}) BETWEEN {first} AND {last} AND NOT EXISTS (
  SELECT FROM unnest(%(a)s::text[], %(b)s::text[]) AS k (a, b) WHERE k.a = t.{a}::text AND k.b = t.{b}::text)

-- name: rates
-- All rates: their shards are not known here.
SELECT workflow_id::text, key, used_until FROM start_rates

-- name: put_rates
INSERT INTO start_rates (workflow_id, key, used_until)
SELECT * FROM unnest(%(workflow)s::uuid[], %(key)s::text[], %(until)s::bigint[])
ON CONFLICT (workflow_id, key) DO UPDATE SET used_until = excluded.used_until

-- name: drop_rates
DELETE FROM start_rates WHERE workflow_id = ANY (%(workflow)s::uuid[])

-- name: clear_map
DELETE FROM shard_map

-- name: put_map
INSERT INTO shard_map (first_shard, last_shard, database)
SELECT * FROM unnest(%(first)s::smallint[], %(last)s::smallint[], %(name)s::text[])

-- name: runs
-- How many runs a range has, and how many of them are open.
SELECT count(*), count(*) FILTER (WHERE closed_at = 0) FROM executions
WHERE linkflow_shard(executions.id) BETWEEN %(first)s AND %(last)s
