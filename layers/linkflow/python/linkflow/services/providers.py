"""Providers of OpenID Connect: what they say of themselves, and the calls to them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from linkflow.config import OidcProvider
from linkflow.domain.errors import LinkFlowError, Unavailable
from linkflow.ports import Clock

from .id_tokens import BadIdToken, claims_of, header_of

Fetch = Callable[[str, str, Mapping[str, str], bytes | None], Awaitable[tuple[int, bytes]]]
"""Method, URL, headers and body: status and body of the answer. Raises `Unavailable`."""

KEPT_MS, AGAIN_MS = 3_600_000, 30_000
"""How long what a provider says of itself is kept, and how soon its keys are asked for again."""


class Described(Struct, frozen=True):
    """What the discovery document says, as far as we use it."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_endpoint_auth_methods_supported: list[str] = []


class Failed(LinkFlowError):
    """The provider, or what came back from it, is at fault: not to be told to strangers in detail."""

    code = "provider_failed"


class Provider:
    """One provider, by its settings."""

    def __init__(self, name: str, settings: OidcProvider, fetch: Fetch, clock: Clock, callback: str) -> None:
        self.name = name
        self.settings = settings
        self.callback = callback
        self._fetch = fetch
        self._clock = clock
        self._described: tuple[int, Described] | None = None
        self._keys: tuple[int, bytes] = (0, b"")

    async def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to. Raises `Unavailable`, `Failed`."""
        where = (await self._describe()).authorization_endpoint
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self.settings.client_id, "redirect_uri": self.callback,
            "scope": " ".join(self.settings.scopes), "state": state, "nonce": nonce, "code_challenge": challenge,
            "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}"

    async def claims(self, code: str, nonce: str, verifier: str) -> dict[str, Any]:
        """Trade the code for what the provider says of whoever has signed in there. Raises `Unavailable`, `Failed`."""
        described = await self._describe()
        answer = await self._tokens(described, code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Failed("The provider gave no ID token: is the scope openid asked for?")
        try:
            claims = await self._verified(described, token, nonce)
        except BadIdToken as error:
            raise Failed(f"The provider's ID token will not do: {error}.") from None
        access = answer.get("access_token")
        if not claims.get("email") and described.userinfo_endpoint and isinstance(access, str):
            told = await self._json("GET", described.userinfo_endpoint, {"Authorization": f"Bearer {access}"}, None)
            if told.get("sub") == claims["sub"]:
                claims = {**told, **claims}
        return claims

    async def _tokens(self, described: Described, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": self.callback, "code_verifier": verifier
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        id, secret = self.settings.client_id, self.settings.client_secret
        methods = described.token_endpoint_auth_methods_supported or ["client_secret_basic"]
        if secret and "client_secret_basic" in methods:
            pair = f"{quote(id, safe='')}:{quote(secret, safe='')}"  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": id, **({"client_secret": secret} if secret else {})}
        return await self._json("POST", described.token_endpoint, headers, urlencode(form).encode())

    async def _verified(self, described: Described, token: str, nonce: str) -> dict[str, Any]:
        header_of(token)  # before anything is fetched for it
        fetched, keys = self._keys
        now = self._clock.now_ms()
        fresh = not keys or fetched + KEPT_MS <= now
        if fresh:
            keys = await self._fetch_keys(described)
        expected = {"issuer": described.issuer, "client_id": self.settings.client_id, "nonce": nonce}
        try:
            return claims_of(token, keys, **expected, now=now // 1000)
        except BadIdToken:
            if fresh or self._keys[0] + AGAIN_MS > now:
                raise
            # The provider may have new keys.
            return claims_of(token, await self._fetch_keys(described), **expected, now=now // 1000)

    async def _fetch_keys(self, described: Described) -> bytes:
        keys = msgspec.json.encode(await self._json("GET", described.jwks_uri, {}, None))
        self._keys = (self._clock.now_ms(), keys)
        return keys

    async def _describe(self) -> Described:
        now = self._clock.now_ms()
        if self._described and self._described[0] + KEPT_MS > now:
            return self._described[1]
        issuer = self.settings.issuer
        told = await self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration", {}, None)
        try:
            found = msgspec.convert(told, Described)
        except msgspec.ValidationError as error:
            raise Failed(f"What the provider {self.name} says of itself cannot be used: {error}.") from None
        if found.issuer != issuer:
            raise Failed(f"The provider {self.name} calls itself {found.issuer!r}: configure it by that name.")
        urls = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint or issuer)
        if urlsplit(issuer).scheme == "https" and any(urlsplit(url).scheme != "https" for url in urls):
            raise Failed(f"The provider {self.name} has addresses without TLS.")
        self._described = (now, found)
        return found

    async def _json(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> dict[str, Any]:
        status, content = await self._fetch(method, url, headers, body)
        if status >= 500:
            raise Unavailable(f"The provider {self.name} does not answer now; try again.")
        try:
            found: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        except msgspec.DecodeError:
            raise Failed(f"The provider {self.name} answered {status} with something that is no JSON.") from None
        if status >= 400:
            raise Failed(f"The provider {self.name} answered {status}: {str(found.get('error', ''))[:100]}.")
        return found
