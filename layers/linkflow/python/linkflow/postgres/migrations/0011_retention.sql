-- Retention: old partitions of history and blobs are dropped whole. What has to stay goes to the default partition.

-- Rows that came before their month had a partition are in the default one: they move into it when it is made.
CREATE OR REPLACE FUNCTION linkflow_make_partitions(months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz; first uuid; beyond uuid; made integer := 0; parent text; part text;
BEGIN
  FOR i IN 0..months - 1 LOOP
    start := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
    first := linkflow_uuid_floor(start);
    beyond := linkflow_uuid_floor(((start AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
    FOREACH parent IN ARRAY ARRAY['history', 'blobs'] LOOP
      part := parent || '_' || to_char(start AT TIME ZONE 'UTC', 'YYYYMM');
      CONTINUE WHEN to_regclass(part) IS NOT NULL;
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', part, parent);
      EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', parent || '_other');
      EXECUTE format('WITH moved AS (DELETE FROM %I WHERE execution_id >= %L AND execution_id < %L RETURNING *)'
        ' INSERT INTO %I SELECT * FROM moved', parent || '_other', first, beyond, part);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, first, beyond);
      made := made + 1;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;

-- Drop one partition; what belongs to runs that are still there moves to the default partition with it. Returns how
-- many rows moved, null where there is no such partition. No run begins with an id this old, so the list of those that
-- stay is complete before anything is locked, and others wait for no more than the moving of their rows.
CREATE FUNCTION linkflow_drop_partition(parent text, part text, first uuid, beyond uuid) RETURNS bigint
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
  stay uuid[]; moved bigint;
BEGIN
  IF to_regclass(quote_ident(part)) IS NULL THEN
    RETURN NULL;
  END IF;
  stay := ARRAY(SELECT id FROM executions WHERE id >= first AND id < beyond);
  EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, part);
  EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE execution_id = ANY ($1)', parent, part) USING stay;
  GET DIAGNOSTICS moved = ROW_COUNT;
  EXECUTE format('DROP TABLE %I', part);
  RETURN moved;
END $$;
