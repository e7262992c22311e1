"""OAuth 2 with somebody's consent: the way to the other side and back (RFC 6749, 4.1; RFC 7636; RFC 9700).

Nothing is stored on the way. What has to be known when he comes back travels in `state`, sealed, together with the hash
of a secret that only his browser has; so an answer that somebody else got, or was sent, opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from linkflow.contracts.worker import ProbeReply, ProbeRequest
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, Problem
from linkflow.ports import Clock
from linkflow.sealed import BadSeal, decrypt, encrypt

from .credentials import Credentials
from .workspaces import Membership

LASTS_MS = 10 * 60_000
"""How long somebody may take."""
_ABOUT = "oauth state"
S = TypeVar("S", "_State", "_Ticket")


class _State(Struct, frozen=True):
    workspace_id: str
    credential_id: str
    user_id: str
    verifier: str
    browser: str
    until: int


class Way(Struct, frozen=True):
    """Where to send him, and what his browser has to bring back in a cookie."""

    url: str
    browser: str
    expires_at: int


class Back(Struct, frozen=True):
    """He is back. Without his browser's secret there is only a `ticket`, for his own session to end it with."""

    reply: ProbeReply | None = None
    ticket: str = ""


class _Ticket(Struct, frozen=True):
    state: _State
    code: str


class Consent:
    """`secret` is the installation's; `redirect_uri` the address that the other side has to know."""

    def __init__(self, credentials: Credentials, secret: str, redirect_uri: str, clock: Clock) -> None:
        self._credentials = credentials
        self._key = hmac.digest(secret.encode(), b"linkflow oauth state", "sha256")
        self.redirect_uri = redirect_uri
        self._clock = clock

    async def begin(self, who: Membership, credential_id: str) -> Way:
        """Raises `NotFound`, `Forbidden`, and `Conflict` for a kind that needs nobody's consent."""
        found = await self._credentials.mine(who, credential_id)
        if found.kind != "oauth2":
            raise Conflict(f"A credential of the type {found.kind} needs nobody's consent.")
        verifier, browser = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        until = self._clock.now_ms() + LASTS_MS
        state = _State(who.workspace_id, found.id, who.user_id, verifier, _hash(browser), until)
        shown = found.shown
        more = dict(parse_qsl(str(shown.get("parameters") or ""), keep_blank_values=True))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": str(shown["client_id"]), "redirect_uri": self.redirect_uri,
            "state": self._seal(state), "code_challenge": challenge, "code_challenge_method": "S256",
            **{name: str(shown[name]) for name in ("scope", "audience") if shown.get(name)},
        }  # fmt: skip
        parts = urlsplit(str(shown["authorize_url"]))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            fault = Problem("/data/authorize_url", "invalid_value", "Write an address: https://…")
            raise InvalidInput("The credential's authorize URL is no address.", problems=[fault])
        query = urlencode({**dict(parse_qsl(parts.query, keep_blank_values=True)), **more, **asked})
        return Way(urlunsplit(parts._replace(query=query, fragment="")), browser, until)

    async def back(self, state: str, code: str, error: str, browser: str) -> Back:
        """Raises `InvalidInput` for an answer that nobody here has asked for."""
        asked = self._open(state, _State)
        if error or not code:
            return Back(ProbeReply(False, f"The other side refused: {error[:100] or 'no code came'}.", "refused"))
        if not hmac.compare_digest(_hash(browser).encode(), asked.browser.encode()):
            return Back(ticket=self._seal(_Ticket(asked, code)))
        return Back(await self._end(asked, code))

    async def finish(self, who: Membership, credential_id: str, ticket: str) -> ProbeReply:
        """The one who began ends it, in his own session. Raises `InvalidInput`, `Forbidden`."""
        found = self._open(ticket, _Ticket)
        if (who.user_id, who.workspace_id, credential_id) != (
            found.state.user_id, found.state.workspace_id, found.state.credential_id,
        ):  # fmt: skip
            raise Forbidden("Somebody else has begun this.")
        return await self._end(found.state, found.code)

    async def _end(self, asked: _State, code: str) -> ProbeReply:
        request = ProbeRequest(
            asked.workspace_id, asked.credential_id, "connect", code, asked.verifier, self.redirect_uri
        )
        return await self._credentials.probe(asked.workspace_id, request)

    def _seal(self, value: Struct) -> str:
        data = encrypt(self._key, msgspec.json.encode(value), f"{_ABOUT}/{type(value).__name__}")
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def _open(self, text: str, kind: type[S]) -> S:
        try:
            data = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
            found = msgspec.json.decode(decrypt(self._key, data, f"{_ABOUT}/{kind.__name__}"), type=kind)
        except (BadSeal, ValueError):
            raise InvalidInput("This answer belongs to nothing that was asked here.") from None
        until = found.until if isinstance(found, _State) else found.state.until
        if until < self._clock.now_ms():
            raise InvalidInput("This took too long. Begin again.")
        return found


def _hash(browser: str) -> str:
    return hashlib.sha256(browser.encode()).hexdigest()
