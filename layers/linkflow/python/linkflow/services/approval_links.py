"""Links by which an approval is decided without signing in: for mails, chats and people outside.

Whoever has the link may decide, once, as long as the approval is open. Nobody else can make one. To follow it decides
nothing: programs follow links in mails.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from msgspec import Struct

from linkflow import signed
from linkflow.contracts.base import Caller
from linkflow.domain.ids import is_uuid
from linkflow.domain.passing import APPROVED, REJECTED

AUDIENCE = "linkflow-approval"
GOOD_MS = 90 * 24 * 3600 * 1000
"""How long a link is good at most; an approval that ends before ends it."""
PATH = "/approve"
_MAY = frozenset(("execution.view", "workflow.execute"))


class Holder(Struct, frozen=True):
    """Who has a link, to the node run `node_key` (see `services.world.Asker`). `name` is what he calls himself."""

    workspace_id: str
    execution_id: str
    node_key: str
    name: str = ""
    link_id: str = ""
    """Empty: one in a message, which is not written down by itself."""

    @property
    def actor(self) -> str:
        return f"link:{self.name}" if self.name else "link"

    def caller(self) -> Caller:
        return Caller(self.workspace_id, _MAY, self.actor)


class ApprovalLinks:
    """Makes and reads them. `secret` is the installation's, `public_url` where people reach it."""

    def __init__(self, secret: str, public_url: str) -> None:
        self._key = hmac.digest(secret.encode(), b"linkflow approval link v1", hashlib.sha256)
        self._url = public_url.rstrip("/") + PATH

    def token(self, workspace_id: str, execution_id: str, node_key: str, now_ms: int, id: str = "") -> str:
        """`id` is that of a link that is on record (services/link_desk.py)."""
        until = (now_ms + GOOD_MS) // 1000
        claims = {"sub": execution_id, "wsp": workspace_id, "nod": node_key, "aud": AUDIENCE, "exp": until}
        if id:
            claims["jti"] = id
        return signed.encode(claims, self._key)

    def urls(self, token: str) -> dict[str, Any]:
        """The addresses that a token is for. Those with a decision show it, and ask."""
        url = f"{self._url}/{token}"
        return {
            "url": url, "approve_url": f"{url}?decision={APPROVED}", "reject_url": f"{url}?decision={REJECTED}",
        }  # fmt: skip

    def read(self, token: str, now_ms: int) -> Holder | None:
        """None for a link that is forged, over, or for something else."""
        try:
            claims = signed.decode(token, self._key, AUDIENCE, require=("exp", "sub", "wsp", "nod"))
        except signed.BadToken:
            return None
        run, workspace, node, until = claims["sub"], claims["wsp"], claims["nod"], claims["exp"]
        if not (isinstance(until, int) and until * 1000 > now_ms and is_uuid(str(run)) and is_uuid(str(workspace))):
            return None
        return Holder(workspace, run, str(node), link_id=str(claims.get("jti") or ""))
