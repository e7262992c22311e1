"""Calls over gRPC, for containers: `Grpc` at the calling end; the serving end is `linkflow.transports.grpc_server`.

Every service is a protobuf service ``linkflow.wire.<Service>`` with one RPC a method (``wire/*.proto``).
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import grpc
from msgspec import Struct

from linkflow.domain.errors import PayloadTooLarge, Unavailable

from .calls import DEADLINE, allowance, decode, encode
from .grpc_errors import METADATA_LIMIT, from_rpc
from .grpc_stream import NotStreamed, Stream
from .grpc_tls import Identity, Material
from .wire.call_pb2 import Answer, Call

MAX_MESSAGE = 16 * 1024 * 1024
KEEPALIVE_MS = 20_000
ALONE = 256 * 1024
"""Bytes of a request that travels as a call of its own, so that others do not wait behind it."""
OLD_PEER = 60.0
"""Seconds after which a peer that had no streams may have been replaced."""

SIZES: list[tuple[str, Any]] = [
    # A little more than we allow: the frame around the body counts too, and our own check has the better message.
    ("grpc.max_send_message_length", MAX_MESSAGE + 1024),
    ("grpc.max_receive_message_length", MAX_MESSAGE + 1024),
    ("grpc.max_metadata_size", METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", METADATA_LIMIT),
]

_OPTIONS: list[tuple[str, Any]] = [
    *SIZES,
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),  # a peer that vanished without a word is noticed within this + timeout
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.lb_policy_name", "round_robin"),  # a name with several addresses is several replicas
]


def path(service: str, method: str) -> str:
    """The RPC of a contract's method: ``matching``, ``claim`` is ``/linkflow.wire.Matching/Claim``."""
    return f"/linkflow.wire.{camel(service)}/{camel(method)}"


def camel(name: str) -> str:
    """``dead_letters`` as ``DeadLetters``."""
    return "".join(part.capitalize() for part in name.split("_"))


class Grpc:
    """`Transport` to one peer. Connects at the first call, and again whenever the connection is lost.

    Calls share a stream; large ones, and those to a peer that has no streams, are unary calls.
    """

    def __init__(self, address: str, deadline: float = DEADLINE, identity: Identity | None = None) -> None:
        """`address` is ``host:port``; `deadline` in seconds, on top of what a request itself asks to wait. With an
        `identity` the connection is TLS of both sides, and the peer's certificate has to be of that host."""
        self._address = address
        self._deadline = deadline
        self._identity = identity
        self._shown: Material | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rpcs: dict[tuple[str, str], Any] = {}
        self._stream: Stream | None = None
        self._retired: list[Stream] = []
        self._unary_until = 0.0

    async def call(self, service: str, method: str, request: Struct, reply: type[Any], token: str) -> Any:
        """Raises the error tree and nothing else."""
        body = encode(service, method, request)
        if len(body) > MAX_MESSAGE:
            raise PayloadTooLarge(f"A call takes at most {MAX_MESSAGE} bytes; this one has {len(body)}.")
        seconds = allowance(request, self._deadline)
        if len(body) <= ALONE and time.monotonic() >= self._unary_until:
            try:
                answer = await self._opened().call(service, method, body, token, seconds)
            except NotStreamed:
                self._unary_until = time.monotonic() + OLD_PEER
            else:
                return decode(service, method, answer, reply)
        return decode(service, method, await self._alone(service, method, body, token, seconds), reply)

    async def _alone(self, service: str, method: str, body: bytes, token: str, seconds: float) -> bytes:
        metadata = (("authorization", f"Bearer {token}"),)
        rpc = self._rpc(service, method)
        try:
            answer: Answer = await rpc(Call(body=body), metadata=metadata, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error, service, method) from None
        except grpc.aio.UsageError as error:  # the channel was closed under us
            raise Unavailable(f"{service}.{method}: {error}") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # Nobody cancelled us: close() did it to the call.
            raise Unavailable(f"{service}.{method}: the connection was closed.") from None
        return answer.body

    async def close(self) -> None:
        """Let go of the connection; a later call makes a new one."""
        channel, self._channel = self._channel, None
        streams = [*self._retired, self._stream] if self._loop is asyncio.get_running_loop() else []
        self._forget()
        for stream in streams:
            if stream is not None:
                await stream.close()
        if channel is not None:
            await channel.close()

    def _forget(self) -> None:
        self._rpcs.clear()
        self._stream, self._retired, self._unary_until = None, [], 0.0

    def _connected(self) -> grpc.aio.Channel:
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:  # a channel belongs to the loop it was made in
            self._channel = self._dial()
            self._loop = loop
            self._forget()
        return self._channel

    def _dial(self) -> grpc.aio.Channel:
        if self._identity is None:
            return grpc.aio.insecure_channel(self._address, options=_OPTIONS)
        self._shown = self._identity.now()
        return grpc.aio.secure_channel(self._address, self._identity.client(), options=_OPTIONS)

    def _renew(self) -> None:
        """A connection with the certificate of today, where that has changed; calls under way end on the old one."""
        channel, stream = self._channel, self._stream
        if self._identity is None or channel is None or self._identity.now() is self._shown:
            return
        if stream is not None:
            stream.retire()
        leaving = asyncio.create_task(channel.close(self._deadline))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        self._channel = None

    def _opened(self) -> Stream:
        channel, stream = self._connected(), self._stream
        if stream is None or not stream.fresh:
            self._renew()
            channel, stream = self._connected(), self._stream
            self._retired = [old for old in self._retired if not old.over]
            if stream is not None and not stream.over:
                stream.retire()
                self._retired.append(stream)
            stream = self._stream = Stream(channel)
        return stream

    def _rpc(self, service: str, method: str) -> Any:
        channel = self._connected()
        found = self._rpcs.get((service, method))
        if found is None:
            found = self._rpcs[service, method] = channel.unary_unary(
                path(service, method),
                request_serializer=Call.SerializeToString,
                response_deserializer=cast(Any, Answer.FromString),
            )
        return found
