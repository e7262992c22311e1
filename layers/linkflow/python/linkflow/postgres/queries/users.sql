-- name: add
-- A new user, unless the address is taken in whatever case.
INSERT INTO users (id, email, first_name, last_name, password_hash, created_at)
VALUES (%(id)s, %(email)s, %(first_name)s, %(last_name)s, %(password_hash)s, %(created_at)s)
ON CONFLICT ((lower(email))) DO NOTHING

-- name: by_email
-- The user with this address, in whatever case.
SELECT id::text, email, first_name, last_name, password_hash, created_at, email_verified_at FROM users WHERE lower(email) = lower(%s)

-- name: by_id
-- One user.
SELECT id::text, email, first_name, last_name, password_hash, created_at, email_verified_at FROM users WHERE id = %s

-- name: rehash
-- The same password under today's parameters.
UPDATE users SET password_hash = %(hash)s WHERE id = %(id)s

-- name: add_token
-- A refresh token, stored as its hash.
INSERT INTO refresh_tokens (hash, family, user_id, created_at, expires_at)
VALUES (%(hash)s, %(family)s, %(user_id)s, %(created_at)s, %(expires_at)s)

-- name: drop_expired
-- A user's tokens that are past their time.
DELETE FROM refresh_tokens WHERE user_id = %(user_id)s AND expires_at <= %(at)s

-- name: use_token
-- Use up a token; of two callers at once the row lock lets one through.
UPDATE refresh_tokens SET used_at = %(at)s
WHERE hash = %(old)s AND used_at = 0 AND expires_at > %(at)s
RETURNING family::text, user_id::text

-- name: revoke_reused
-- A used token came back: everything that descends from the same login is worth nothing now.
DELETE FROM refresh_tokens
WHERE family = (SELECT family FROM refresh_tokens WHERE hash = %(old)s AND used_at > 0)
RETURNING family::text, user_id::text

-- name: revoke
-- All tokens of one login.
DELETE FROM refresh_tokens WHERE family = %s
