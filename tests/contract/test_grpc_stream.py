"""What only a stream of calls has: batches, an end of its own, and peers that know nothing of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from linkflow.contracts.base import Server, client
from linkflow.domain import errors
from linkflow.transports import grpc as grpc_transport
from linkflow.transports import grpc_server, grpc_stream
from linkflow.transports.grpc import Grpc
from linkflow.transports.grpc_server import _handler
from linkflow.transports.wire.call_pb2 import Answered, Asked
from tests.chaos.wire import Loop, Wire
from tests.contract.echo import Echo, EchoApi, Errand, Pause, Size, Value
from tests.contract.stands import CALLER, GrpcStand

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*")


@pytest.fixture
async def stand() -> AsyncIterator[GrpcStand]:
    made = GrpcStand()
    await made.start()
    yield made
    await made.close()


class Line:
    """A client of `linkflow.wire.Calls` that sees the messages."""

    def __init__(self, stand: GrpcStand) -> None:
        self._channel = grpc.aio.insecure_channel(stand.address)
        self.rpc: Any = self._channel.stream_stream(  # type: ignore[call-overload]
            grpc_stream.STREAM, Asked.SerializeToString, Answered.FromString
        )()
        self._token = stand.signer.sign("echo", CALLER)

    def one(self, id: int, method: str, body: bytes, token: str | None = None) -> Asked.One:
        token = self._token if token is None else token
        return Asked.One(id=id, service="echo", method=method, body=body, token=token)

    async def close(self) -> None:
        await self._channel.close()


@pytest.fixture
async def line(stand: GrpcStand) -> AsyncIterator[Line]:
    made = Line(stand)
    yield made
    await made.close()


async def test_calls_of_one_message_are_answered_each_when_it_is_done(line: Line) -> None:
    slow, quick = line.one(1, "pause", b'{"time":30}'), [line.one(n, "echo", b'{"value":%d}' % n) for n in range(2, 40)]
    await line.rpc.write(Asked(calls=[slow, *quick]))
    bodies: dict[int, bytes] = {}
    while len(bodies) < len(quick):
        message = await line.rpc.read()
        bodies |= {one.id: one.body for one in message.answers}
    assert bodies == {n: b'{"value":%d}' % n for n in range(2, 40)}


async def test_each_call_needs_a_token_of_its_own(line: Line) -> None:
    await line.rpc.write(Asked(calls=[line.one(1, "echo", b'{"value":1}', token="forged"), line.one(2, "echo", b"{}")]))
    answers: list[Any] = []
    while len(answers) < 2:
        answers += (await line.rpc.read()).answers
    found = {one.id: one.error for one in answers}
    assert b"unauthenticated" in found[1]
    assert b"invalid_input" in found[2]


async def test_what_nobody_waits_for_is_stopped(stand: GrpcStand, line: Line) -> None:
    await line.rpc.write(Asked(calls=[line.one(1, "pause", b'{"time":30}')]))
    await line.rpc.write(Asked(calls=[line.one(2, "echo", b'{"value":2}')], cancelled=[1]))
    await asyncio.wait_for(stand.target.cancelled.wait(), 5)
    assert [one.id for one in (await line.rpc.read()).answers] == [2]


async def test_a_client_that_goes_away_takes_its_work_along(stand: GrpcStand, line: Line) -> None:
    await line.rpc.write(Asked(calls=[line.one(1, "pause", b'{"time":30}'), line.one(2, "echo", b'{"value":2}')]))
    await line.rpc.read()
    await line.close()
    await asyncio.wait_for(stand.target.cancelled.wait(), 5)


async def test_what_is_asked_together_travels_together(stand: GrpcStand, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    make = grpc_stream.Stream._message

    def counted(self: grpc_stream.Stream) -> Asked:
        message = make(self)
        sent.append(len(message.calls))
        return message

    monkeypatch.setattr(grpc_stream.Stream, "_message", counted)
    echo = stand.echo()
    replies = await asyncio.gather(*(echo.echo(Value(n)) for n in range(50)))
    assert [reply.value for reply in replies] == list(range(50))
    assert sent == [50]


async def test_large_requests_travel_alone_and_large_answers_in_messages_of_their_own(stand: GrpcStand) -> None:
    echo, text = stand.echo(), "x" * (grpc_transport.ALONE + 1)
    sizes = [grpc_stream.MOST_BYTES + 1, 5, grpc_stream.MOST_BYTES, 7]
    grown = asyncio.gather(*(echo.grow(Size(size)) for size in sizes))
    assert (await echo.echo(Value(text))).value == text
    assert [len(reply.value) for reply in await grown] == sizes


async def test_an_old_stream_ends_when_its_calls_have(stand: GrpcStand, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = stand.transport()
    echo: Any = client(EchoApi, transport, stand.signer, CALLER)
    monkeypatch.setattr(grpc_stream, "LIFETIME", 0.0)
    slow = asyncio.create_task(echo.pause(Pause(0.2)))
    await asyncio.sleep(0)
    old = transport._stream
    assert (await echo.echo(Value(1))).value == 1
    assert transport._stream is not old
    assert not old.open
    assert not old.over
    assert (await slow).value == 0.2
    await asyncio.wait_for(asyncio.gather(*old._tasks), 5)
    assert old.over


async def test_an_older_peer_without_streams_is_called_one_by_one(stand: GrpcStand) -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handler(Server(EchoApi, Echo(), stand.signer)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    transport = Grpc(f"127.0.0.1:{port}")
    try:
        echo: Any = client(EchoApi, transport, stand.signer, CALLER)
        replies = await asyncio.gather(*(echo.echo(Value(n)) for n in range(5)))
        assert [reply.value for reply in replies] == list(range(5))
        with pytest.raises(errors.Internal):
            await echo.crash(Value(1))
    finally:
        await transport.close()
        await server.stop(0)


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.CANCELLED])
async def test_a_stream_that_breaks_off_fails_its_calls_for_now(code: grpc.StatusCode) -> None:
    """However gRPC calls it: nobody knows whether they were made, so they may be made again."""

    async def breaks(messages: Any, context: Any) -> None:
        await context.read()
        await context.abort(code, "core says")

    server = grpc.aio.server()
    rpc = grpc.stream_stream_rpc_method_handler(breaks, Asked.FromString, Answered.SerializeToString)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("linkflow.wire.Calls", {"Stream": rpc}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    transport = Grpc(f"127.0.0.1:{port}")
    try:
        with pytest.raises(errors.Unavailable):
            await transport.call("echo", "echo", Value(1), Value, "token")
    finally:
        await transport.close()
        await server.stop(0)


async def test_connections_are_renewed_so_that_replicas_that_come_later_get_their_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not one call fails over it. The wire gives each connection to the next of the two behind it."""
    monkeypatch.setattr(grpc_server, "AGE_MS", 100)
    monkeypatch.setattr(grpc_stream, "LIFETIME", 0.0)
    stands = [GrpcStand(), GrpcStand()]
    loop = Loop()
    try:
        for stand in stands:
            await stand.start()
        wire = Wire(loop, *(("127.0.0.1", stand._port) for stand in stands))
        transport = Grpc(wire.address)
        echo: Any = client(EchoApi, transport, stands[0].signer, CALLER)
        slow = asyncio.create_task(echo.pause(Pause(0.5)))
        async with asyncio.timeout(20):
            while len(reached := {stand for stand in stands if stand.target.errands}) < len(stands):
                await echo.errand(Errand())
        assert (await slow).value == 0.5
        assert reached == set(stands)
        await transport.close()
    finally:
        for stand in stands:
            await stand.close()
        await asyncio.to_thread(loop.close)
