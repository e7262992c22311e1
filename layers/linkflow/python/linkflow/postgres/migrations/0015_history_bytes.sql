-- How large a run's history is, for its limit. Code before this leaves it as it is: such runs count too low.

ALTER TABLE executions ADD COLUMN history_bytes bigint NOT NULL DEFAULT 0;

UPDATE executions e
SET history_bytes = (SELECT coalesce(sum(octet_length(h.events)), 0) FROM history h WHERE h.execution_id = e.id)
WHERE e.closed_at = 0;
