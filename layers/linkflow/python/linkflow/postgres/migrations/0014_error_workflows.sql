-- Error workflows: from a failed run to those that were started for it.

-- concurrently
CREATE INDEX CONCURRENTLY executions_by_failure ON executions (parent_id) WHERE mode = 'error';
