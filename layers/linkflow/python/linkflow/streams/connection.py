"""Connections to Valkey or Redis, and how their faults look from outside.

`resp.Fault` ends here: whoever uses these clients sees `Unavailable` (try again) or `Internal` (our fault).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from linkflow.domain.errors import Internal, Unavailable

from .resp import Command, Fault, Refused, Renew, Server, Several, Shared, Subscription

SOCKET_TIMEOUT = 5.0
"""Seconds until a server that does not answer counts as down. Blocking reads get their own wait on top."""
LONGEST_BLOCK = 2.0
"""Seconds that one blocking read may wait at most."""

_PASSING = (
    "LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MISCONF", "NOREPLICAS", "NOAUTH",
)  # fmt: skip


class Client(Protocol):
    """What commands are sent with. Raises `resp.Fault`: see `reachable`."""

    async def execute_command(self, *command: Any) -> Any: ...
    async def execute_commands(self, commands: Sequence[Command]) -> list[Any]: ...
    async def aclose(self) -> None: ...


class Clients:
    """The connections of one process, opened when first used.

    `commands` is for calls that answer at once; `blocking` gives every reader that waits a connection of its own, so
    that waiting readers never hold up a call. `node` is one server also where `commands` spreads over a cluster.
    """

    def __init__(self, commands: Client, blocking: Several, *, cluster: bool) -> None:
        self.commands = commands
        self.blocking: Client = blocking
        self.cluster = cluster
        self.subscription = blocking.subscription

    @property
    def node(self) -> Client:
        """Pub/sub reaches a whole cluster from any of its servers."""
        return self.blocking if self.cluster else self.commands

    async def ping(self) -> None:
        """Raises `Unavailable` while the server does not answer."""
        with reachable():
            await self.node.execute_command("PING")

    async def leave(self, subscription: Subscription) -> None:
        """End a subscription."""
        await subscription.aclose()

    async def close(self) -> None:
        await self.commands.aclose()
        await self.blocking.aclose()


def connect(url: str, renew: Renew | None = None) -> Clients:
    """Clients for ``redis://``, ``rediss://`` or ``unix://``; add ``?cluster=true`` for a cluster.

    A call whose connection is lost is tried again twice within 0.2 s (a restarted server, a stale socket); one that
    is not answered in time is not. `renew` gives the address as it is now: it is asked where the server does not let us
    in, for the password may have been rotated.
    """
    url, cluster = _split(url)
    server = Server(url, renew)
    blocking = Several(server, SOCKET_TIMEOUT + LONGEST_BLOCK)
    if cluster:
        from .cluster import Spread

        return Clients(Spread(url, SOCKET_TIMEOUT, _plain(renew)), blocking, cluster=True)
    return Clients(Shared(server, SOCKET_TIMEOUT), blocking, cluster=False)


@contextmanager
def reachable() -> Iterator[None]:
    """Turns a client's faults into our errors: `Unavailable` where trying again may help, else `Internal`."""
    try:
        yield
    except Refused as error:
        if str(error).startswith(_PASSING):
            raise Unavailable(f"The task queue's store cannot serve now: {error}") from error
        raise Internal(f"The task queue's store refused a command: {error}") from error
    except (Fault, OSError) as error:
        raise Unavailable(f"The task queue's store does not answer: {error}") from error


def _plain(renew: Renew | None) -> Renew | None:
    """The same without what only we understand in it."""
    if renew is None:
        return None

    async def renewed() -> str:
        return _split(await renew())[0]

    return renewed


def _split(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    cluster = query.pop("cluster", "").lower() in ("1", "true", "yes")
    return urlunsplit(parts._replace(query=urlencode(query))), cluster
