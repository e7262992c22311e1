"""People: registering, signing in and out, and the tokens that prove it.

A refresh token is used once. One that comes back after its use was copied, so its whole family (all that descends from
that login) is revoked. An access token stays good until it expires, a quarter of an hour at most; what its bearer may
do is looked up at every call, so a removed member is out at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Any

from msgspec import Struct

from linkflow.domain.errors import Forbidden, InvalidInput, Problem, RateLimited, Unauthenticated, Unavailable
from linkflow.domain.ids import uuid7
from linkflow.ports import Clock, RateLimiter

from .control_ports import RefreshToken, User, UserStore
from .tokens import AccessTokens, Identity

MIN_PASSWORD, MAX_PASSWORD = 8, 200
ATTEMPTS_PER_MINUTE = 10
"""Sign-in attempts for one e-mail address."""


class Registration(Struct, frozen=True):
    first_name: str
    last_name: str
    email: str
    password: str
    password_confirmation: str


class Session(Struct, frozen=True):
    """What signing in gives. `expires_in` is the access token's life in seconds."""

    user: User
    access_token: str
    refresh_token: str
    expires_in: int


class Passwords:
    """Argon2id with OWASP's parameters, in threads: a hash costs about 20 ms and 19 MiB."""

    def __init__(self, at_once: int = 2) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._hasher: Any = None
        self._decoy = ""

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hash, password)

    async def verify(self, stored: str, password: str) -> bool:
        """Does the password match? An empty `stored` never does, and takes as long."""
        async with self._slots:
            return await asyncio.to_thread(self._verify, stored, password)

    def outdated(self, stored: str) -> bool:
        """Was this hash made with other parameters than today's?"""
        return bool(self._argon().check_needs_rehash(stored))

    def _argon(self) -> Any:
        if self._hasher is None:
            from argon2 import PasswordHasher

            self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        return self._hasher

    def _hash(self, password: str) -> str:
        return str(self._argon().hash(password))

    def _verify(self, stored: str, password: str) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        if not stored:
            self._decoy = self._decoy or self._hash(secrets.token_hex(16))
        try:
            return bool(self._argon().verify(stored or self._decoy, password)) and bool(stored)
        except (Argon2Error, InvalidHashError):
            return False


def password_problems(password: str, confirmation: str) -> list[Problem]:
    """Everything that is wrong with a new password."""
    rules = {
        "too_short": (len(password) < MIN_PASSWORD, f"A password has at least {MIN_PASSWORD} characters."),
        "too_long": (len(password) > MAX_PASSWORD, f"A password has at most {MAX_PASSWORD} characters."),
        "no_mixed_case": (
            not any(c.islower() for c in password) or not any(c.isupper() for c in password),
            "A password has lower and upper case letters.",
        ),
        "no_digit": (not any(c.isdigit() for c in password), "A password has a digit."),
    }
    found = [Problem("/password", code, message) for code, (broken, message) in rules.items() if broken]
    if password != confirmation:
        found.append(Problem("/password_confirmation", "mismatch", "The two passwords differ."))
    return found


class Auth:
    """Registering and signing in. `refresh_ttl` is seconds."""

    def __init__(
        self,
        users: UserStore,
        tokens: AccessTokens,
        clock: Clock,
        *,
        refresh_ttl: int = 30 * 24 * 3600,
        open_registration: bool = True,
        limiter: RateLimiter | None = None,
    ) -> None:
        self._users = users
        self._tokens = tokens
        self._clock = clock
        self._refresh_ttl = refresh_ttl
        self._open = open_registration
        self._limiter = limiter
        self._passwords = Passwords()

    async def register(self, form: Registration) -> Session:
        """Add a user, with a first workspace. Raises `InvalidInput` with every fault, `Forbidden` if closed."""
        if not self._open:
            raise Forbidden("This installation does not take registrations. Ask its administrator.")
        if problems := password_problems(form.password, form.password_confirmation):
            raise InvalidInput("The password will not do.", problems=problems)
        now = self._clock.now_ms()
        user = User(
            id=self._new_id(),
            email=form.email,
            first_name=form.first_name,
            last_name=form.last_name,
            password_hash=await self._passwords.hash(form.password),
            created_at=now,
        )
        if not await self._users.register(user, self._new_id(), f"{form.first_name}'s workspace"):
            taken = Problem("/email", "taken", "There is an account with this e-mail address. Sign in instead.")
            raise InvalidInput("The e-mail address is taken.", problems=[taken])
        return await self._open_session(user, now)

    async def login(self, email: str, password: str) -> Session:
        """Raises `Unauthenticated`, in the same words and time whichever of the two is wrong."""
        await self._limit(f"login:{email.lower()}")
        user = await self._users.by_email(email)
        if not await self._passwords.verify(user.password_hash if user else "", password) or user is None:
            raise Unauthenticated("The e-mail address or the password is wrong.")
        if self._passwords.outdated(user.password_hash):
            await self._users.rehash(user.id, await self._passwords.hash(password))
        return await self._open_session(user, self._clock.now_ms())

    async def refresh(self, token: str) -> Session:
        """Trade a refresh token for new tokens. Raises `Unauthenticated` for one that is unknown, expired or used."""
        now, successor = self._clock.now_ms(), secrets.token_urlsafe(32)
        until = now + self._refresh_ttl * 1000
        kept = await self._users.rotate(_hash(token), _hash(successor), now, until)
        user = await self._users.by_id(kept.user_id) if kept else None
        if kept is None or user is None:
            raise Unauthenticated("The refresh token is not valid. Sign in again.")
        return self._session(user, kept.family, successor, now)

    async def logout(self, identity: Identity) -> None:
        """Revoke the refresh tokens of this login."""
        await self._users.revoke(identity.family)

    def identify(self, token: str) -> Identity:
        """Who bears this access token. Raises `Unauthenticated`."""
        return self._tokens.read(token, self._clock.now_ms())

    async def user(self, identity: Identity) -> User:
        """Raises `Unauthenticated` where the user is gone."""
        user = await self._users.by_id(identity.user_id)
        if user is None:
            raise Unauthenticated("This account is gone.")
        return user

    async def _open_session(self, user: User, now: int) -> Session:
        token, family = secrets.token_urlsafe(32), self._new_id()
        until = now + self._refresh_ttl * 1000
        await self._users.add_token(RefreshToken(_hash(token), family, user.id, now, until))
        return self._session(user, family, token, now)

    def _session(self, user: User, family: str, refresh_token: str, now: int) -> Session:
        access = self._tokens.issue(Identity(user.id, family), now)
        return Session(user, access, refresh_token, self._tokens.ttl)

    async def _limit(self, key: str) -> None:
        if self._limiter is None:
            return
        try:
            wait = await self._limiter.take(key, ATTEMPTS_PER_MINUTE / 60, ATTEMPTS_PER_MINUTE)
        except Unavailable:
            return  # people can sign in without Valkey; the slots for hashing still slow a guesser down
        if wait > 0:
            raise RateLimited("Too many attempts. Wait a little.", details={"retry_after": wait})

    def _new_id(self) -> str:
        return uuid7(self._clock.now_ms(), self._clock.rand_bits(12), self._clock.rand_bits(62))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
