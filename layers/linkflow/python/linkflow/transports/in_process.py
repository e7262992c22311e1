"""Calls within one process: the request travels as the object it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from linkflow.contracts.base import Server
from linkflow.domain.errors import DeadlineExceeded, LinkFlowError, Unavailable

from .calls import allowance, own


class InProcess:
    """`Transport` to the servers of this process. The token is checked here as well: one way round for all."""

    def __init__(self, servers: Iterable[Server] = (), deadline: float | None = None) -> None:
        """`deadline` in seconds; None leaves the time to the caller."""
        self._servers = {server.contract.service: server for server in servers}
        self._deadline = deadline

    def add(self, server: Server) -> None:
        """Serve one more. Services refer to each other in circles, so some are made after their callers."""
        self._servers[server.contract.service] = server

    def remove(self, service: str) -> None:
        """Serve it no longer; calls raise `Unavailable`."""
        self._servers.pop(service, None)

    async def call(self, service: str, method: str, request: Struct, reply: type[Any], token: str) -> Any:
        """Raises the error tree and nothing else."""
        server = self._servers.get(service)
        if server is None:
            raise Unavailable(f"The {service} service does not run in this process.")
        try:
            if self._deadline is None:
                return await server.handle(method, request, token)
            async with asyncio.timeout(allowance(request, self._deadline)) as limit:
                return await server.handle(method, request, token)
        except LinkFlowError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and self._deadline is not None and limit.expired():
                raise DeadlineExceeded(f"{service}.{method} did not answer in time.") from None
            raise own(error, service, method) from error

    async def close(self) -> None:
        """Nothing is held."""
