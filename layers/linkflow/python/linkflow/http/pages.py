"""The page that links in mails lead to: it confirms an address, sets a password, accepts an invitation.

What a link proves is behind its #, so that no server and no log on the way sees it; the page hands it to the API.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from starlette.responses import Response

from linkflow.domain.errors import NotFound

from .guard import Anybody
from .routing import router as new_router

router = new_router(prefix="/account", tags=["Pages"])

PAGES = frozenset(("verify", "reset", "invitation", "signed-in"))
"""Where `services.mails` and `services.oidc` lead to."""


@router.get("/{page}", include_in_schema=False)
async def page(page: str, _: Anybody) -> Response:
    """One page for all; which it is, it sees by its address."""
    if page not in PAGES:
        raise NotFound("There is no such page.")
    content, policy = _page()
    headers = {
        "Content-Security-Policy": policy, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }  # fmt: skip
    return Response(content, 200, headers, "text/html")


@cache
def _page() -> tuple[bytes, str]:
    """The page, and the policy that lets nothing run in it but its own script."""
    text = files("linkflow.http").joinpath("account.html").read_text(encoding="utf-8")
    script, style = (_hash(re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)) for tag in ("script", "style"))
    policy = (
        f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )
    return text.encode(), policy


def _hash(found: re.Match[str] | None) -> str:
    digest = hashlib.sha256(found.group(1).encode() if found else b"").digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
