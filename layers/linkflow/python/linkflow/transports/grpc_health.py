"""The standard gRPC health service (grpc.health.v1), asked by orchestrators whether to send traffic here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

import grpc

from .wire.health_pb2 import HealthCheckRequest, HealthCheckResponse

_SERVING = HealthCheckResponse.SERVING
_NOT_SERVING = HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


class Health:
    """Serving until `drain`; the empty service name means the whole process."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = {"", *services}
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Answer NOT_SERVING from now on, and tell those who watch."""
        self._draining.set()

    async def check(self, request: HealthCheckRequest, context: Any) -> HealthCheckResponse:
        """The present state; NOT_FOUND for an unknown service, as the protocol says."""
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"No service {request.service} here.")
        return HealthCheckResponse(status=self._status(request.service))

    async def watch(self, request: HealthCheckRequest, context: Any) -> AsyncIterator[HealthCheckResponse]:
        """The present state, and the next one when it changes. Ends when the server is stopped."""
        yield HealthCheckResponse(status=self._status(request.service))
        if request.service in self._services and not self._draining.is_set():
            await self._draining.wait()
            yield HealthCheckResponse(status=_NOT_SERVING)
        elif request.service not in self._services:
            await self._draining.wait()  # the stream stays open: a client must not ask again and again

    def handler(self) -> grpc.GenericRpcHandler:
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        read = cast(Any, HealthCheckRequest.FromString)
        write = HealthCheckResponse.SerializeToString
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(cast(Any, self.check), read, write),
                "Watch": grpc.unary_stream_rpc_method_handler(cast(Any, self.watch), read, write),
            },
        )

    def _status(self, service: str) -> HealthCheckResponse.ServingStatus:
        if service not in self._services:
            return _SERVICE_UNKNOWN
        return _NOT_SERVING if self._draining.is_set() else _SERVING
