"""A small HTTP server on loopback that answers as an example says: it stands in for somebody else's API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from linkflow.config import Egress
from linkflow.nodes.about import Call

from .ports import HOST


class StandIn:
    """Answers each of `calls` once, and notes in `faults` what was asked otherwise."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.faults: list[str] = []
        self.port = 0
        self._left = list(calls)
        self._hosts = {_place(call.url) for call in calls}

    @property
    def left(self) -> list[Call]:
        """Calls that nobody made."""
        return self._left

    @property
    def egress(self) -> Egress:
        """Settings with which the hosts of the calls are this server."""
        return Egress(allow=(HOST,), resolve=dict.fromkeys(self._hosts, f"{HOST}:{self.port}"))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length") or 0))
            writer.write(self._answer(method, headers, target, body))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    def _answer(self, method: str, headers: dict[str, str], target: str, body: bytes) -> bytes:
        url = f"http://{headers.get('host', '')}{target}"
        for call in self._left:
            if call.method == method and _same(call.url, url):
                self._left.remove(call)
                self._compare(call, headers, body)
                return _raw(call.status, call.headers, call.answer, method)
        self.faults.append(f"nobody expected {method} {url}")
        return _raw(404, {}, "There is no such call in the example.", method)

    def _compare(self, call: Call, headers: dict[str, str], body: bytes) -> None:
        for name, value in call.sends.items():
            if headers.get(name.lower()) != value:
                self.faults.append(f"{call.method} {call.url}: {name} was {headers.get(name.lower())!r}, not {value!r}")
        if call.body is UNSET:
            return
        found: Any = body.decode("utf-8", "replace")
        if not isinstance(call.body, str):
            with suppress(ValueError):
                found = json.loads(body)
        if found != call.body:
            self.faults.append(f"{call.method} {call.url}: the body was {found!r}, not {call.body!r}")


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _same(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.hostname, first.path or "/", first.query) == (second.hostname, second.path or "/", second.query)


def _raw(status: int, headers: dict[str, str], answer: Any, method: str) -> bytes:
    body, kind = b"", ""
    if isinstance(answer, bytes):
        body, kind = answer, "application/octet-stream"
    elif isinstance(answer, str):
        body, kind = answer.encode(), "text/plain; charset=utf-8"
    elif answer is not None:
        body, kind = json.dumps(answer).encode(), "application/json"
    lines = {"Content-Type": kind, **headers, "Content-Length": str(len(body)), "Connection": "close"}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"HTTP/1.1 {status} Answer\r\n{text}\r\n".encode() + (b"" if method == "HEAD" else body)


@asynccontextmanager
async def stand_in(calls: Sequence[Call]) -> AsyncIterator[StandIn]:
    """A stand-in that listens while the block runs."""
    made = StandIn(calls)
    server = await asyncio.start_server(made.serve, HOST, 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
