-- How large a run's history is, for its limit. Code before this leaves it as it is: such runs count too low.

ALTER TABLE executions ADD COLUMN IF NOT EXISTS history_bytes bigint NOT NULL DEFAULT 0;

-- concurrently
UPDATE executions e
SET history_bytes = (SELECT sum(octet_length(h.events)) FROM history h WHERE h.execution_id = e.id)
WHERE e.id IN (
  SELECT o.id FROM executions o
  WHERE o.closed_at = 0 AND o.history_bytes = 0
    AND EXISTS (SELECT FROM history h WHERE h.execution_id = o.id AND h.events <> '')
  LIMIT 5000
);
