"""The egress client against real servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

from linkflow.config import Egress
from linkflow.nodes.addresses import Rules, is_public
from linkflow.nodes.base import Egress as EgressProtocol
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.peers import Request, http_peer, reply


class Names:
    """A resolver that answers what the test says, and counts."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = {name.replace("_", "."): found for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("no such name")
        return self.answers[host]


@contextlib.asynccontextmanager
async def client(resolver: Any = None, **settings: Any) -> AsyncIterator[EgressClient]:
    given = {"allow": ("127.0.0.1",), **settings}
    made = EgressClient(Egress(**given), **({"resolver": resolver} if resolver else {}))
    try:
        yield made
    finally:
        await made.aclose()


async def refusal(call: Any, code: str = "egress_refused", retryable: bool = False) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    assert (caught.value.error.code, caught.value.error.retryable) == (code, retryable)
    return caught.value


async def test_a_plain_call():
    async with http_peer(lambda _: reply(201, {"a": 1}, {"X-Two": "b"})) as peer, client() as egress:
        assert isinstance(egress, EgressProtocol)
        response = await egress.request("POST", f"{peer.url}/p?q=1#x", headers={"X-One": "a"}, content=b"hi")
        assert (response.status_code, response.content, response.headers["x-two"]) == (201, b'{"a": 1}', "b")
        [request] = peer.requests
        assert (request.method, request.path, request.body) == ("POST", "/p?q=1", b"hi")
        assert request.headers["x-one"] == "a"
        assert request.headers["host"] == f"127.0.0.1:{peer.port}"


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.8.8", "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1",
        "2001::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1", "fc00::1",
        "fd00:ec2::254",
        "fe80::1", "fec0::1", "ff02::1",
    ],
)  # fmt: skip
def test_closed_addresses(address: str):
    with pytest.raises(NodeFailure, match="not on the public internet"):
        Rules(Egress()).check("x.example", [address], 443)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111"]
)
def test_open_addresses(address: str):
    assert Rules(Egress()).check("x.example", [address], 443) == [address]


def test_fe80_with_a_zone_is_closed():
    from ipaddress import ip_address

    assert not is_public(ip_address("fe80::1%eth0"))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "[::1]",
     "[::ffff:127.0.0.1]",
     "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "127.0.0.1.", "①②⑦.0.0.1", "localhost", "LOCALHOST", "0",
     "[fe80::1%25lo]"],
)  # fmt: skip
async def test_spellings_of_loopback(host: str):
    async with http_peer() as peer, client(allow=()) as egress:
        with pytest.raises(NodeFailure) as caught:
            await egress.request("GET", f"http://{host}:{peer.port}/")
        assert caught.value.error.code in ("egress_refused", "http_bad_request")
        assert not caught.value.error.retryable
        assert peer.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://x.example/",
        "gopher://x.example/",
        "//x.example/",
        "x.example",
        "http://",
        "http:///x",
    ],
)
async def test_other_schemes(url: str):
    async with client() as egress:
        await refusal(egress.request("GET", url))


async def test_user_info_is_refused():
    async with http_peer() as peer, client() as egress:
        await refusal(egress.request("GET", f"http://user:pass@127.0.0.1:{peer.port}/"))
        await refusal(egress.request("GET", f"http://8.8.8.8@127.0.0.1:{peer.port}/"))
        assert peer.connections == 0


async def test_one_private_address_condemns_the_name():
    names = Names(mixed_example=["93.184.216.34", "127.0.0.1"], rebind_example=["127.0.0.1"])
    async with http_peer() as peer, client(names, allow=()) as egress:
        for name in ("mixed.example", "rebind.example"):
            await refusal(egress.request("GET", f"http://{name}:{peer.port}/"))
            await refusal(egress.open_address(name, peer.port))
        assert peer.connections == 0


async def test_the_checked_address_is_the_one_that_is_dialled():
    """The name is looked up once a connection: there is no second answer to be different."""
    names = Names(intra_example=["127.0.0.1"])
    async with http_peer() as peer, client(names) as egress:
        response = await egress.request("GET", f"http://intra.example:{peer.port}/")
        assert response.status_code == 200
        assert names.asked == ["intra.example"]
        assert peer.requests[0].headers["host"] == f"intra.example:{peer.port}"


async def test_a_failed_lookup_is_no_pass():
    async with client(Names(empty_example=[])) as egress:
        await refusal(egress.request("GET", "http://nowhere.example/"), "egress_lookup", retryable=True)
        await refusal(egress.request("GET", "http://empty.example/"), "egress_lookup", retryable=True)
        await refusal(egress.open_address("nowhere.example", 25), "egress_lookup", retryable=True)


async def test_the_next_address_is_tried():
    names = Names(two_example=["127.0.0.2", "127.0.0.1"])
    async with http_peer() as peer, client(names, allow=("127.0.0.0/8",)) as egress:
        assert (await egress.request("GET", f"http://two.example:{peer.port}/")).status_code == 200


class TestSettings:
    @pytest.mark.parametrize(
        ("allow", "passes"),
        [("127.0.0.1", True), ("127.0.0.0/8", True), ("127.0.0.1:{port}", True), ("127.0.0.1:1", False),
         ("intra.example", True), ("INTRA.example:{port}", True), ("intra.example:1", False), ("example", False),
         ("::1", False)],
    )  # fmt: skip
    async def test_allow(self, allow: str, passes: bool):
        async with http_peer() as peer:
            names = Names(intra_example=["127.0.0.1"])
            async with client(names, allow=(allow.format(port=peer.port),)) as egress:
                call = egress.request("GET", f"http://intra.example:{peer.port}/")
                if passes:
                    assert (await call).status_code == 200
                else:
                    await refusal(call)

    async def test_an_allowed_host_does_not_open_its_address_to_others(self):
        async with http_peer() as peer, client(allow=("intra.example",)) as egress:
            await refusal(egress.request("GET", peer.url))

    async def test_resolve(self):
        async with http_peer() as peer:
            fixed = {"api.example:80": f"127.0.0.1:{peer.port}"}
            async with client(Names(), allow=(), resolve=fixed) as egress:
                assert (await egress.request("GET", "http://api.example/x")).status_code == 200
                assert peer.requests[0].headers["host"] == "api.example"
                assert await egress.open_address("api.example", 80) == ("127.0.0.1", peer.port)
                await refusal(egress.request("GET", "http://api.example:81/"), "egress_lookup", retryable=True)

    async def test_proxies_of_the_environment_are_ignored(self, monkeypatch: pytest.MonkeyPatch):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        async with http_peer() as peer, client() as egress:
            assert (await egress.request("GET", peer.url)).status_code == 200

    def test_nonsense_is_refused_at_the_start(self):
        with pytest.raises(ValueError, match="intra"):
            EgressClient(Egress(resolve={"api.example:443": "intra"}))


class TestRedirects:
    async def test_to_a_private_address(self):
        async with http_peer() as inner, http_peer(lambda _: reply(302, headers={"Location": inner.url})) as outer:
            async with client(allow=(f"127.0.0.1:{outer.port}",)) as egress:
                await refusal(egress.request("GET", outer.url))
            assert inner.connections == 0

    @pytest.mark.parametrize(
        "target", ["file:///etc/passwd", "http://u:p@127.0.0.1/", "http://169.254.169.254/latest/"]
    )
    async def test_to_what_a_url_may_not_be(self, target: str):
        async with http_peer(lambda _: reply(302, headers={"Location": target})) as peer, client() as egress:
            await refusal(egress.request("GET", peer.url))

    @pytest.mark.parametrize(
        ("status", "method", "then", "keeps_body"),
        [(301, "POST", "GET", False), (302, "POST", "GET", False), (303, "PUT", "GET", False), (303, "HEAD",
         "HEAD", False),
         (301, "PUT", "PUT", True), (307, "POST", "POST", True), (308, "PATCH", "PATCH", True)],
    )  # fmt: skip
    async def test_methods_follow_the_fetch_standard(self, status: int, method: str, then: str, keeps_body: bool):
        def answer(request: Request) -> bytes:
            return reply(status, headers={"Location": "/b?x=1"}) if request.path == "/a" else reply()

        async with http_peer(answer) as peer, client() as egress:
            content = None if method == "HEAD" else b"body"
            headers = {"Content-Type": "text/plain", "Authorization": "secret"}
            response = await egress.request(method, f"{peer.url}/a", headers=headers, content=content)
            last = peer.requests[-1]
            assert response.url == f"{peer.url}/b?x=1"
            assert (last.method, last.path, last.body) == (then, "/b?x=1", b"body" if keeps_body else b"")
            assert last.headers["authorization"] == "secret"
            assert ("content-type" in last.headers) is (keeps_body or method == "HEAD")

    async def test_secrets_stay_with_their_origin(self):
        async with http_peer() as other, http_peer(lambda _: reply(307, headers={"Location": other.url})) as first:
            async with client() as egress:
                headers = {"Authorization": "a", "X-Api-Key": "b", "Cookie": "c", "Accept": "d", "Idempotency-Key": "e"}
                await egress.request("POST", first.url, headers=headers, content=b"x")
            got = other.requests[0].headers
            assert not {"authorization", "x-api-key", "cookie"} & got.keys()
            assert (got["accept"], got["idempotency-key"]) == ("d", "e")

    async def test_too_many(self):
        async with http_peer(lambda _: reply(302, headers={"Location": "/again"})) as peer, client() as egress:
            await refusal(egress.request("GET", peer.url), "http_redirects")
            assert len(peer.requests) == 11

    async def test_not_followed_unless_asked(self):
        async with http_peer(lambda _: reply(302, headers={"Location": "/b"})) as peer, client() as egress:
            assert (await egress.request("GET", peer.url, follow_redirects=False)).status_code == 302


class TestBodies:
    async def test_announced_too_large(self):
        def answer(_: Request) -> bytes:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"

        async with http_peer(answer) as peer, client(max_body=1000) as egress:
            await refusal(egress.request("GET", peer.url), "http_too_large")

    async def test_endless(self):
        async with http_peer() as peer:

            async def answer(_: Request) -> None:
                assert peer.writer
                peer.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    for _ in range(10_000):
                        peer.writer.write(b"x" * 10_000)
                        await peer.writer.drain()

            peer.answer = answer
            async with client(max_body=100_000) as egress:
                await refusal(egress.request("GET", peer.url), "http_too_large")

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    async def test_a_bomb(self, encoding: str):
        pack = gzip.compress if encoding == "gzip" else zlib.compress
        bomb = pack(b"\0" * 50_000_000)
        async with (
            http_peer(lambda _: reply(200, bomb, {"Content-Encoding": encoding})) as peer,
            client(max_body=1_000_000) as egress,
        ):
            await refusal(egress.request("GET", peer.url), "http_too_large")

    @pytest.mark.parametrize("kind", ["gzip", "members", "deflate", "bare"])
    async def test_compressed(self, kind: str):
        bare = zlib.compressobj(wbits=-15)
        body = {
            "gzip": gzip.compress(b"hello" * 100),
            "members": gzip.compress(b"hello" * 60) + gzip.compress(b"hello" * 40),
            "deflate": zlib.compress(b"hello" * 100),
            "bare": bare.compress(b"hello" * 100) + bare.flush(),
        }[kind]
        encoding = "gzip" if kind in ("gzip", "members") else "deflate"
        async with http_peer(lambda _: reply(200, body, {"Content-Encoding": encoding})) as peer, client() as egress:
            assert (await egress.request("GET", peer.url)).content == b"hello" * 100
            assert peer.requests[0].headers["accept-encoding"] == "gzip, deflate"

    async def test_half_a_body(self):
        half = gzip.compress(b"hello" * 1000)[:-12]
        async with http_peer(lambda _: reply(200, half, {"Content-Encoding": "gzip"})) as peer, client() as egress:
            await refusal(egress.request("GET", peer.url), "http_bad_body", retryable=True)
        async with http_peer(lambda _: reply(200, b"abc", {"Content-Length": "10"})) as peer, client() as egress:
            await refusal(egress.request("GET", peer.url), "http_connect", retryable=True)

    async def test_slow(self):
        async with http_peer() as peer:

            async def answer(_: Request) -> None:
                assert peer.writer
                peer.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    for _ in range(100):  # a byte in time, each time: only a limit on the whole stops it
                        peer.writer.write(b"x")
                        await peer.writer.drain()
                        await asyncio.sleep(0.05)

            peer.answer = answer
            async with client() as egress:
                started = time.monotonic()
                await refusal(egress.request("GET", peer.url, timeout=0.3), "http_timeout", retryable=True)
                assert time.monotonic() - started < 2


async def test_nobody_there():
    async with http_peer() as peer:
        port = peer.port
    async with client() as egress:
        await refusal(egress.request("GET", f"http://127.0.0.1:{port}/"), "http_connect", retryable=True)


async def test_headers_that_would_forge_a_request():
    async with http_peer() as peer, client() as egress:
        for headers in ({"X": "a\r\nEvil: 1"}, {"X\r\nEvil": "1"}, {"Ä": "1"}):
            await refusal(egress.request("GET", peer.url, headers=headers), "http_bad_request")
        framing = {"Content-Length": "999", "Transfer-Encoding": "chunked", "Connection": "upgrade"}
        await egress.request("POST", peer.url, headers=framing, content=b"ok")
        assert peer.requests[-1].body == b"ok"
        assert "transfer-encoding" not in peer.requests[-1].headers


async def test_no_cookies_are_kept():
    async with http_peer(lambda _: reply(200, headers={"Set-Cookie": "a=b"})) as peer, client() as egress:
        await egress.request("GET", peer.url)
        await egress.request("GET", peer.url)
        assert "cookie" not in peer.requests[1].headers


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def server(self, authority: trustme.CA) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("api.example").configure_cert(context)
        return context

    async def test_the_name_is_verified_though_the_address_is_dialled(
        self, authority: trustme.CA, server: ssl.SSLContext, tmp_path: Path
    ):
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        async with http_peer(tls=server) as peer:
            target = f"127.0.0.1:{peer.port}"
            fixed = {"api.example:443": target, "other.example:443": target}
            async with client(ca_file=str(tmp_path / "ca.pem"), resolve=fixed) as egress:
                assert (await egress.request("GET", "https://api.example/")).status_code == 200
                failure = await refusal(egress.request("GET", "https://other.example/"), "http_connect")
                assert "certificate" in str(failure)
                assert (await egress.request("GET", "https://other.example/", verify=False)).status_code == 200

    async def test_an_unknown_authority(self, server: ssl.SSLContext):
        async with (
            http_peer(tls=server) as peer,
            client(resolve={"api.example:443": f"127.0.0.1:{peer.port}"}) as egress,
        ):
            await refusal(egress.request("GET", "https://api.example/"), "http_connect")


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "017700000001", "2130706433"])
async def test_an_address_is_dialled_as_it_was_checked(host: str):
    async with http_peer() as peer, client() as egress:
        assert (await egress.request("GET", f"http://{host}:{peer.port}/x?y=%20z")).status_code == 200
        assert peer.requests[0].headers["host"] == f"127.0.0.1:{peer.port}"
        assert peer.requests[0].path == "/x?y=%20z"


def test_only_names_can_be_resolved_elsewhere():
    with pytest.raises(ValueError, match="only names"):
        EgressClient(Egress(resolve={"10.0.0.1:443": "127.0.0.1"}))
