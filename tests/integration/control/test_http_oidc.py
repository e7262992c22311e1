"""Signing in by a provider: a real one on loopback, whose tokens are signed with real keys."""

from __future__ import annotations

import base64
import hashlib
import shutil
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from linkflow.config import OidcProvider
from linkflow.postgres.database import Database
from linkflow.services.second_factor import STEP, code_at
from tests.conftest import fresh_database
from tests.integration.control.plane import Person, Plane, build, check_problem
from tests.integration.control.provider import CLIENT, SECRET, StandIn, asked_of, stand_in, told, visit

START = "/api/v1/auth/oidc/corp/start"


@pytest.fixture(scope="module")
async def world(postgres: Any, migrated_template: str) -> AsyncIterator[tuple[Plane, StandIn]]:
    with fresh_database(postgres.url, migrated_template) as url:
        async with stand_in() as provider:
            settings = OidcProvider(issuer=provider.url, client_id=CLIENT, client_secret=SECRET, label="Corp")
            narrow = OidcProvider(
                issuer=provider.url,
                client_id=CLIENT,
                client_secret=SECRET,
                domains=("corp.example.com",),
                register=False,
            )
            database = Database(url, size=4)
            plane = build(database, {"corp": settings, "narrow": narrow})
            async with plane.client:
                yield plane, provider
            await database.close()
            shutil.rmtree(plane.outbox)


@pytest.fixture
def provider(world: tuple[Plane, StandIn]) -> StandIn:
    found = world[1]
    found.sign, found.forge = (found.rsa, "RS256", found.keys[0]["kid"]), {}
    return found


@pytest.fixture
def plane(world: tuple[Plane, StandIn]) -> Plane:
    world[0].client.cookies.clear()
    return world[0]


def somebody(provider: StandIn, n: int, **more: Any) -> None:
    provider.claims = {
        "sub": f"s{n}",
        "email": f"p{n}@corp.example.com",
        "email_verified": True,
        "name": "Ada L",
        **more,
    }


async def walk(plane: Plane, path: str = START) -> dict[str, str]:
    """A browser's way through: what it comes back with."""
    begun = await plane.client.get(path)
    assert begun.status_code == 302, begun.text
    back = await plane.client.get(await visit(begun.headers["location"]))
    assert back.status_code == 302, back.text
    return told(back.headers["location"])


async def exchange(plane: Plane, code: str, **more: str) -> httpx.Response:
    return await plane.client.post("/api/v1/auth/oidc/exchange", json={"code": code, **more})


async def test_a_stranger_gets_an_account_and_finds_it_again(plane: Plane, provider: StandIn):
    somebody(provider, 1)
    listed = (await plane.client.get("/api/v1/auth/providers")).json()["data"]
    assert listed[0] == {"name": "corp", "label": "Corp", "url": f"http://linkflow.test{START}"}
    code = (await walk(plane))["code"]
    session = (await exchange(plane, code)).json()
    assert (session["user"]["email"], session["user"]["first_name"]) == ("p1@corp.example.com", "Ada")
    assert session["user"]["email_verified_at"]
    assert session["user"]["has_password"] is False
    check_problem(await exchange(plane, code), 401)
    again = (await exchange(plane, (await walk(plane))["code"])).json()
    assert again["user"]["id"] == session["user"]["id"]
    auth = {"Authorization": f"Bearer {again['access_token']}"}
    sessions = (await plane.client.get("/api/v1/user/sessions", headers=auth)).json()["data"]
    assert {one["method"] for one in sessions} == {"corp"}
    check_problem(await plane.client.delete("/api/v1/user/identities/corp", headers=auth), 409)
    done = (await plane.client.get("/api/v1/user/audit", headers=auth)).json()["data"]
    assert {one["action"] for one in done} == {"oidc.exchange", "oidc.registered"}
    assert (await plane.client.request("DELETE", "/api/v1/user", headers=auth)).status_code == 409, (
        "no password to give"
    )


async def test_other_keys_and_algorithms_and_keys_that_change(plane: Plane, provider: StandIn):
    somebody(provider, 2)
    provider.sign = (provider.ec, "ES256", provider.keys[1]["kid"])
    assert "code" in await walk(plane)
    before = provider.fetched_keys
    provider.publish("k2")
    provider.sign = (provider.rsa, "RS256", "k2")
    plane.clock.ahead_ms += 61_000
    assert "code" in await walk(plane), "new keys are fetched when a token is signed by one"
    assert provider.fetched_keys == before + 1
    provider.sign = (rsa.generate_private_key(public_exponent=65537, key_size=2048), "RS256", "k2")
    assert "error" in await walk(plane)
    assert "error" in await walk(plane)
    assert provider.fetched_keys == before + 1, "forged tokens do not make us ask again and again"
    plane.clock.ahead_ms -= 61_000


@pytest.mark.parametrize(
    "forged",
    [
        {"nonce": "another"}, {"nonce": None}, {"aud": "somebody-else"}, {"iss": "https://evil.example"},
        {"exp": 1}, {"exp": None}, {"iat": int(time.time()) - 5000}, {"sub": None}, {"sub": ""},
        {"aud": [CLIENT, "other"]}, {"azp": "other"}, {"nbf": int(time.time()) + 5000},
    ],
    ids=",".join,
)  # fmt: skip
async def test_tokens_that_will_not_do(plane: Plane, provider: StandIn, forged: dict[str, Any]):
    somebody(provider, 3)
    provider.forge = forged
    assert await walk(plane) == {"error": "The provider could not be asked. Try again."}


async def test_an_unsigned_token_and_one_signed_with_our_secret(plane: Plane, provider: StandIn):
    somebody(provider, 3)
    for key, algorithm in ((None, "none"), ("x" * 32, "HS256")):
        provider.sign = (key, algorithm, provider.keys[0]["kid"])
        assert "error" in await walk(plane)


async def test_the_way_back_is_open_to_one_browser_once(plane: Plane, provider: StandIn):
    somebody(provider, 4)
    begun = await plane.client.get(START)
    cookie = begun.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    back = await visit(begun.headers["location"])
    plane.client.cookies.clear()
    assert "error" in told((await plane.client.get(back)).headers["location"]), "another browser"
    begun = await plane.client.get(START)
    back = await visit(begun.headers["location"])
    cookies = dict(plane.client.cookies)
    assert "code" in told((await plane.client.get(back)).headers["location"])
    plane.client.cookies.update(cookies)
    assert "error" in told((await plane.client.get(back)).headers["location"]), "used"
    begun = await plane.client.get(START)
    plane.clock.ahead_ms += 601_000
    assert "error" in told((await plane.client.get(await visit(begun.headers["location"]))).headers["location"])
    plane.clock.ahead_ms -= 601_000
    denied = await plane.client.get(START)
    state = asked_of(denied.headers["location"])["state"]
    answer = await plane.client.get(f"/api/v1/auth/oidc/corp/callback?error=access_denied&state={state}")
    assert "error" in told(answer.headers["location"])


async def test_a_code_that_others_on_the_machine_hear_is_worth_nothing_to_them(plane: Plane, provider: StandIn):
    somebody(provider, 4)
    there = {"redirect": "http://127.0.0.1:5/cb"}
    for challenge in ("", "short", "c" * 42 + "="):
        check_problem(await plane.client.get(START, params={**there, "challenge": challenge}), 422)
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    begun = await plane.client.get(START, params={**there, "challenge": challenge})
    back = await plane.client.get(await visit(begun.headers["location"]))
    code = told(back.headers["location"])["code"]
    check_problem(await exchange(plane, code), 401)
    check_problem(await exchange(plane, code, verifier="w" * 50), 401)
    session = await exchange(plane, code, verifier=verifier)
    auth = {"Authorization": f"Bearer {session.json()['access_token']}"}
    sessions = (await plane.client.get("/api/v1/user/sessions", headers=auth)).json()["data"]
    assert {one["method"] for one in sessions} == {"corp"}


@pytest.mark.parametrize(
    "redirect", ["https://evil.example/", "//evil.example", "/\\evil.example", "http://evil.example:80/", "javascript:x",
                 "http://127.0.0.1@evil.example/", "http://user@127.0.0.1/", "ftp://127.0.0.1/"],
)  # fmt: skip
async def test_nobody_is_sent_to_strangers(plane: Plane, provider: StandIn, redirect: str):
    check_problem(await plane.client.get(START, params={"redirect": redirect}), 422)


async def test_where_one_goes_in_the_end(plane: Plane, provider: StandIn):
    somebody(provider, 4)
    for redirect, place in (
        ("/flows?x=1", "http://linkflow.test/flows?x=1#code="),
        ("http://127.0.0.1:5/cb", "http://127.0.0.1:5/cb?code="),
    ):
        begun = await plane.client.get(START, params={"redirect": redirect, "challenge": "c" * 43})
        back = await plane.client.get(await visit(begun.headers["location"]))
        assert back.headers["location"].startswith(place)


async def test_an_account_is_linked_where_both_have_verified_the_address(plane: Plane, provider: StandIn):
    ada = await plane.person("p5@corp.example.com")
    somebody(provider, 5, email="P5@corp.example.com")
    assert "has not verified it" in (await walk(plane))["error"], "else whoever registered it would get her sign-ins"
    somebody(provider, 5, email_verified=False)
    assert "vouch" in (await walk(plane))["error"]
    await plane.client.post("/api/v1/auth/verify-email", json={"token": await plane.link(ada.email)})
    somebody(provider, 5)
    session = (await exchange(plane, (await walk(plane))["code"])).json()
    assert session["user"]["id"] == ada.user_id
    assert (await plane.client.delete("/api/v1/user/identities/corp", headers=ada.auth)).status_code == 200


async def test_an_account_is_linked_by_its_owner(plane: Plane, provider: StandIn):
    ada, bob = await plane.somebody(), await plane.somebody()
    somebody(provider, 6, email="else@where.example.com", email_verified=False)

    async def link(who: Person) -> dict[str, str]:
        begun = await plane.client.post("/api/v1/user/identities/corp", headers=who.auth)
        back = await plane.client.get(await visit(begun.json()["url"]))
        return told(back.headers["location"])

    assert await link(ada) == {"linked": "corp"}
    assert "Somebody else" in (await link(bob))["error"]
    assert (await exchange(plane, (await walk(plane))["code"])).json()["user"]["id"] == ada.user_id
    listed = (await plane.client.get("/api/v1/user/identities", headers=ada.auth)).json()["data"]
    assert [(one["provider"], one["email"]) for one in listed] == [("corp", "else@where.example.com")]


async def test_domains_and_closed_registration(plane: Plane, provider: StandIn):
    narrow = "/api/v1/auth/oidc/narrow/start"
    somebody(provider, 7, email="p7@other.example.com")
    assert "may sign in here" in (await walk(plane, narrow))["error"]
    somebody(provider, 7)
    assert "Ask to be invited" in (await walk(plane, narrow))["error"]


async def test_an_address_that_only_userinfo_tells(plane: Plane, provider: StandIn):
    provider.claims = {"sub": "42"}
    session = (await exchange(plane, (await walk(plane))["code"])).json()
    assert session["user"]["email"] == "from@userinfo.example.com"


async def test_a_second_factor_is_asked_for_here_too(plane: Plane, provider: StandIn):
    somebody(provider, 8)
    session = (await exchange(plane, (await walk(plane))["code"])).json()
    auth = {"Authorization": f"Bearer {session['access_token']}"}
    begun = (await plane.client.post("/api/v1/user/second-factor", headers=auth)).json()
    secret = base64.b32decode(begun["secret"])
    step = plane.clock.now_ms() // 1000 // STEP
    confirm = {"code": code_at(secret, step)}
    await plane.client.post("/api/v1/user/second-factor/confirm", json=confirm, headers=auth)
    code = (await walk(plane))["code"]
    check_problem(await exchange(plane, code), 401, "second_factor_required")
    check_problem(await exchange(plane, code, otp="000000"), 401)
    assert (await exchange(plane, code, otp=code_at(secret, step + 1))).status_code == 200


async def test_a_provider_that_is_not_there(plane: Plane, provider: StandIn):
    check_problem(await plane.client.get("/api/v1/auth/oidc/nobody/start"), 404)
    somebody(provider, 9)
    begun = await plane.client.get(START)
    back = await visit(begun.headers["location"])
    provider.codes.clear()  # it knows nothing of its own code
    assert "could not be asked" in told((await plane.client.get(back)).headers["location"])["error"]
