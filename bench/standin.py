"""Two stand-ins in one process: the service that chain-step calls, and servers that do nothing.

Doing nothing is a measurement: what the load generator reaches against a server that answers at once is the most that
it can measure. HTTP answers are the same canned bytes; the gRPC one is the real transport with a Frontend that only
says that the run is over.
"""

from __future__ import annotations

import asyncio
from typing import Any

from linkflow.cli.serve import run
from linkflow.contracts.base import Server
from linkflow.contracts.frontend import FrontendApi, RunReply, RunRequest
from linkflow.transports.grpc_server import GrpcServer
from linkflow.transports.tokens import TokenSigner

from .children import obey, read_settings, say

BODY = b'{"ok":true,"i":1,"name":"order-42"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


class Canned(asyncio.Protocol):
    """Answers every request with the same bytes and keeps the connection open."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            self._transport.write(ANSWER)


class NullFrontend:
    """A Frontend without an engine behind it: every run is over at once."""

    async def run(self, request: RunRequest) -> RunReply:
        return RunReply("0", closed=True, status="completed")


async def main(settings: dict[str, Any]) -> None:
    """Serve until the parent closes our input."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", 0)
    grpc = GrpcServer([Server(FrontendApi, NullFrontend(), TokenSigner(settings["secret"]))])
    say({"http": server.sockets[0].getsockname()[1], "grpc": await grpc.start()})
    await obey({})
    server.close()
    await grpc.stop(1.0)


if __name__ == "__main__":
    run(main(read_settings()))
