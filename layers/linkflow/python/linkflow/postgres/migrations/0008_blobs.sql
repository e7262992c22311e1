-- Payloads that are too large for a row, by reference. Partitioned like history, so that both go together.

CREATE TABLE blobs (
  execution_id uuid NOT NULL,
  workspace_id uuid NOT NULL,
  name text NOT NULL,                      -- sha256 of the data, in hex
  data bytea NOT NULL,
  PRIMARY KEY (execution_id, name)
) PARTITION BY RANGE (execution_id);

CREATE TABLE blobs_other PARTITION OF blobs DEFAULT;

-- The month's partition of every table that is partitioned by execution.
CREATE OR REPLACE FUNCTION linkflow_make_partitions(months integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  start timestamptz; made integer := 0; parent text; part text;
BEGIN
  FOR i IN 0..months - 1 LOOP
    start := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i)) AT TIME ZONE 'UTC';
    FOREACH parent IN ARRAY ARRAY['history', 'blobs'] LOOP
      part := parent || '_' || to_char(start AT TIME ZONE 'UTC', 'YYYYMM');
      IF to_regclass(part) IS NULL THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)', part, parent,
          linkflow_uuid_floor(start),
          linkflow_uuid_floor(((start AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'));
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
