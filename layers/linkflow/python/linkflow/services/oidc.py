"""Signing in by a provider (OpenID Connect): authorization code with PKCE and a nonce.

What links an account at a provider with one of ours: that it was linked before; that its owner asks for it while signed
in; or that both have verified the same address. An account whose address nobody has verified is linked to nothing:
whoever registered it with a stranger's address would get that stranger's sign-ins.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import logging
import re
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from msgspec import Struct

from linkflow.config import OidcProvider
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, LinkFlowError, NotFound, Problem, Unauthenticated
from linkflow.domain.ids import uuid7
from linkflow.ports import Clock

from . import audit
from .auth import Auth, Session, hashed
from .control_ports import User, UserStore
from .gate import Gate, Origin
from .people_ports import AccountStore, Attempt, IdentityStore, Linked, Sent
from .providers import Failed, Fetch, Provider
from .second_factor import SecondFactors

ATTEMPT_MS, CODE_MS = 600_000, 120_000
PAGE = "/account/signed-in"
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")

_log = logging.getLogger("linkflow.oidc")


class Begun(Struct, frozen=True):
    """Send the browser to `url`, with `cookie` set: the way back is open to that browser alone."""

    url: str
    cookie: str


class Oidc:
    """Providers by name. `public_url` is ours."""

    def __init__(
        self, providers: Mapping[str, OidcProvider], fetch: Fetch, store: IdentityStore, users: UserStore,
        accounts: AccountStore, auth: Auth, factors: SecondFactors, gate: Gate, log: audit.Audit, clock: Clock,
        public_url: str,
    ) -> None:  # fmt: skip
        base = f"{public_url}/api/v1/auth/oidc"
        self._providers = {
            name: Provider(name, one, fetch, clock, f"{base}/{name}/callback") for name, one in providers.items()
        }
        self._store = store
        self._users = users
        self._accounts = accounts
        self._auth = auth
        self._factors = factors
        self._gate = gate
        self._log = log
        self._clock = clock
        self._public_url = public_url

    def providers(self) -> list[tuple[str, str]]:
        """Names and labels."""
        return [(name, one.settings.label or name.capitalize()) for name, one in self._providers.items()]

    async def begin(
        self, provider: str, redirect: str, origin: Origin, user_id: str = "", challenge: str = ""
    ) -> Begun:
        """`redirect` is a path of ours, or an address on this machine (a command line waits there). With `user_id` the
        account there will be linked to his. The code at the end is worth something only with the verifier of the
        `challenge`, if one is given. Raises `NotFound`, `InvalidInput`, `Unavailable`."""
        await self._gate.public(origin)
        of = self._provider(provider)
        back = self._checked(redirect)
        self._check_challenge(challenge, back, bool(user_id))
        state, nonce, verifier, cookie = (secrets.token_urlsafe(32) for _ in range(4))
        url = await of.authorization_url(state, nonce, verifier)
        now = self._clock.now_ms()
        await self._store.begin(
            Attempt(
                hashed(state), hashed(cookie), provider, nonce, verifier, back, user_id, now + ATTEMPT_MS, challenge
            ),
            now,
        )
        return Begun(url, cookie)

    async def back(self, provider: str, asked: Mapping[str, str], cookie: str, origin: Origin) -> str:
        """The browser came back: where it goes on, with a code to trade for a session, or what went wrong."""
        await self._gate.public(origin)
        of, now = self._provider(provider), self._clock.now_ms()
        attempt = await self._store.finish(hashed(asked.get("state", "")), hashed(cookie), provider, now)
        if attempt is None:
            return self._with(
                f"{self._public_url}{PAGE}", "error", "This sign-in is too old, or began in another browser."
            )
        try:
            if "code" not in asked:
                raise Failed(f"The provider answered {asked.get('error', 'nothing')[:100]!r}.")
            claims = await of.claims(asked["code"], attempt.nonce, attempt.verifier)
            linked = self._linked(of, claims)
            if attempt.user_id:
                await self._link(attempt.user_id, linked)
                return self._with(attempt.redirect, "linked", provider)
            user_id = await self._user_of(of, linked, claims)
            return self._with(attempt.redirect, "code", await self._code(user_id, provider, attempt.challenge))
        except LinkFlowError as error:
            _log.warning("A sign-in by %s failed: %s", provider, error.message)
            told = "The provider could not be asked. Try again." if isinstance(error, Failed) else error.message
            return self._with(attempt.redirect, "error", told)

    async def exchange(self, code: str, otp: str, origin: Origin, verifier: str = "") -> Session:
        """A session for the code, once; with a second factor the `otp` as well, and the `verifier` where the sign-in
        began with a challenge. Raises `Unauthenticated`, `CodeNeeded`, `RateLimited`."""
        now = self._clock.now_ms()
        await self._gate.public(origin)
        sent = await self._accounts.sent(hashed(code), "sign-in", now)
        user = await self._users.by_id(sent.user_id) if sent else None
        method, _, challenge = sent.detail.partition(" ") if sent else ("", "", "")
        if sent is None or user is None or not _fits(verifier, challenge):
            raise Unauthenticated("The code is not valid: it was used, or is too old. Sign in again.")
        async with self._gate.attempt(user.id, origin) as attempt:
            if not await self._factors.check(user.id, otp):
                await attempt.failed(user.id, "code")
                raise Unauthenticated("The code of the second factor is wrong, or was used before.")
            await attempt.passed()
        if await self._accounts.take(hashed(code), "sign-in", now) is None:
            raise Unauthenticated("The code was used.")
        return await self._auth.open(user, method, origin)

    async def of_user(self, user_id: str) -> list[Linked]:
        return await self._store.of_user(user_id)

    async def unlink(self, user: User, provider: str) -> None:
        """Raises `Conflict` where nothing would be left to sign in by."""
        found = await self._store.of_user(user.id)
        if not any(one.provider == provider for one in found):
            raise NotFound("There is no account of that provider.")
        if not user.password_hash and all(one.provider == provider for one in found):
            raise Conflict("You could not sign in any more. Set a password first (reset it by mail).")
        audit.about("identity", provider)
        audit.changed({"emails": [one.email for one in found if one.provider == provider]}, None)
        await self._store.unlink(user.id, provider)

    def _provider(self, name: str) -> Provider:
        if name not in self._providers:
            raise NotFound("There is no such provider.")
        return self._providers[name]

    def _checked(self, redirect: str) -> str:
        """Where to go in the end: a path of ours, or this machine."""
        if not redirect:
            return f"{self._public_url}{PAGE}"
        if redirect.startswith("/") and not redirect.startswith(("//", "/\\")) and redirect.isprintable():
            return f"{self._public_url}{redirect}"
        try:
            there = urlsplit(redirect)
            here = there.scheme == "http" and ipaddress.ip_address(there.hostname or "").is_loopback
        except ValueError:
            here = False
        if not here or not redirect.isprintable() or there.username or there.fragment:
            fault = Problem("/redirect", "bad_redirect", "Give a path (/…), or http://127.0.0.1:PORT.")
            raise InvalidInput("One is not sent there.", problems=[fault])
        return redirect

    def _check_challenge(self, challenge: str, back: str, links: bool) -> None:
        """Anybody on the machine may listen there: what waits has to prove that it began."""
        needed = not links and not back.startswith(f"{self._public_url}/")
        if (challenge or needed) and not _CHALLENGE.fullmatch(challenge):
            fault = Problem(
                "/challenge", "bad_challenge", "Give the SHA-256 of a verifier in base64url (RFC 7636, S256)."
            )
            raise InvalidInput("The sign-in has to be bound to who begins it.", problems=[fault])

    def _linked(self, of: Provider, claims: Mapping[str, Any]) -> Linked:
        """Raises `Forbidden` for an address outside of the provider's domains."""
        email, now = str(claims.get("email") or "")[:254], self._clock.now_ms()
        domains = {one.lower() for one in of.settings.domains}
        if domains and (claims.get("email_verified") is not True or email.rpartition("@")[2].lower() not in domains):
            raise Forbidden("Your address is not one that may sign in here.")
        return Linked(of.name, claims["sub"], "", email, now, now)

    async def _link(self, user_id: str, linked: Linked) -> None:
        if not await self._store.link(_of(linked, user_id)):
            raise Conflict("Somebody else signs in by that account.")
        await self._log.note("oidc.linked", user_id, provider=linked.provider, email=linked.email)

    async def _user_of(self, of: Provider, linked: Linked, claims: Mapping[str, Any]) -> str:
        if known := await self._store.find(of.name, linked.subject, linked.created_at):
            return known
        if not linked.email or claims.get("email_verified") is not True:
            raise Forbidden("The provider does not vouch for an e-mail address of yours.")
        user = await self._users.by_email(linked.email)
        if user is None:
            return await self._registered(of, linked, claims)
        if not user.email_verified_at:
            raise Conflict(
                "There is an account with your address, which has not verified it. Sign in there, and link the two."
            )
        await self._link(user.id, linked)
        return user.id

    async def _registered(self, of: Provider, linked: Linked, claims: Mapping[str, Any]) -> str:
        if not of.settings.register:
            raise Forbidden("There is no account with your address. Ask to be invited.")
        whole = str(claims.get("name") or linked.email.partition("@")[0]).split()
        first = str(claims.get("given_name") or whole[0])[:255]
        last = str(claims.get("family_name") or " ".join(whole[1:]) or "-")[:255]
        user = User(self._new_id(), linked.email, first, last, "", linked.created_at)
        made = await self._store.register(user, self._new_id(), f"{first}'s workspace", _of(linked, user.id))
        if not made:
            raise Conflict("Your account was made at this moment. Sign in again.")
        await self._log.note("oidc.registered", user.id, provider=linked.provider, email=linked.email)
        return user.id

    async def _code(self, user_id: str, provider: str, challenge: str) -> str:
        code, now = secrets.token_urlsafe(32), self._clock.now_ms()
        how = f"{provider} {challenge}".rstrip()
        await self._accounts.send(Sent(hashed(code), user_id, "sign-in", how, now, now + CODE_MS))
        return code

    def _with(self, address: str, name: str, value: str) -> str:
        """Behind the # for a page of ours: no server sees that. A command line on this machine gets it in the query."""
        mark = "#" if address.startswith(f"{self._public_url}/") else "&" if "?" in address else "?"
        return f"{address}{mark}{name}={quote(value, safe='')}"

    def _new_id(self) -> str:
        return uuid7(self._clock.now_ms(), self._clock.rand_bits(12), self._clock.rand_bits(62))


def _fits(verifier: str, challenge: str) -> bool:
    """Does the verifier belong to the challenge, if there was one?"""
    digest = hashlib.sha256(verifier.encode(errors="replace")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return not challenge or hmac.compare_digest(made, challenge)


def _of(linked: Linked, user_id: str) -> Linked:
    return Linked(linked.provider, linked.subject, user_id, linked.email, linked.created_at, linked.last_used_at)
