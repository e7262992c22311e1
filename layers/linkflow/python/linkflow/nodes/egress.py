"""The one client that goes out (`Egress` of `base`).

Each connection is made to an address that was checked a moment ago by the same code that dials it, so a name cannot
answer one thing to the check and another to the connect (DNS rebinding); TLS still verifies the name. Redirects are
followed here, hop by hop, under the same rules. It keeps no cookies and reads no proxy settings from the environment.
It stands on aiohttp, whose parser is compiled: a call costs less than half of what it costs with httpcore.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec import structs

from linkflow.config import Egress as Settings
from linkflow.domain.policy import Policy
from linkflow.domain.reach import Place, Reach, place
from linkflow.nodes.addresses import Rules, literal, normal
from linkflow.nodes.base import NodeFailure, Watch
from linkflow.nodes.going import Going, Proxy, Tls
from linkflow.nodes.inflate import Inflater

if TYPE_CHECKING:
    import httpx

    from linkflow.nodes.outgoing import Answer, Outgoing

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host, best first. Raises `OSError` if there are none."""

MANY = 1024
MANY_REACHES = 256
"""Sets of rules whose connections are kept."""
_USUAL = Going()

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OURS = frozenset({"connection", "content-length", "expect", "keep-alive", "proxy-authorization", "proxy-connection",
                   "te", "trailer", "transfer-encoding", "upgrade"})  # fmt: skip
"""Request headers that frame the message: the client sets them, not the author."""
_HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "content-language", "content-type",
                       "idempotency-key", "user-agent"})  # fmt: skip
"""Headers that follow a redirect to another origin. Any other may hold a secret that was for the first one alone."""
_BODY = frozenset({"content-encoding", "content-language", "content-location", "content-type"})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, read whole. Header names are lower case; repeated headers are joined by commas."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    url: str


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """The system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class EgressClient:
    """One for a worker process; `aclose` it at the end."""

    def __init__(
        self, settings: Settings | None = None, *, resolver: Resolver = system_resolver, only: tuple[str, ...] = (),
        policy: Policy | None = None,
    ) -> None:  # fmt: skip
        """`only`: where it is not empty, nothing else may be reached (entries as in `domain.reach`). The lists of
        hosts of the `policy` hold besides."""
        self._settings = settings or Settings()
        self._rules = Rules(self._settings)
        self._only = tuple(place(text) for text in only)
        self._allowed: tuple[Place, ...] = ()
        self._denied: tuple[Place, ...] = ()
        if policy is not None:
            self._allowed = tuple(place(text) for text in policy.allowed_hosts)
            self._denied = tuple(place(text) for text in policy.denied_hosts)
        self._resolver = resolver
        self._outgoing: Outgoing | None = None
        self._open: set[tuple[str, int]] = set()
        self._others: OrderedDict[tuple[tuple[str, ...], ...], EgressClient] = OrderedDict()
        self._busy = 0
        self._retired = False
        self._closing: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Close all connections."""
        for other in self._others.values():
            await other.aclose()
        if (outgoing := self._outgoing) is not None:
            self._outgoing = None
            await outgoing.close()

    def within(self, reach: Reach, policy: Policy | None = None) -> EgressClient:
        """The client for a workspace with rules of its own: these, and the operator's. Its connections are its own as
        well, or one workspace could go on where another was let in."""
        hosts = (policy.allowed_hosts, policy.denied_hosts) if policy is not None else ((), ())
        if not reach.allow and not reach.only and not any(hosts):
            return self
        key = (reach.allow, reach.only, *hosts)
        other = self._others.get(key)
        if other is None:
            settings = structs.replace(self._settings, allow=(*self._settings.allow, *reach.allow))
            other = self._others[key] = EgressClient(settings, resolver=self._resolver, only=reach.only, policy=policy)
            if len(self._others) > MANY_REACHES:
                self._retire(self._others.popitem(last=False)[1])
        self._others.move_to_end(key)
        return other

    def _retire(self, other: EgressClient) -> None:
        other._retired = True
        closing = asyncio.get_running_loop().create_task(other._close_idle())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _close_idle(self) -> None:
        if not self._busy:  # else the last call does it
            await self.aclose()

    async def open_address(self, host: str, port: int) -> tuple[str, int]:
        """The checked address to connect to for protocols other than HTTP. Raises `NodeFailure` ``egress_refused``."""
        return (await self._places(host, port))[0]

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout: float = 30.0,
        follow_redirects: bool = True,
        verify: bool = True,
        going: Going | None = None,
        watch: Watch | None = None,
    ) -> Response:
        """One call, redirects included, within `timeout` seconds in all. See `base.Egress.request`.

        Raises `NodeFailure`: ``egress_refused``, ``egress_lookup``, ``http_connect``, ``http_timeout``,
        ``http_too_large``, ``http_redirects``, ``http_bad_request`` (nothing was sent: URL or headers are wrong).
        """
        self._busy += 1
        try:
            return await self._request(
                _Hop(method.upper(), _target(url), _clean(headers or {}), content),
                timeout,
                follow_redirects,
                verify,
                going,
                watch,
            )
        finally:
            self._busy -= 1
            if self._retired and not self._busy:
                await self.aclose()

    async def _request(
        self, hop: _Hop, timeout: float, follow_redirects: bool, verify: bool, going: Going | None, watch: Watch | None
    ) -> Response:
        way = going or _USUAL
        tls = way.tls or Tls(verify)
        try:
            async with asyncio.timeout(timeout):
                for _ in range(way.max_redirects + 1):
                    response = await self._send(hop, tls, way, watch)
                    target = response.headers.get("location")
                    if not follow_redirects or response.status_code not in _REDIRECTS or not target:
                        return response
                    hop = hop.after(response.status_code, target)
        except TimeoutError:
            raise NodeFailure("http_timeout", f"{hop.at.host} did not answer within {timeout:g} s.") from None
        raise NodeFailure("http_redirects", f"More than {way.max_redirects} redirects.", retryable=False)

    async def _send(self, hop: _Hop, tls: Tls, way: Going, watch: Watch | None) -> Response:
        at = hop.at
        if way.only:
            check_bound(at.spelt or at.host, at.port, way.only)
        if at.spelt:  # nobody will be asked for its address: it is dialled as it was checked
            self._check_literal(at.host, at.spelt, at.port)
        if way.proxy is not None:
            await self._check_proxied(hop, way.proxy)
        sent = self._client().send(hop.method, at.address, hop.wire_headers(), hop.content, tls, way.proxy)
        most = min(way.max_body or self._settings.max_body, self._settings.max_body)
        async with sent as answer:
            return await self._read(hop, answer, most, watch)

    async def _check_proxied(self, hop: _Hop, proxy: Proxy) -> None:
        """The proxy will look the target up itself: it has to be one that may be reached all the same."""
        place = _url(proxy.url)
        if place.scheme != "http":
            raise NodeFailure("http_bad_request", "A proxy is written as http://host:port.", retryable=False)
        if spelt := literal(place.host):
            self._check_literal(place.host, spelt, place.port or 80)
        await self._places(hop.at.host, hop.at.port)

    async def _read(self, hop: _Hop, answer: Answer, most: int, watch: Watch | None) -> Response:
        headers: dict[str, str] = {}
        for raw_name, raw_value in answer.headers:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        body = Inflater(headers.get("content-encoding", ""), most)
        length = headers.get("content-length", "")
        if hop.method != "HEAD" and length.isdecimal():
            body.expect(int(length))
        async for chunk in answer.chunks:
            body.feed(chunk)
            if watch is not None and watch(answer.status, headers, chunk):
                break
        return Response(answer.status, headers, body.finish(), hop.at.text)

    def _check_literal(self, host: str, spelt: str, port: int) -> None:
        if (spelt, port) not in self._open:
            self._check_only(spelt, port)
            self._rules.check(host, (spelt,), port)
            if len(self._open) > MANY:
                self._open.clear()
            self._open.add((spelt, port))

    def _check_only(self, host: str, port: int) -> None:
        name = normal(host)
        if self._only and not any(one.has(name, port) for one in self._only):
            raise NodeFailure(
                "egress_refused", f"{host}:{port} is not among the places that this workspace may reach.",
                retryable=False, details={"host": host, "port": port},
            )  # fmt: skip

        if self._allowed or self._denied:
            self._check_policy(name, port)

    def _check_policy(self, name: str, port: int) -> None:
        if self._allowed and not any(one.has(name, port) for one in self._allowed):
            raise self._forbidden(name, port)
        self._check_denied(name, port)

    def _check_denied(self, name: str, port: int) -> None:
        if any(one.has(name, port) for one in self._denied):
            raise self._forbidden(name, port)

    def _forbidden(self, name: str, port: int) -> NodeFailure:
        return NodeFailure(
            "policy_violation", f"The workspace's policy does not allow calls to {name}:{port}.",
            retryable=False, details={"host": name, "port": port},
        )  # fmt: skip

    async def _places(self, host: str, port: int) -> list[tuple[str, int]]:
        """Checked addresses and ports for `host`, best first."""
        self._check_only(literal(host) or host, port)
        if fixed := self._rules.fixed(host, port):
            return [fixed]
        spelt = literal(host)
        try:
            found = [spelt] if spelt else await self._resolver(host, port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise NodeFailure("egress_lookup", f"The address of {host} could not be found.", details={"host": host})
        checked = self._rules.check(host, found, port)
        if self._denied and not spelt:
            for address in checked:
                self._check_denied(address, port)
        return [(address, port) for address in checked]

    def _client(self) -> Outgoing:
        if self._outgoing is None:
            from linkflow.nodes.outgoing import Outgoing  # a tenth of a second, for those who go out

            self._outgoing = Outgoing(self._places, self._tls)
        return self._outgoing

    def _tls(self, wanted: Tls) -> ssl.SSLContext:
        import httpx

        context = httpx.create_ssl_context(verify=wanted.verify, trust_env=False)
        if self._settings.ca_file:
            context.load_verify_locations(self._settings.ca_file)
        if wanted != Tls(wanted.verify):
            from linkflow.nodes.certificates import load  # few calls bring their own

            load(context, wanted)
        return context


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL, taken apart once. `address` is how it goes on the wire: host in ASCII (or the address that it spells,
    `spelt`), path and query percent-encoded."""

    url: httpx.URL
    text: str
    host: str
    port: int
    spelt: str | None
    address: str


@dataclass(frozen=True, slots=True)
class _Hop:
    """One request on the way."""

    method: str
    at: _Target
    headers: dict[str, str]
    content: bytes | None

    def wire_headers(self) -> dict[str, str]:
        """The author's headers over those that are always sent."""
        names = {name.lower() for name in self.headers}
        return {**{name: value for name, value in _ALWAYS.items() if name.lower() not in names}, **self.headers}

    def after(self, status: int, location: str) -> _Hop:
        """The next request after a redirect (Fetch standard, HTTP-redirect fetch)."""
        import httpx

        try:
            at = _target(str(self.at.url.join(location)))
        except httpx.InvalidURL:
            raise NodeFailure(
                "http_redirects", "A redirect leads to something that is no URL.", retryable=False
            ) from None
        method, content, headers = self.method, self.content, self.headers
        if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
            method, content = "GET", None
            headers = {name: value for name, value in headers.items() if name.lower() not in _BODY}
        if _origin(at.url) != _origin(self.at.url):
            headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS}
        return _Hop(method, at, headers, content)


def check_bound(host: str, port: int, groups: tuple[tuple[str, ...], ...]) -> None:
    """Credentials go to their own hosts alone. Raises `NodeFailure` ``egress_refused``."""
    name = normal(host)
    for group in groups:
        if not any(_place(entry).has(name, port) for entry in group):
            text = f"A credential of this node may not be used for {host}:{port}, only for its own hosts."
            raise NodeFailure("egress_refused", text, retryable=False, details={"host": host, "port": port})


_place = lru_cache(maxsize=MANY)(place)

_ALWAYS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "LinkFlow"}


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return (url.scheme, url.raw_host, url.port or {"http": 80, "https": 443}.get(url.scheme))


@lru_cache(maxsize=MANY)
def _url(text: str) -> httpx.URL:
    import httpx  # 0.05 s, for those who go out

    try:
        url = httpx.URL(text.strip())
    except (httpx.InvalidURL, ValueError) as error:
        raise NodeFailure("http_bad_request", f"This is not a URL: {error}", retryable=False) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise NodeFailure(
            "egress_refused", "A URL must start with http:// or https:// and have a host.", retryable=False
        )
    if url.userinfo:
        raise NodeFailure(
            "egress_refused", "Put user name and password into a credential, not the URL.", retryable=False
        )
    return url


@lru_cache(maxsize=MANY)
def _target(text: str) -> _Target:
    url = _url(text)
    spelt = literal(url.host)
    place = url.netloc.decode("ascii")
    if spelt:
        place = f"[{spelt}]" if ":" in spelt else spelt
        place += f":{url.port}" if url.port else ""
    port = url.port or (443 if url.scheme == "https" else 80)
    return _Target(url, str(url), url.host, port, spelt, f"{url.scheme}://{place}{url.raw_path.decode('ascii')}")


_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


def _clean(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as they may be sent. A fault names the header and never its value, which may be a secret."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            fault = f"The header {name[:64]!r} has a character that HTTP does not allow there."
            raise NodeFailure("http_bad_request", fault, retryable=False)
    return {name: value for name, value in headers.items() if name.lower() not in _OURS}
