-- name: alive
-- Does a session still have refresh tokens?
SELECT EXISTS (SELECT FROM refresh_tokens WHERE family = %s)

-- name: open_session
-- A new session.
INSERT INTO sessions (id, user_id, method, ip, user_agent, created_at, last_used_at)
VALUES (%(family)s, %(user_id)s, %(method)s, %(ip)s, %(user_agent)s, %(created_at)s, %(created_at)s)

-- name: touch_session
-- It was used; one that older code has opened gets its row.
INSERT INTO sessions (id, user_id, method, ip, user_agent, created_at, last_used_at)
VALUES (%(family)s, %(user_id)s, 'password', %(ip)s, %(user_agent)s, %(at)s, %(at)s)
ON CONFLICT (id) DO UPDATE SET last_used_at = excluded.last_used_at, ip = excluded.ip, user_agent = excluded.user_agent

-- name: drop_sessions
-- Forget a user's sessions that have no refresh token any more.
DELETE FROM sessions s
WHERE s.user_id = %(user_id)s AND NOT EXISTS (SELECT FROM refresh_tokens r WHERE r.family = s.id)

-- name: sessions
-- Those that live, the one used last first.
SELECT s.id::text, s.user_id::text, s.method, s.ip, s.user_agent, s.created_at, s.last_used_at
FROM sessions s
WHERE s.user_id = %(user_id)s
  AND EXISTS (SELECT FROM refresh_tokens r WHERE r.family = s.id AND r.used_at = 0 AND r.expires_at > %(at)s)
ORDER BY s.last_used_at DESC, s.id DESC LIMIT 200

-- name: end_sessions
-- All sessions of a user but one.
DELETE FROM refresh_tokens WHERE user_id = %(user_id)s AND (%(but)s::uuid IS NULL OR family <> %(but)s::uuid)
RETURNING family

-- name: end_session
-- One session of a user.
DELETE FROM refresh_tokens WHERE family = %(id)s AND user_id = %(user_id)s

-- name: rename
-- Another name.
UPDATE users SET first_name = %(first_name)s, last_name = %(last_name)s WHERE id = %(id)s

-- name: drop_sent
-- Earlier tokens for this are worth nothing any more.
DELETE FROM account_tokens WHERE user_id = %(user_id)s AND purpose = %(purpose)s

-- name: send
-- A token, stored as its hash.
INSERT INTO account_tokens (hash, user_id, purpose, detail, created_at, expires_at)
VALUES (%(hash)s, %(user_id)s, %(purpose)s, %(detail)s, %(created_at)s, %(expires_at)s)

-- name: sent
-- Look at a token.
SELECT hash, user_id::text, purpose, detail, created_at, expires_at FROM account_tokens
WHERE hash = %(hash)s AND purpose = %(purpose)s AND expires_at > %(at)s

-- name: take
-- Use up a token; of two callers at once one gets it.
DELETE FROM account_tokens WHERE hash = %(hash)s AND purpose = %(purpose)s AND expires_at > %(at)s
RETURNING hash, user_id::text, purpose, detail, created_at, expires_at

-- name: verified
-- The address is its owner's.
UPDATE users SET email_verified_at = %(at)s
WHERE id = %(id)s AND email_verified_at = 0 AND (%(email)s = '' OR lower(email) = lower(%(email)s))

-- name: set_password
-- Another password.
UPDATE users SET password_hash = %(hash)s WHERE id = %(id)s

-- name: clean_keys
-- What somebody has hung on an account before its address was verified: API keys,
DELETE FROM api_keys WHERE user_id = %s

-- name: clean_identities
-- and accounts at providers.
DELETE FROM identities WHERE user_id = %s

-- name: lock_workspaces
-- Their members stay as they are while one of them is deleted.
SELECT w.id FROM members m JOIN workspaces w ON w.id = m.workspace_id WHERE m.user_id = %s ORDER BY w.id FOR UPDATE OF w

-- name: sole_owner_of
-- Workspaces that nobody else owns.
SELECT w.id::text, w.name FROM members m JOIN workspaces w ON w.id = m.workspace_id
WHERE m.user_id = %s AND m.role = 'owner' AND w.deleted_at = 0 AND NOT EXISTS (
  SELECT FROM members o WHERE o.workspace_id = m.workspace_id AND o.role = 'owner' AND o.user_id <> m.user_id)
ORDER BY w.id

-- name: delete
-- The account, and what hangs on it.
DELETE FROM users WHERE id = %s

-- name: locked_until
-- A lock-out.
SELECT locked_until FROM sign_in_failures WHERE key = %s

-- name: failed
-- Count a failure; from the `free`th on it locks, for twice as long each time.
INSERT INTO sign_in_failures AS f (key, failures, locked_until, last_at) VALUES (%(key)s, 1, 0, %(at)s)
ON CONFLICT (key) DO UPDATE SET
  failures = CASE WHEN f.last_at + %(forget)s < %(at)s THEN 1 ELSE f.failures + 1 END,
  locked_until = CASE WHEN f.last_at + %(forget)s >= %(at)s AND f.failures + 1 >= %(free)s
    THEN %(at)s + least(%(first)s * power(2, least(f.failures + 1 - %(free)s, 30)), %(longest)s)::bigint ELSE 0 END,
  last_at = %(at)s
RETURNING locked_until

-- name: clear_failures
-- He got in.
DELETE FROM sign_in_failures WHERE key = %s

-- name: factor
-- A second factor.
SELECT secret, confirmed_at, last_step, (SELECT count(*) FROM recovery_codes r WHERE r.user_id = f.user_id)
FROM second_factors f WHERE f.user_id = %s

-- name: begin_factor
-- Set one up anew, unless a confirmed one is there.
INSERT INTO second_factors (user_id, secret, created_at) VALUES (%(user_id)s, %(secret)s, %(at)s)
ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, created_at = excluded.created_at, last_step = 0
WHERE second_factors.confirmed_at = 0

-- name: confirm_factor
-- It works: from now on it is asked for.
UPDATE second_factors SET confirmed_at = %(at)s, last_step = %(step)s WHERE user_id = %(user_id)s AND confirmed_at = 0

-- name: use_step
-- Take a code; none that is as old as the last one.
UPDATE second_factors SET last_step = %(step)s WHERE user_id = %(user_id)s AND last_step < %(step)s

-- name: use_code
-- A recovery code is good for once.
DELETE FROM recovery_codes WHERE user_id = %(user_id)s AND hash = %(hash)s

-- name: drop_codes
-- All of them.
DELETE FROM recovery_codes WHERE user_id = %s

-- name: add_codes
-- New ones.
INSERT INTO recovery_codes (user_id, hash) SELECT %(user_id)s, unnest(%(hashes)s::bytea[])

-- name: drop_factor
-- The second factor is gone.
DELETE FROM second_factors WHERE user_id = %s

-- name: drop_attempts
-- Sign-ins that never came back.
DELETE FROM oidc_attempts WHERE expires_at <= %s

-- name: begin_attempt
-- A sign-in on its way through a provider.
INSERT INTO oidc_attempts (hash, browser, provider, nonce, verifier, redirect, user_id, expires_at, challenge)
VALUES (%(hash)s, %(browser)s, %(provider)s, %(nonce)s, %(verifier)s, %(redirect)s, %(user_id)s, %(expires_at)s,
        %(challenge)s)

-- name: finish_attempt
-- It came back, once, to the browser that began it.
DELETE FROM oidc_attempts
WHERE hash = %(hash)s AND browser = %(browser)s AND provider = %(provider)s AND expires_at > %(at)s
RETURNING hash, browser, provider, nonce, verifier, redirect, coalesce(user_id::text, ''), expires_at, challenge

-- name: find_identity
-- Whose account at a provider this is.
UPDATE identities SET last_used_at = %(at)s WHERE provider = %(provider)s AND subject = %(subject)s
RETURNING user_id::text

-- name: link
-- An account at a provider by which somebody may sign in from now on.
INSERT INTO identities AS i (provider, subject, user_id, email, created_at, last_used_at)
VALUES (%(provider)s, %(subject)s, %(user_id)s, %(email)s, %(created_at)s, %(last_used_at)s)
ON CONFLICT (provider, subject) DO UPDATE SET last_used_at = excluded.last_used_at WHERE i.user_id = excluded.user_id

-- name: identities
-- Somebody's accounts at providers.
SELECT provider, subject, user_id::text, email, created_at, last_used_at FROM identities
WHERE user_id = %s ORDER BY created_at, provider

-- name: unlink
-- Not by this provider any more.
DELETE FROM identities WHERE user_id = %(user_id)s AND provider = %(provider)s

-- name: drop_old_tokens
-- Links that nobody followed.
DELETE FROM account_tokens WHERE expires_at <= %s

-- name: drop_old_failures
-- Failures that are forgotten.
DELETE FROM sign_in_failures WHERE last_at <= %s
