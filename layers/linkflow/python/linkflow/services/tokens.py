"""Access tokens: short-lived JWTs (HS256) that name a user and the login they come from.

The key is derived from the installation's secret for this purpose alone, and the audience is the API's: such a token is
worth nothing as an internal call token, nor the other way round.
"""

from __future__ import annotations

import hashlib
import hmac

from msgspec import Struct

from linkflow import signed
from linkflow.domain.errors import Unauthenticated
from linkflow.domain.ids import is_uuid

AUDIENCE = "linkflow-api"


class Scope(Struct, frozen=True):
    """What an API key is good for. `workspace_id` empty: wherever its owner is in; `permissions` empty: all of his;
    `expires_at` 0: it does not end."""

    key_id: str
    workspace_id: str = ""
    permissions: frozenset[str] = frozenset()
    expires_at: int = 0


class Identity(Struct, frozen=True):
    """Who calls: somebody who is signed in, since which login (the family of the refresh token), or the bearer of an
    API key. `user_id` is empty for a workspace's own key."""

    user_id: str
    family: str
    scope: Scope | None = None

    @property
    def principal(self) -> str:
        """Whose calls these are: an id."""
        return self.user_id or (self.scope.key_id if self.scope else "")


class AccessTokens:
    """Makes and checks access tokens. `ttl` is seconds; `secret` at least 32 characters."""

    def __init__(self, secret: str, ttl: int = 900) -> None:
        if len(secret) < 32:
            raise ValueError("LINKFLOW_SECRET must have at least 32 characters.")
        self._key = hmac.digest(secret.encode(), b"linkflow access token v1", hashlib.sha256)
        self.ttl = ttl

    def issue(self, identity: Identity, now_ms: int) -> str:
        now = now_ms // 1000
        claims = {"sub": identity.user_id, "sid": identity.family, "aud": AUDIENCE, "iat": now, "exp": now + self.ttl}
        return signed.encode(claims, self._key)

    def read(self, token: str, now_ms: int) -> Identity:
        """Raises `Unauthenticated` for a token that is forged, expired or meant for something else."""
        try:
            claims = signed.decode(token, self._key, AUDIENCE, require=("exp", "iat", "sub"))
        except signed.BadToken:
            raise Unauthenticated("The access token is not valid. Sign in again.") from None
        user, family, expires = claims["sub"], claims.get("sid"), claims["exp"]
        if not isinstance(expires, int) or expires * 1000 <= now_ms:
            raise Unauthenticated("The access token has expired. Use the refresh token to get another.")
        if not isinstance(user, str) or not isinstance(family, str) or not is_uuid(user) or not is_uuid(family):
            raise Unauthenticated("The access token is not valid. Sign in again.")
        return Identity(user, family)
