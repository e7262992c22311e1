"""Sealed texts: AES-256-GCM under a data key of their own, which a master key has wrapped (envelope encryption).

`about` is what the text belongs to. It is authenticated and not stored: a row that was copied to another workspace, or
an old version that was put back, does not open.
"""

from __future__ import annotations

import secrets

from msgspec import Struct

NONCE = 12
KEY = 32
"""Bytes."""


class BadSeal(ValueError):
    """It was sealed under another key, is about something else, or was changed."""


class Sealed(Struct, frozen=True):
    """`key` is the data key as the master key `key_id` wrapped it; `data` is nonce and ciphertext."""

    key_id: str
    key: bytes
    data: bytes


def new_key() -> bytes:
    """A data key."""
    return secrets.token_bytes(KEY)


def encrypt(key: bytes, plain: bytes, about: str) -> bytes:
    """Nonce and ciphertext."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # OpenSSL's bindings, for those who keep secrets

    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, about.encode())


def decrypt(key: bytes, data: bytes, about: str) -> bytes:
    """Raises `BadSeal`."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(data[:NONCE], data[NONCE:], about.encode())
    except (InvalidTag, ValueError):
        raise BadSeal("It does not open.") from None
