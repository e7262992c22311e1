"""aiohttp behind the egress client: it dials only what it is told, and its errors become ours."""

from __future__ import annotations

import base64
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from socket import AF_INET, AF_INET6, AI_NUMERICHOST, AI_NUMERICSERV, AddressFamily
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.going import Proxy, Tls

Places = Callable[[str, int], Awaitable[list[tuple[str, int]]]]
"""Checked addresses and ports of a host, best first. Raises `NodeFailure` where it may not be reached."""

KEEPALIVE = 15.0
"""Seconds for which an idle connection may be used again."""
MAX_CONTEXTS = 64
"""TLS settings that are kept ready."""
MAX_LINE = 65_536
"""Bytes of a status line, and of all headers."""


@dataclass(slots=True)
class Answer:
    """An answer under way. `headers` are as they came; `chunks` are the body's bytes, not decompressed."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    chunks: AsyncIterator[bytes]


class Sending:
    """A request on its way, as a context: within it there is its answer. A class and no generator: each call of each
    workflow comes through here."""

    __slots__ = ("_host", "_request", "_response")

    def __init__(self, request: Awaitable[aiohttp.ClientResponse], host: str) -> None:
        self._request = request
        self._host = host

    async def __aenter__(self) -> Answer:
        try:
            self._response = response = await self._request
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise _ours(error, self._host) or error from None
        return Answer(response.status, response.raw_headers, response.content.iter_any())

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._response.release()
        try:
            await self._response.wait_for_close()
        except (aiohttp.ClientError, OSError) as late:  # of the body's sending
            error = error or late
            if _ours(error, self._host) is None:
                raise
        if error is not None and (ours := _ours(error, self._host)) is not None:
            raise ours from None


class _Resolver(AbstractResolver):
    """Asks the one who checks: what is dialled is what was checked."""

    def __init__(self, places: Places) -> None:
        self._places = places

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET) -> list[ResolveResult]:
        flags = AI_NUMERICHOST | AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host, host=address, port=at, family=AF_INET6 if ":" in address else AF_INET, proto=0,
                flags=flags,
            )
            for address, at in await self._places(host, port)
        ]  # fmt: skip

    async def close(self) -> None:
        return


class Outgoing:
    """Connections of one event loop; made inside it."""

    def __init__(self, places: Places, tls: Callable[[Tls], ssl.SSLContext]) -> None:
        self._tls = tls
        self._contexts: OrderedDict[Tls, ssl.SSLContext] = OrderedDict()
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(places), use_dns_cache=False, limit=0, keepalive_timeout=KEEPALIVE
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None),  # the caller has one clock for all hops
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
        )

    async def close(self) -> None:
        await self._session.close()

    def send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, tls: Tls,
        proxy: Proxy | None = None,
    ) -> Sending:  # fmt: skip
        """One request, no redirects. Its context raises `NodeFailure` ``http_connect`` or ``http_bad_request``, and
        what `places` raises."""
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts[tls] = self._tls(tls)
            if len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        address = _url(url)
        way = {"headers": headers} if proxy is None else _by(proxy, headers, address.scheme == "https")
        request = self._session.request(method, address, data=content, allow_redirects=False, ssl=context, **way)
        return Sending(request, address.host or "")


@lru_cache(maxsize=1024)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


def _by(proxy: Proxy, headers: dict[str, str], is_tls: bool) -> dict[str, Any]:
    """What makes a request go by a proxy. Its password goes to the proxy alone: with CONNECT, where there is TLS, and
    otherwise in the request, which the proxy takes it out of."""
    way: dict[str, Any] = {"proxy": proxy.url, "headers": headers}
    if proxy.username:
        pair = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        own = {"Proxy-Authorization": f"Basic {pair}"}
        way |= {"proxy_headers": own} if is_tls else {"headers": {**headers, **own}}
    return way


def _ours(error: BaseException, host: str) -> NodeFailure | None:
    """A fault of the call as ours; None for what is to go on as it is."""
    if isinstance(error, (aiohttp.InvalidURL, UnicodeError)):
        return NodeFailure("http_bad_request", "The request is not valid HTTP.", retryable=False)
    if isinstance(error, (aiohttp.ClientError, OSError)) and not isinstance(error, TimeoutError):
        return _broken(host, error)
    return None


def _broken(host: str, error: Exception) -> NodeFailure:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        why = getattr(cause, "verify_message", "") or str(cause)
        return NodeFailure("http_connect", f"The certificate of {host} does not verify: {why}.", retryable=False)
    if isinstance(error, aiohttp.ClientResponseError):  # its text has the whole address, and that may hold a secret
        return NodeFailure("http_connect", f"{host} gave an answer that is no HTTP.")
    return NodeFailure("http_connect", f"The connection to {host} failed: {error or type(error).__name__}.")
