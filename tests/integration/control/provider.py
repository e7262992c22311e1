"""A provider of OpenID Connect on loopback, with keys of its own: signs whatever it is told to."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import httpx
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

CLIENT, SECRET = "linkflow", "a secret / with : signs"


class StandIn:
    """Somebody is signed in there as `claims`; `forge` changes the claims of the next ID token."""

    def __init__(self) -> None:
        self.rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.keys: list[dict[str, Any]] = []
        self.publish("k1")
        self.sign: tuple[Any, str, str] = (self.rsa, "RS256", "k1")
        self.claims: dict[str, Any] = {
            "sub": "42",
            "email": "ada@corp.example.com",
            "email_verified": True,
            "name": "Ada L",
        }
        self.forge: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.fetched_keys = 0
        self.url = ""

    def publish(self, kid: str) -> None:
        one = RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True) | {"kid": kid, "use": "sig"}
        other = ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True) | {"kid": f"{kid}-ec"}
        self.keys = [one, other]

    async def discovery(self, _: web.Request) -> web.Response:
        told = {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys", "userinfo_endpoint": f"{self.url}/userinfo",
        }  # fmt: skip
        return web.json_response(told)

    async def authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert (asked["client_id"], asked["response_type"]) == (CLIENT, "code")
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_hex(8)
        self.codes[code] = asked
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        pair = base64.b64decode(request.headers["Authorization"].split()[1]).decode().split(":")
        asked = self.codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or [unquote(part) for part in pair] != [CLIENT, SECRET]
            or asked["code_challenge"] != challenge
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        assert form["redirect_uri"] == asked["redirect_uri"]
        now = int(time.time())
        said = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.claims}
        said = {name: value for name, value in (said | self.forge).items() if value is not None}
        key, algorithm, kid = self.sign
        return web.json_response(
            {"access_token": "at", "id_token": jwt.encode(said, key, algorithm=algorithm, headers={"kid": kid})}
        )

    async def jwks(self, _: web.Request) -> web.Response:
        self.fetched_keys += 1
        return web.json_response({"keys": self.keys})

    async def userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer at"
        return web.json_response({"sub": "42", "email": "from@userinfo.example.com", "email_verified": True})


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    made = StandIn()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.discovery)
    app.router.add_get("/authorize", made.authorize)
    app.router.add_post("/token", made.token)
    app.router.add_get("/keys", made.jwks)
    app.router.add_get("/userinfo", made.userinfo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[union-attr]
    try:
        yield made
    finally:
        await runner.cleanup()


async def visit(url: str) -> str:
    """What a browser does there: where it is sent back to."""
    async with httpx.AsyncClient(trust_env=False) as browser:
        return (await browser.get(url)).headers["location"]


def asked_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def told(url: str) -> dict[str, str]:
    """What came back, in the query or behind the #."""
    there = urlsplit(url)
    return {name: values[0] for name, values in parse_qs(there.fragment or there.query).items()}
