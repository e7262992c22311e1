"""What people do about their own accounts: profile, password, address, sessions, and an end to it."""

from __future__ import annotations

import secrets

from msgspec import structs

from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Problem
from linkflow.domain.ids import is_uuid
from linkflow.ports import Clock

from . import audit
from .auth import hashed
from .control_ports import User, UserStore
from .gate import Gate, Origin
from .mails import Mails
from .passwords import Passwords, check_password
from .people_ports import AccountStore, Sent, SignIn
from .tokens import Identity

VERIFY_MS, RESET_MS = 24 * 3600 * 1000, 3600 * 1000
RECENT_MS = 900_000


class SignInAgain(Forbidden):
    """Whoever has no password proves that it is him by a session that is young."""

    code = "sign_in_again"


class Accounts:
    """`least` is how many seconds an answer about somebody's address takes at least: where mails are sent before the
    answer, its time would tell who has an account."""

    def __init__(
        self,
        users: UserStore,
        store: AccountStore,
        clock: Clock,
        gate: Gate,
        mails: Mails,
        passwords: Passwords,
        *,
        least: float = 0.0,
    ) -> None:
        self._users = users
        self._store = store
        self._clock = clock
        self._gate = gate
        self._mails = mails
        self._passwords = passwords
        self._least = least

    async def update(self, user: User, first_name: str, last_name: str) -> User:
        after = structs.replace(user, first_name=first_name, last_name=last_name)
        audit.about("user", user.id)
        audit.changed(_shown(user), _shown(after))
        await self._store.rename(after)
        return after

    # The address

    async def welcome(self, user: User) -> None:
        """Send the link that verifies the address."""
        await self._mails.verify(user.email, await self._token(user, "verify", VERIFY_MS, user.email))

    async def taken(self, user: User) -> None:
        """Tell the owner of an address that somebody wanted to register it."""
        await self._mails.taken(user.email)

    async def resend(self, email: str, origin: Origin) -> None:
        """Send it again, where there is such an account and its address is not verified. The answer is the same."""
        ends = self._clock.now_ms() + round(self._least * 1000)
        await self._gate.mail(origin, email)
        user = await self._users.by_email(email)
        if user and not user.email_verified_at:
            await self.welcome(user)
        await self._not_before(ends)

    async def verify(self, token: str, origin: Origin) -> None:
        """Raises `InvalidInput` for a link that is wrong, old or used."""
        await self._gate.public(origin)
        user_id = await self._store.verify(hashed(token), self._clock.now_ms())
        if not user_id:
            raise _bad_link()

    # The password

    async def forgot(self, email: str, origin: Origin) -> None:
        """Send a link to reset the password, where there is such an account. The answer is the same."""
        ends = self._clock.now_ms() + round(self._least * 1000)
        await self._gate.mail(origin, email)
        if user := await self._users.by_email(email):
            await self._mails.reset(user.email, await self._token(user, "reset", RESET_MS, ""))
        await self._not_before(ends)

    async def reset(self, token: str, password: str, confirmation: str, origin: Origin) -> None:
        """Another password by the link in a mail: once. All sessions are over. Where the address was not verified
        before, everything that hung on the account goes, so that nothing of a stranger's stays who registered it."""
        await self._gate.public(origin)
        sent = await self._store.sent(hashed(token), "reset", self._clock.now_ms())
        user = await self._users.by_id(sent.user_id) if sent else None
        if user is None:
            raise _bad_link()
        check_password(password, confirmation, _known(user))
        kept = await self._passwords.hash(password)
        audit.about("user", user.id, user_id=user.id)
        if not await self._store.reset(hashed(token), kept, self._clock.now_ms()):
            raise _bad_link()
        await self._mails.told(user.email, "password")

    async def change_password(
        self, user: User, identity: Identity, current: str, password: str, confirmation: str, *, others: bool,
        origin: Origin,
    ) -> None:  # fmt: skip
        """Another password; with `others`, all other sessions are over. Raises `InvalidInput`, `RateLimited`."""
        await self.prove(user, identity, current, origin, "/current_password")
        check_password(password, confirmation, _known(user))
        audit.about("user", user.id)
        kept = await self._passwords.hash(password)
        await self._store.set_password(user.id, kept, identity.family if others else None)
        await self._mails.told(user.email, "password")

    async def prove(
        self, user: User, identity: Identity, password: str, origin: Origin, pointer: str = "/password"
    ) -> None:
        """Before something grave: is it really him? Whoever has no password has signed in by a provider, a quarter of
        an hour ago at most. Raises `InvalidInput`, `RateLimited`, `SignInAgain`."""
        if not user.password_hash:
            now = self._clock.now_ms()
            mine = (one for one in await self._store.sessions(user.id, now) if one.id == identity.family)
            if not any(one.created_at + RECENT_MS > now for one in mine):
                raise SignInAgain("Sign in again by your provider, and do this within a quarter of an hour.")
            return
        async with self._gate.attempt(user.id, origin) as attempt:
            if not await self._passwords.verify(user.password_hash, password):
                await attempt.failed(user.id, "password")
                fault = Problem(pointer, "wrong_password", "This is not your password.")
                raise InvalidInput("The password is wrong.", problems=[fault])
            await attempt.passed()

    async def tell(self, user: User, what: str) -> None:
        """A mail that something about the account was changed."""
        await self._mails.told(user.email, what)

    # Sessions

    async def sessions(self, user_id: str) -> list[SignIn]:
        """Those that live, the one used last first."""
        return await self._store.sessions(user_id, self._clock.now_ms())

    async def end_session(self, user_id: str, id: str) -> None:
        audit.about("session", id)
        if not is_uuid(id) or not await self._store.end_session(user_id, id):
            raise NotFound("There is no such session.")

    async def end_sessions(self, user_id: str, but: str = "") -> int:
        audit.about("user", user_id)
        return await self._store.end_sessions(user_id, but)

    # The end

    async def delete(self, user: User, identity: Identity, password: str, origin: Origin) -> None:
        """Raises `Conflict` while a workspace would be left without an owner."""
        await self.prove(user, identity, password, origin)
        audit.about("user", user.id)
        audit.changed(_shown(user), None)
        if not await self._store.delete(user.id):
            names = ", ".join(name for _, name in await self._store.sole_owner_of(user.id))
            raise Conflict(f"You are the only owner of {names}. Make somebody else owner, or delete it, first.")

    async def _token(self, user: User, purpose: str, life_ms: int, detail: str) -> str:
        token, now = secrets.token_urlsafe(32), self._clock.now_ms()
        await self._store.send(Sent(hashed(token), user.id, purpose, detail, now, now + life_ms))
        return token

    async def _not_before(self, ends: int) -> None:
        left = ends - self._clock.now_ms()
        if self._least and left > 0:
            await self._clock.sleep(left / 1000)


def _shown(user: User) -> dict[str, str]:
    return {"first_name": user.first_name, "last_name": user.last_name, "email": user.email}


def _known(user: User) -> tuple[str, str, str]:
    return user.email, user.first_name, user.last_name


def _bad_link() -> InvalidInput:
    fault = Problem("/token", "bad_token", "The link is wrong, too old, or was used before. Ask for another one.")
    return InvalidInput("The link is not valid.", problems=[fault])
