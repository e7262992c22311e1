"""A client of one Valkey or Redis server: connections that speak RESP, for as much of it as the adapters here need.

A general client is 60 ms of every cold start and more than half of the time of a short call. Parsing is hiredis'.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import hiredis

Command = Sequence[Any]
"""A name and its arguments: str, bytes, int or float."""

Renew = Callable[[], Awaitable[str]]
"""Gives the address of a server as it is now."""

CONNECT_TIMEOUT = 2.0
TRY_AGAIN = (0.04, 0.08)
"""Seconds before a command whose connection was lost is sent again: a restarted server, a stale socket."""

_NOT_YET = object()
_CLOSED = "The connection was closed here."
_log = logging.getLogger("linkflow.streams")


class Fault(Exception):
    """The server did not do what it was asked."""


class Lost(Fault):
    """The connection ended or could not be made. What was asked may have been done."""


class Silent(Fault):
    """No answer in time. What was asked may have been done."""


class Refused(Fault):
    """The server answered with an error."""


class NoScript(Refused):
    """The server does not know this script, or no more."""


def _refusal(text: str) -> Refused:
    return NoScript(text) if text.startswith("NOSCRIPT") else Refused(text)


@dataclass(slots=True)
class _Asked:
    count: int
    answer: asyncio.Future[list[Any]]
    until: float
    replies: list[Any]


class Link(asyncio.Protocol):
    """One connection. Answers come in the order of what was asked, so any number of calls may share it."""

    def __init__(self, timeout: float) -> None:
        """After `timeout` seconds without the oldest call's answer the connection is given up."""
        self.closed = False
        self._timeout = timeout
        self._reader = hiredis.Reader(protocolError=Lost, replyError=_refusal, notEnoughData=_NOT_YET)
        self._asked: deque[_Asked] = deque()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None

    def ask(self, commands: Sequence[Command]) -> asyncio.Future[list[Any]]:
        """Send commands together; gives their replies, some of which may be `Refused`. The future raises `Lost` or
        `Silent`."""
        data = b"".join([hiredis.pack_command(tuple(command)) for command in commands])
        asked = _Asked(len(commands), self._loop.create_future(), self._loop.time() + self._timeout, [])
        if self.closed:
            asked.answer.set_exception(Lost("The connection is closed."))
            return asked.answer
        self._asked.append(asked)
        if self._watch is None:
            self._watch = self._loop.call_at(asked.until, self._look)
        self.send(data)
        return asked.answer

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def end(self, error: Fault) -> None:
        """Give the connection up; whoever waits for an answer gets `error`."""
        self.closed = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._transport is not None:
            self._transport.abort()
        while self._asked:
            answer = self._asked.popleft().answer
            if not answer.done():
                answer.set_exception(type(error)(*error.args))

    def answer(self, reply: Any) -> None:
        """A reply has come."""
        if not self._asked:
            self.end(Lost("The server spoke unasked."))
            return
        asked = self._asked[0]
        asked.replies.append(reply)
        if len(asked.replies) == asked.count:
            self._asked.popleft()
            if not asked.answer.done():
                asked.answer.set_result(asked.replies)
        if isinstance(reply, Refused) and str(reply).startswith("READONLY"):
            self.end(Lost("The server became a replica; its name may mean another one by now."))

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        found = transport.get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while not self.closed:
            try:
                reply = self._reader.gets()
            except Lost as error:
                self.end(error)
                return
            if reply is _NOT_YET:
                return
            self.answer(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(Lost(str(exc or "The server closed the connection.")))

    def _look(self) -> None:
        self._watch = None
        if self._asked:
            until = self._asked[0].until
            if until <= self._loop.time():
                self.end(Silent(f"No answer within {self._timeout:g} s."))
            else:
                self._watch = self._loop.call_at(until, self._look)


class Server:
    """Where a server is, and how one is let in.

    ``redis://``, ``rediss://`` or ``unix://``, with user and password; the database's number is the path or ``?db=``.
    For TLS also ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``ssl_check_hostname``, ``ssl_cert_reqs=none``.
    """

    def __init__(self, url: str, renew: Renew | None = None) -> None:
        """`renew` is asked once the server refuses the password. Raises `ValueError` for an address that is none."""
        self._renew = renew
        parts = urlsplit(url)
        if parts.scheme not in ("redis", "rediss", "unix"):
            raise ValueError("The address of the task queue's store begins with redis://, rediss:// or unix://.")
        self._query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        self._path = unquote(parts.path) if parts.scheme == "unix" else ""
        self._host, self._port = parts.hostname or "localhost", parts.port or 6379
        self._tls = parts.scheme == "rediss"
        self._context: ssl.SSLContext | None = None
        self._hello = self._greeting(parts)

    def _greeting(self, parts: SplitResult) -> list[Command]:
        user, password = (unquote(text or "") for text in (parts.username, parts.password))
        user, password = user or self._query.get("username", ""), password or self._query.get("password", "")
        number = self._query.get("db") or ("" if self._path else parts.path.strip("/")) or "0"
        if not number.isdecimal():
            raise ValueError(f"The task queue's store has its databases by number, not {number!r}.")
        hello: list[Command] = []
        if password:
            hello.append(("AUTH", user, password) if user else ("AUTH", password))
        if int(number):
            hello.append(("SELECT", int(number)))
        return hello

    async def open(self, link: Link) -> None:
        """Connect `link`. Raises `Fault`."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._connect(link)
                refused = await self._greet(link)
            if refused and await self._renewed():
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    refused = await self._greet(link)
            if refused:
                raise Fault(f"The server lets nobody in: {refused}")
        except BaseException as error:
            link.end(Lost("It was not opened."))
            if isinstance(error, TimeoutError):
                raise Silent(f"No connection within {CONNECT_TIMEOUT:g} s.") from None
            if isinstance(error, OSError):
                raise Lost(str(error)) from error
            raise

    async def _greet(self, link: Link) -> Refused | None:
        replies = await link.ask(self._hello) if self._hello else []
        return next((reply for reply in replies if isinstance(reply, Refused)), None)

    async def _renewed(self) -> bool:
        """Is there another user or password than those that were refused?"""
        hello = self._hello
        if self._renew is not None:
            try:
                found = self._greeting(urlsplit(await self._renew()))
            except Exception as error:  # what was refused stays so, and says so
                _log.warning("the task queue's store refused the password, and there is no other: %s", error)
            else:
                self._hello = found
        return self._hello != hello

    async def _connect(self, link: Link) -> None:
        loop = asyncio.get_running_loop()
        if self._path:
            await loop.create_unix_connection(lambda: link, self._path)
        else:
            await loop.create_connection(lambda: link, self._host, self._port, ssl=self._secured())

    def _secured(self) -> ssl.SSLContext | None:
        if self._tls and self._context is None:
            said = self._query.get
            context = ssl.create_default_context(cafile=said("ssl_ca_certs"))
            if certificate := said("ssl_certfile"):
                context.load_cert_chain(certificate, said("ssl_keyfile"))
            anybody = said("ssl_cert_reqs", "").lower() in ("none", "optional")
            if anybody or said("ssl_check_hostname", "").lower() in ("false", "no", "0"):
                context.check_hostname = False
            if anybody:
                context.verify_mode = ssl.CERT_NONE
            self._context = context
        return self._context


class _Calls:
    async def execute_command(self, *command: Any) -> Any:
        """Run one command. Raises `Refused` for an error of the server, else `Lost` or `Silent`."""
        [reply] = await self.execute_commands([command])
        if isinstance(reply, Refused):
            raise reply
        return reply

    async def execute_commands(self, commands: Sequence[Command]) -> list[Any]:
        """Run several in one round trip; errors of the server are among the replies."""
        raise NotImplementedError


class Shared(_Calls):
    """For commands that are answered at once: all calls of the process over one connection, opened when needed.

    Calls that wait for a connection wait for the same one, so a server that is away is asked once at a time.
    """

    def __init__(self, server: Server, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._opening: asyncio.Task[Link] | None = None
        self._link: Link | None = None
        self._closed = False

    async def execute_commands(self, commands: Sequence[Command]) -> list[Any]:
        if not commands:
            return []
        for pause in (*TRY_AGAIN, None):
            try:
                link = self._link
                if link is None or link.closed:
                    link = await self._opened()
                return await link.ask(commands)
            except Lost:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError

    async def _opened(self) -> Link:
        if self._closed:
            raise Fault(_CLOSED)
        if self._opening is None or self._opening.done():
            # Of the process, not of the call that happened to come first, which may be cancelled.
            self._opening = asyncio.create_task(self._open(), context=Context())
            self._opening.add_done_callback(_seen)
        opening = self._opening
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            if opening.cancelled():  # by aclose: the caller is not
                raise Fault(_CLOSED) from None
            raise

    async def _open(self) -> Link:
        link = Link(self._timeout)
        await self._server.open(link)
        self._link = link
        return link

    async def aclose(self) -> None:
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
        if self._link is not None:
            self._link.end(Fault(_CLOSED))


class Several(_Calls):
    """For commands that wait at the server: each call has a connection of its own, kept for the next."""

    def __init__(self, server: Server, timeout: float) -> None:
        self._server = server
        self._timeout = timeout
        self._idle: list[Link] = []
        self._busy: set[Link] = set()
        self._closed = False

    async def execute_commands(self, commands: Sequence[Command]) -> list[Any]:
        if self._closed:
            raise Fault(_CLOSED)
        self._idle = [link for link in self._idle if not link.closed]
        link = self._idle.pop() if self._idle else None
        if link is None:
            link = Link(self._timeout)
            await self._server.open(link)
            if self._closed:  # meanwhile
                link.end(Fault(_CLOSED))
                raise Fault(_CLOSED)
        self._busy.add(link)
        try:
            replies = await link.ask(commands)
        except BaseException:
            link.end(Lost("Its call was given up."))  # or the next one would get the answer
            raise
        finally:
            self._busy.discard(link)
        self._idle.append(link)
        return replies

    def subscription(self) -> Subscription:
        return Subscription(self._server, self._timeout)

    async def aclose(self) -> None:
        self._closed = True
        for link in (*self._idle, *self._busy):
            link.end(Fault(_CLOSED))
        self._idle.clear()


class Subscription:
    """A connection that listens. `Lost` is raised, there and then, by whichever call notices."""

    def __init__(self, server: Server, timeout: float) -> None:
        self._server = server
        self._link = _Listening(timeout)
        self._opened = False

    async def subscribe(self, *channels: bytes) -> None:
        if not self._opened:
            await self._server.open(self._link)
            self._opened = True
            self._link.listening = True
        self._send("SUBSCRIBE", *channels)

    async def unsubscribe(self, *channels: bytes) -> None:
        self._send("UNSUBSCRIBE", *channels)

    async def ping(self) -> None:
        self._send("PING")

    async def heard(self, timeout: float) -> list[Any] | None:
        """The next thing that the server says; None where it says nothing within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                reply = await self._link.said.get()
        except TimeoutError:
            return None
        if isinstance(reply, Fault):
            raise reply
        return reply if isinstance(reply, list) else [reply]

    async def aclose(self) -> None:
        self._link.end(Fault(_CLOSED))

    def _send(self, *command: Any) -> None:
        if self._link.closed:
            raise Lost("The connection is closed.")
        self._link.send(hiredis.pack_command(command))


class _Listening(Link):
    def __init__(self, timeout: float) -> None:
        super().__init__(timeout)
        self.listening = False
        self.said: asyncio.Queue[Any] = asyncio.Queue()

    def answer(self, reply: Any) -> None:
        if self.listening:
            self.said.put_nowait(reply)
        else:
            super().answer(reply)

    def end(self, error: Fault) -> None:
        super().end(error)
        self.said.put_nowait(error)


def _seen(task: asyncio.Task[Link]) -> None:
    if not task.cancelled():
        task.exception()  # whoever waited has it
