"""Wires between processes and stores that can be cut at the worst moment.

A `Wire` is a TCP proxy at an address that stays, whoever serves behind it. A `Trap` on it waits for a request that has
given bytes in it and springs either before the request is passed on, or after it was carried out and before its reply
is passed on: the two sides of every commit, push, result and acknowledgement. What the bytes are is the protocol's
business: Postgres gets events as they are or as hex, the services talk JSON inside gRPC, Valkey gets names of keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

IDLE, WITHIN = b"Z\x00\x00\x00\x05I", b"Z\x00\x00\x00\x05T"
"""Postgres' ReadyForQuery: what was asked for is committed; or it waits for more of a transaction."""

TAIL = 512
"""Bytes of what went before in which a mark may begin."""


def committed(reply: bytes) -> bool:
    """A Postgres reply that says: committed, and nothing else under way."""
    return reply.endswith(IDLE)


def within(reply: bytes) -> bool:
    """A Postgres reply without which the client would never commit."""
    return reply.endswith(WITHIN)


@dataclass(eq=False)
class Trap:
    """Springs once, at the `nth` request with one of `marks`.

    `when` is *before* the request goes on or *after* its reply is there (the first for which `replied` holds; one for
    which `passes` holds goes on, others are held back). Then `then` is called, and unless `cut` is off both ends lose
    their connection: the request or the reply is lost.
    """

    marks: tuple[bytes, ...]
    when: Literal["before", "after"]
    then: Callable[[], None] = lambda: None
    cut: bool = True
    nth: int = 1
    replied: Callable[[bytes], bool] = bool
    passes: Callable[[bytes], bool] = lambda reply: False
    sprung: threading.Event = field(default_factory=threading.Event)
    seen: int = 0

    def meets(self, data: bytes, fresh: int) -> bool:
        """Is this the request? `fresh` is where `data` begins that was not looked at before."""
        hits = sum(_count(data, mark, fresh) for mark in self.marks)
        self.seen += hits
        return hits > 0 and self.seen >= self.nth and not self.sprung.is_set()


def _count(data: bytes, mark: bytes, fresh: int) -> int:
    at = max(0, fresh - len(mark) + 1)
    found = 0
    while (at := data.find(mark, at)) >= 0:
        found += 1
        at += len(mark)
    return found


class Loop:
    """A thread with an event loop in which all wires live."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        with contextlib.suppress(ImportError):
            from uvloop import new_event_loop

            self.loop.close()
            self.loop = new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="wires", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Wire:
    """One address, and behind it those who serve there: a new connection goes to the next of them that takes it."""

    def __init__(self, loop: Loop, *targets: tuple[str, int], host: str = "127.0.0.1", port: int = 0) -> None:
        self.targets = list(targets)
        self._where = (host, port)
        self._loop = loop
        self._traps: list[Trap] = []
        self._pairs: set[_Pair] = set()
        self._turn = itertools.count()
        self.held = False
        self._server: asyncio.Server = loop.run(self._listen())
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.address = f"{host}:{self.port}"

    def url(self, url: str) -> str:
        """`url` with this wire's address in it."""
        parts = urlsplit(url)
        who = f"{parts.username}:{parts.password}@" if parts.username else ""
        return urlunsplit(parts._replace(netloc=f"{who}127.0.0.1:{self.port}"))

    def set(self, trap: Trap) -> Trap:
        self._traps.append(trap)
        return trap

    def clear(self) -> None:
        """Take the traps away that did not spring."""
        self._traps.clear()

    def break_all(self) -> None:
        """Cut every connection there is now."""
        self._loop.run(self._break())

    def hold(self) -> None:
        """From now on nothing comes through, and no connection is closed: as where packets are lost."""
        self._loop.run(self._hold(True))

    def let_go(self) -> None:
        """What was held goes on, and connections that were asked for meanwhile are made."""
        self._loop.run(self._hold(False))

    def close(self) -> None:
        self._loop.run(self._close())

    async def _hold(self, held: bool) -> None:
        self.held = held
        for pair in list(self._pairs):
            pair.hold(held)

    async def _break(self) -> None:
        for pair in list(self._pairs):
            pair.cut()

    async def _close(self) -> None:
        self._server.close()
        await self._break()

    async def _listen(self) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(lambda: _Pair(self).client, *self._where, backlog=512)

    async def _connect(self, pair: _Pair) -> None:
        """To the next of those behind it; a refusal is passed on as a connection that ends at once."""
        targets, start = list(self.targets), next(self._turn)
        for at in range(len(targets)):
            host, port = targets[(start + at) % len(targets)]
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().create_connection(lambda: pair.server, host, port)
                return
        pair.cut()

    def _asked(self, pair: _Pair, data: bytes, fresh: int) -> Trap | None:
        """The trap that this request springs; one that waits for the reply is armed."""
        for trap in list(self._traps):
            if pair.armed is None and trap.meets(data, fresh):
                self._traps.remove(trap)
                if trap.when == "before":
                    return trap
                pair.armed = trap
        return None


class _End(asyncio.Protocol):
    """One end of a connection through the wire."""

    def __init__(self, pair: _Pair, got: Callable[[bytes], None]) -> None:
        self._pair, self._got = pair, got
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        self._pair.made(self)
        early, self._early = self._early, []
        for data in early:
            self.write(data)

    def data_received(self, data: bytes) -> None:
        self._got(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._pair.lost()

    def write(self, data: bytes) -> None:
        if self.transport is None:
            self._early.append(data)
        elif not self.transport.is_closing():
            self.transport.write(data)


class _Pair:
    """A client's connection and the one behind it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.client = _End(self, self._ask)
        self.server = _End(self, self._answer)
        self.armed: Trap | None = None
        self._tail = b""
        self._reply = b""
        self._over = False
        self._connecting: asyncio.Future[None] | None = None
        wire._pairs.add(self)

    def made(self, end: _End) -> None:
        if self._over and end.transport is not None:
            end.transport.abort()
        elif end is self.client:
            self._join()
        if self._wire.held:
            self.hold(True)

    def _join(self) -> None:
        if self._connecting is None and not self._wire.held:
            self._connecting = asyncio.ensure_future(self._wire._connect(self))

    def hold(self, held: bool) -> None:
        for end in (self.client, self.server):
            if end.transport is not None and not end.transport.is_closing():
                end.transport.pause_reading() if held else end.transport.resume_reading()
        if not held:
            self._join()

    def lost(self) -> None:
        """One end is gone: the other hears what was said so far, then it ends, too."""
        self._over = True
        self._wire._pairs.discard(self)
        for end in (self.client, self.server):
            if end.transport is not None and not end.transport.is_closing():
                end.transport.close()

    def cut(self) -> None:
        self._over = True
        self._wire._pairs.discard(self)
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.abort()

    def _ask(self, data: bytes) -> None:
        if self._wire._traps:
            seen = self._tail + data
            trap = self._wire._asked(self, seen, len(self._tail))
            self._tail = seen[-TAIL:]
            if trap is not None:
                self._spring(trap)
                if trap.cut:
                    return
        else:
            self._tail = data[-TAIL:]
        self.server.write(data)

    def _answer(self, data: bytes) -> None:
        trap = self.armed
        if trap is None:
            self.client.write(data)
            return
        self._reply += data
        if trap.replied(self._reply):
            self.armed = None
            self._spring(trap)
            if trap.cut:
                return
        elif not trap.passes(self._reply):
            return
        reply, self._reply = self._reply, b""
        self.client.write(reply)

    def _spring(self, trap: Trap) -> None:
        trap.then()
        if trap.cut:
            self.cut()
        trap.sprung.set()
