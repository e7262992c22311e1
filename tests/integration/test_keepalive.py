"""Connections of the client that goes out: used again where they can be, and never where they cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient


class Peer:
    """Answers over kept connections; counts connections and requests. `quiet` never answers, `brief` hangs up after."""

    def __init__(self) -> None:
        self.connections = self.requests = 0
        self.brief = self.quiet = False
        self.port = 0
        self.open: set[asyncio.StreamWriter] = set()
        self._gone = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while (await reader.readuntil(b"\r\n\r\n")) and not self.quiet:
                self.requests += 1
                close = b"Connection: close\r\n" if self.brief else b""
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + close + b"\r\nok")
                if self.brief:
                    break
            while self.quiet and await reader.read(100):
                pass
        except asyncio.IncompleteReadError:
            pass
        finally:
            self.open.discard(writer)
            writer.close()
            async with self._gone:
                self._gone.notify_all()

    async def at_most(self, count: int) -> None:
        """Wait until so few connections are open."""
        async with asyncio.timeout(5), self._gone:
            await self._gone.wait_for(lambda: len(self.open) <= count)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[Peer, EgressClient]]:
    it = Peer()
    server = await asyncio.start_server(it.serve, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    client = EgressClient(Egress(allow=("127.0.0.0/8",)))
    yield it, client
    await client.aclose()
    server.close()


async def test_calls_one_after_the_other_share_a_connection():
    async with peer() as (it, client):
        for _ in range(20):
            assert (await client.request("GET", it.url)).content == b"ok"
        assert (it.connections, it.requests) == (1, 20)


async def test_calls_at_once_have_one_each_and_leave_them_to_the_next():
    async with peer() as (it, client):
        for _ in range(3):
            await asyncio.gather(*(client.request("GET", it.url) for _ in range(10)))
        assert it.requests == 30
        assert it.connections <= 10


async def test_a_connection_that_the_peer_closed_is_not_used_again():
    async with peer() as (it, client):
        await client.request("GET", it.url)
        for writer in list(it.open):
            writer.close()
            await writer.wait_closed()
        await it.at_most(0)
        assert (await client.request("GET", it.url)).content == b"ok"
        assert it.connections == 2


async def test_a_peer_that_hangs_up_after_each_answer():
    async with peer() as (it, client):
        it.brief = True
        for _ in range(3):
            assert (await client.request("GET", it.url)).content == b"ok"
        assert it.connections == 3


async def test_a_call_that_ran_out_of_time_leaves_no_connection_behind():
    async with peer() as (it, client):
        it.quiet = True
        with pytest.raises(NodeFailure, match="did not answer"):
            await client.request("GET", it.url, timeout=0.05)
        await it.at_most(0)
        it.quiet = False
        assert (await client.request("GET", it.url)).content == b"ok"
        assert it.connections == 2
