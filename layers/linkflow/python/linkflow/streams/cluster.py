"""Calls to a Valkey or Redis cluster, by redis-py: it knows slots, redirections and failovers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis import exceptions
from redis.asyncio.cluster import RedisCluster

from .resp import CONNECT_TIMEOUT, Command, Fault, NoScript, Refused, Renew

FAILED = (exceptions.RedisError, exceptions.RedisClusterException)
"""The second is none of the first: no server of the cluster can be had, for example."""

_log = logging.getLogger("linkflow.streams")


class Spread:
    """Each command goes to the server that has its keys. Raises `Fault`."""

    def __init__(self, url: str, timeout: float, renew: Renew | None = None) -> None:
        """`renew` is asked once a server refuses the password."""
        self._url, self._timeout, self._renew = url, timeout, renew
        self._cluster: Any = self._made()

    def _made(self) -> RedisCluster:
        return RedisCluster.from_url(
            self._url, socket_timeout=self._timeout, socket_connect_timeout=CONNECT_TIMEOUT, socket_keepalive=True,
            protocol=2,
        )  # fmt: skip

    async def execute_command(self, *command: Any) -> Any:
        with _ours():
            url = self._url
            try:
                return await self._cluster.execute_command(*command)
            except FAILED as error:
                if not _unknown(error) or not await self._renewed(url):
                    raise
            return await self._cluster.execute_command(*command)

    async def _renewed(self, tried: str) -> bool:
        """Is there another address than the one that was `tried`?"""
        if self._url == tried and self._renew is not None:
            try:
                found = await self._renew()
            except Exception as error:  # what was refused stays so, and says so
                _log.warning("the task queue's store refused the password, and there is no other: %s", error)
                return False
            if found != self._url:
                old, self._url = self._cluster, found
                self._cluster = self._made()
                await old.aclose()
        return self._url != tried

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
    except FAILED as error:
        raise Fault(str(error)) from error


def _unknown(error: BaseException | None) -> bool:
    """Did a server refuse the password? While the cluster is looked at, that is the cause of a general failure."""
    while error is not None:
        if isinstance(error, exceptions.AuthenticationError):
            return True
        error = error.__cause__ or error.__context__
    return False
