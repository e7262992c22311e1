"""A Postgres database: one pool, opened when first used, and psycopg's errors turned into ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from linkflow.domain.errors import Internal, LinkFlowError, Unavailable

from .arrays import register

Connection = AsyncConnection[tuple[Any, ...]]

GIVE_UP = 0.5
"""Seconds after which the pool gives an attempt to connect up, and begins another. It doubles the pauses within one: an
outage of half a minute would be followed by another half."""

ALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
"""A server that vanished without a word is noticed within half a minute: a transition may be waiting for it."""

GONE = (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)
"""The server went away, restarts, or refuses: the same call may succeed later."""

RETRY_STATES = ("40001", "40P01")
"""Serialization failure and deadlock: nothing was written, try again at once."""

_log = logging.getLogger("linkflow.postgres")

NOT_HERE = "LF001"
"""The guard of a database refused a write: it does not have that shard, or not any more (migration 0021)."""


class Database:
    """One database. `size` 1 suits Lambda: one connection an environment, checked before use.

    Safe behind a pooler: no session state, and prepared statements only where `prepare` says so.
    """

    def __init__(
        self, url: str, *, size: int = 10, timeout: float = 10.0, prepare: bool = True, knows: Sequence[str] = (),
        renew: Callable[[], Awaitable[str]] | None = None,
    ) -> None:  # fmt: skip
        """`knows` are the databases that this process has, by name, where there are several. `renew` gives the address
        as it is now: it is asked where the server does not let us in, for the password may have been rotated."""
        self.url = url
        self._renew = renew
        self._name = application_name(knows)
        self._size = size
        self._timeout = timeout
        self._prepare = prepare
        self._pool: AsyncConnectionPool[Connection] | None = None
        self._opening = asyncio.Lock()

    async def _opened(self) -> AsyncConnectionPool[Connection]:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
                        self._address,
                        connection_class=self._admitted() if self._renew else AsyncConnection,
                        min_size=0 if self._size == 1 else 1,
                        max_size=self._size,
                        timeout=self._timeout,
                        open=False,
                        check=AsyncConnectionPool.check_connection if self._size == 1 else None,
                        configure=self._configure,
                        reconnect_timeout=GIVE_UP,
                        reconnect_failed=_try_again,
                        kwargs={
                            "autocommit": True,
                            "connect_timeout": max(1, int(self._timeout)),
                            "application_name": self._name,
                            **ALIVE,
                        },
                    )
                    await pool.open()
                    self._pool = pool
        return self._pool

    def _address(self) -> str:
        return self.url

    def _admitted(self) -> type[Connection]:
        """Connections that are tried again with the address as it is now, where they were not let in."""
        database = self

        class Admitted(AsyncConnection[tuple[Any, ...]]):
            @classmethod
            async def connect(cls, conninfo: str = "", **settings: Any) -> Any:
                try:
                    return await super().connect(conninfo, **settings)
                except psycopg.OperationalError as error:
                    if not _refused(error) or not await database._renewed(conninfo):
                        raise
                return await super().connect(database.url, **settings)

        return Admitted

    async def _renewed(self, tried: str) -> bool:
        """Is there another address than the one that was `tried`?"""
        if self.url == tried and self._renew is not None:
            try:
                self.url = await self._renew()
            except Exception as error:  # what was refused stays so, and says so
                _log.warning("the database refused the password, and there is no other: %s", error)
        return self.url != tried

    async def _configure(self, connection: Connection) -> None:
        connection.prepare_threshold = 3 if self._prepare else None
        register(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection in autocommit mode. Raises `Unavailable` when the server does not answer."""
        try:
            async with (await self._opened()).connection() as connection:
                yield connection
        except LinkFlowError:
            raise
        except psycopg.Error as error:
            raise translate(error) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed at the end and rolled back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Raises `Unavailable` unless the database answers."""
        async with self.connection() as connection:
            await connection.execute(b"SELECT 1")

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
            self._pool = None


def application_name(knows: Sequence[str]) -> str:
    """What Postgres is told of a process, so that shards are not moved behind its back: ``linkflow default,b``. It
    keeps 63 characters; ``*`` stands for names that are longer together."""
    names = ",".join(knows)
    return f"linkflow {names if len(names) < 54 else '*'}".strip()


def _refused(error: psycopg.OperationalError) -> bool:
    """Did it fail behind the question for the password? The server's words may be of any language."""
    tried = error.pgconn
    return tried is not None and (tried.used_password or tried.needs_password)


async def _try_again(pool: AsyncConnectionPool[Connection]) -> None:
    """An empty pool that gave up waits for the next caller, who waits for it: begin anew at once."""
    if not pool.closed:
        await pool.check()


def translate(error: Exception) -> LinkFlowError:
    """The error of our tree for one of psycopg's. No statement, parameter or address goes into the message."""
    state = getattr(error, "sqlstate", None) or ""
    if state == NOT_HERE:
        return Unavailable("This run is being moved to another database; try again.", details={"sqlstate": state})
    if isinstance(error, GONE) or state in RETRY_STATES or state.startswith(("57P", "53", "55P03")):
        return Unavailable("The database does not answer now; try again.", details={"sqlstate": state})
    return Internal("The database refused a statement.", details={"sqlstate": state})
