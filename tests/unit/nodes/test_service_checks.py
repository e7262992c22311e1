"""Credentials of services are tried with a call that changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from linkflow.nodes.credentials import KINDS
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.service_checks import CHECKS
from linkflow.services.worker.probing import TESTS
from tests.unit.nodes.mysql_peer import mysql
from tests.unit.nodes.peers import context, failing, http_peer, reply
from tests.unit.nodes.test_sheets import PEM

KNOWN: list[tuple[str, dict[str, str], str, Any, str]] = [
    ("discord", {"bot_token": "t", "base_url": "PEER/api"}, "/api/users/@me", {"username": "flow"},
     "Discord knows the bot flow."),
    ("discord", {"webhook_url": "PEER/api/webhooks/1/x?wait=true"}, "/api/webhooks/1/x", {"name": "Captain"},
     "Discord knows the webhook Captain."),
    ("telegram", {"token": "1:abc", "base_url": "PEER"}, "/bot1:abc/getMe", {"ok": True, "result": {"username": "flow_bot"}},
     "Telegram knows the bot @flow_bot."),
    ("twilio", {"account_sid": "AC1", "auth_token": "t", "base_url": "PEER"}, "/2010-04-01/Accounts/AC1.json",
     {"status": "active"}, "Twilio knows the account; it is active."),
    ("github", {"token": "t", "base_url": "PEER"}, "/rate_limit", {"resources": {}}, "GitHub takes the token."),
    ("stripe", {"api_key": "k", "base_url": "PEER"}, "/v1/balance", {"object": "balance"}, "Stripe takes the key."),
    ("google_service_account", {"client_email": "a", "private_key": PEM, "token_url": "PEER/token"}, "/token",
     {"access_token": "ya29"}, "Google gave a token."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "secrets", "path", "answer", "said"), KNOWN, ids=[f"{one[0]} {one[2]}" for one in KNOWN]
)
async def test_a_good_one_and_a_bad_one(
    egress: EgressClient, kind: str, secrets: dict[str, str], path: str, answer: Any, said: str
):
    assert kind in KINDS
    async with http_peer(lambda _: reply(200, answer)) as peer:
        at = {name: value.replace("PEER", peer.url) for name, value in secrets.items()}
        assert await CHECKS[kind](at, context(egress=egress)) == said
        assert [request.path for request in peer.requests] == [path]
        peer.answer = lambda _: reply(401, {"message": "no"})
        assert (await failing(CHECKS[kind](at, context(egress=egress)))).error.code.endswith(("_error", "_refused"))


async def test_a_restricted_key_is_a_key(egress: EgressClient):
    async with http_peer(
        lambda _: reply(403, {"error": {"message": "does not have the required permissions"}})
    ) as peer:
        assert await CHECKS["stripe"]({"api_key": "rk", "base_url": peer.url}, context(egress=egress))


async def test_a_signing_secret(egress: EgressClient):
    assert await CHECKS["webhook"]({"secret": "whsec_MfKQ"}, context(egress=egress))
    for bad in ({}, {"secret": "whsec_%"}, {"secret": "x", "previous_secret": "whsec_%"}):
        assert (await failing(CHECKS["webhook"](bad, context(egress=egress)))).error.code == "bad_credential"


async def test_stores(egress: EgressClient, redis_url: str, tmp_path: Path):
    assert await CHECKS["redis"]({"url": redis_url}, context(egress=egress)) == "The server answers."
    bad = redis_url.replace("redis://", "redis://:wr0ng@")
    assert (await failing(CHECKS["redis"]({"url": bad}, context(egress=egress)))).error.code == "redis_auth"
    async with mysql(tmp_path) as url:
        assert await CHECKS["mysql"]({"connection_string": url}, context(egress=egress)) == "The database answers."
    gone = await failing(CHECKS["mysql"]({"connection_string": url}, context(egress=egress)))
    assert gone.error.code == "db_connect"


def test_workers_try_them():
    assert CHECKS.items() <= TESTS.items()


@pytest.mark.parametrize("kind", ["discord", "telegram", "twilio", "github", "stripe", "redis", "mysql"])
async def test_an_empty_one(egress: EgressClient, kind: str):
    assert (await failing(CHECKS[kind]({}, context(egress=egress)))).error.code in ("no_credential", "bad_credential")
