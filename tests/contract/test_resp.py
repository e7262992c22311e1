"""The client of one Valkey server: on a real one, and on servers that misbehave."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from linkflow.domain.errors import Unavailable
from linkflow.streams.connection import connect
from linkflow.streams.resp import Fault, Lost, NoScript, Refused, Server, Several, Shared, Silent

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def calls(redis_url: str) -> AsyncIterator[Shared]:
    found = Shared(Server(redis_url), 5)
    yield found
    await found.aclose()


@pytest.fixture
async def waits(redis_url: str) -> AsyncIterator[Several]:
    found = Several(Server(redis_url), 5)
    yield found
    await found.aclose()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """A server that does what `serve` does with each connection; its address."""
    writers = []

    async def each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)

    server = await asyncio.start_server(each, "127.0.0.1", 0)
    yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in writers:
        writer.transport.abort()


def relay(url: str) -> Serve:
    """Hand everything on to the server of `url`."""
    parts = urlsplit(url)

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, back = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pump(reader, back), pump(to, writer), return_exceptions=True)

    return serve


async def blocked(calls: Shared, count: int) -> None:
    """Wait until so many clients wait at the server."""
    for _ in range(1000):
        if b"blocked_clients:%d" % count in await calls.execute_command("INFO", "clients"):
            return
    raise AssertionError


async def test_values_arrive_as_they_were(calls: Shared) -> None:
    for value in ("ü|\n", b"\x00\xff\r\n", "", "x" * 1_000_000):
        raw = value.encode() if isinstance(value, str) else value
        assert await calls.execute_command("SET", "k", value) == b"OK"
        assert await calls.execute_command("GET", "k") == raw
    assert await calls.execute_command("GET", "none") is None
    assert await calls.execute_command("INCRBY", "n", 2**62) == 2**62
    assert await calls.execute_command("EVAL", "return {1, 'a', {ARGV[1]}, false}", 0, 0.1) == [1, b"a", [b"0.1"], None]


async def test_calls_at_once_get_their_own_answers(calls: Shared) -> None:
    answers = await asyncio.gather(*(calls.execute_command("ECHO", number) for number in range(500)))
    assert answers == [b"%d" % number for number in range(500)]
    assert b"connected_clients" in await calls.execute_command("INFO", "clients")


async def test_all_calls_share_one_connection(calls: Shared) -> None:
    ids = await asyncio.gather(*(calls.execute_command("CLIENT", "ID") for _ in range(50)))
    assert len(set(ids)) == 1


async def test_one_wrong_command_leaves_its_neighbours_alone(calls: Shared) -> None:
    first, wrong, none, last = await calls.execute_commands(
        [("ECHO", "1"), ("NOSUCH",), ("EVALSHA", "0" * 40, 0), ("ECHO", "2")]
    )
    assert (first, last) == (b"1", b"2")
    assert isinstance(wrong, Refused)
    assert isinstance(none, NoScript)
    with pytest.raises(NoScript):
        await calls.execute_command("EVALSHA", "0" * 40, 0)
    assert await calls.execute_commands([]) == []


async def test_what_cannot_be_sent_hurts_nobody_else(calls: Shared) -> None:
    with pytest.raises(TypeError):
        await calls.execute_command("ECHO", None)
    assert await calls.execute_command("ECHO", "1") == b"1"


async def test_a_cancelled_call_s_answer_is_nobody_else_s(calls: Shared) -> None:
    await calls.execute_command("PING")
    given_up = asyncio.create_task(calls.execute_command("ECHO", "his"))
    after = asyncio.create_task(calls.execute_command("ECHO", "mine"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await after == b"mine"


async def test_the_first_caller_may_go_while_the_connection_is_made(calls: Shared) -> None:
    first = asyncio.create_task(calls.execute_command("ECHO", "1"))
    second = asyncio.create_task(calls.execute_command("ECHO", "2"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == b"2"


async def test_a_connection_that_was_cut_is_made_anew(calls: Shared) -> None:
    one = await calls.execute_command("CLIENT", "ID")
    await calls.execute_command("CLIENT", "KILL", "ID", one, "SKIPME", "no")
    assert await calls.execute_command("CLIENT", "ID") > one


async def test_waiting_calls_do_not_wait_for_each_other(waits: Several, calls: Shared) -> None:
    blocked = [asyncio.create_task(waits.execute_command("BLPOP", f"k{number}", 5)) for number in range(20)]
    assert await waits.execute_command("PING") == b"PONG"
    for number in range(20):
        await calls.execute_command("RPUSH", f"k{number}", number)
    assert await asyncio.gather(*blocked) == [[b"k%d" % number, b"%d" % number] for number in range(20)]
    before = await waits.execute_command("CLIENT", "ID")
    assert await waits.execute_command("CLIENT", "ID") == before, "a connection is kept for the next call"


async def test_a_wait_that_was_given_up_takes_nothing(waits: Several, calls: Shared) -> None:
    waiting = asyncio.create_task(waits.execute_command("BLPOP", "k", 5))
    await blocked(calls, 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await blocked(calls, 0)
    await calls.execute_command("RPUSH", "k", "1")
    assert await waits.execute_command("PING") == b"PONG"
    assert await waits.execute_command("BLPOP", "k", 5) == [b"k", b"1"]


async def test_closing_ends_calls_and_there_are_no_new_ones(redis_url: str) -> None:
    calls, waits = Shared(Server(redis_url), 5), Several(Server(redis_url), 5)
    waiting = asyncio.create_task(waits.execute_command("BLPOP", "k", 5))
    opening = asyncio.create_task(calls.execute_command("PING"))
    await waits.execute_command("PING")
    await waits.aclose()
    await calls.aclose()
    for call in (waiting, opening, calls.execute_command("PING"), waits.execute_command("PING")):
        if call is not opening or not opening.done():
            with pytest.raises(Fault, match="closed here"):
                await call


@pytest.mark.parametrize("kind", [Shared, Several])
async def test_closing_while_it_connects(redis_url: str, kind: type[Shared | Several]) -> None:
    calls = kind(Server(redis_url), 5)
    opening = asyncio.create_task(calls.execute_command("BLPOP", "k", 5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await calls.aclose()
    with pytest.raises(Fault, match="closed here"):
        await opening


async def test_user_password_and_database(redis_url: str, calls: Shared) -> None:
    await calls.execute_command("ACL", "SETUSER", "ann", "on", ">p@ss/1", "~*", "+@all")
    parts = urlsplit(redis_url)
    try:
        for url in (
            f"redis://ann:p%40ss%2F1@{parts.netloc}/14",
            f"redis://ann:p%40ss%2F1@{parts.netloc}?db=14",
            f"redis://{parts.netloc}?db=14&username=ann&password=p%40ss%2F1",
        ):
            ann = Shared(Server(url), 5)
            assert await ann.execute_command("ACL", "WHOAMI") == b"ann"
            assert b"db=14" in await ann.execute_command("CLIENT", "INFO")
            await ann.aclose()
        clients = connect(f"redis://ann:wrong@{parts.netloc}")
        with pytest.raises(Unavailable, match="WRONGPASS"):
            await clients.ping()
        await clients.close()
    finally:
        await calls.execute_command("ACL", "DELUSER", "ann")


@pytest.mark.parametrize("url", ["http://127.0.0.1", "redis://127.0.0.1/one", "127.0.0.1:6379", "redis://127.0.0.1:x"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        connect(url)


async def test_tls(redis_url: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = await asyncio.start_server(relay(redis_url), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    trusted = f"ssl_ca_certs={tmp_path / 'ca.pem'}"
    for host, query in (
        ("localhost", trusted),
        ("127.0.0.1", f"{trusted}&ssl_check_hostname=false"),
        ("127.0.0.1", "ssl_cert_reqs=none"),
    ):
        calls = Shared(Server(f"rediss://{host}:{port}/15?{query}"), 5)
        assert await calls.execute_command("ECHO", "1") == b"1"
        await calls.aclose()
    for host, query in (("localhost", ""), ("127.0.0.1", trusted)):
        calls = Shared(Server(f"rediss://{host}:{port}?{query}"), 5)
        with pytest.raises(Lost, match="CERTIFICATE_VERIFY_FAILED"):
            await calls.execute_command("PING")
    server.close()


async def test_a_unix_socket(redis_url: str, tmp_path: Path) -> None:
    server = await asyncio.start_unix_server(relay(redis_url), tmp_path / "s")
    calls = Shared(Server(f"unix://{tmp_path / 's'}?db=14"), 5)
    assert b"db=14" in await calls.execute_command("CLIENT", "INFO")
    await calls.aclose()
    server.close()


async def test_a_server_that_says_nothing(redis_url: str) -> None:
    connections = 0

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()

    async with serving(silent) as url:
        for calls in (Shared(Server(url), 0.05), Several(Server(url), 0.05)):
            both = await asyncio.gather(*(calls.execute_command("PING") for _ in range(2)), return_exceptions=True)
            assert {type(error) for error in both} == {Silent}
        assert connections == 3, "what was not answered in time is not sent again"


async def test_an_answer_in_time_is_time_for_the_next(redis_url: str) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(14):
            await asyncio.sleep(0.02)
            writer.write(b"+PONG\r\n")

    async with serving(slow) as url:
        calls = Shared(Server(url), 0.3)
        for _ in range(20):
            assert await calls.execute_command("PING") == b"PONG"
        await calls.aclose()


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+1\r\n+2\r\n", b""])
async def test_a_server_that_speaks_something_else(said: bytes) -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(14)
        writer.write(said)
        if not said:
            writer.close()

    async with serving(strange) as url:
        calls = Shared(Server(url), 5)
        for _ in range(2):
            try:
                assert await calls.execute_command("PING") == b"1"  # what came after it ends the connection
            except Lost:
                assert said != b"+1\r\n+2\r\n"
        await calls.aclose()


async def test_a_server_that_became_a_replica_is_left() -> None:
    connections = 0

    async def replica(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        refusal = b"-READONLY You can't write against a read only replica.\r\n" if connections == 1 else b"+OK\r\n"
        while await reader.read(100):
            writer.write(refusal)

    async with serving(replica) as url:
        calls = Shared(Server(url), 5)
        with pytest.raises(Refused):
            await calls.execute_command("SET", "k", "v")
        assert await calls.execute_command("SET", "k", "v") == b"OK"
        await calls.aclose()
    assert connections == 2


async def test_a_subscription_hears_and_notices_its_end(waits: Several, calls: Shared) -> None:
    heard = waits.subscription()
    await heard.subscribe(b"a", b"b")
    assert [(await heard.heard(1) or [])[:2] for _ in range(2)] == [[b"subscribe", b"a"], [b"subscribe", b"b"]]
    await calls.execute_command("PUBLISH", "a", b"\x00")
    assert await heard.heard(1) == [b"message", b"a", b"\x00"]
    await heard.ping()
    assert await heard.heard(1) == [b"pong", b""]
    await heard.unsubscribe(b"a")
    assert (await heard.heard(1) or [])[:2] == [b"unsubscribe", b"a"]
    assert await heard.heard(0.01) is None
    await calls.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")
    with pytest.raises(Lost):
        await heard.heard(1)
    with pytest.raises(Lost):
        await heard.ping()
    await heard.aclose()
