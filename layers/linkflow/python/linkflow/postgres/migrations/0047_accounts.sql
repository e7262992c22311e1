-- Accounts: sessions to look at and revoke, links by mail, a second factor, sign-in with providers, and lock-outs.
-- A session lives as long as its family of refresh tokens: older code, which knows no sessions, revokes by that alone.

ALTER TABLE users ADD COLUMN email_verified_at bigint NOT NULL DEFAULT 0;

CREATE TABLE sessions (
  id uuid PRIMARY KEY,                     -- the family of its refresh tokens
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  method text NOT NULL,                    -- password, or the provider's name
  ip text NOT NULL,
  user_agent text NOT NULL,
  created_at bigint NOT NULL,
  last_used_at bigint NOT NULL             -- its latest refresh
);
CREATE INDEX sessions_by_user ON sessions (user_id);

INSERT INTO sessions (id, user_id, method, ip, user_agent, created_at, last_used_at)
SELECT family, user_id, 'password', '', '', min(created_at), max(created_at) FROM refresh_tokens GROUP BY family, user_id;

-- What is sent by mail, or comes back from a provider: good for one use.
CREATE TABLE account_tokens (
  hash bytea PRIMARY KEY,                  -- sha256 of the token, which is stored nowhere
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  purpose text NOT NULL,                   -- verify, reset, sign-in
  detail text NOT NULL DEFAULT '',         -- the address that is verified, the way of signing in
  created_at bigint NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX account_tokens_by_user ON account_tokens (user_id, purpose);
CREATE INDEX account_tokens_by_expiry ON account_tokens (expires_at);

-- Wrong passwords and codes by account and address they came from.
CREATE TABLE sign_in_failures (
  key bytea PRIMARY KEY,                   -- sha256: whether there is such an account does not matter
  failures integer NOT NULL,
  locked_until bigint NOT NULL,
  last_at bigint NOT NULL
);
CREATE INDEX sign_in_failures_by_last ON sign_in_failures (last_at);

CREATE TABLE second_factors (
  user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  secret bytea NOT NULL,                   -- encrypted under a key of the installation's secret
  created_at bigint NOT NULL,
  confirmed_at bigint NOT NULL DEFAULT 0,  -- 0: being set up, not asked for yet
  last_step bigint NOT NULL DEFAULT 0      -- the time step of the last code: none is taken twice
);

CREATE TABLE recovery_codes (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  hash bytea NOT NULL,
  PRIMARY KEY (user_id, hash)
);

-- Accounts at providers by which somebody signs in.
CREATE TABLE identities (
  provider text NOT NULL,
  subject text NOT NULL,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  email text NOT NULL,
  created_at bigint NOT NULL,
  last_used_at bigint NOT NULL,
  PRIMARY KEY (provider, subject)
);
CREATE INDEX identities_by_user ON identities (user_id);

-- Sign-ins on their way through a provider.
CREATE TABLE oidc_attempts (
  hash bytea PRIMARY KEY,                  -- sha256 of the state
  browser bytea NOT NULL,                  -- sha256 of the cookie of the browser that began it
  provider text NOT NULL,
  nonce text NOT NULL,
  verifier text NOT NULL,                  -- PKCE
  redirect text NOT NULL,
  user_id uuid REFERENCES users ON DELETE CASCADE,  -- who links the account; null: somebody signs in
  expires_at bigint NOT NULL
);
CREATE INDEX oidc_attempts_by_expiry ON oidc_attempts (expires_at);
