"""What a provider says of somebody: ID tokens (OpenID Connect Core 1.0, 3.1.3.7), by RS256, ES256 and nothing else."""

from __future__ import annotations

import binascii
import hmac
from typing import Any

import msgspec

ALGORITHMS = frozenset({"RS256", "ES256"})
SKEW = 60
"""Seconds by which two clocks may differ."""
OLDEST = 600
"""Seconds since an ID token was made: it is fetched right then."""


class BadIdToken(ValueError):
    """It does not say what it has to; the text tells an operator what is wrong."""


def header_of(token: str) -> dict[str, Any]:
    """What it says of its signature. Raises `BadIdToken`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BadIdToken("it is no token")
    header = _part(parts[0])
    if header.get("alg") not in ALGORITHMS or "crit" in header:
        raise BadIdToken(f"it is signed by {header.get('alg')!r}, which is not taken")
    return header


def claims_of(token: str, jwks: bytes, *, issuer: str, client_id: str, nonce: str, now: int) -> dict[str, Any]:
    """What it says, if one of these keys has signed it for us, now and for this sign-in. Raises `BadIdToken`."""
    from .public_keys import keys_of, signed_by  # the cryptography, for those who sign in so

    header = header_of(token)
    said, _, seal = token.rpartition(".")
    keys = keys_of({"jwks": jwks.decode("utf-8", "replace")}, str(header.get("kid", "")))
    signature = _bytes(seal)
    if not any(signed_by(key, header["alg"], said.encode(), signature) for key in keys):
        raise BadIdToken("no key of the provider has signed it")
    claims = _part(said.partition(".")[2])
    audience = claims.get("aud")
    several = audience if isinstance(audience, list) else [audience]
    wrong = {
        "iss": claims.get("iss") != issuer,
        "aud": client_id not in several,
        "azp": claims.get("azp", client_id) != client_id or (len(several) > 1 and "azp" not in claims),
        "exp": not _is_number(claims.get("exp")) or claims["exp"] + SKEW <= now,
        "iat": not _is_number(claims.get("iat")) or not now - OLDEST <= claims["iat"] <= now + SKEW,
        "nbf": "nbf" in claims and (not _is_number(claims["nbf"]) or claims["nbf"] > now + SKEW),
        "nonce": not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()),
        "sub": not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 255,
    }
    if names := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise BadIdToken(f"it is wrong about {', '.join(names)}")
    return claims


def _part(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(_bytes(text), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadIdToken("it cannot be read") from error


def _bytes(text: str) -> bytes:
    try:
        if not text.isascii() or set("+/=") & set(text):
            raise binascii.Error
        return binascii.a2b_base64(
            text.replace("-", "+").replace("_", "/").encode() + b"=" * (-len(text) % 4), strict_mode=True
        )
    except binascii.Error:
        raise BadIdToken("it cannot be read") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
