"""The address at which a webhook's caller asks how his run went: nobody else can make one."""

from __future__ import annotations

import hashlib
import hmac

from msgspec import Struct

from linkflow import signed
from linkflow.domain.ids import is_uuid

AUDIENCE = "linkflow-webhook-run"
KEPT_MS = 24 * 3600 * 1000
"""How long the address is good."""


class Seen(Struct, frozen=True):
    """A run that somebody may ask about. `answers`: he may see what it answers."""

    workspace_id: str
    execution_id: str
    answers: bool


class StatusTokens:
    """`secret` is the installation's."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"linkflow webhook run v1", hashlib.sha256)

    def issue(self, seen: Seen, now_ms: int) -> str:
        claims = {
            "sub": seen.execution_id, "wsp": seen.workspace_id, "ans": seen.answers, "aud": AUDIENCE,
            "exp": (now_ms + KEPT_MS) // 1000,
        }  # fmt: skip
        return signed.encode(claims, self._key)

    def read(self, token: str, now_ms: int) -> Seen | None:
        """None for a token that is forged, over, or for something else."""
        try:
            claims = signed.decode(token, self._key, AUDIENCE, require=("exp", "sub", "wsp"))
        except signed.BadToken:
            return None
        run, workspace, until = claims["sub"], claims["wsp"], claims["exp"]
        if not (isinstance(until, int) and until * 1000 > now_ms and is_uuid(str(run)) and is_uuid(str(workspace))):
            return None
        return Seen(workspace, run, claims.get("ans") is True)
