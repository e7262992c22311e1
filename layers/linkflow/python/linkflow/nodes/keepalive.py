"""Idle connections, kept by origin and used again last in, first out.

httpcore's own pool looks at the socket of every idle connection on each request, which with fifty calls in flight costs
seventeen times the call. Here a request looks at one: the one that was used last, and is the likeliest to be alive.
"""

from __future__ import annotations

import ssl
from collections import OrderedDict

import httpcore

MAX_IDLE = 100
"""Connections kept over all origins; over it the one that has idled longest is closed."""
EXPIRY = 15.0
"""Seconds after which an idle connection is not used again."""


_Key = tuple[bytes, bytes, int]


class Keepalive:
    """Opens connections through `backend` and keeps those that can serve another request."""

    def __init__(self, tls: ssl.SSLContext, backend: httpcore.AsyncNetworkBackend) -> None:
        self._tls, self._backend = tls, backend
        self._by_origin: dict[_Key, list[httpcore.AsyncHTTPConnection]] = {}
        self._by_age: OrderedDict[httpcore.AsyncHTTPConnection, _Key] = OrderedDict()

    async def take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """A connection of one's own, until it is handed to `keep` or closed."""
        while idle := self._by_origin.get(_key(origin)):
            connection = idle.pop()
            del self._by_age[connection]
            if not connection.has_expired():  # also true where the peer has hung up
                return connection
            await connection.aclose()
        self._by_origin.pop(_key(origin), None)
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._tls, keepalive_expiry=EXPIRY, network_backend=self._backend
        )

    async def keep(self, connection: httpcore.AsyncHTTPConnection, origin: httpcore.Origin) -> None:
        """Done with it: keep it where it can go on, close it otherwise."""
        if not connection.is_idle():
            await connection.aclose()
            return
        self._by_origin.setdefault(_key(origin), []).append(connection)
        self._by_age[connection] = _key(origin)
        if len(self._by_age) > MAX_IDLE:
            oldest, its = self._by_age.popitem(last=False)
            self._by_origin[its].remove(oldest)
            if not self._by_origin[its]:
                del self._by_origin[its]
            await oldest.aclose()

    async def aclose(self) -> None:
        """Close all that idle."""
        self._by_origin.clear()
        while self._by_age:
            await self._by_age.popitem()[0].aclose()


def _key(origin: httpcore.Origin) -> _Key:
    return origin.scheme, origin.host, origin.port
