"""Calls to a Valkey or Redis cluster, by redis-py: it knows slots, redirections and failovers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import exceptions
from redis.asyncio.cluster import RedisCluster

from .resp import CONNECT_TIMEOUT, Command, Fault, NoScript, Refused


class Spread:
    """Each command goes to the server that has its keys. Raises `Fault`."""

    def __init__(self, url: str, timeout: float) -> None:
        self._cluster: Any = RedisCluster.from_url(
            url, socket_timeout=timeout, socket_connect_timeout=CONNECT_TIMEOUT, socket_keepalive=True, protocol=2
        )

    async def execute_command(self, *command: Any) -> Any:
        with _ours():
            return await self._cluster.execute_command(*command)

    async def execute_commands(self, commands: Sequence[Command]) -> list[Any]:
        """One after another: they may be for different servers."""
        replies: list[Any] = []
        for command in commands:
            try:
                replies.append(await self.execute_command(*command))
            except Refused as error:
                replies.append(error)
        return replies

    async def aclose(self) -> None:
        await self._cluster.aclose()


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except exceptions.NoScriptError as error:
        raise NoScript(str(error)) from error
    except exceptions.ResponseError as error:
        raise Refused(str(error)) from error
    except exceptions.RedisError as error:
        raise Fault(str(error)) from error
