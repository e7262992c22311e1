"""Webhooks that go out: signatures that a receiver can check, and events as CloudEvents."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.nodes.egress import EgressClient
from linkflow.nodes.standard_webhooks import BadSecret, headers, key_of, signature
from tests.unit.nodes.peers import NOW, Request, codes, failing, http_peer, reply, run

OLD, NEW = "whsec_" + base64.b64encode(b"o" * 24).decode(), "whsec_" + base64.b64encode(b"n" * 32).decode()


async def told(egress: EgressClient, config: dict[str, Any], secrets: dict[str, Any] | None = None, answer: bytes = reply(),
               **more: Any) -> tuple[Any, Request]:  # fmt: skip
    async with http_peer(lambda _: answer) as peer:
        config = {"url": f"{peer.url}/hooks/", **config}
        outcome = await run("action_webhook", config, egress=egress, credentials={"webhook": secrets or {}}, **more)
    [request] = peer.requests
    return outcome.output, request


def is_signed(request: Request, secret: str) -> bool:
    """As a receiver checks it, written from the specification."""
    said = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    wanted = hmac.new(base64.b64decode(secret[6:]), said, hashlib.sha256).digest()
    return any(
        hmac.compare_digest(base64.b64decode(one.partition(",")[2]), wanted)
        for one in request.headers.get("webhook-signature", "").split()
    )


def test_the_published_vector():
    """That of the specification's own libraries."""
    secret, id, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}'
    found = headers([secret], id, 1614265330_999, body)
    assert found == {
        "Webhook-Id": id, "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }  # fmt: skip


async def test_two_secrets_make_two_signatures(egress: EgressClient):
    output, request = await told(egress, {"body": {"id": 7}}, {"secret": NEW, "previous_secret": OLD})
    assert is_signed(request, NEW)
    assert is_signed(request, OLD)
    assert (request.path, request.json(), request.headers["content-type"]) == ("/hooks/", {"id": 7}, "application/json")
    assert output["id"] == request.headers["webhook-id"]
    assert (output["status"], output["body"]) == (200, None)
    _, request = await told(egress, {"body": {"id": 7}}, {"secret": NEW})
    assert (is_signed(request, NEW), is_signed(request, OLD)) == (True, False)


async def test_attempts_share_the_id_and_not_the_time(egress: EgressClient):
    requests = [
        (await told(egress, {"body": 1}, {"secret": NEW}, idempotency_key=key, now_ms=NOW + late))[1]
        for key, late in (("run/n1", 0), ("run/n1", 60_000), ("run/n2", 0))
    ]
    first, second, other = (one.headers for one in requests)
    assert first["webhook-id"] == second["webhook-id"] != other["webhook-id"]
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert all(is_signed(one, NEW) for one in requests)


async def test_what_is_sent(egress: EgressClient):
    _, request = await told(
        egress, {"headers": {"X-Tenant": "a", "content-type": "application/vnd.x+json"}}, input={"a": 1}
    )
    assert (request.json(), request.headers["x-tenant"]) == ({"a": 1}, "a")
    assert (request.headers["content-type"], "webhook-signature" in request.headers) == (
        "application/vnd.x+json",
        False,
    )
    for body in (None, "text", [1], False):
        assert (await told(egress, {"body": body}, input="no"))[1].json() == body
    _, request = await told(egress, {"body": 1, "secret": "any text"})
    said = f"{request.headers['webhook-id']}.{NOW // 1000}.1".encode()
    wanted = base64.b64encode(hmac.digest(b"any text", said, "sha256")).decode()
    assert request.headers["webhook-signature"] == f"v1,{wanted}"


async def test_cloud_events(egress: EgressClient):
    config = {"format": "cloudevents", "event_type": "com.example.done", "subject": "order/7", "body": {"id": 7}}
    output, request = await told(egress, config, {"secret": NEW})
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert is_signed(request, NEW)
    assert request.json() == {
        "specversion": "1.0", "id": output["id"], "source": "/workflows/wf", "type": "com.example.done",
        "subject": "order/7", "time": "2027-01-15T08:00:00.000Z", "datacontenttype": "application/json",
        "data": {"id": 7},
    }  # fmt: skip
    binary = {**config, "format": "cloudevents_binary", "subject": 'Grüße "x"', "source": "https://a.example"}
    _, request = await told(egress, binary)
    assert request.json() == {"id": 7}
    assert request.headers["ce-subject"] == "Gr%C3%BC%C3%9Fe%20%22x%22"
    assert (request.headers["ce-source"], request.headers["ce-id"]) == ("https://a.example", output["id"])


async def test_a_receiver_that_wants_a_password_as_well(egress: EgressClient):
    async with http_peer() as peer:
        mine = {"webhook": {"secret": NEW}, "http": {"username": "u", "password": "p"}}
        await run("action_webhook", {"url": peer.url, "body": 1}, egress=egress, credentials=mine)
    assert peer.requests[0].headers["authorization"] == "Basic dTpw"
    assert is_signed(peer.requests[0], NEW)


@pytest.mark.parametrize(
    ("answer", "code", "retryable", "wait"),
    [
        (reply(429, b"", {"Retry-After": "7"}), "webhook_rate_limited", True, 7000),
        (reply(503, b"", {"Retry-After": "7"}), "webhook_error", True, 7000),
        (reply(410), "webhook_error", False, 0),
        (reply(307, b"", {"Location": "http://127.0.0.1:1/"}), "webhook_error", False, 0),
    ],
)
async def test_refusals(egress: EgressClient, answer: bytes, code: str, retryable: bool, wait: int):
    failure = await failing(told(egress, {"body": 1}, {"secret": NEW}, answer))
    assert (failure.error.code, failure.error.retryable, failure.retry_after) == (code, retryable, wait)


async def test_bad_secrets_and_configs(egress: EgressClient):
    failure = await failing(run("action_webhook", {"url": "http://127.0.0.1:1"}, egress=egress,
                                credentials={"webhook": {"secret": "whsec_%%%"}}))  # fmt: skip
    assert (failure.error.code, "%%%" in failure.error.message) == ("bad_credential", False)
    assert codes("action_webhook", {"url": "https://a.example", "format": "xml"}) == [("/format", "invalid_value")]


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=60), st.integers(0, 4_000_000_000))
def test_every_key_is_found_again_in_its_spelling(key: bytes, body: bytes, seconds: int):
    spelt = "whsec_" + base64.b64encode(key).decode()
    assert key_of(spelt) == key
    made = signature(key, "msg_1", seconds, body)
    assert (
        made == "v1," + base64.b64encode(hmac.new(key, b"msg_1.%d." % seconds + body, hashlib.sha256).digest()).decode()
    )


@pytest.mark.parametrize("secret", ["", " ", "whsec_", "whsec_!"])
def test_what_is_no_secret(secret: str):
    with pytest.raises(BadSecret):
        key_of(secret)
