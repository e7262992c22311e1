"""A second factor: codes by time (RFC 6238), and recovery codes for a lost device.

A secret is encrypted at rest, under a key that is derived from the installation's secret and bound to its user. A code
is good for its half minute and one on either side, once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote, urlencode

from msgspec import Struct

from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, Problem
from linkflow.ports import Clock

from . import audit
from .auth import CodeNeeded
from .control_ports import User
from .people_ports import FactorStore

STEP, DIGITS, WINDOW = 30, 6, 1
RECOVERY_CODES = 10
_SECRET_BYTES = 20  # RFC 4226, 4: as long as SHA-1's result
_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # nothing that looks like something else


class Setup(Struct, frozen=True):
    """A secret to type in or scan: `uri` is what a QR code says."""

    secret: str
    uri: str


class Status(Struct, frozen=True):
    enabled: bool
    since: int = 0
    recovery_codes_left: int = 0


class SecondFactors:
    """Setting up, checking and taking away. `name` is what the app on the phone shows."""

    def __init__(self, store: FactorStore, clock: Clock, secret: str, name: str = "LinkFlow") -> None:
        self._store = store
        self._clock = clock
        self._key = hmac.digest(secret.encode(), b"linkflow second factor v1", hashlib.sha256)
        self._name = name

    async def status(self, user_id: str) -> Status:
        found = await self._store.get(user_id)
        if found is None or not found.confirmed_at:
            return Status(False)
        return Status(True, found.confirmed_at, found.codes_left)

    async def begin(self, user: User) -> Setup:
        """A new secret, which counts once a code of it has come. Raises `Conflict` where there is a factor already."""
        raw = secrets.token_bytes(_SECRET_BYTES)
        if not await self._store.begin(user.id, self._sealed(user.id, raw), self._clock.now_ms()):
            raise Conflict("There is a second factor already. Take it away first.")
        text = base64.b32encode(raw).decode()
        label = quote(f"{self._name}:{user.email}", safe=":@")
        said = urlencode(
            {"secret": text, "issuer": self._name, "algorithm": "SHA1", "digits": DIGITS, "period": STEP},
            quote_via=quote,
        )
        return Setup(text, f"otpauth://totp/{label}?{said}")

    async def confirm(self, user_id: str, code: str) -> list[str]:
        """Switch it on; the recovery codes, which are shown this once. Raises `InvalidInput`, `Conflict`."""
        found = await self._store.get(user_id)
        if found is None or found.confirmed_at:
            raise Conflict("There is nothing to confirm. Begin anew.")
        step = self._step_of(self._opened(user_id, found.secret), code)
        codes = _recovery_codes()
        now = self._clock.now_ms()
        audit.changed({"second_factor": False}, {"second_factor": True})
        if not step or not await self._store.confirm(user_id, step, self._hashes(codes), now):
            raise _wrong()
        return codes

    async def check(self, user_id: str, code: str) -> bool:
        """May he pass? Without a factor anybody may. Raises `CodeNeeded` where no code came."""
        found = await self._store.get(user_id)
        if found is None or not found.confirmed_at:
            return True
        if not code:
            raise CodeNeeded("Send the code of your second factor as well, or a recovery code.")
        plain = _plain(code)
        if step := self._step_of(self._opened(user_id, found.secret), plain):
            return await self._store.use_step(user_id, step)
        return await self._store.use_code(user_id, self._hash(plain))

    async def renew_codes(self, user_id: str) -> list[str]:
        """New recovery codes; the old ones are worth nothing any more."""
        if not (await self.status(user_id)).enabled:
            raise Conflict("There is no second factor.")
        codes = _recovery_codes()
        await self._store.replace_codes(user_id, self._hashes(codes))
        return codes

    async def remove(self, user_id: str) -> None:
        audit.changed({"second_factor": (await self.status(user_id)).enabled}, {"second_factor": False})
        await self._store.remove(user_id)

    def _step_of(self, secret: bytes, code: str) -> int:
        """The time step that this is the code of, or 0."""
        now = self._clock.now_ms() // 1000 // STEP
        plain = _plain(code)
        found = 0
        for step in range(now - WINDOW, now + WINDOW + 1):
            if hmac.compare_digest(code_at(secret, step).encode(), plain.encode(errors="replace")):
                found = step
        return found

    def _hashes(self, codes: list[str]) -> list[bytes]:
        return [self._hash(_plain(code)) for code in codes]

    def _hash(self, plain: str) -> bytes:
        """Under the key: a recovery code is short enough to be tried out by whoever has a copy of the database."""
        return hmac.digest(self._key, plain.encode(errors="replace"), hashlib.sha256)

    def _sealed(self, user_id: str, secret: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = secrets.token_bytes(12)
        return nonce + AESGCM(self._key).encrypt(nonce, secret, user_id.encode())

    def _opened(self, user_id: str, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._key).decrypt(sealed[:12], sealed[12:], user_id.encode())
        except InvalidTag:
            raise Forbidden(
                "The second factor was set up under another LINKFLOW_SECRET. Ask the operator to take it away."
            ) from None


def code_at(secret: bytes, step: int) -> str:
    """The code of a time step (RFC 4226, 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def _recovery_codes() -> list[str]:
    made = ("".join(secrets.choice(_ALPHABET) for _ in range(10)) for _ in range(RECOVERY_CODES))
    return [f"{code[:5]}-{code[5:]}" for code in made]


def _plain(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()


def _wrong() -> InvalidInput:
    fault = Problem("/code", "wrong_code", "Look at your phone's clock, and type the code that it shows now.")
    return InvalidInput("The code is wrong.", problems=[fault])
