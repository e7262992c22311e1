"""The serving end of gRPC: services and the health service on one port, with a graceful end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

import grpc

from linkflow.contracts.base import Server
from linkflow.domain.errors import LinkFlowError, PayloadTooLarge, Unavailable

from .calls import own
from .grpc import KEEPALIVE_MS, MAX_MESSAGE, SIZES, camel
from .grpc_errors import TRAILER, status, trailer
from .grpc_health import Health
from .grpc_stream_server import Streams
from .grpc_tls import Identity
from .wire.call_pb2 import Answer, Call

_OPTIONS: list[tuple[str, Any]] = [
    *SIZES,
    ("grpc.so_reuseport", 0),  # a port that is taken must be an error, not a second server
    ("grpc.keepalive_time_ms", 2 * KEEPALIVE_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),  # or clients' pings are taken for abuse
    ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
]

AGE_MS = 5 * 60_000
"""After about so long a client is asked to connect anew. It looks the name up again, and so finds replicas that have
come since: as long as nothing breaks it would not."""
GRACE_MS = 2 * 60_000
"""How long calls under way may go on then. Streams end by themselves in half a minute and their longest call."""


class GrpcServer:
    """Serves any number of services on one address."""

    def __init__(
        self, servers: Sequence[Server], address: str = "127.0.0.1:0", identity: Identity | None = None
    ) -> None:
        """`address` is ``host:port``; port 0 takes a free one. With an `identity` only peers with a certificate of the
        same authority are let in."""
        self._identity = identity
        self._servers = list(servers)
        self._address = address
        self._health = Health(f"linkflow.wire.{camel(server.contract.service)}" for server in servers)
        self._streams = Streams({server.contract.service: server for server in servers}, MAX_MESSAGE)
        self._server: grpc.aio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port. Raises `Unavailable` where the address cannot be had."""
        ages = [("grpc.max_connection_age_ms", AGE_MS), ("grpc.max_connection_age_grace_ms", GRACE_MS)]
        server = grpc.aio.server(options=[*_OPTIONS, *ages])
        ours = (self._health.handler(), self._streams.handler())
        server.add_generic_rpc_handlers((*ours, *map(_handler, self._servers)))
        try:
            if self._identity is None:
                port = server.add_insecure_port(self._address)
            else:
                port = server.add_secure_port(self._address, self._identity.server())
        except RuntimeError as error:
            raise Unavailable(f"Cannot listen on {self._address}: {error}") from None
        await server.start()
        self._server = server
        return port

    async def stop(self, grace: float = 10.0) -> None:
        """Say NOT_SERVING, take no new calls, give those under way `grace` seconds."""
        self._health.drain()
        self._streams.drain()
        if self._server is not None:
            await self._server.stop(grace)

    async def run(self, grace: float = 10.0, stop: asyncio.Event | None = None) -> None:
        """Serve until SIGTERM or SIGINT (or `stop` is set), then `stop`. Starts if that was not done."""
        stop = stop or asyncio.Event()
        if self._server is None:
            await self.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            await stop.wait()
            await self.stop(grace)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def _handler(server: Server) -> grpc.GenericRpcHandler:
    service = server.contract.service
    rpcs = {
        camel(name): grpc.unary_unary_rpc_method_handler(
            cast(Any, _serve(server, name)), cast(Any, Call.FromString), Answer.SerializeToString
        )
        for name in server.contract.methods
    }
    return grpc.method_handlers_generic_handler(f"linkflow.wire.{camel(service)}", rpcs)


def _serve(server: Server, method: str) -> Callable[[Call, Any], Awaitable[Answer]]:
    async def serve(call: Call, context: Any) -> Answer:
        try:
            answer = await server.handle_bytes(method, call.body, _token(context))
            if len(answer) > MAX_MESSAGE:
                raise PayloadTooLarge(f"An answer takes at most {MAX_MESSAGE} bytes; this one has {len(answer)}.")
            return Answer(body=answer)
        except Exception as error:
            failure = own(error, server.contract.service, method)
        return await _fail(context, failure)

    return serve


async def _fail(context: Any, failure: LinkFlowError) -> Answer:
    # abort() raises, and gRPC wants that to reach it: it must not happen within the try above.
    await context.abort(status(failure), failure.message[:500], ((TRAILER, trailer(failure)),))
    raise AssertionError("abort() does not return")


def _token(context: Any) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return str(value).removeprefix("Bearer ")
    return ""
