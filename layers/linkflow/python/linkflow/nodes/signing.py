"""Signatures with key pairs."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linkflow.nodes.base import NodeFailure

_PRIVATE: dict[str, Any] = {"ed25519": Ed25519PrivateKey, "ecdsa-sha256": ec.EllipticCurvePrivateKey}
_PUBLIC: dict[str, Any] = {"ed25519": Ed25519PublicKey, "ecdsa-sha256": ec.EllipticCurvePublicKey}


def sign(algorithm: str, pem: bytes, data: bytes) -> bytes:
    """The signature of `data`. Raises `NodeFailure` ``bad_credential`` for a key that does not fit."""
    try:
        key: Any = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise _unfit("The key is no private key in PEM without a password.") from None
    if not isinstance(key, _PRIVATE.get(algorithm, rsa.RSAPrivateKey)):
        raise _unfit(f"The key is none for {algorithm}.")
    signature: bytes = key.sign(data, *_how(algorithm))
    return signature


def verify(algorithm: str, pem: bytes, data: bytes, signature: bytes) -> bool:
    """Is it a signature of `data` by the owner of this public key? Raises `NodeFailure` ``bad_credential``."""
    try:
        key: Any = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError):
        raise _unfit("`public_key` is no public key in PEM.") from None
    if not isinstance(key, _PUBLIC.get(algorithm, rsa.RSAPublicKey)):
        raise _unfit(f"`public_key` is none for {algorithm}.")
    try:
        key.verify(signature, data, *_how(algorithm))
    except InvalidSignature:
        return False
    return True


def _how(algorithm: str) -> tuple[Any, ...]:
    if algorithm == "ed25519":
        return ()
    if algorithm == "ecdsa-sha256":
        return (ec.ECDSA(hashes.SHA256()),)
    if algorithm == "rsa-sha256":
        return (padding.PKCS1v15(), hashes.SHA256())
    return (padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256())


def _unfit(text: str) -> NodeFailure:
    return NodeFailure("bad_credential", text, retryable=False)
