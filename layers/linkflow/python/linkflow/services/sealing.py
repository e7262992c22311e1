"""Sealing and opening, with the installation's master keys."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from linkflow.domain.errors import Conflict, Internal
from linkflow.ports import Clock
from linkflow.sealed import BadSeal, Sealed, decrypt, encrypt, new_key

from .secret_ports import Keyring

KEPT_MS = 60_000
"""How long a data key is kept that had to be asked for elsewhere (KMS). What it opens is never kept."""
MANY = 1_000


class Sealer:
    """Without a keyring nothing can be sealed or opened: the operator is told what to set."""

    def __init__(self, keyring: Keyring | None, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock
        self._kept: OrderedDict[tuple[str, bytes], tuple[bytes, int]] = OrderedDict()
        self._locks: dict[tuple[str, bytes], asyncio.Lock] = {}

    @property
    def keyring(self) -> Keyring:
        """Raises `Conflict` where none is set."""
        if self._keyring is None:
            text = "No keys for secrets are set up: give every process LINKFLOW_KEYS (see docs/credentials.md)."
            raise Conflict(text)
        return self._keyring

    async def seal(self, plain: bytes, about: str) -> Sealed:
        """`plain`, under a new data key. Raises `Unavailable`, and `Conflict` without keys."""
        key = new_key()
        key_id, wrapped = await self.keyring.wrap(key)
        return Sealed(key_id, wrapped, encrypt(key, plain, about))

    async def open(self, sealed: Sealed, about: str) -> bytes:
        """Raises `Internal` where it does not open here, `Unavailable`, and `Conflict` without keys."""
        try:
            return decrypt(await self._data_key(sealed), sealed.data, about)
        except KeyError:
            text = f"This process does not have the key {sealed.key_id!r}; see LINKFLOW_KEYS."
            raise Internal(text) from None
        except BadSeal:
            raise Internal("A secret does not open: it was sealed under another key, or changed.") from None

    async def _data_key(self, sealed: Sealed) -> bytes:
        if not self.keyring.remote:
            return await self.keyring.unwrap(sealed.key_id, sealed.key)
        at = (sealed.key_id, sealed.key)
        lock = self._locks.setdefault(at, asyncio.Lock())
        try:
            async with lock:
                found, until = self._kept.get(at, (b"", 0))
                if until > self._clock.now_ms():
                    return found
                key = await self.keyring.unwrap(sealed.key_id, sealed.key)
                self._kept[at] = (key, self._clock.now_ms() + KEPT_MS)
                while len(self._kept) > MANY:
                    self._kept.popitem(last=False)
                return key
        finally:
            if not lock.locked():
                self._locks.pop(at, None)
