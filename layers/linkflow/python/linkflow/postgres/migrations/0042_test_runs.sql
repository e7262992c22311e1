-- Test runs are a rare mode like the others that people begin. Earlier code asks for fewer modes, which these serve, too.

-- concurrently
CREATE INDEX CONCURRENTLY executions_by_rare_mode ON executions (workspace_id, mode, id DESC)
  WHERE mode IN ('manual', 'retry', 'error', 'fork', 'rerun', 'test');

CREATE INDEX CONCURRENTLY executions_by_workflow_rare_mode ON executions (workflow_id, mode, id DESC)
  WHERE mode IN ('manual', 'retry', 'error', 'fork', 'rerun', 'test');

DROP INDEX CONCURRENTLY IF EXISTS executions_by_mode;

DROP INDEX CONCURRENTLY IF EXISTS executions_by_workflow_mode;
