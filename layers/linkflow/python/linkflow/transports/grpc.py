"""Calls over gRPC, for containers: `Grpc` at the calling end; the serving end is `linkflow.transports.grpc_server`.

Every service is a protobuf service ``linkflow.wire.<Service>`` with one RPC a method (``wire/*.proto``).
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import grpc
from msgspec import Struct

from linkflow.domain.errors import PayloadTooLarge, Unavailable

from .calls import DEADLINE, allowance, decode, encode
from .grpc_errors import METADATA_LIMIT, from_rpc
from .wire.call_pb2 import Answer, Call

MAX_MESSAGE = 16 * 1024 * 1024
KEEPALIVE_MS = 20_000

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
    """`Transport` to one peer. Connects at the first call, and again whenever the connection is lost."""

    def __init__(self, address: str, deadline: float = DEADLINE) -> None:
        """`address` is ``host:port``; `deadline` in seconds, on top of what a request itself asks to wait."""
        self._address = address
        self._deadline = deadline
        self._channel: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rpcs: dict[tuple[str, str], Any] = {}

    async def call(self, service: str, method: str, request: Struct, reply: type[Any], token: str) -> Any:
        """Raises the error tree and nothing else."""
        body = encode(service, method, request)
        if len(body) > MAX_MESSAGE:
            raise PayloadTooLarge(f"A call takes at most {MAX_MESSAGE} bytes; this one has {len(body)}.")
        metadata = (("authorization", f"Bearer {token}"),)
        rpc = self._rpc(service, method)
        try:
            answer = await rpc(Call(body=body), metadata=metadata, timeout=allowance(request, self._deadline))
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
        return decode(service, method, answer.body, reply)

    async def close(self) -> None:
        """Let go of the connection; a later call makes a new one."""
        channel, self._channel = self._channel, None
        self._rpcs.clear()
        if channel is not None:
            await channel.close()

    def _rpc(self, service: str, method: str) -> Any:
        loop = asyncio.get_running_loop()
        if self._channel is None or self._loop is not loop:  # a channel belongs to the loop it was made in
            self._channel = grpc.aio.insecure_channel(self._address, options=_OPTIONS)
            self._loop = loop
            self._rpcs.clear()
        found = self._rpcs.get((service, method))
        if found is None:
            found = self._rpcs[service, method] = self._channel.unary_unary(
                path(service, method),
                request_serializer=Call.SerializeToString,
                response_deserializer=cast(Any, Answer.FromString),
            )
        return found
