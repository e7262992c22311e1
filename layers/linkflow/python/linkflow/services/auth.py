"""People: registering, signing in and out, and the tokens that prove it.

A refresh token is used once. One that comes back after its use was copied, so its whole family (all that descends from
that login: the session) is revoked. An access token is good for a quarter of an hour at most, and no longer than its
session: that, and what its bearer may do, is looked up at every call.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable

from msgspec import Struct

from linkflow.domain.errors import Forbidden, InvalidInput, Problem, Unauthenticated
from linkflow.domain.ids import uuid7
from linkflow.ports import Clock

from . import audit
from .control_ports import RefreshToken, User, UserStore
from .gate import NOWHERE, Gate, Origin
from .passwords import Passwords, check_password
from .people_ports import AccountStore
from .tokens import AccessTokens, Identity

LEAST_REFUSAL = 0.3
"""Seconds: a wrong password for somebody is put on record, which takes a little longer than for nobody."""


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


class EmailUnverified(Forbidden):
    """This installation lets nobody in before he has followed the link in the mail."""

    code = "email_unverified"


SecondFactorCheck = Callable[[str, str], Awaitable[bool]]
"""A user's id and a code: may he pass? Raises `CodeNeeded` where there has to be one."""


class CodeNeeded(Unauthenticated):
    """The password is right; a code of the second factor is needed with it."""

    code = "second_factor_required"


async def _nothing(_user: User) -> None:
    return None


async def _no_second_factor(_user_id: str, _code: str) -> bool:
    return True


class Auth:
    """Registering and signing in. `refresh_ttl` is seconds; `only_verified` lets nobody in without a verified address;
    `welcome` sends the link for that, `taken` tells the owner of an address that somebody wanted to register it.
    `least` is how many seconds an answer takes at least that must not tell who has an account."""

    def __init__(
        self,
        users: UserStore,
        accounts: AccountStore,
        tokens: AccessTokens,
        clock: Clock,
        gate: Gate,
        *,
        refresh_ttl: int = 30 * 24 * 3600,
        open_registration: bool = True,
        only_verified: bool = False,
        second_factor: SecondFactorCheck = _no_second_factor,
        welcome: Callable[[User], Awaitable[None]] = _nothing,
        taken: Callable[[User], Awaitable[None]] = _nothing,
        least: float = 0.0,
        passwords: Passwords | None = None,
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._tokens = tokens
        self._clock = clock
        self._gate = gate
        self._refresh_ttl = refresh_ttl
        self._open = open_registration
        self._only_verified = only_verified
        self._second_factor = second_factor
        self._welcome = welcome
        self._taken = taken
        self._least = least
        self._passwords = passwords or Passwords()

    async def register(self, form: Registration, origin: Origin = NOWHERE) -> Session | None:
        """Add a user, with a first workspace. None where he has to verify his address before he gets in: the answer
        does not tell then whether there was an account already, whose owner gets a mail.
        Raises `InvalidInput` with every fault, `Forbidden` if closed, `RateLimited`."""
        ends = self._clock.now_ms() + round(self._least * 1000)
        if not self._open:
            raise Forbidden("This installation does not take registrations. Ask its administrator.")
        await self._gate.registration(origin)
        if self._only_verified:
            await self._gate.mail(origin, form.email)  # there is one in each case
        else:
            await self._gate.telling(origin)
        check_password(form.password, form.password_confirmation, (form.email, form.first_name, form.last_name))
        now = self._clock.now_ms()
        user = User(
            id=self._new_id(),
            email=form.email,
            first_name=form.first_name,
            last_name=form.last_name,
            password_hash=await self._passwords.hash(form.password),
            created_at=now,
        )
        audit.about("user", user.id, user_id=user.id)
        audit.changed(None, {"email": user.email, "first_name": user.first_name, "last_name": user.last_name})
        made = await self._users.register(user, self._new_id(), f"{form.first_name}'s workspace")
        if self._only_verified:
            await (self._welcome(user) if made else self._taken(user))
            await self._not_before(ends)
            return None
        if not made:
            await self._gate.told(origin)
            taken = Problem("/email", "taken", "There is an account with this e-mail address. Sign in instead.")
            raise InvalidInput("The e-mail address is taken.", problems=[taken])
        await self._welcome(user)
        return await self.open(user, "password", origin)

    async def login(self, email: str, password: str, code: str = "", origin: Origin = NOWHERE) -> Session:
        """Raises `Unauthenticated`, in the same words and time whichever of the two is wrong, `CodeNeeded` where a
        second factor is set up, `EmailUnverified`, and `RateLimited` after too many failures."""
        ends = self._clock.now_ms() + round(min(self._least, LEAST_REFUSAL) * 1000)
        async with self._gate.attempt(email, origin) as attempt:
            user = await self._users.by_email(email)
            if not await self._passwords.verify(user.password_hash if user else "", password) or user is None:
                await attempt.failed(user.id if user else "", "password")
                await self._not_before(ends)
                raise Unauthenticated("The e-mail address or the password is wrong.")
            if self._only_verified and not user.email_verified_at:
                raise EmailUnverified("Follow the link in the mail that we sent you, or have another one sent.")
            if not await self._second_factor(user.id, code):
                await attempt.failed(user.id, "code")
                raise Unauthenticated("The code is wrong, or was used before.")
            await attempt.passed()
        if self._passwords.outdated(user.password_hash):
            await self._users.rehash(user.id, await self._passwords.hash(password))
        return await self.open(user, "password", origin)

    async def open(self, user: User, method: str, origin: Origin = NOWHERE) -> Session:
        """A session for somebody who has proved who he is."""
        now, token, family = self._clock.now_ms(), secrets.token_urlsafe(32), self._new_id()
        until = now + self._refresh_ttl * 1000
        audit.about("user", user.id, user_id=user.id)
        refresh = RefreshToken(hashed(token), family, user.id, now, until)
        await self._users.open_session(refresh, method, origin.ip, origin.user_agent)
        return self._session(user, family, token, now)

    async def refresh(self, token: str, origin: Origin = NOWHERE) -> Session:
        """Trade a refresh token for new tokens. Raises `Unauthenticated` for one that is unknown, expired or used."""
        now, successor = self._clock.now_ms(), secrets.token_urlsafe(32)
        until = now + self._refresh_ttl * 1000
        await self._gate.refresh(origin)
        kept = await self._users.rotate(hashed(token), hashed(successor), now, until, origin.ip, origin.user_agent)
        user = await self._users.by_id(kept.user_id) if kept else None
        if kept is None or user is None:
            raise Unauthenticated("The refresh token is not valid. Sign in again.")
        return self._session(user, kept.family, successor, now)

    async def logout(self, identity: Identity) -> None:
        """End this session: its refresh tokens, and with them its access tokens, are worth nothing from now on."""
        await self._users.revoke(identity.family)

    def identify(self, token: str) -> Identity:
        """Who bears this access token. Whether its session lives is for `alive` to say. Raises `Unauthenticated`."""
        return self._tokens.read(token, self._clock.now_ms())

    async def alive(self, identity: Identity) -> None:
        """Raises `Unauthenticated` where the session was revoked."""
        if not await self._accounts.alive(identity.family):
            raise Unauthenticated("This session is over. Sign in again.")

    async def user(self, identity: Identity) -> User:
        """Raises `Unauthenticated` where the user is gone, `Forbidden` for a key that is nobody's."""
        if not identity.user_id:
            raise Forbidden("This API key is a workspace's own, and no person's.")
        user = await self._users.by_id(identity.user_id)
        if user is None:
            raise Unauthenticated("This account is gone.")
        return user

    async def _not_before(self, ends: int) -> None:
        left = ends - self._clock.now_ms()
        if left > 0:
            await self._clock.sleep(left / 1000)

    def _session(self, user: User, family: str, refresh_token: str, now: int) -> Session:
        access = self._tokens.issue(Identity(user.id, family), now)
        return Session(user, access, refresh_token, self._tokens.ttl)

    def _new_id(self) -> str:
        return uuid7(self._clock.now_ms(), self._clock.rand_bits(12), self._clock.rand_bits(62))


def hashed(token: str) -> bytes:
    """How a token is kept. It is random, so that a fast hash will do."""
    return hashlib.sha256(token.encode(errors="replace")).digest()
