from __future__ import annotations

import base64
from typing import Any

import pytest

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.replies import retry_after_ms
from tests.unit.nodes.peers import NOW, Request, codes, http_peer, reply, run

FORM = "application/x-www-form-urlencoded"


async def call(config: dict[str, Any], egress: EgressClient, **more: Any) -> Any:
    return (await run("http", config, egress=egress, **more)).output


async def test_the_output_has_both_of_the_originals_spellings(egress: EgressClient):
    async with http_peer(lambda _: reply(200, {"a": 1}, {"X-One": "1"})) as peer:
        output = await call({"url": peer.url}, egress)
    assert (output["status"], output["status_code"], output["data"], output["body"]) == (200, 200, {"a": 1}, {"a": 1})
    assert output["headers"]["x-one"] == "1"
    assert output["duration_ms"] >= 0


@pytest.mark.parametrize(
    ("config", "kind", "body"),
    [
        ({"body": {"a": "ü"}}, "application/json", '{"a":"ü"}'.encode()),
        ({"body": [1]}, "application/json", b"[1]"),
        ({"body": False}, "application/json", b"false"),
        ({"body": "a & b"}, "text/plain; charset=utf-8", b"a & b"),
        ({"body": '{"a": 1}', "body_type": "json"}, "application/json", b'{"a": 1}'),
        ({"body": "plain", "body_type": "json"}, "application/json", b'"plain"'),
        ({"body": {"a": "x y", "b": [1, 2], "c": None}, "body_type": "form"}, FORM, b"a=x+y&b=1&b=2"),
        ({"body": {"a": 1}, "body_type": "text"}, "text/plain; charset=utf-8", b'{"a": 1}'),
        ({"body": "x", "body_type": "raw"}, "application/octet-stream", b"x"),
        ({"body": "x", "headers": {"content-type": "text/csv"}}, "text/csv", b"x"),
        ({}, None, b""),
    ],
)  # fmt: skip
async def test_bodies(egress: EgressClient, config: dict[str, Any], kind: str | None, body: bytes):
    async with http_peer() as peer:
        await call({"url": peer.url, "method": "post", **config}, egress)
    [request] = peer.requests
    assert (request.body, request.headers.get("content-type")) == (body, kind)


async def test_query(egress: EgressClient):
    async with http_peer() as peer:
        query = {"b": "x y", "c": [1, 2], "d": True, "e": None, "f": "ü&"}
        await call({"url": f"{peer.url}/p?a=1#top", "query_params": query}, egress)
    assert peer.requests[0].path == "/p?a=1&b=x+y&c=1&c=2&d=true&f=%C3%BC%26"


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        ({"type": "bearer", "token": "t"}, "authorization", "Bearer t"),
        ({"type": "basic", "username": "u", "password": "p"}, "authorization", "Basic dTpw"),
        ({"type": "header", "header_name": "X-Key", "header_value": "v"}, "x-key", "v"),
        ({"api_key": "k"}, "x-api-key", "k"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["inline", "http", "default"])
async def test_authentication(egress: EgressClient, auth: dict[str, str], header: str, value: str, where: str):
    async with http_peer() as peer:
        if where == "inline":
            await call({"url": peer.url, "auth": auth}, egress)
        else:
            await call({"url": peer.url, "headers": {header: "mine"}}, egress, credentials={where: auth})
    assert peer.requests[0].headers[header] == value


async def test_a_credential_that_is_none(egress: EgressClient):
    with pytest.raises(NodeFailure) as caught:
        await call({"url": "http://127.0.0.1:1"}, egress, credentials={"http": {"type": "bearer"}})
    assert caught.value.error.code == "bad_credential"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_idempotency_key(egress: EgressClient, method: str):
    async with http_peer() as peer:
        await call({"url": peer.url, "method": method}, egress, idempotency_key="exec/nöde 1")
        await call({"url": peer.url, "method": method, "headers": {"idempotency-key": "own"}}, egress)
    first, second = (request.headers.get("idempotency-key") for request in peer.requests)
    assert first == (None if method in ("GET", "HEAD") else "exec/n%C3%B6de%201")
    assert second == "own"


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(400, False), (401, False), (404, False), (408, True), (425, True), (429, True), (500, True), (503, True)],
)
async def test_failures(egress: EgressClient, status: int, retryable: bool):
    async with http_peer(lambda _: reply(status, {"why": "no"}, {"Retry-After": "7"})) as peer:
        with pytest.raises(NodeFailure) as caught:
            await call({"url": peer.url}, egress)
        error = caught.value.error
        assert (error.code, error.retryable, caught.value.retry_after) == ("http_status", retryable, 7_000)
        assert error.details == {"status": status, "body": '{"why": "no"}'}
        output = await call({"url": peer.url, "never_error": True}, egress)
        assert (output["status"], output["data"]) == (status, {"why": "no"})


def test_retry_after():
    assert retry_after_ms({"retry-after": "Fri, 15 Jan 2027 08:00:09 GMT"}, NOW) == 9_000
    assert retry_after_ms({"retry-after": "Fri, 15 Jan 2020 08:00:09 GMT"}, NOW) == 0
    assert retry_after_ms({"retry-after": "99999999"}, NOW) == 24 * 3_600_000
    assert retry_after_ms({"retry-after": "soon"}, NOW) == retry_after_ms({}, NOW) == 0


@pytest.mark.parametrize(
    ("kind", "raw", "want", "body"),
    [
        ("application/json", b'{"a": 1}', "auto", {"a": 1}),
        ("application/problem+json", b"[1]", "auto", [1]),
        ("application/json", b"oops", "auto", "oops"),
        ("application/json", b"[" * 100_000, "auto", "[" * 100_000),
        ("text/html", b"<p>", "auto", "<p>"),
        ("text/plain; charset=latin-1", b"\xfc", "auto", "ü"),
        ("text/plain", b'{"a": 1}', "json", {"a": 1}),
        ("application/json", b'{"a": 1}', "text", '{"a": 1}'),
        ("image/png", b"\x89PNG\xff", "auto", {"base64": base64.b64encode(b"\x89PNG\xff").decode()}),
        ("application/json", b"", "json", None),
    ],
)
async def test_answers(egress: EgressClient, kind: str, raw: bytes, want: str, body: Any):
    async with http_peer(lambda _: reply(200, raw, {"Content-Type": kind})) as peer:
        assert (await call({"url": peer.url, "response_type": want}, egress))["body"] == body


async def test_json_that_is_none(egress: EgressClient):
    async with http_peer(lambda _: reply(200, b"<html>")) as peer:
        with pytest.raises(NodeFailure) as caught:
            await call({"url": peer.url, "response_type": "json"}, egress)
    assert caught.value.error.code == "http_bad_json"


async def test_redirects_can_be_left_alone(egress: EgressClient):
    def answer(request: Request) -> bytes:
        return reply(302, headers={"Location": "/b"}) if request.path == "/a" else reply(200, b"b")

    async with http_peer(answer) as peer:
        assert (await call({"url": f"{peer.url}/a"}, egress))["body"] == "b"
        assert (await call({"url": f"{peer.url}/a", "follow_redirects": False}, egress))["status"] == 302


async def test_timeout(egress: EgressClient):
    import asyncio

    async def answer(_: Request) -> bytes:
        await asyncio.sleep(0.5)
        return reply()

    async with http_peer(answer) as peer:
        with pytest.raises(NodeFailure) as caught:
            await call({"url": peer.url, "timeout": 0.1}, egress)
    assert (caught.value.error.code, caught.value.error.retryable) == ("http_timeout", True)


def test_faults():
    assert codes("http", {"url": ""}) == [("/url", "invalid_value")]
    assert codes("http", {"url": "x", "auth": {"type": "basic"}}) == [("/auth", "invalid_value")]
    assert codes("http", {"url": "x", "timeout": 0}) == [("/timeout", "invalid_value")]
    assert codes("http", {"url": "x", "method": "BREW"}) == [("/method", "invalid_value")]
    assert codes("http", {"url": "x", "headers": {"A": "b\nc"}}) == [("/headers", "invalid_value")]


async def test_no_egress_in_a_pure_worker():
    with pytest.raises(NodeFailure) as caught:
        await run("http", {"url": "https://x.example"})
    assert caught.value.error.code == "no_egress"
