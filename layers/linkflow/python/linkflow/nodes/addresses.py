"""Which addresses the product may connect to on a workflow author's word.

Everything that is not plainly the public internet is refused: an author must not reach the worker's own machine, its
private network or the cloud's metadata service (server-side request forgery). The operator may allow hosts, networks
and fixed addresses in `config.Egress`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from linkflow.config import Egress as Settings
from linkflow.nodes.base import NodeFailure

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_CLOSED4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/3",
        "168.63.129.16/32",  # Azure's wire server: metadata on a public address
    )
)  # fmt: skip
"""IANA's IPv4 special-purpose registry (RFC 6890 and after), multicast, and class E."""

_GLOBAL6 = IPv6Network("2000::/3")
_CLOSED6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4 carries an IPv4 address that would go unchecked
        "3fff::/20",  # documentation
    )
)
"""Closed parts of the global unicast range. All outside it is closed: NAT64, mapped, unique local, multicast."""


def is_public(address: Address) -> bool:
    """Is `address` on the public internet?"""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED4)
    return address in _GLOBAL6 and not any(address in network for network in _CLOSED6)


@dataclass(frozen=True, slots=True)
class _Allowed:
    host: str = ""
    network: Network | None = None
    port: int | None = None

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        return (
            host == self.host or (self.host.startswith("*.") and host.endswith(self.host[1:]))
            if self.network is None
            else address.version == self.network.version and address in self.network
        )


class Rules:
    """The operator's settings, read once. Raises `ValueError` for one that cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = tuple(_allowed(text) for text in settings.allow)
        if spelt := next((name for name in settings.resolve if literal(_place(name)[0])), None):
            raise ValueError(f"{spelt!r} is an address: only names can be resolved to another one.")
        self._fixed = {_place(name): _fixed(target, _place(name)[1]) for name, target in settings.resolve.items()}

    def fixed(self, host: str, port: int) -> tuple[str, int] | None:
        """The address and port that the operator set for `host` and `port`, if so."""
        found = self._fixed.get((normal(host), port)) or self._fixed.get((normal(host), None))
        return (found[0], found[1] or port) if found else None

    def check(self, host: str, addresses: Iterable[str], port: int) -> list[str]:
        """`addresses` if every one of them may be connected to: one bad answer condemns the name.

        Raises `NodeFailure` ``egress_refused``.
        """
        checked: list[str] = []
        name = normal(host)
        for text in addresses:
            address = ip_address(text)
            if not is_public(address) and not any(allowed.covers(name, address, port) for allowed in self._allowed):
                raise NodeFailure(
                    "egress_refused",
                    f"{host}:{port} is not on the public internet. An operator can allow it in the egress settings.",
                    retryable=False,
                    details={"host": host, "port": port},
                )
            checked.append(text)
        return checked


def normal(host: str) -> str:
    """A host name for comparing: lower case, without brackets and final dot."""
    return host.strip("[]").rstrip(".").lower()


@lru_cache(maxsize=4096)
def literal(host: str) -> str | None:
    """The address that `host` spells, if it is no name. IPv4's old forms (``127.1``, ``0x7f000001``, ``017700000001``)
    count, because the system's resolver takes them too."""
    try:
        return str(ip_address(normal(host)))
    except ValueError:
        pass
    text = normal(host)
    if not text[:1].isdigit() or any(ch not in "0123456789abcdefx." for ch in text):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(text))
    except OSError:
        return None


def _place(text: str) -> tuple[str, int | None]:
    """Host and port of ``host``, ``host:port``, ``address``, ``[v6]:port``."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return normal(host), int(rest[1:]) if rest.startswith(":") else None
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host:
        return normal(text), None
    return normal(host), int(port)


def _allowed(text: str) -> _Allowed:
    try:
        return _Allowed(network=ip_network(text.strip(), strict=False))
    except ValueError:
        host, port = _place(text.strip())
    try:
        return _Allowed(network=ip_network(host), port=port)
    except ValueError:
        return _Allowed(host=host, port=port)


def _fixed(text: str, port: int | None) -> tuple[str, int | None]:
    host, own_port = _place(text)
    return str(ip_address(host)), own_port or port
