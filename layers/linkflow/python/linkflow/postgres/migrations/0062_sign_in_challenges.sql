-- A command line that signs in by a provider proves that the code is its own (PKCE, RFC 7636): '' where none was given.
ALTER TABLE oidc_attempts ADD COLUMN challenge text NOT NULL DEFAULT '';
