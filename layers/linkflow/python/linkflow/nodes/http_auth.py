"""Who an HTTP request is from: what a credential of any kind adds to it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from pydantic import ValidationError

from linkflow.nodes.auth import Auth
from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.credentials import KINDS
from linkflow.nodes.given import Given
from linkflow.nodes.http_request import KINDS_OF_HTTP
from linkflow.nodes.replies import failure, parse_json

EARLY_MS = 30_000
"""So long before its end a token is renewed."""
BY_ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
"""RFC 7523."""
UNSAID_MS = 300_000
"""How long a token is kept that does not say how long it lives."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as it goes out."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None

    def with_headers(self, more: Mapping[str, str]) -> Prepared:
        if not more:
            return self
        taken = {name.lower() for name in more}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in taken}
        return replace(self, headers={**kept, **more})


def kind_of(secret: Mapping[str, Any]) -> str:
    """Which kind of credential this is: as it says, or as its fields tell."""
    said = str(secret.get("kind") or "")
    if said in KINDS_OF_HTTP:
        return said
    if "access_key_id" in secret:
        return "aws"
    if "client_email" in secret:
        return "google_service_account"
    if "token_url" in secret:
        return "oauth2_refresh" if secret.get("refresh_token") else "oauth2_client"
    return "http_query" if "query_value" in secret else "plain"


def checked(secret: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The fields of a credential of this kind. Raises `NodeFailure` ``bad_credential``, which names no value."""
    model = KINDS[kind]
    known = {name: secret[name] for name in model.model_fields if name in secret}
    try:
        return {name: str(value) for name, value in model.model_validate(known).model_dump().items()}
    except ValidationError as error:
        names = ", ".join(str(fault["loc"][0]) for fault in error.errors() if fault["loc"])
        text = f"The credential is no {KINDS[kind].title}: {names or 'its fields'} is missing or wrong."
        raise NodeFailure("bad_credential", text, retryable=False) from None


def plain(secret: Mapping[str, Any]) -> Auth:
    """A credential for the Authorization header, or another one."""
    known = {name: secret[name] for name in _AUTH_FIELDS if name in secret}
    try:
        found = Auth.model_validate(known)
        if found.type == "none" and known.get("type") != "none":
            raise ValueError("nothing in it says who the request is from")
        return found
    except ValueError:
        message = (
            "The credential holds none of: token; username and password; header_name and header_value; api_key; "
            "query_value; token_url; client_email; access_key_id."
        )
        raise NodeFailure("bad_credential", message, retryable=False) from None


_AUTH_FIELDS = ("type", "username", "password", "token", "header_name", "name", "header_value", "value", "api_key")


def with_parameter(url: str, name: str, value: str) -> str:
    """`url` with one more query parameter."""
    base, mark, fragment = url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}{urlencode({name: value})}{mark}{fragment}"


class Tokens:
    """Access tokens by credential and workspace, kept in this process until shortly before their end."""

    def __init__(self, size: int = 1024) -> None:
        self._size = size
        self._found: OrderedDict[bytes, tuple[str, int]] = OrderedDict()
        self._refresh: OrderedDict[bytes, str] = OrderedDict()
        self._locks: dict[bytes, asyncio.Lock] = {}

    async def token(self, secret: Mapping[str, Any], kind: str, context: Context) -> str:
        """A token that is valid now. Raises `NodeFailure` ``oauth_refused`` and those of the egress client."""
        if isinstance(secret, Given) and secret.tokens is not None:
            fields = checked(secret, kind)

            async def ask(refresh_token: str) -> Mapping[str, Any]:
                return await asked(_form(fields, kind, refresh_token), fields, context)

            return await secret.tokens.token(ask)
        key = _key(secret, context)
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                token, until = self._found.get(key, ("", 0))
                if until > context.now_ms:
                    return token
                token, lives = await self._ask(checked(secret, kind), key, kind, context)
                self._found[key] = (token, context.now_ms + max(0, lives - EARLY_MS))
                while len(self._found) > self._size:
                    self._found.popitem(last=False)
                return token
        finally:
            if not lock.locked():
                self._locks.pop(key, None)

    def forget(self, secret: Mapping[str, Any], context: Context) -> bool:
        """The token was refused: was it one from before?"""
        if isinstance(secret, Given) and secret.tokens is not None:
            return secret.tokens.forget()
        return self._found.pop(_key(secret, context), None) is not None

    async def _ask(self, fields: dict[str, str], key: bytes, kind: str, context: Context) -> tuple[str, int]:
        form = _form(fields, kind, self._refresh.get(key, fields.get("refresh_token", "")))
        if kind == "google_service_account":
            from linkflow.nodes.google_auth import assertion

            form = {"grant_type": BY_ASSERTION, "assertion": assertion(fields, context.now_ms)}
            fields = {**fields, "client_id": "", "client_secret": "", "client_auth": "none"}
        answer = await asked(form, fields, context)
        if isinstance(fresh := answer.get("refresh_token"), str) and kind == "oauth2_refresh":
            self._refresh[key] = fresh  # it may hold from now on alone
            while len(self._refresh) > self._size:
                self._refresh.popitem(last=False)
        context.conceal(answer["access_token"])
        return answer["access_token"], life_of(answer)


def _form(fields: Mapping[str, str], kind: str, refresh_token: str) -> dict[str, str]:
    if kind in ("oauth2", "oauth2_refresh"):
        return {"grant_type": "refresh_token", "refresh_token": refresh_token, **_filled(fields, "scope")}
    return {"grant_type": "client_credentials", **_filled(fields, "scope", "audience")}


async def asked(form: dict[str, str], fields: Mapping[str, str], context: Context) -> dict[str, Any]:
    """The answer of the token's server, which has an ``access_token``. Raises `NodeFailure` ``oauth_refused``, with the
    server's `error` in its details, and those of the egress client."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    if fields["client_auth"] == "basic" and fields["client_secret"]:
        pair = f"{quote(fields['client_id'], safe='')}:{quote(fields['client_secret'], safe='')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= _filled(fields, "client_id", "client_secret")
    response = await context.http().request(
        "POST", fields["token_url"], headers=headers, content=urlencode(form).encode(), follow_redirects=False
    )
    try:
        answer = parse_json(response.content)
    except ValueError:
        answer = None
    if response.status_code != 200:
        refused = failure("oauth_refused", "The token's server", response, context.now_ms)
        said = answer.get("error") if isinstance(answer, dict) else None
        details = {"status": response.status_code, **({"error": said[:100]} if isinstance(said, str) else {})}
        refused.error = msgspec.structs.replace(refused.error, details=details)
        raise refused
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise NodeFailure("oauth_refused", "The token's server gave no token.", retryable=False)
    return answer


def life_of(answer: Mapping[str, Any]) -> int:
    """How long (ms) a token lives."""
    lives = answer.get("expires_in")
    return round(float(lives) * 1000) if isinstance(lives, int | float) else UNSAID_MS


def _filled(fields: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: fields[name] for name in names if fields.get(name)}


def _key(secret: Mapping[str, Any], context: Context) -> bytes:
    data = msgspec.json.encode([context.workspace_id, dict(secret)], order="deterministic")
    return hashlib.sha256(data).digest()


TOKENS = Tokens()
WITH_TOKENS = frozenset({"oauth2_client", "oauth2_refresh", "oauth2", "google_service_account"})
"""Kinds of credential that are given tokens, which may be called back."""


async def authorized(request: Prepared, secret: Mapping[str, Any], context: Context) -> Prepared:
    """The request, signed with a credential of any kind."""
    kind = kind_of(secret)
    if kind in ("plain", "http_basic", "http_bearer", "http_header"):
        return request.with_headers(plain(secret).headers())
    if kind == "http_query":
        fields = checked(secret, kind)
        return replace(request, url=with_parameter(request.url, fields["query_name"], fields["query_value"]))
    if kind == "aws":
        from linkflow.nodes.sigv4 import canonical_url, signed

        url = canonical_url(request.url)
        keys = checked(secret, kind)
        added = signed(request.method, url, request.headers, request.content or b"", keys, context.now_ms)
        return replace(request, url=url).with_headers(added)
    token = await TOKENS.token(secret, kind, context)
    return request.with_headers({"Authorization": f"Bearer {token}"})
