"""Tokens of others, made by PyJWT."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from linkflow.services.bearer import bearer
from linkflow.services.hook_rules import WebhookRules
from linkflow.services.signatures import BadSignature, Scheme

NOW = 1_700_000_000
RULES = WebhookRules(auth="jwt", scheme=Scheme("", tolerance=10), issuer="https://issuer.example", audience="hooks")
CLAIMS = {"exp": NOW + 60, "iss": "https://issuer.example", "aud": ["other", "hooks"], "sub": "ada"}
SECRET = "a secret of more than thirty-two bytes, and so long enough for sixty-four"
RSA = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, Any] = {
    "RS256": RSA, "PS384": RSA, "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()), "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}  # fmt: skip


def pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def jwks(key: Any, algorithm: str, kid: str) -> str:
    made = jwt.algorithms.get_default_algorithms()[algorithm].to_jwk(key.public_key())
    found = json.loads(made) if isinstance(made, str) else made
    return json.dumps({"keys": [{"kty": "oct", "k": "AA"}, {**found, "kid": kid, "use": "sig"}]})


def check(token: str, fields: dict[str, str], rules: WebhookRules = RULES, now: int = NOW) -> None:
    bearer(rules, fields, {"authorization": f"Bearer {token}"}, now)


@pytest.mark.parametrize("algorithm", ["HS256", "HS512", *KEYS])
def test_a_good_token_of_every_kind(algorithm: str) -> None:
    key = KEYS.get(algorithm, SECRET)
    token = jwt.encode(CLAIMS, key, algorithm, headers={"kid": "k1"})
    if algorithm in KEYS:
        check(token, {"public_key": pem(key)})
        check(token, {"jwks": jwks(key, algorithm, "k1")})
        with pytest.raises(BadSignature):
            check(token, {"jwks": jwks(key, algorithm, "k2")})
    else:
        check(token, {"secret": "new", "previous_secret": SECRET})
    for other in KEYS:
        if KEYS[other] is not key:
            with pytest.raises(BadSignature):
                check(token, {"public_key": pem(KEYS[other])})
    with pytest.raises(BadSignature):
        check(token[:-3] + ("AAA" if token[-3:] != "AAA" else "BBB"), {"public_key": pem(RSA), "secret": SECRET})


def test_a_public_key_is_no_secret() -> None:
    """RFC 8725, 2.1: a token may not choose that the verifier's public key is an HMAC key."""
    for key in (pem(RSA), pem(KEYS["ES256"])):
        forged = jwt.api_jws.encode(json.dumps(CLAIMS).encode(), "x" * 64, "HS256")
        head, body, _ = forged.split(".")
        import base64
        import hmac

        seal = base64.urlsafe_b64encode(hmac.digest(key.encode(), f"{head}.{body}".encode(), "sha256")).rstrip(b"=")
        with pytest.raises(BadSignature):
            check(f"{head}.{body}.{seal.decode()}", {"public_key": key})


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW - 10}, {"exp": None}, {"exp": "soon"}, {"exp": True}, {"nbf": NOW + 11}, {"iss": "https://other.example"},
        {"iss": None}, {"aud": "others"}, {"aud": None},
    ],
    ids=str,
)  # fmt: skip
def test_claims_that_do_not_fit(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    token = jwt.api_jws.encode(json.dumps(claims).encode(), SECRET, "HS256")
    with pytest.raises(BadSignature):
        check(token, {"secret": SECRET})


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "e30.e30.", "é.é.é", "x" * 20_000])
def test_nonsense(token: str) -> None:
    with pytest.raises(BadSignature):
        check(token, {"secret": SECRET, "public_key": "no pem", "jwks": "[]"})


def test_none_is_no_algorithm_and_crit_is_obeyed() -> None:
    unsigned = jwt.encode(CLAIMS, None, "none")
    critical = jwt.encode(CLAIMS, SECRET, "HS256", headers={"crit": ["b64"], "b64": True})
    for token in (unsigned, critical):
        with pytest.raises(BadSignature):
            check(token, {"secret": SECRET})
