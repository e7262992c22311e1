"""Tokens of others: a JWT in the Authorization header of a webhook call (RFC 7519, RFC 8725).

What a token may be signed with follows from the key that the webhook has, never from the token: a secret means HMAC, a
public key its own family.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from .hook_rules import WebhookRules
from .signatures import BadSignature

_HMAC = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
MAX_TOKEN = 16_384


class UnknownKey(BadSignature):
    """No key of the set has the token's id: its signer may have a new one."""


def bearer(rules: WebhookRules, fields: Mapping[str, str], headers: Mapping[str, str], now_s: int) -> bytes:
    """Check the token of a call. `fields` are the credential's: `secret`, `public_key` (PEM), or `jwks` (a JWK Set).

    Returns nothing that marks the call, since one token may come with many. Raises `BadSignature`, `UnknownKey`.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise BadSignature("The Authorization header holds no bearer token.")
    try:
        said, _, signature = token.encode("ascii").rpartition(b".")
        first, _, second = said.partition(b".")
        header, claims = (msgspec.json.decode(_bytes(part), type=dict[str, Any]) for part in (first, second))
        seal = _bytes(signature)
    except (UnicodeError, binascii.Error, msgspec.DecodeError):
        raise BadSignature("The token is no JWT.") from None
    if "crit" in header:
        raise BadSignature("The token asks for what is not known here.")
    kid = str(header.get("kid", ""))
    if not _fits(str(header.get("alg")), kid, fields, said, seal):
        if header.get("alg") not in _HMAC and "jwks" in fields and not _knows(fields["jwks"], kid):
            raise UnknownKey("The token is signed by a key that is not in the set.")
        raise BadSignature("The token is not signed by the key that this webhook has.")
    _check(claims, rules, now_s)
    return b""


def _check(claims: Mapping[str, Any], rules: WebhookRules, now_s: int) -> None:
    slack = rules.scheme.tolerance if rules.scheme else 0
    until, since = claims.get("exp"), claims.get("nbf", 0)
    if not _is_time(until) or not _is_time(since):
        raise BadSignature("The token does not say until when it is good.")
    if now_s >= float(until) + slack:  # type: ignore[arg-type]
        raise BadSignature("The token is over.")
    if now_s + slack < float(since):
        raise BadSignature("The token is not good yet.")
    if rules.issuer and claims.get("iss") != rules.issuer:
        raise BadSignature("The token is from another issuer.")
    named = claims.get("aud")
    if rules.audience and rules.audience not in (named if isinstance(named, list) else [named]):
        raise BadSignature("The token is for another audience.")


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(algorithm: str, kid: str, fields: Mapping[str, str], said: bytes, seal: bytes) -> bool:
    if algorithm in _HMAC:
        keys = [fields[name].encode() for name in ("secret", "previous_secret") if fields.get(name)]
        return any(hmac.compare_digest(hmac.digest(key, said, _HMAC[algorithm]), seal) for key in keys)
    from .public_keys import keys_of, signed_by  # asymmetric ones bring OpenSSL's bindings

    return any(signed_by(key, algorithm, said, seal) for key in keys_of(fields, kid))


def _knows(jwks: str, kid: str) -> bool:
    """Has the set a key of this id? One without an id may be any."""
    try:
        found = msgspec.json.decode(jwks, type=dict[str, Any]).get("keys")
    except msgspec.DecodeError:
        return False
    return bool(kid) and any(isinstance(one, dict) and one.get("kid") == kid for one in found or ())


def _bytes(text: bytes) -> bytes:
    return base64.b64decode(text.replace(b"-", b"+").replace(b"_", b"/") + b"=" * (-len(text) % 4), validate=True)
