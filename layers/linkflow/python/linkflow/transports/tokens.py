"""Tokens of internal calls: short-lived JWTs (RFC 7519), HS256 alone, one audience a service.

Claims: ``iss`` linkflow, ``aud`` the service, ``sub`` the actor, ``ws`` the workspace, ``perms`` and ``exp``.
There is no ``nbf``: the clocks of two hosts may differ, and half a lifetime is the margin for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from linkflow import signed
from linkflow.config import BadConfig, Config
from linkflow.contracts.base import Caller
from linkflow.domain.errors import Unauthenticated

ISSUER = "linkflow"
MIN_SECRET = 32
_CACHED = 4096


class TokenSigner:
    """`linkflow.contracts.base.Signer` over a shared secret.

    A signature costs more than most calls, so a token is used again until half of its life is over, and one that was
    verified is believed until it expires.
    """

    def __init__(self, secret: str, ttl: int = 60, now: Callable[[], float] = time.time) -> None:
        """`ttl` is in seconds. Raises `BadConfig` for a secret that is too short to sign with."""
        if len(secret) < MIN_SECRET:
            raise BadConfig(f"LINKFLOW_SECRET needs at least {MIN_SECRET} characters to sign internal calls.")
        self._secret = secret.encode()
        self._ttl = ttl
        self._now = now
        self._signed: dict[tuple[str, Caller], tuple[float, str]] = {}
        self._verified: dict[tuple[str, str], tuple[float, Caller]] = {}

    @classmethod
    def of(cls, config: Config) -> TokenSigner:
        """The signer that `config` describes."""
        return cls(config.secret, config.call_ttl)

    def sign(self, service: str, caller: Caller) -> str:
        """A token with which `caller` may call `service`, good for at least half of `ttl`."""
        key = (service, caller)
        now = self._now()
        found = self._signed.get(key)
        # Not one from the future either: the clock was set back, and the others' clocks go on.
        if found is not None and found[0] - self._ttl / 2 <= now < found[0]:
            return found[1]
        claims = {
            "iss": ISSUER,
            "aud": service,
            "sub": caller.actor,
            "ws": caller.workspace_id,
            "perms": sorted(caller.permissions),
            "exp": int(now) + self._ttl,
        }
        token = signed.encode(claims, self._secret)
        _keep(self._signed, key, (now + self._ttl / 2, token), now)
        return token

    def verify(self, service: str, token: str) -> Caller:
        """Who calls. Raises `Unauthenticated` for a token that is forged, expired or meant for another service."""
        key = (service, token)
        now = self._now()
        found = self._verified.get(key)
        if found is not None and now < found[0]:
            return found[1]
        expires, caller = self._read(service, token)
        if now >= expires:
            raise Unauthenticated("The token of this internal call has expired.")
        _keep(self._verified, key, (expires, caller), now)
        return caller

    def _read(self, service: str, token: str) -> tuple[float, Caller]:
        # exp is compared by verify(), with the clock that the cache goes by; here it only has to be there.
        try:
            claims = signed.decode(token, self._secret, service, require=("exp", "sub"))
            if claims.get("iss") != ISSUER:
                raise signed.BadToken("It is another issuer's.")
            caller = Caller(str(claims["ws"]), frozenset(map(str, claims["perms"])), str(claims["sub"]))
            return float(claims["exp"]), caller
        except (KeyError, TypeError, ValueError):
            # Which check failed is of use to a forger alone.
            raise Unauthenticated(f"This token does not open the {service} service.") from None


def _keep(cache: dict[Any, tuple[float, Any]], key: Any, entry: tuple[float, Any], now: float) -> None:
    """Remember `entry`; at the limit the dead ones go first, then all: a cache may forget, it may not grow."""
    if len(cache) >= _CACHED:
        for old in [k for k, (until, _) in cache.items() if until <= now]:
            del cache[old]
        if len(cache) >= _CACHED:
            cache.clear()
    cache[key] = entry
