"""Public keys of those who sign tokens: PEM, or JWK Sets (RFC 7517), and the algorithms of RFC 7518 and RFC 8037."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

_HASHES: dict[str, Any] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
_CURVES: dict[str, tuple[str, Any]] = {"ES256": ("P-256", ec.SECP256R1), "ES384": ("P-384", ec.SECP384R1),
                                      "ES512": ("P-521", ec.SECP521R1)}  # fmt: skip
MIN_RSA = 2048


def keys_of(fields: Mapping[str, str], kid: str) -> Iterator[Any]:
    """The keys that may have signed: those of the set with this id (or without one), and the one in PEM."""
    if pem := fields.get("public_key"):
        try:
            yield serialization.load_pem_public_key(pem.encode())
        except (ValueError, TypeError):
            return
    try:
        found = json.loads(fields.get("jwks") or "{}").get("keys", [])
    except (ValueError, AttributeError):
        return
    for jwk in found if isinstance(found, list) else ():
        if not isinstance(jwk, dict) or (kid and jwk.get("kid", kid) != kid) or jwk.get("use", "sig") != "sig":
            continue
        try:
            yield _key(jwk)
        except (KeyError, ValueError, TypeError, binascii.Error):
            continue


def signed_by(key: Any, algorithm: str, said: bytes, seal: bytes) -> bool:
    """Is it this key's signature? Never, where the algorithm is not one for such a key."""
    size = _HASHES.get(algorithm[2:])
    try:
        if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
            key.verify(seal, said)
        elif algorithm[:2] in ("RS", "PS") and size and isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA:
            pad = padding.PKCS1v15() if algorithm[0] == "R" else padding.PSS(padding.MGF1(size()), size().digest_size)
            key.verify(seal, said, pad, size())
        elif algorithm in _CURVES and size and isinstance(key, ec.EllipticCurvePublicKey):
            if not isinstance(key.curve, _CURVES[algorithm][1]):
                return False
            half = (key.curve.key_size + 7) // 8
            if len(seal) != 2 * half:
                return False
            both = (int.from_bytes(seal[:half], "big"), int.from_bytes(seal[half:], "big"))
            key.verify(encode_dss_signature(*both), said, ec.ECDSA(size()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _key(jwk: Mapping[str, Any]) -> Any:
    if jwk["kty"] == "RSA":
        return rsa.RSAPublicNumbers(_number(jwk["e"]), _number(jwk["n"])).public_key()
    if jwk["kty"] == "OKP" and jwk["crv"] == "Ed25519":
        return Ed25519PublicKey.from_public_bytes(_bytes(jwk["x"]))
    if jwk["kty"] == "EC":
        curve = next(made for name, made in _CURVES.values() if name == jwk["crv"])
        return ec.EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), curve()).public_key()
    raise ValueError(jwk["kty"])


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
