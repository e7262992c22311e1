-- name: sweep
-- Drop some answers whose time is over; somebody else's sweep is passed by.
DELETE FROM replies WHERE ctid IN (SELECT ctid FROM replies WHERE expires_at <= %(at)s LIMIT 100 FOR UPDATE SKIP LOCKED)

-- name: claim
-- Take a key that is free or whose time is over.
INSERT INTO replies AS r (workspace_id, key, fingerprint, expires_at)
VALUES (%(workspace_id)s, %(key)s, %(fingerprint)s, %(until)s)
ON CONFLICT (workspace_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = 0, headers = '{}', body = '', expires_at = excluded.expires_at
WHERE r.expires_at <= %(at)s

-- name: get
-- What is stored under a key.
SELECT fingerprint, status, headers, body FROM replies WHERE workspace_id = %(workspace_id)s AND key = %(key)s

-- name: keep
-- The answer to the call that took the key.
UPDATE replies SET status = %(status)s, headers = %(headers)s, body = %(body)s, expires_at = %(until)s
WHERE workspace_id = %(workspace_id)s AND key = %(key)s

-- name: drop
-- The call failed: the key is free for another try.
DELETE FROM replies WHERE workspace_id = %(workspace_id)s AND key = %(key)s AND status = 0
