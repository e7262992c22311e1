"""What the nodes of a workspace may reach, beyond and within what the operator's settings say.

An entry is a host (``intra.example``, ``*.example.com``), a network (``10.1.0.0/16``) or an address, and may have a
port (``intra.example:8443``, ``[fd00::1]:80``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from msgspec import Struct

from .errors import Problem

MOST = 100
"""Entries of a list."""

Network = IPv4Network | IPv6Network
_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Reach(Struct, frozen=True, omit_defaults=True):
    """`allow`: places that are reachable although they are not public. `only`: where it is not empty, nothing else is
    reachable. `changed_at` (ms) is 0 where nobody has said anything."""

    allow: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    changed_at: int = 0
    changed_by: str = ""


class Place(Struct, frozen=True):
    """One entry, read."""

    host: str = ""
    network: Network | None = None
    port: int | None = None

    def has(self, host: str, port: int) -> bool:
        """Is this host (a name in lower case, or an address) meant, at this port?"""
        if self.port not in (None, port):
            return False
        try:
            address = ip_address(host)
        except ValueError:
            return self.network is None and _is_of(host, self.host)
        return self.network is not None and address.version == self.network.version and address in self.network

    def covers(self, other: Place) -> bool:
        """Is all that the other one means meant by this one, too?"""
        if self.port not in (None, other.port):
            return False
        if self.network is None or other.network is None:
            return self.network is None and other.network is None and _is_of(other.host, self.host)
        mine, theirs = self.network, other.network
        return mine.version == theirs.version and theirs.subnet_of(mine)  # type: ignore[arg-type]


def _is_of(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def place(text: str) -> Place:
    """An entry, read. Raises `ValueError`."""
    entry = text.strip().lower()
    try:
        return Place(network=ip_network(entry, strict=False))
    except ValueError:
        pass
    host, port = _split(entry)
    try:
        return Place(network=ip_network(host, strict=False), port=port)
    except ValueError:
        if not _NAME.fullmatch(host) or len(host) > 253:
            raise ValueError("write a host, *.domain, address or network, with :port or without") from None
        return Place(host=host, port=port)


def _split(entry: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", entry)
    if bracketed:
        host, port = bracketed[1], bracketed[2] or ""
    else:
        host, colon, port = entry.rpartition(":")
        if not colon:
            return entry.rstrip("."), None
        if not port:
            raise ValueError("a port is a number from 1 to 65535")
    if port and not (port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError("a port is a number from 1 to 65535")
    return host.rstrip("."), int(port) if port else None


def faults(field: str, entries: Iterable[str], granted: Iterable[str] | None = None) -> list[Problem]:
    """Everything wrong with a list of entries. `granted`: what a workspace may open for itself; None is anything."""
    problems: list[Problem] = []
    open_ = None if granted is None else [place(text) for text in granted]
    for at, text in enumerate(entries):
        path = f"/{field}/{at}"
        try:
            found = place(text)
        except ValueError as error:
            problems.append(Problem(path, "invalid_value", f"{str(error)[:1].upper()}{str(error)[1:]}."))
            continue
        if open_ is not None and not any(one.covers(found) for one in open_):
            message = (
                "Only an operator can open this: in the egress settings (`delegate`), or with `linkflow egress grant`."
            )
            problems.append(Problem(path, "not_granted", message))
    return problems
