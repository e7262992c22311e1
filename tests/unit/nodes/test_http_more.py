"""The HTTP node against real peers on loopback: bodies, credentials, pages, batches, TLS, proxies."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trustme
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from linkflow.config import Egress
from linkflow.nodes import http_auth
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.http_calls import Rate
from linkflow.nodes.replies import next_link
from linkflow.nodes.sigv4 import canonical_url, signed
from tests.unit.nodes.peers import NOW, HttpPeer, Request, codes, http_peer, reply, run


@pytest.fixture(autouse=True)
def no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test was given is not known to the next."""
    monkeypatch.setattr(http_auth.TOKENS, "_found", http_auth.OrderedDict())
    monkeypatch.setattr(http_auth.TOKENS, "_refresh", http_auth.OrderedDict())


async def call(egress: EgressClient, config: dict[str, Any], **more: Any) -> Any:
    return (await run("http", config, egress=egress, **more)).output


async def failing(egress: EgressClient, config: dict[str, Any], **more: Any) -> Any:
    with pytest.raises(NodeFailure) as caught:
        await run("http", config, egress=egress, **more)
    return caught.value.error


class TestBodies:
    async def test_multipart(self, egress: EgressClient):
        body = {
            "n": 5,
            "many": ["a", "b"],
            "none": None,
            'na"me': "ä",
            "file": {
                "filename": 'x"\r\ny.txt',
                "base64": base64.b64encode(b"\0\r\n--x").decode(),
                "content_type": "image/png",
            },
            "text": {"filename": "t.txt", "text": "hi"},
        }
        async with http_peer() as peer:
            await call(egress, {"method": "POST", "url": peer.url, "body": body, "body_type": "multipart"})
            await call(egress, {"method": "POST", "url": peer.url, "body": body, "body_type": "multipart"})
        first, second = peer.requests
        assert first.body == second.body  # so that an idempotent server sees one request
        message = BytesParser(policy=HTTP).parsebytes(
            b"Content-Type: " + first.headers["content-type"].encode() + b"\r\n\r\n" + first.body
        )
        parts = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
        names = [part.get_param("name", header="content-disposition") for part in parts]
        assert names == ["n", "many", "many", "na%22me", "file", "text"]
        assert parts[4].get_payload(decode=True) == b"\0\r\n--x"
        assert parts[4].get_content_type() == "image/png"
        assert parts[4].get_filename() == "x%22%0D%0Ay.txt"
        assert parts[5].get_payload(decode=True) == b"hi"

    async def test_binary(self, egress: EgressClient):
        raw = bytes(range(256))
        async with http_peer(
            lambda request: reply(200, request.body, {"Content-Disposition": 'attachment; filename="a/b.bin"'})
        ) as peer:
            given = {"base64": base64.b64encode(raw).decode(), "content_type": "image/gif"}
            config = {"method": "PUT", "url": peer.url, "body": given, "body_type": "binary", "response_type": "binary"}
            output = await call(egress, config)
            assert peer.requests[0].headers["content-type"] == "image/gif"
            assert peer.requests[0].body == raw
            assert output["body"] == {"base64": given["base64"], "content_type": "", "size": 256, "filename": "b.bin"}
            await call(egress, {**config, "body": given["base64"]})
            assert peer.requests[1].headers["content-type"] == "application/octet-stream"
            for bad in ("!", 5, {"base64": 5}):
                assert (await failing(egress, {**config, "body": bad})).code == "bad_body"
            assert (await failing(egress, {**config, "body": [1], "body_type": "multipart"})).code == "bad_body"

    async def test_the_answers_size(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, b"x" * 2000)) as peer:
            assert (await failing(egress, {"url": peer.url, "max_size": 1000})).code == "http_too_large"
            assert len((await call(egress, {"url": peer.url, "max_size": 2000}))["body"]) == 2000

    async def test_other_methods(self, egress: EgressClient):
        async with http_peer() as peer:
            await call(egress, {"method": "propfind", "url": peer.url, "body": "<x/>", "headers": {"Depth": 1}})
        assert (peer.requests[0].method, peer.requests[0].headers["depth"]) == ("PROPFIND", "1")
        assert codes("http", {"url": "http://a.example", "method": "CONNECT"}) == [("/method", "invalid_value")]


class TestStatuses:
    async def test_what_is_tried_again(self, egress: EgressClient):
        async with http_peer(lambda request: reply(int(request.path[1:]), b"", {"Retry-After": "7"})) as peer:
            for status, wanted, retryable in (
                (404, "404, 5xx", True),
                (503, ["404"], False),
                (500, ["5xx"], True),
                (429, [], False),
            ):
                error = await failing(egress, {"url": f"{peer.url}/{status}", "retry_on": wanted})
                assert (error.retryable, error.details["status"]) == (retryable, status)
        assert codes("http", {"url": "http://a.example", "retry_on": ["200"]}) == [("/retry_on/0", "invalid_value")]

    async def test_redirects_are_counted(self, egress: EgressClient):
        async with http_peer(lambda _: reply(302, b"", {"Location": "/again"})) as peer:
            assert (await failing(egress, {"url": peer.url, "max_redirects": 2})).code == "http_redirects"
            assert len(peer.requests) == 3


class TestCredentials:
    async def test_query(self, egress: EgressClient):
        async with http_peer() as peer:
            secret = {"http": {"query_name": "key", "query_value": "a&b"}}
            await call(egress, {"url": f"{peer.url}/x?y=1"}, credentials=secret)
            await call(egress, {"url": f"{peer.url}/x", "auth": {"type": "query", "query_value": "z"}})
        assert [request.path for request in peer.requests] == ["/x?y=1&key=a%26b", "/x?api_key=z"]

    def token_server(self, **more: Any) -> Any:
        def answer(request: Request) -> bytes:
            if request.path == "/token":
                count = sum(one.path == "/token" for one in peer[0].requests)
                return reply(200, {"access_token": f"t{count}", "expires_in": 3600, **more})
            good = request.headers["authorization"] in (
                "Bearer t1",
                "Bearer t2",
                "Bearer t3",
            ) and not request.path.startswith("/revoked")
            return reply(200 if good or request.headers["authorization"] == "Bearer t2" else 401, {"ok": good})

        peer: list[HttpPeer] = []
        return answer, peer

    async def test_oauth_client_credentials(self, egress: EgressClient):
        answer, holder = self.token_server()
        async with http_peer(answer) as peer:
            holder.append(peer)
            secret = {
                "http": {"token_url": f"{peer.url}/token", "client_id": "id:1", "client_secret": "s", "scope": "a b"}
            }
            for _ in range(2):
                assert (await call(egress, {"url": peer.url}, credentials=secret))["body"] == {"ok": True}
            assert [request.path for request in peer.requests] == ["/token", "/", "/"]  # the token is kept
            asked = peer.requests[0]
            assert parse_qs(asked.body.decode()) == {"grant_type": ["client_credentials"], "scope": ["a b"]}
            assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"id%3A1:s").decode()
            later = {"now_ms": NOW + 3_600_000}
            await call(egress, {"url": peer.url}, credentials=secret, **later)
            await call(egress, {"url": peer.url}, credentials=secret, workspace_id="other", **later)
            assert sum(request.path == "/token" for request in peer.requests) == 3  # its time is over; another tenant's

    async def test_a_token_that_was_called_back(self, egress: EgressClient):
        answer, holder = self.token_server()
        async with http_peer(answer) as peer:
            holder.append(peer)
            secret = {
                "http": {
                    "token_url": f"{peer.url}/token",
                    "client_id": "i",
                    "client_secret": "s",
                    "client_auth": "body",
                }
            }
            await call(egress, {"url": peer.url}, credentials=secret)
            assert parse_qs(peer.requests[0].body.decode())["client_secret"] == ["s"]
            assert (await call(egress, {"url": f"{peer.url}/revoked"}, credentials=secret))["status"] == 200
            assert [request.path for request in peer.requests] == ["/token", "/", "/revoked", "/token", "/revoked"]

    async def test_oauth_refresh(self, egress: EgressClient):
        answer, holder = self.token_server(refresh_token="r2", expires_in=1)
        async with http_peer(answer) as peer:
            holder.append(peer)
            secret = {"http": {"token_url": f"{peer.url}/token", "client_id": "i", "refresh_token": "r1"}}
            await call(egress, {"url": peer.url}, credentials=secret)
            await call(egress, {"url": peer.url}, credentials=secret)
            forms = [parse_qs(one.body.decode()) for one in peer.requests if one.path == "/token"]
            assert [form["refresh_token"] for form in forms] == [["r1"], ["r2"]]
            assert forms[0] == {"grant_type": ["refresh_token"], "refresh_token": ["r1"], "client_id": ["i"]}

    async def test_many_at_once_ask_for_one_token(self, egress: EgressClient):
        answer, holder = self.token_server()
        async with http_peer(answer) as peer:
            holder.append(peer)
            secret = {"http": {"token_url": f"{peer.url}/token", "client_id": "i", "client_secret": "s"}}
            await asyncio.gather(*(call(egress, {"url": peer.url}, credentials=secret) for _ in range(5)))
            assert sum(request.path == "/token" for request in peer.requests) == 1

    @pytest.mark.parametrize(
        ("status", "body", "retryable"),
        [(400, {"error": "invalid_client"}, False), (503, {}, True), (200, {"error": "x"}, False), (200, b"no", False)],
    )
    async def test_no_token(self, egress: EgressClient, status: int, body: Any, retryable: bool):
        async with http_peer(lambda _: reply(status, body)) as peer:
            secret = {"http": {"token_url": peer.url, "client_id": "i", "client_secret": "hush"}}
            error = await failing(egress, {"url": peer.url}, credentials=secret)
            assert (error.code, error.retryable) == ("oauth_refused", retryable)
            assert "hush" not in f"{error.message}{error.details}"

    @pytest.mark.parametrize(
        "secret", [{"token_url": "http://x.example"}, {"access_key_id": "a"}, {"kind": "http_query"}, {"x": 1}]
    )
    async def test_incomplete(self, egress: EgressClient, secret: dict[str, Any]):
        assert (
            await failing(egress, {"url": "http://x.example"}, credentials={"http": secret})
        ).code == "bad_credential"

    async def test_a_private_token_server_is_refused(self):
        client = EgressClient(Egress())
        secret = {"http": {"token_url": "http://169.254.169.254/token", "client_id": "i", "client_secret": "s"}}
        assert (await failing(client, {"url": "http://1.1.1.1"}, credentials=secret)).code == "egress_refused"
        await client.aclose()


class TestAws:
    KEYS = {"access_key_id": "AKID", "secret_access_key": "SECRET", "session_token": "", "region": "eu-central-1", "service": "execute-api"}  # fmt: skip

    @pytest.mark.parametrize("service", ["execute-api", "s3", "lambda"])
    @pytest.mark.parametrize(
        ("method", "url", "body"),
        [
            ("GET", "https://api.example/", b""),
            ("POST", "https://api.example/a/b?z=1&a=2&a=1", b'{"x": 1}'),
            ("PUT", "https://api.example:8443/a b/%7Eä?q=x+y%2Fz&empty=", b"x"),
        ],
    )
    @pytest.mark.parametrize("session", ["", "TOKEN"])
    def test_it_signs_as_aws_does(
        self, service: str, method: str, url: str, body: bytes, session: str, monkeypatch: pytest.MonkeyPatch
    ):
        keys = {**self.KEYS, "service": service, "session_token": session}
        wire = canonical_url(url)
        ours = signed(method, wire, {"Content-Type": "application/json", "X-Other": "1"}, body, keys, NOW)
        monkeypatch.setattr(
            "botocore.auth.get_current_datetime",
            lambda: __import__("datetime").datetime.fromtimestamp(NOW / 1000, __import__("datetime").UTC),
        )
        theirs = AWSRequest(method, wire, {"Content-Type": "application/json"}, body)
        signer = S3SigV4Auth if service == "s3" else SigV4Auth
        signer(Credentials("AKID", "SECRET", session or None), service, "eu-central-1").add_auth(theirs)
        assert ours["Authorization"] == theirs.headers["Authorization"]

    async def test_what_is_sent_is_what_was_signed(self, egress: EgressClient):
        async with http_peer() as peer:
            config = {"method": "POST", "url": f"{peer.url}/a b?z=1 2", "query": {"a": "ä+"}, "body": {"x": 1}}
            await call(egress, config, credentials={"http": self.KEYS})
            request = peer.requests[0]
            again = signed(
                "POST",
                f"{peer.url}{request.path}",
                {"Content-Type": request.headers["content-type"]},
                request.body,
                self.KEYS,
                NOW,
            )
            assert request.headers["authorization"] == again["Authorization"]
            assert request.path == "/a%20b?a=%C3%A4%2B&z=1%202"


class TestPages:
    async def test_links(self, egress: EgressClient):
        def answer(request: Request) -> bytes:
            page = int(parse_qs(urlsplit(request.path).query).get("p", ["1"])[0])
            link = {"Link": f'</x?p={page + 1}>; rel="next", </x?p=9>; rel="last"'} if page < 3 else {}
            return reply(200, [page, page * 10], link)

        async with http_peer(answer) as peer:
            config = {"url": f"{peer.url}/x", "auth": {"token": "t"}, "pagination": {"mode": "link"}}
            output = await call(egress, config)
            assert (output["body"], output["pages"]) == ([1, 10, 2, 20, 3, 30], 3)
            assert all(request.headers["authorization"] == "Bearer t" for request in peer.requests)
            error = await failing(egress, {**config, "pagination": {"mode": "link", "max_pages": 2}})
            assert error.code == "http_too_many_pages"

    async def test_a_next_page_of_somebody_else_gets_no_secret(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, [2])) as other:
            async with http_peer(lambda _: reply(200, [1], {"Link": f"<{other.url}/y>; rel=next"})) as peer:
                secret = {
                    "url": peer.url,
                    "auth": {"token": "t"},
                    "headers": {"X-Key": "k"},
                    "pagination": {"mode": "link"},
                }
                assert (await call(egress, secret))["body"] == [1, 2]
                await call(
                    egress, {"url": peer.url, "pagination": {"mode": "link"}}, credentials={"http": {"token": "t"}}
                )
            assert all("authorization" not in one.headers and "x-key" not in one.headers for one in other.requests)

    async def test_cursors(self, egress: EgressClient):
        def answer(request: Request) -> bytes:
            cursor = (
                request.json().get("after")
                if request.body
                else parse_qs(urlsplit(request.path).query).get("after", [None])[0]
            )
            return reply(200, {"data": {"rows": [cursor]}, "next": {None: "c1", "c1": "c2"}.get(cursor)})

        async with http_peer(answer) as peer:
            plan = {"mode": "cursor", "cursor": "next", "items": "data.rows", "param": "after"}
            assert (await call(egress, {"url": peer.url, "pagination": plan}))["body"] == [None, "c1", "c2"]
            posted = {"method": "POST", "url": peer.url, "body": {"q": 1}, "pagination": {**plan, "where": "body"}}
            assert (await call(egress, posted))["body"] == [None, "c1", "c2"]
            keys = [one.headers["idempotency-key"] for one in peer.requests if one.method == "POST"]
            assert keys == ["exec/n1", "exec/n1/page1", "exec/n1/page2"]
            assert peer.requests[-1].json() == {"q": 1, "after": "c2"}

    async def test_cursors_that_are_addresses(self, egress: EgressClient):
        def answer(request: Request) -> bytes:
            return reply(200, {"items": [request.path], "next": "/p2" if request.path == "/p1" else None})

        async with http_peer(answer) as peer:
            plan = {"mode": "cursor", "cursor": "next", "items": "items"}
            assert (await call(egress, {"url": f"{peer.url}/p1", "pagination": plan}))["body"] == ["/p1", "/p2"]

    async def test_circles_end(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, {"items": [1], "next": "same"})) as peer:
            plan = {"mode": "cursor", "cursor": "next", "items": "items"}
            assert (await failing(egress, {"url": peer.url, "pagination": plan})).code == "http_too_many_pages"
            assert len(peer.requests) == 2

    @pytest.mark.parametrize(
        ("plan", "asked"),
        [
            ({"mode": "page"}, ["page=1", "page=2", "page=3", "page=4"]),
            (
                {"mode": "page", "param": "p", "start": 0, "size": 2, "size_param": "n"},
                ["n=2&p=0", "n=2&p=1", "n=2&p=2"],
            ),
            (
                {"mode": "offset", "size": 2, "size_param": "limit"},
                ["limit=2&offset=0", "limit=2&offset=2", "limit=2&offset=4"],
            ),
        ],
    )
    async def test_numbers(self, egress: EgressClient, plan: dict[str, Any], asked: list[str]):
        pages = iter([[1, 2], [3, 4], [5], []])
        async with http_peer(lambda _: reply(200, next(pages))) as peer:
            assert (await call(egress, {"url": f"{peer.url}/x", "pagination": plan}))["body"] == [1, 2, 3, 4, 5]
            assert [urlsplit(request.path).query for request in peer.requests] == asked

    async def test_bounds(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, list(range(10)))) as peer:
            config = {"url": peer.url, "pagination": {"mode": "page", "max_items": 25}}
            assert (await failing(egress, config)).code == "http_too_many_pages"
            assert len(peer.requests) == 3
        assert codes("http", {"url": "http://a.example", "pagination": {"mode": "cursor"}}) == [
            ("/pagination", "invalid_value")
        ]

    async def test_an_error_on_the_way(self, egress: EgressClient):
        pages = iter([reply(200, [1]), reply(503, b"")])
        async with http_peer(lambda _: next(pages)) as peer:
            error = await failing(egress, {"url": peer.url, "pagination": {"mode": "page"}})
            assert (error.code, error.retryable) == ("http_status", True)

    def test_link_headers(self):
        assert next_link('<a>; rel="prev", <b>; title="x"; rel="last next"') == "b"
        assert next_link("<b>; REL=Next") == "b"
        assert next_link('<b>; rel="nexts"') == next_link("") == next_link("rel=next") == ""


class TestBatches:
    async def test_in_order_and_each_with_its_key(self, egress: EgressClient):
        async with http_peer(lambda request: reply(200, {"path": request.path})) as peer:
            requests = [{"url": f"{peer.url}/{n}", "query": {"q": n}} for n in range(4)] + [{"body": {"n": 9}}]
            config = {
                "method": "POST",
                "url": f"{peer.url}/base",
                "headers": {"X-All": "1"},
                "batch": {"requests": requests, "concurrency": 2},
            }
            output = await call(egress, config)
            assert [result["body"]["path"] for result in output["results"]] == [
                "/0?q=0",
                "/1?q=1",
                "/2?q=2",
                "/3?q=3",
                "/base",
            ]
            assert (output["count"], output["failed"]) == (5, 0)
            assert len({request.headers["idempotency-key"] for request in peer.requests}) == 5
            assert {request.headers["x-all"] for request in peer.requests} == {"1"}

    async def test_failures(self, egress: EgressClient):
        async with http_peer(lambda request: reply(404 if request.path == "/1" else 200, {})) as peer:
            requests = [{"url": f"{peer.url}/{n}"} for n in range(3)]
            config = {"url": peer.url, "batch": {"requests": requests, "on_error": "collect"}}
            output = await call(egress, config)
            assert (output["failed"], output["results"][1]["error"]["code"]) == (1, "http_status")
            assert (await failing(egress, {"url": peer.url, "batch": {"requests": requests}})).code == "http_status"

    async def test_a_rate(self, egress: EgressClient):
        rate = Rate(10)
        assert [round(rate.wait(now), 3) for now in (5.0, 5.0, 5.0, 5.05, 9.0, 9.01)] == [0, 0.1, 0.2, 0.25, 0, 0.09]
        assert [Rate(0).wait(1.0) for _ in range(2)] == [0, 0]
        async with http_peer() as peer:
            batch = {"requests": [{"url": f"{peer.url}/{n}"} for n in range(3)], "per_second": 100}
            assert (await call(egress, {"url": peer.url, "batch": batch}))["count"] == 3

    def test_bounds(self):
        assert codes("http", {"url": "http://a.example", "batch": {"requests": []}}) == [
            ("/batch/requests", "invalid_value")
        ]


@asynccontextmanager
async def tls_peer(ca: trustme.CA, clients: trustme.CA | None = None) -> AsyncIterator[HttpPeer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    if clients:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    async with http_peer(tls=context) as peer:
        yield peer


class TestTls:
    async def test_an_authority_of_ones_own(self, egress: EgressClient):
        ca = trustme.CA()
        pem = ca.cert_pem.bytes().decode()
        async with tls_peer(ca) as peer:
            assert (await call(egress, {"url": peer.url, "tls_ca": pem}))["status"] == 200
            assert (await call(egress, {"url": peer.url}, credentials={"tls": {"ca": pem}}))["status"] == 200
            assert (await failing(egress, {"url": peer.url})).code == "http_connect"
            assert (
                await failing(egress, {"url": peer.url, "tls_ca": trustme.CA().cert_pem.bytes().decode()})
            ).code == "http_connect"
            assert (await failing(egress, {"url": peer.url, "tls_ca": "nonsense"})).code == "bad_credential"

    async def test_a_certificate_of_ones_own(self, egress: EgressClient):
        ca, clients = trustme.CA(), trustme.CA()
        leaf = clients.issue_cert("me@example.com")
        secret = {
            "ca": ca.cert_pem.bytes().decode(),
            "certificate": leaf.cert_chain_pems[0].bytes().decode(),
            "key": leaf.private_key_pem.bytes().decode(),
        }
        async with tls_peer(ca, clients) as peer:
            assert (await call(egress, {"url": peer.url}, credentials={"tls": secret}))["status"] == 200
            without = await failing(egress, {"url": peer.url}, credentials={"tls": {"ca": secret["ca"]}})
            assert without.code == "http_connect"
            for bad in ({"key": ""}, {"certificate": "x"}, {"key": secret["certificate"]}):
                error = await failing(egress, {"url": peer.url}, credentials={"tls": {**secret, **bad}})
                assert error.code == "bad_credential"


@asynccontextmanager
async def proxy(seen: list[tuple[str, dict[str, str]]]) -> AsyncIterator[str]:
    """A small proxy: GET with a whole URL, and CONNECT."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        seen.append((head[0], headers))
        method, target, _ = head[0].split(" ")
        if method != "CONNECT":
            writer.write(reply(200, {"by": "proxy"}))
            await writer.drain()
            writer.close()
            return
        host, _, port = target.rpartition(":")
        far, out = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            except (ConnectionError, ssl.SSLError):
                pass
            finally:
                sink.close()

        await asyncio.gather(pump(reader, out), pump(far, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


class TestProxies:
    async def test_plain_and_tls(self, egress: EgressClient):
        seen: list[tuple[str, dict[str, str]]] = []
        ca = trustme.CA()
        async with proxy(seen) as url, tls_peer(ca) as peer, http_peer() as plain:
            assert (await call(egress, {"url": f"{plain.url}/a", "proxy": url}))["body"] == {"by": "proxy"}
            output = await call(egress, {"url": peer.url, "tls_ca": ca.cert_pem.bytes().decode(), "proxy": url})
            assert output["body"] == {"ok": True}
            secret = {"proxy": {"url": url, "username": "u", "password": "p"}}
            await call(egress, {"url": plain.url}, credentials=secret)
            assert [line.split(" ")[0] for line, _ in seen] == ["GET", "CONNECT", "GET"]
            assert seen[2][1]["proxy-authorization"] == "Basic " + base64.b64encode(b"u:p").decode()
            assert plain.requests == []

    async def test_neither_it_nor_the_target_may_be_private(self):
        async with proxy(seen := []) as url:
            strict = EgressClient(Egress())
            assert (await failing(strict, {"url": "http://1.1.1.1", "proxy": url})).code == "egress_refused"
            await strict.aclose()
            host = urlsplit(url).netloc
            only_proxy = EgressClient(Egress(allow=(host,)))
            for target in ("http://169.254.169.254/latest", "http://10.0.0.1", "http://127.0.0.1:1"):
                assert (await failing(only_proxy, {"url": target, "proxy": url})).code == "egress_refused"
            await only_proxy.aclose()
            assert seen == []

    async def test_what_is_no_proxy(self, egress: EgressClient):
        for address, code in (("ftp://127.0.0.1:1", "egress_refused"), ("https://127.0.0.1:1", "http_bad_request")):
            assert (await failing(egress, {"url": "http://127.0.0.1:2", "proxy": address})).code == code


def test_the_form_has_groups_and_widgets():
    from linkflow.nodes.registry import Registry

    [about] = [one for one in Registry.load().describe() if one["type"] == "action_http_request"]
    fields = about["schema"]["properties"]
    assert {field["group"] for field in fields.values() if "group" in field} == {"Answer", "Many", "Connection"}
    assert fields["tls_ca"]["widget"] == "textarea"
    assert fields["method"]["widget"] == "select"
    assert fields["auth"]["widget"] == fields["pagination"]["widget"] == "object"
    assert json.dumps(fields)
