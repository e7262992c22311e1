"""Where a request comes from: whose word is taken for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import Request

from linkflow.services.gate import Origin

from .wiring import services_of

LONGEST_AGENT = 300


def origin(request: Request) -> Origin:
    """The client's address and what it calls itself. ``X-Forwarded-For`` counts as far as it comes from proxies that
    the operator trusts, read from the right: what a client wrote into it himself stands on the left."""
    agent = request.headers.get("user-agent", "")[:LONGEST_AGENT]
    near = request.client.host if request.client else ""
    trusted = services_of(request).trusted_proxies
    if not trusted or not _is_in(near, trusted):
        return Origin(near, agent)
    said = [part.strip() for value in request.headers.getlist("x-forwarded-for") for part in value.split(",")]
    for hop in reversed(said):
        bare = _bare(hop)
        if not bare:
            break
        near = bare
        if not _is_in(bare, trusted):
            break
    return Origin(near, agent)


def _bare(hop: str) -> str:
    """The address without a port; nothing where it is none."""
    text = hop.rpartition("]")[0].lstrip("[") if hop.startswith("[") else hop
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def _is_in(address: str, networks: Sequence[str]) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain in network for network in _networks(tuple(networks)))


@lru_cache(maxsize=8)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)
