"""How a call goes out, beyond where: redirects, size, TLS, proxy."""

from __future__ import annotations

from msgspec import Struct


class Tls(Struct, frozen=True):
    """PEM texts: authorities that are trusted as well, and the client's own certificate with its key."""

    verify: bool = True
    authorities: str = ""
    certificate: str = ""
    key: str = ""


class Proxy(Struct, frozen=True):
    """An HTTP proxy: ``http://host:port``. Its address is checked like any other, and so is the target's."""

    url: str
    username: str = ""
    password: str = ""


class Going(Struct, frozen=True):
    """`max_body` is bytes, 0 for the operator's limit, which holds in any case. `only`: every hop has to be among the
    places of each group (entries as in `domain.reach`), for the credentials that go along."""

    max_redirects: int = 10
    max_body: int = 0
    tls: Tls | None = None
    proxy: Proxy | None = None
    only: tuple[tuple[str, ...], ...] = ()
