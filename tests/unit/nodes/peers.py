"""Real peers on loopback, and what a node needs to be run."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from typing import Any
from urllib.parse import parse_qsl

import pytest

from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.registry import Registry

NOW = 1_800_000_000_000


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    def parts(self) -> dict[str, Message]:
        """A multipart body, by the parts' names."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = message_from_bytes(head + self.body)
        assert message.is_multipart()
        return {str(part.get_param("name", header="content-disposition")): part for part in message.get_payload()}


def reply(status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A whole HTTP response; a body that is not bytes goes as JSON."""
    extra = dict(headers or {})
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
        extra.setdefault("Content-Type", "application/json")
    extra.setdefault("Content-Length", str(len(body)))
    lines = [f"HTTP/1.1 {status} Whatever", "Connection: close", *(f"{name}: {value}" for name, value in extra.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


Answer = Callable[[Request], bytes | Awaitable[bytes | None]]


@dataclass
class HttpPeer:
    """An HTTP server that keeps what it was asked. `answer` gives the raw response."""

    answer: Answer = lambda _: reply(200, {"ok": True})
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"
    writer: asyncio.StreamWriter | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writer = writer
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Request(method, path, headers, body)
            self.requests.append(request)
            answer = self.answer(request)
            data = answer if isinstance(answer, bytes) else await answer
            if method == "HEAD" and data:  # an answer to HEAD has no body (RFC 9110, 9.3.2)
                data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            writer.write(data or b"")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def http_peer(answer: Answer | None = None, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpPeer]:
    peer = HttpPeer(scheme="https" if tls else "http")
    if answer:
        peer.answer = answer
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


def context(input: Any = None, **more: Any) -> Context:
    """A node's context; what is not given is empty."""
    known = {
        "input": input,
        "execution_id": "exec",
        "node_id": "n1",
        "node_name": "Node one",
        "workflow_id": "wf",
        "workspace_id": "ws",
        "idempotency_key": "exec/n1",
        "attempt": 1,
        "now_ms": NOW,
    }
    return Context(**{**known, **more})


def run(type: str, config: dict[str, Any], input: Any = None, **more: Any) -> Any:
    """What `run` of a node type gives for a config (a coroutine, if the type goes out)."""
    node = Registry.load().resolve(type)
    assert node is not None, type
    return node.run(node.params.model_validate(config), context(input, **more))


async def failing(call: Any) -> NodeFailure:
    """The failure that a coroutine ends with."""
    with pytest.raises(NodeFailure) as caught:
        await call
    return caught.value


def codes(type: str, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Paths and codes of a config's errors."""
    return [(fault.path, fault.code) for fault in Registry.load().check(type, config) if fault.severity == "error"]
