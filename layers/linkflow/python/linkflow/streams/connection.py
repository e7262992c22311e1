"""Connections to Valkey or Redis, and how their faults look from outside.

redis-py's exceptions end here: whoever uses these clients sees `Unavailable` (try again) or `Internal` (our fault).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError, ResponseError

from linkflow.domain.errors import Internal, Unavailable

SOCKET_TIMEOUT = 5.0
"""Seconds until a server that does not answer counts as down. Blocking reads get their own wait on top."""
CONNECT_TIMEOUT = 2.0
LONGEST_BLOCK = 2.0
"""Seconds that one blocking read may wait at most."""

_PASSING = ("LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MISCONF", "NOREPLICAS")


class Pipeline(Protocol):
    def execute_command(self, *args: Any) -> Any: ...
    async def execute(self, raise_on_error: bool = True) -> list[Any]: ...


class Client(Protocol):
    """The little of redis-py that we use; its own signatures are not typed."""

    async def execute_command(self, *args: Any) -> Any: ...
    def pipeline(self, transaction: bool = True) -> Pipeline: ...
    async def aclose(self) -> None: ...


class Clients:
    """The connections of one process, opened when first used.

    `commands` is for calls that answer at once; `blocking` gives every reader that waits a connection of its own, so
    that waiting readers never starve a call. `node` is one server also where `commands` spreads over a cluster.
    """

    def __init__(self, commands: Client, blocking: Redis, *, cluster: bool) -> None:
        self.commands = commands
        self.blocking = cast(Client, blocking)
        self.cluster = cluster
        self._blocking = blocking

    @property
    def node(self) -> Client:
        """Pub/sub reaches a whole cluster from any of its servers."""
        return self.blocking if self.cluster else self.commands

    def pubsub(self) -> PubSub:
        """A subscription's connection. Its reader polls with a timeout, so a silent server is no fault."""
        return self._blocking.pubsub(ignore_subscribe_messages=True)

    async def ping(self) -> None:
        """Raises `Unavailable` while the server does not answer."""
        with reachable():
            await self.node.execute_command("PING")

    async def leave(self, pubsub: PubSub) -> None:
        """End a subscription."""
        await cast(Client, pubsub).aclose()

    async def close(self) -> None:
        await self.commands.aclose()
        await self.blocking.aclose()


def connect(url: str, *, connections: int = 32) -> Clients:
    """Clients for ``redis://``, ``rediss://`` or ``unix://``; add ``?cluster=true`` for a cluster.

    At most `connections` calls are on their way at once; more wait their turn, 5 s at most. A lost connection is tried
    again twice within 0.1 s (a restarted server, a stale pooled socket), a timeout is not.
    """
    url, cluster = _split(url)
    settings: dict[str, Any] = {
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_keepalive": True,
        "protocol": 2,
    }
    blocking = Redis.from_pool(
        ConnectionPool.from_url(url, socket_timeout=SOCKET_TIMEOUT + LONGEST_BLOCK, retry=_retry(0), **settings)
    )
    if cluster:
        spread = RedisCluster.from_url(url, socket_timeout=SOCKET_TIMEOUT, **settings)
        return Clients(cast(Client, spread), blocking, cluster=True)
    pool = BlockingConnectionPool.from_url(
        url, max_connections=connections, timeout=5, socket_timeout=SOCKET_TIMEOUT, retry=_retry(2), **settings
    )
    return Clients(cast(Client, Redis.from_pool(pool)), blocking, cluster=False)


@contextmanager
def reachable() -> Iterator[None]:
    """Turns redis-py's exceptions into ours: `Unavailable` where trying again may help, else `Internal`."""
    try:
        yield
    except ResponseError as error:
        if str(error).startswith(_PASSING):
            raise Unavailable(f"The task queue's store cannot serve now: {error}") from error
        raise Internal(f"The task queue's store refused a command: {error}") from error
    except (RedisError, OSError) as error:
        raise Unavailable(f"The task queue's store does not answer: {error}") from error


def _retry(times: int) -> Retry:
    return Retry(ExponentialBackoff(cap=0.1, base=0.02), times, supported_errors=(LostConnection,))


def _split(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    cluster = query.pop("cluster", "").lower() in ("1", "true", "yes")
    return urlunsplit(parts._replace(query=urlencode(query))), cluster
