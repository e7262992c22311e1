"""Signed tokens: JWTs in compact form (RFC 7515, RFC 7519), by HMAC-SHA256 and by nothing else.

Written out, because a library for every algorithm brings the cryptography of all of them into each cold start, and
what is left with one algorithm is this. Its tests have PyJWT on the other side.
"""

from __future__ import annotations

import binascii
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_HEADER = {"alg": "HS256", "typ": "JWT"}


class BadToken(ValueError):
    """It is forged, for somebody else, or no token at all."""


def encode(claims: Mapping[str, Any], key: bytes) -> str:
    """The token that says `claims`."""
    said = _text(msgspec.json.encode(_HEADER)) + b"." + _text(msgspec.json.encode(claims))
    return (said + b"." + _signature(said, key)).decode()


def decode(token: str, key: bytes, audience: str, require: Iterable[str] = ()) -> dict[str, Any]:
    """The claims of a token for `audience` that was signed with `key`.

    Raises `BadToken`, also where a claim of `require` is missing. The times in it are the caller's to check: he has the
    clock.
    """
    try:
        said, _, signature = token.encode("ascii").rpartition(b".")
        # The text is compared, not what it decodes to: the last character has bits that say nothing.
        if not hmac.compare_digest(signature, _signature(said, key)):
            raise BadToken("It was signed by somebody else.")
        first, _, second = said.partition(b".")
        header, claims = (msgspec.json.decode(_bytes(part), type=dict[str, Any]) for part in (first, second))
    except (UnicodeError, binascii.Error, msgspec.DecodeError) as error:
        raise BadToken("It is no token.") from error
    if header.get("alg") != "HS256" or "crit" in header:  # what is critical to others is unknown to us
        raise BadToken("It is of another kind.")
    if claims.get("aud") != audience:
        raise BadToken("It is meant for something else.")
    if missing := [name for name in require if claims.get(name) is None]:
        raise BadToken(f"It does not say {', '.join(missing)}.")
    return claims


def _signature(said: bytes, key: bytes) -> bytes:
    return _text(hmac.digest(key, said, "sha256"))


def _text(raw: bytes) -> bytes:
    return binascii.b2a_base64(raw, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")


def _bytes(text: bytes) -> bytes:
    if b"+" in text or b"/" in text or b"=" in text:
        raise binascii.Error("This is not base64url.")
    text = text.replace(b"-", b"+").replace(b"_", b"/")
    return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
