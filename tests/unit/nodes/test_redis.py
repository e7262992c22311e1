"""The Redis node against a real Valkey."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis as client_of_redis
import trustme

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.redis_client import read
from tests.unit.nodes.peers import codes, run


@pytest.fixture
def ask(egress: EgressClient, redis_url: str) -> Any:
    async def ask(operation: str, **config: Any) -> Any:
        secrets = {"redis": {"url": redis_url}}
        return (await run("redis", {"operation": operation, **config}, egress=egress, credentials=secrets)).output[
            "result"
        ]

    return ask


async def failing(call: Any) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    return caught.value


async def test_values(ask: Any, redis_url: str):
    assert await ask("get", key="a") is None
    assert await ask("set", key="a", value="plain")
    assert await ask("get", key="a") == "plain"
    assert await ask("set", key="b", value={"n": [1, "ü"]}, ttl=100)
    assert (await ask("get", key="b"), await ask("get", key="b", parse_json=True)) == (
        '{"n": [1, "ü"]}',
        {"n": [1, "ü"]},
    )
    assert 99 < await ask("ttl", key="b") <= 100
    assert (await ask("ttl", key="a"), await ask("ttl", key="none")) == (-1, None)
    assert not await ask("set", key="a", value="other", only_if="missing")
    assert not await ask("set", key="c", value="other", only_if="exists")
    assert await ask("get_many", keys=["a", "none"]) == {"a": "plain", "none": None}
    await ask("set", key="bytes", value={"base64": "AP8="})
    assert await ask("get", key="bytes") == {"base64": "AP8="}
    assert (await ask("exists", keys="a,b,none"), await ask("delete", key="a", keys=["b"])) == (2, 2)
    assert await ask("expire", key="bytes", ttl=5)
    assert await ask("persist", key="bytes")
    with client_of_redis.Redis.from_url(redis_url) as other:
        assert other.get("bytes") == b"\x00\xff"


async def test_numbers(ask: Any):
    assert [await ask("incr", key="n"), await ask("incr", key="n", by=-3), await ask("incr", key="n", by=0.5)] == [
        1,
        -2,
        -1.5,
    ]
    failure = await failing(ask("incr", key="n"))
    assert (failure.error.code, failure.error.retryable, failure.error.details) == (
        "redis_error",
        False,
        {"code": "ERR"},
    )


async def test_hashes(ask: Any):
    assert await ask("hash_set", key="h", fields={"a": 1, "b": "x"}) == 2
    assert (await ask("hash_get", key="h", field="b"), await ask("hash_get", key="h", field="c")) == ("x", None)
    assert await ask("hash_get_all", key="h", parse_json=True) == {"a": 1, "b": "x"}
    assert (await ask("hash_incr", key="h", field="a", by=2), await ask("hash_delete", key="h", values=["a", "b"])) == (
        3,
        2,
    )
    assert await ask("hash_get_all", key="h") == {}


async def test_lists(ask: Any):
    assert await ask("list_push", key="l", values=["b", "c"]) == 2
    assert await ask("list_push", key="l", value="a", left=True) == 3
    assert (await ask("list_range", key="l"), await ask("list_range", key="l", start=1, stop=1)) == (
        ["a", "b", "c"],
        ["b"],
    )
    assert [await ask("list_pop", key="l"), await ask("list_pop", key="l", left=True, count=5)] == ["c", ["a", "b"]]
    assert (await ask("list_pop", key="l"), await ask("list_length", key="l")) == (None, 0)


async def test_sets(ask: Any):
    assert await ask("set_add", key="s", values=["a", "b", "a"]) == 2
    assert [await ask("set_has", key="s", value="a"), await ask("set_has", key="s", value="z")] == [True, False]
    assert await ask("set_remove", key="s", value="a") == 1
    assert await ask("set_members", key="s") == ["b"]


async def test_sorted_sets(ask: Any):
    assert await ask("sorted_add", key="z", scores={"a": 1, "b": 2.5, "c": 3}) == 3
    assert await ask("sorted_range", key="z") == ["a", "b", "c"]
    both = await ask("sorted_range", key="z", with_scores=True, reverse=True, stop="1")
    assert both == [{"member": "c", "score": 3}, {"member": "b", "score": 2.5}]
    assert await ask("sorted_range", key="z", by_score=True, start="2", count=1) == ["b"]
    assert await ask("sorted_range", key="z", by_score=True, stop="(3", reverse=True) == ["b", "a"]
    assert [await ask("sorted_incr", key="z", value="a", by=4), await ask("sorted_score", key="z", value="a")] == [5, 5]
    assert (await ask("sorted_remove", key="z", value="a"), await ask("sorted_score", key="z", value="a")) == (1, None)


async def test_streams(ask: Any):
    first = await ask("stream_add", key="x", fields={"n": 1})
    second = await ask("stream_add", key="x", fields={"n": {"deep": 2}}, max_length=100)
    assert [one["fields"] for one in await ask("stream_read", key="x", parse_json=True)] == [
        {"n": 1},
        {"n": {"deep": 2}},
    ]
    assert [one["id"] for one in await ask("stream_read", key="x", start=first)] == [second]
    assert [one["id"] for one in await ask("stream_range", key="x", reverse=True)] == [second, first]
    assert (await ask("stream_read", key="x", start="$", wait=0.01), await ask("stream_range", key="none")) == ([], [])


async def test_somebody_who_listens_hears_it(ask: Any, redis_url: str):
    with client_of_redis.Redis.from_url(redis_url) as other, other.pubsub() as heard:
        heard.subscribe("news")
        heard.get_message(timeout=1)
        assert await ask("publish", channel="news", value={"id": 7}) == 1
        assert json.loads(heard.get_message(timeout=1)["data"]) == {"id": 7}


async def test_any_other_command(ask: Any):
    assert await ask("command", command=["SETRANGE", "r", 1, "ab"]) == 3
    assert await ask("command", command=["STRLEN", "r"]) == 3
    assert codes("redis", {"operation": "command", "command": ["subscribe", "x"]}) == [("", "invalid_value")]
    assert codes("redis", {"operation": "set_add", "key": "s"}) == [("", "invalid_value")]


async def test_an_answer_that_is_too_large(ask: Any, redis_url: str):
    with client_of_redis.Redis.from_url(redis_url) as other:
        other.set("big", b"x" * (11 * 1024 * 1024))
    failure = await failing(ask("get", key="big"))
    assert (failure.error.code, failure.error.retryable) == ("redis_too_large", False)


@pytest.fixture
async def guarded(valkey: Any, redis_url: str) -> AsyncIterator[tuple[int, str]]:
    """The same server with TLS in front, and a user with a password: a port, and the authority."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("cache.example").configure_cert(context)
    place = urlsplit(redis_url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(place.hostname, place.port)

        async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
            except ConnectionError:
                pass
            finally:
                sink.close()

        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    with client_of_redis.Redis.from_url(redis_url) as admin:
        admin.acl_setuser("ada", enabled=True, passwords=["+s3cret/:@"], categories=["+@all"], keys=["*"])
        yield server.sockets[0].getsockname()[1], authority.cert_pem.bytes().decode()
        admin.acl_deluser("ada")
    server.close()


async def test_tls_and_a_password(guarded: tuple[int, str]):
    port, authority = guarded
    client = EgressClient(
        Egress(resolve={f"{name}:{port}": f"127.0.0.1:{port}" for name in ("cache.example", "other.example")})
    )

    async def ask(url: str, ca: str) -> Any:
        secrets = {"redis": {"url": url.format(port=port), "ca": ca}}
        config = {"operation": "command", "command": ["ACL", "WHOAMI"]}
        return (await run("redis", config, egress=client, credentials=secrets)).output["result"]

    right = "rediss://ada:s3cret%2F%3A%40@cache.example:{port}/15"
    assert await ask(right, authority) == "ada"
    assert await ask(f"{right}?verify=false", "") == "ada"
    for url, ca, code in (
        (right, "", "redis_connect"),  # an authority that nobody knows
        (right.replace("cache.", "other."), authority, "redis_connect"),  # a certificate of another name
        (right.replace("s3cret", "wrong"), authority, "redis_auth"),
        (right, "no pem", "bad_credential"),
    ):
        failure = await failing(ask(url, ca))
        assert (failure.error.code, failure.error.retryable) == (code, False)
        assert "s3cret" not in json.dumps([failure.error.message, failure.error.details])


async def test_where_the_server_is(redis_url: str, egress: EgressClient):
    config = {"operation": "get", "key": "a"}
    assert (await failing(run("redis", config, egress=egress))).error.code == "no_credential"
    failure = await failing(run("redis", config, egress=EgressClient(), credentials={"redis": {"url": redis_url}}))
    assert failure.error.code == "egress_refused"
    for url in ("", "http://x", "redis://", "redis://h:port", "redis://h/db"):
        with pytest.raises(NodeFailure, match="redis://user"):
            read(url)
    failure = await failing(run("redis", config, egress=egress, credentials={"redis": {"url": "redis://127.0.0.1:9"}}))
    assert (failure.error.code, failure.error.retryable) == ("redis_connect", True)


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [(b"-LOADING in a moment\r\n", "redis_error", True), (b"-MOVED 1 10.0.0.1:6379\r\n", "redis_error", False),
     (b"-NOAUTH who are you\r\n", "redis_auth", False), (b"", "redis_connect", True), (b"HTTP/1.1 400\r\n", "redis_connect", False)],
)  # fmt: skip
async def test_what_servers_say(answer: bytes, code: str, retryable: bool, egress: EgressClient):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    failure = await failing(
        run("redis", {"operation": "get", "key": "a"}, egress=egress, credentials={"redis": {"url": url}})
    )
    assert (failure.error.code, failure.error.retryable) == (code, retryable)
    server.close()


async def test_a_server_that_says_nothing(egress: EgressClient):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until it gives up
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = {"operation": "get", "key": "a", "timeout": 0.05}
    failure = await failing(run("redis", config, egress=egress, credentials={"redis": {"url": url}}))
    assert (failure.error.code, failure.error.retryable) == ("redis_timeout", True)
    server.close()
