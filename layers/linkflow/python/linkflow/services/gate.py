"""What slows down those who guess: rates for each address on the public routes, and lock-outs that grow.

Failures are counted for an account *from an address*: whoever guesses cannot lock its owner out, who comes from another
one. They are kept in Postgres, so a lost Valkey opens nothing; rates live in Valkey, and without it there are none.
An address of IPv6 counts by its first 64 bits: the rest is its owner's to choose.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Any, Protocol

from msgspec import Struct

from linkflow.domain.errors import RateLimited, Unavailable
from linkflow.ports import Clock, RateLimiter

from .people_ports import FailureStore

FREE, FIRST_MS, LONGEST_MS, FORGET_MS = 5, 60_000, 3_600_000, 86_400_000
"""Failures before the first lock-out, how long that is, the longest one, and when failures are forgotten."""


class Origin(Struct, frozen=True):
    """Where a request comes from."""

    ip: str = ""
    user_agent: str = ""

    @property
    def place(self) -> str:
        """What rates and lock-outs go by."""
        try:
            found = ip_address(self.ip)
        except ValueError:
            return self.ip
        if found.version == 4:
            return self.ip
        return str(found.ipv4_mapped or f"{int(found) >> 64:x}/64")

    @property
    def network(self) -> str:
        """What those have who have more than one address: /24 of IPv4, /48 of IPv6."""
        try:
            found = ip_address(self.ip)
        except ValueError:
            return self.ip
        if found.version == 6 and found.ipv4_mapped is None:
            return f"{int(found) >> 80:x}/48"
        return f"{int(found) >> 8 & 0xFFFFFF:x}/24"


NOWHERE = Origin()


class Rates(Struct, frozen=True):
    """How many in a minute, and how many at once: of sign-ins for one account, of public calls from one address, and of
    registrations and mails from one address, and of addresses that one user looks up."""

    account: int = 10
    address: int = 60
    mail: int = 10
    lookup: int = 20


USUAL = Rates()


class Auditing(Protocol):
    async def note(self, action: str, user_id: str, **more: Any) -> None: ...


class Attempt:
    """One try to sign in."""

    def __init__(self, gate: Gate, key: bytes) -> None:
        self._gate = gate
        self._key = key

    async def failed(self, user_id: str, what: str) -> None:
        """Count it."""
        await self._gate.count(self._key, user_id, what)

    async def passed(self) -> None:
        """Forget the failures."""
        await self._gate.clear(self._key)


class Gate:
    """Rates and lock-outs. `limiter` None: no rates."""

    def __init__(
        self, failures: FailureStore, clock: Clock, limiter: RateLimiter | None, audit: Auditing, rates: Rates = USUAL
    ) -> None:
        self._failures = failures
        self._clock = clock
        self._limiter = limiter
        self._audit = audit
        self._rates = rates

    @asynccontextmanager
    async def attempt(self, account: str, origin: Origin) -> AsyncIterator[Attempt]:
        """A try to sign in to an account, named by its address or id. Raises `RateLimited`."""
        name = account.lower()
        await self.public(origin)
        key = hashlib.sha256(f"{name}\0{origin.place}".encode(errors="replace")).digest()
        left = await self._failures.locked_until(key) - self._clock.now_ms()
        if left > 0:
            raise RateLimited(
                "Too many wrong attempts. Wait, or reset your password.", details={"retry_after": left / 1000}
            )
        # After that: whoever is locked out must not use up what is left for the account's owner.
        await self._take(f"login:{name}", self._rates.account, self._rates.account)
        yield Attempt(self, key)

    async def count(self, key: bytes, user_id: str, what: str) -> None:
        now = self._clock.now_ms()
        until = await self._failures.failed(key, now, FREE, FIRST_MS, LONGEST_MS, FORGET_MS)
        if user_id:
            locked = {"locked_for_seconds": str((until - now) // 1000)} if until > now else {}
            await self._audit.note("accounts.login_failed", user_id, wrong=what, **locked)

    async def clear(self, key: bytes) -> None:
        await self._failures.clear(key)

    async def public(self, origin: Origin) -> None:
        """Any public call of an address. Raises `RateLimited`."""
        await self._take(f"auth:{origin.place}", self._rates.address, self._rates.address)

    async def refresh(self, origin: Origin) -> None:
        await self._take(f"refresh:{origin.place}", self._rates.address, self._rates.address)

    async def registration(self, origin: Origin) -> None:
        await self._take(f"register:{origin.place}", self._rates.mail, self._rates.mail * 2)

    async def telling(self, origin: Origin) -> None:
        """Something whose answer may tell who has an account. Raises `RateLimited` where too many such answers were
        given to one network."""
        left = await self._failures.locked_until(_told(origin)) - self._clock.now_ms()
        if left > 0:
            raise RateLimited(
                "Too many addresses that have an account. Sign in, or wait.", details={"retry_after": left / 1000}
            )

    async def told(self, origin: Origin) -> None:
        """An answer told it. From the fifth on there is none for a while, longer each time."""
        await self.count(_told(origin), "", "registered")

    async def mail(self, origin: Origin, address: str) -> None:
        """Something that sends a mail: so many from one place, and three an hour to one address."""
        await self._take(f"mail:{origin.place}", self._rates.mail, self._rates.mail)
        await self._take(f"mail-to:{address.lower()}", 3 / 60, 3)

    async def lookup(self, user_id: str) -> None:
        """Somebody asks who has an account."""
        await self._take(f"lookup:{user_id}", self._rates.lookup, self._rates.lookup)

    async def _take(self, key: str, per_minute: float, burst: int) -> None:
        if self._limiter is None:
            return
        try:
            wait = await self._limiter.take(key, per_minute / 60, burst)
        except Unavailable:
            return  # people can sign in without Valkey; the slots for hashing still slow a guesser down
        if wait > 0:
            raise RateLimited("Too many attempts. Wait a little.", details={"retry_after": wait})


def _told(origin: Origin) -> bytes:
    return hashlib.sha256(f"registered\0{origin.network}".encode(errors="replace")).digest()
