-- A busy database, written in bulk: many finished runs, and much that is open, queued, kept or due. The `n`th row of a
-- kind is `pg_temp.nth(kind, n)`; kind 0 is a run, 1 a workspace, 2 a workflow, 3 anything else. The first workspace and
-- its first workflow have most of it.

CREATE FUNCTION pg_temp.nth(kind integer, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex(1780000000000 + n), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
    || '8' || kind || lpad(to_hex(n), 14, '0'))::uuid
$$;
CREATE FUNCTION pg_temp.owner(n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN n % 4 = 0 THEN n % 2000 ELSE 0 END
$$;

INSERT INTO users SELECT pg_temp.nth(3, n), 'u' || n || '@example.com', 'U', 'N', 'x', 0 FROM generate_series(0, 4999) n;
INSERT INTO refresh_tokens SELECT sha256(('t' || n)::bytea), pg_temp.nth(3, n), pg_temp.nth(3, n % 5000), 0, 1, n % 2
FROM generate_series(0, 19999) n;
INSERT INTO sessions SELECT pg_temp.nth(3, n), pg_temp.nth(3, n % 5000), 'password', '', '', 0, n
FROM generate_series(0, 19999) n;
INSERT INTO account_tokens SELECT ('t' || n)::bytea, pg_temp.nth(3, n % 5000), 'reset', '', 0, n FROM generate_series(0, 9999) n;
INSERT INTO sign_in_failures SELECT ('k' || n)::bytea, 1, 0, n FROM generate_series(0, 9999) n;
INSERT INTO identities SELECT 'p', 's' || n, pg_temp.nth(3, n % 5000), '', 0, 0 FROM generate_series(0, 9999) n;
INSERT INTO second_factors SELECT pg_temp.nth(3, n), '', 0, 1, 0 FROM generate_series(0, 4999) n;
INSERT INTO recovery_codes SELECT pg_temp.nth(3, n % 5000), ('c' || n)::bytea FROM generate_series(0, 49999) n;
INSERT INTO oidc_attempts SELECT ('a' || n)::bytea, '', 'p', '', '', '', NULL, n FROM generate_series(0, 9999) n;
INSERT INTO workspaces SELECT pg_temp.nth(1, n), 'w', 0, 0 FROM generate_series(0, 1999) n;
INSERT INTO members SELECT pg_temp.nth(1, n % 2000), pg_temp.nth(3, n), 'owner', 0 FROM generate_series(0, 4999) n;
INSERT INTO roles SELECT pg_temp.nth(3, n), pg_temp.nth(1, n % 2000), 'r' || n, '{workspace.view}', 0, 0
FROM generate_series(0, 9999) n;
INSERT INTO invitations SELECT pg_temp.nth(3, n), pg_temp.nth(1, n % 2000), 'i' || n || '@example.com', 'member', NULL,
       ('i' || n)::bytea, pg_temp.nth(3, 0), 0, n FROM generate_series(0, 19999) n;
INSERT INTO api_keys SELECT pg_temp.nth(3, n), ('key' || n)::bytea, '', 'k', CASE WHEN n % 2 = 0 THEN pg_temp.nth(3, n % 5000) END,
       pg_temp.nth(1, n % 2000), '{workspace.view}', pg_temp.nth(3, 0), 0, 0 FROM generate_series(0, 19999) n;
INSERT INTO audit_log SELECT pg_temp.nth(3, n), CASE WHEN n % 5 > 0 THEN pg_temp.nth(1, pg_temp.owner(n)) END,
       pg_temp.nth(3, n % 5000), CASE WHEN n % 50 = 1 THEN 'user:' || pg_temp.nth(3, 1) ELSE 'user:' || pg_temp.nth(3, n % 5000) END,
       'session', '', 'a' || n % 40, 'workflow', 't' || n % 4000, '', '', '', '[]'
FROM generate_series(0, 19999) n;
INSERT INTO workflows SELECT pg_temp.nth(2, n), pg_temp.nth(1, pg_temp.owner(n)), 'f', '', true, 1, 1, NULL, 0, 0
FROM generate_series(0, 9999) n;
INSERT INTO workflow_versions SELECT pg_temp.nth(2, n % 10000), 1 + n / 10000, '{"name": "f"}', 0
FROM generate_series(0, 19999) n;
INSERT INTO webhooks SELECT 'hook' || n, pg_temp.nth(2, n), 'hook', pg_temp.nth(1, pg_temp.owner(n)), 1, true, '{}', 0
FROM generate_series(0, 9999) n;
INSERT INTO webhook_refusals
SELECT pg_temp.nth(4, n), 'hook' || CASE WHEN n < 10000 THEN 1 ELSE n % 10000 END, 1000 + n, 'POST', '', '', 401, 'c', 'd', '{}', 0
FROM generate_series(0, 29999) n;
INSERT INTO schedules (workflow_id, node_id, workspace_id, workflow_version, cron, timezone, next_at, id)
SELECT pg_temp.nth(2, n % 10000), 's' || n / 10000, pg_temp.nth(1, pg_temp.owner(n % 10000)), 1, '* * * * *', 'UTC', 1000 + n,
       pg_temp.nth(3, n)
FROM generate_series(0, 19999) n;
INSERT INTO schedule_firings (workflow_id, node_id, due_at, cause, outcome, at, overlap, execution_id, open)
SELECT pg_temp.nth(2, n % 10000), 's0', n, 'schedule', 'started', n, 'skip', pg_temp.nth(0, n), n % 50 = 0
FROM generate_series(0, 39999) n;
INSERT INTO replies SELECT pg_temp.nth(1, pg_temp.owner(n)), 'k' || n, '', 200, '{}', '', n
FROM generate_series(0, 39999) n;

INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at,
                        closed_at, parent_id, state, state_version)
SELECT pg_temp.nth(0, n), n % 4096, pg_temp.nth(1, pg_temp.owner(n)), pg_temp.nth(2, pg_temp.owner(n)), 1,
       CASE WHEN n % 20 = 7 THEN 2 WHEN n % 1000 = 9 OR n < 2 THEN 0 ELSE 1 END,
       CASE WHEN n % 1000 = 11 THEN 'error' ELSE 'webhook' END,
       CASE WHEN n = 1 THEN 20000 ELSE 9 END, 1, CASE WHEN n % 1000 = 9 OR n < 2 THEN 0 ELSE 2 END,
       CASE WHEN n % 1000 = 11 THEN pg_temp.nth(0, n - 4) END, convert_to(repeat('{"state": 1}', 20), 'UTF8'),
       CASE WHEN n = 1 THEN 19990 END
FROM generate_series(0, 99999) n;
INSERT INTO history SELECT pg_temp.nth(0, n), 1, 9, convert_to(repeat('{"event": 1}', 30), 'UTF8')
FROM generate_series(2, 99999) n;
INSERT INTO history SELECT pg_temp.nth(0, 1), n, n, '[{"event": 1}]' FROM generate_series(1, 20000) n;
INSERT INTO idempotency_keys SELECT pg_temp.nth(2, pg_temp.owner(n)), 'k' || n, pg_temp.nth(0, n)
FROM generate_series(0, 49999) n;

INSERT INTO tasks SELECT pg_temp.nth(0, n), 'node', 1, 'default', 0, 0, 1000 + n FROM generate_series(0, 19999) n;
INSERT INTO messages SELECT pg_temp.nth(0, n), 'm', 'kind', '{}', 1000 + n FROM generate_series(0, 19999) n;
INSERT INTO timers SELECT pg_temp.nth(0, n), 'sleep/node/1', 1000 + n FROM generate_series(0, 49999) n;
INSERT INTO heartbeats SELECT pg_temp.nth(0, n), 'node', 1, 1000 FROM generate_series(0, 19999) n;
INSERT INTO waits
SELECT pg_temp.nth(0, n), 'wait', 1, pg_temp.nth(1, pg_temp.owner(n)), pg_temp.nth(2, pg_temp.owner(n)), 'event',
       'paid', CASE WHEN n % 4 = 1 THEN '' WHEN n % 4 = 2 THEN 'all' ELSE 'k' || n END, 0, n, '{}'
FROM generate_series(0, 19999) n;
INSERT INTO waits
SELECT pg_temp.nth(0, n), 'ask', 1, pg_temp.nth(1, pg_temp.owner(n)), pg_temp.nth(2, pg_temp.owner(n)), 'approval', '',
       '', 0, n, '{}'
FROM generate_series(20000, 29999) n;
INSERT INTO kept_events SELECT pg_temp.nth(1, pg_temp.owner(n)), 'e' || n, 'early', 'k' || n, '{}', '', 5000 + n
FROM generate_series(0, 19999) n;
INSERT INTO slots SELECT pg_temp.nth(0, n), pg_temp.nth(2, pg_temp.owner(n)), 'key' || n, false, 1, 5
FROM generate_series(0, 9999) n;
INSERT INTO slots SELECT pg_temp.nth(0, n), pg_temp.nth(2, 0), 'busy', n > 10010, n, 10
FROM generate_series(10000, 19999) n;
INSERT INTO start_rates SELECT pg_temp.nth(2, pg_temp.owner(n)), 'key' || n, n FROM generate_series(0, 19999) n;
INSERT INTO collectors SELECT pg_temp.nth(2, pg_temp.owner(n)), 'start', 'key' || n, pg_temp.nth(0, n)
FROM generate_series(0, 9999) n;
INSERT INTO fairness_keys SELECT pg_temp.nth(0, n), 'tenant' FROM generate_series(0, 19999) n;
INSERT INTO blobs SELECT pg_temp.nth(0, n), pg_temp.nth(1, pg_temp.owner(n)), 'sha' || n, 'x'
FROM generate_series(0, 19999) n;
INSERT INTO forks SELECT pg_temp.nth(0, n / 50), pg_temp.nth(0, n) FROM generate_series(0, 9999) n;
INSERT INTO bulk_operations (id, workspace_id, verb, request, actor, status, targets, more, created_at, updated_at,
                             offer_at)
SELECT pg_temp.nth(3, n), pg_temp.nth(1, pg_temp.owner(n)), 'cancel', '{}', '',
       CASE WHEN n % 1000 = 1 THEN 'running' ELSE 'completed' END, ARRAY[pg_temp.nth(0, n)], false, 0, 0, n
FROM generate_series(0, 9999) n;
INSERT INTO run_facts SELECT pg_temp.nth(0, n), pg_temp.nth(1, pg_temp.owner(n)), '', '{}', '{"code": "http_500"}'
FROM generate_series(0, 39999) n;
INSERT INTO run_terms
SELECT pg_temp.nth(0, n), term, pg_temp.nth(1, pg_temp.owner(n))
FROM generate_series(0, 39999) n, LATERAL (VALUES ('w:timeout'), ('e:http_500'), ('w:w' || n % 5000)) AS t (term);
INSERT INTO notification_rules
SELECT pg_temp.nth(2, 100000 + n), pg_temp.nth(1, n % 1000), 'on call', true, '{failed}', '{}', 0, 60000, '{}', 1, 0, 0, 0,
       CASE WHEN n % 2 = 0 THEN n END
FROM generate_series(0, 9999) n;
INSERT INTO tallies (workspace_id, workflow_id, at, started, nodes)
SELECT pg_temp.nth(1, pg_temp.owner(n)), pg_temp.nth(2, pg_temp.owner(n)), n, 1, 10 FROM generate_series(0, 19999) n;
INSERT INTO usage_sums
SELECT pg_temp.nth(1, pg_temp.owner(n / 10)), 60, 3600000::bigint * (n / 100), pg_temp.nth(2, n % 100), 1, 1, 1, 1, '{}', '{}', 0, 0, 0
FROM generate_series(0, 99999) n ON CONFLICT DO NOTHING;
INSERT INTO credentials (id, workspace_id, name, slug, kind, shown, version, key_id, key, data, status, status_at, created_by,
                         created_at, updated_at)
SELECT pg_temp.nth(4, n), pg_temp.nth(1, pg_temp.owner(n)), 'c' || n, 'c' || n, 'http_bearer', '{}', 1, 'k1', 'x', 'x', 'ready',
       0, '', 0, 0
FROM generate_series(0, 9999) n;
INSERT INTO variables (id, workspace_id, environment, key, value, secret, version, created_by, created_at, updated_at)
SELECT pg_temp.nth(5, n), pg_temp.nth(1, n / 10), CASE WHEN n % 2 = 0 THEN '' ELSE 'production' END, 'K' || n / 2, 'v', false, 1, '',
       0, 0
FROM generate_series(0, 9999) n;
ANALYZE;
