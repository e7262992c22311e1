"""No secret of a credential leaves a node: not in an output, an error or a log, whatever the peer does with it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.hiding import HIDDEN, Hiding
from linkflow.nodes.registry import Registry
from tests.unit.nodes.peers import Request, http_peer, reply, run
from tests.unit.nodes.test_messages import Mailbox, serve

PLANTED = "pl4nted+s3cret/VALUE="
IN_URL = "pl4nted-in-an-address"

CASES: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "action_slack": [
        ({"channel": "C1", "text": "x"}, {"token": PLANTED, "base_url": "PEER/api"}),
        ({"operation": "users"}, {"token": PLANTED, "base_url": "PEER/api"}),
        ({"operation": "upload", "channel": "C1", "file": {"text": "x"}}, {"token": PLANTED, "base_url": "PEER/api"}),
        ({"text": "x"}, {"webhook_url": f"PEER/services/{IN_URL}"}),
    ],
    "action_discord": [
        ({"content": "x"}, {"webhook_url": f"PEER/api/webhooks/1/{IN_URL}"}),
        ({"channel": "1", "content": "x"}, {"bot_token": PLANTED, "base_url": "PEER"}),
    ],
    "action_teams": [({"text": "x"}, {"webhook_url": f"PEER/workflows/1?sig={IN_URL}"})],
    "action_telegram": [
        ({"chat_id": "1", "text": "x"}, {"token": f"1:{PLANTED}", "base_url": "PEER"}),
        ({"operation": "photo", "chat_id": "1", "photo": {"base64": "eA=="}}, {"token": f"1:{PLANTED}", "base_url": "PEER"}),
        ({"operation": "download", "file_id": "1"}, {"token": f"1:{PLANTED}", "base_url": "PEER"}),
    ],
    "action_twilio": [
        ({"to": "+1", "from": "+2", "body": "x"}, {"account_sid": "AC1", "auth_token": PLANTED, "base_url": "PEER"}),
        ({"to": "+1", "from": "+2", "body": "x"},
         {"account_sid": "AC1", "api_key": "SK1", "api_key_secret": PLANTED, "base_url": "PEER"}),
    ],
    "action_google_sheets": [
        ({"spreadsheet": "1", "sheet": "a"}, {"token": PLANTED, "base_url": "PEER"}),
        ({"spreadsheet": "1", "sheet": "a"},
         {"token_url": "PEER/token", "client_id": "me", "client_secret": PLANTED, "refresh_token": f"r{PLANTED}",
          "base_url": "PEER"}),
    ],
    "action_github": [
        ({"operation": "get_repository", "repository": "a/b"}, {"token": PLANTED, "base_url": "PEER"}),
        ({"operation": "list_issues", "repository": "a/b"}, {"token": PLANTED, "base_url": "PEER"}),
    ],
    "action_stripe": [({"operation": "create_customer", "email": "a@b.example"}, {"api_key": PLANTED, "base_url": "PEER"})],
    "action_webhook": [({"url": "PEER/hook", "body": 1}, {"secret": PLANTED})],
}  # fmt: skip


def test_every_service_is_here():
    """Whoever adds a type on the base of all services adds it here."""
    folder = Path(__file__).parents[3] / "layers/linkflow/python/linkflow/nodes"
    users = {path.stem.removesuffix("_calls") for path in folder.glob("*.py") if "json_api import" in path.read_text()}
    modules = {type(node).__module__.rpartition(".")[2]: node.type for node in Registry.load().every()}
    assert {modules[name] for name in users if name in modules} == CASES.keys()


def echo(request: Request) -> dict[str, Any]:
    """All that was asked, and what it holds in base64."""
    password = request.headers.get("authorization", "").rpartition(" ")[2]
    return {
        "path": request.path, "headers": request.headers, "body": request.body.decode("latin-1"), "password": password,
        "ok": False, "error": {"message": request.path + str(request.headers), "code": request.path},
        "message": f"{request.method} {request.path} {request.headers}", "description": request.path,
    }  # fmt: skip


def _away(request: Request) -> bytes:
    return reply(302, echo(request), {"Location": f"http://127.0.0.1:1{request.path}"})


def _long(request: Request) -> bytes:
    """The secret stands where an excerpt ends."""
    found = json.dumps(echo(request))
    at = min((place for word in ("pl4nted", "bot1:") if (place := found.find(word)) >= 0), default=0)
    return reply(400, (" " * (990 - at) + found).encode())


async def _never(_: Request) -> bytes:
    await asyncio.sleep(5)
    return b""


BEHAVIOURS: dict[str, Any] = {
    "echoes and succeeds": lambda request: reply(200, {**echo(request), "ok": True, "result": echo(request)}),
    "echoes and refuses": lambda request: reply(400, echo(request)),
    "echoes in text": lambda request: reply(500, json.dumps(echo(request)).encode()),
    "says no with 200": lambda request: reply(200, echo(request)),
    "wants others to wait": lambda request: reply(429, echo(request), {"Retry-After": "1"}),
    "says it where an excerpt ends": _long,
    "leads away": _away,
    "breaks off": lambda request: b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + request.path.encode(),
    "is no HTTP": lambda request: request.path.encode() + b"\r\n\r\n",
    "never answers": _never,
}


class Hasty(EgressClient):
    """Does not wait for long."""

    async def request(self, *args: Any, **more: Any) -> Any:
        return await super().request(*args, **{**more, "timeout": 1.0})


@pytest.fixture
async def hasty() -> AsyncIterator[EgressClient]:
    client = Hasty(Egress(allow=("127.0.0.1",)))
    yield client
    await client.aclose()


def forms(value: str) -> list[str]:
    """A secret as it might stand somewhere: as it is, in a URL, in JSON, and the middle of it in base64."""
    found = [value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1]]
    found.append(value[:8])  # a part of it is too much
    return found + [base64.b64encode(b"x" * shift + value.encode()).decode()[4:-4] for shift in range(3)]


async def left_by(
    type: str, config: dict[str, Any], secrets: dict[str, Any], behaviour: str, egress: EgressClient
) -> str:
    """All that a node run leaves behind."""
    logs: list[str] = []
    slot = Registry.load().resolve(type).slots[0].name  # type: ignore[union-attr]
    async with http_peer(BEHAVIOURS[behaviour]) as peer:
        at, told = ({name: value.replace("PEER", peer.url) if isinstance(value, str) else value
                     for name, value in given.items()} for given in (secrets, config))  # fmt: skip
        try:
            outcome = await run(type, told, egress=egress, credentials={slot: at}, log=logs.append)
            left = msgspec.json.encode(outcome).decode()
        except NodeFailure as failure:
            left = f"{failure} {msgspec.json.encode(failure.error).decode()}"
    assert peer.requests, "the peer was asked"
    return left + "".join(logs)


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
async def test_whatever_the_peer_does(hasty: EgressClient, caplog: pytest.LogCaptureFixture, behaviour: str):
    caplog.set_level(logging.DEBUG)
    cases = [(type, *case) for type, cases in CASES.items() for case in cases]
    found = await asyncio.gather(*(left_by(*case, behaviour, hasty) for case in cases))
    wanted = [form for secret in (PLANTED, IN_URL) for form in forms(secret)]
    assert [case for case, left in zip(cases, found, strict=True) if any(form in left for form in wanted)] == []
    assert [form for form in wanted if form in caplog.text] == []


@pytest.mark.parametrize("type", ["action_slack", "action_discord", "action_teams"])
async def test_an_address_that_is_none(hasty: EgressClient, type: str):
    for address in (
        f"http://a.example:{IN_URL}/x",
        f"http://[::{IN_URL}",
        f"{IN_URL}://x",
        f"http://u:{IN_URL}@a.example/",
    ):
        config = {"text": "x", "content": "x"}
        config = {name: "x" for name in config if name in Registry.load().resolve(type).params.model_fields}  # type: ignore[union-attr]
        slot = type.removeprefix("action_")
        with pytest.raises(NodeFailure) as caught:
            await run(type, config, egress=hasty, credentials={slot: {"webhook_url": address}})
        assert IN_URL not in f"{caught.value} {caught.value.error}"


class Gossip(Mailbox):
    """Tells everybody the password that it was given."""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        return "250 OK" if address.startswith("a") else f"550 {PLANTED}"


@pytest.fixture
def gossip() -> Iterator[dict[str, Any]]:
    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        if data.login == b"good":
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False, message=f"535 5.7.8 not {data.password.decode()}")

    controller = Controller(Gossip(), hostname="127.0.0.1", port=0, authenticator=authenticate, auth_require_tls=False)
    yield from serve(controller, {"host": "127.0.0.1", "from": "flow@example.com", "password": PLANTED})


async def test_a_mail_server_that_tells(egress: EgressClient, gossip: dict[str, Any]):
    config = {"to": "a@example.com,b@example.com", "body": "x"}
    with pytest.raises(NodeFailure) as caught:
        await run("action_email", config, egress=egress, credentials={"smtp": {**gossip, "username": "bad"}})
    assert PLANTED not in str(caught.value.error)
    outcome = await run("action_email", config, egress=egress, credentials={"smtp": {**gossip, "username": "good"}})
    assert outcome.output["refused"] == {"b@example.com": f"550 {HIDDEN}"}


@settings(max_examples=40)
@given(st.text(min_size=6, max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_what_is_hidden_is_gone_in_any_spelling(secret: str, before: str, behind: str):
    data = secret.encode(errors="ignore").decode()
    hiding = Hiding([data])
    if len(data) >= 6:
        shown = hiding.value({data: [before + data + behind, quote(data), 1, None]})
        assert data not in json.dumps(shown, ensure_ascii=False) or data in HIDDEN
        coded = base64.b64encode((before + data + behind).encode(errors="ignore")).decode()
        core = base64.b64encode(data.encode()).decode().rstrip("=")[:-2]
        if len(before.encode(errors="ignore")) % 3 == 0 and len(core) >= 8:
            assert core not in hiding.text(coded)


async def test_an_address_with_a_secret_is_not_in_what_the_client_says(egress: EgressClient):
    async with http_peer(BEHAVIOURS["is no HTTP"]) as peer:
        secrets = {"http": {"query_name": "key", "query_value": "planted-in-the-query"}}
        with pytest.raises(NodeFailure) as caught:
            await run("action_http_request", {"url": f"{peer.url}/x"}, egress=egress, credentials=secrets)
    assert (caught.value.error.code, caught.value.error.message) == (
        "http_connect",
        "127.0.0.1 gave an answer that is no HTTP.",
    )
