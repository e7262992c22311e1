"""Signed tokens, with PyJWT on the other side."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkflow import signed

KEY = b"0123456789abcdef0123456789abcdef"
SAID: dict[str, Any] = {"aud": "history", "sub": "anna", "exp": 1_800_000_000}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
claims = st.dictionaries(texts.filter(lambda name: name not in ("exp", "nbf", "iat", "iss", "sub", "jti")), values)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(claims, st.binary(min_size=32, max_size=80))
def test_each_side_reads_what_the_other_signed(said: dict[str, Any], key: bytes) -> None:
    said = {**said, "aud": "history"}
    assert jwt.decode(signed.encode(said, key), key, ["HS256"], audience="history") == said
    assert signed.decode(jwt.encode(said, key, "HS256"), key, "history") == said


def _token(header: Any, said: Any = SAID, key: bytes = KEY) -> str:
    """Signed as it should be, whatever it says."""
    parts = [
        base64.urlsafe_b64encode(part if isinstance(part, bytes) else json.dumps(part).encode()).rstrip(b"=")
        for part in (header, said)
    ]
    body = b".".join(parts)
    return (body + b"." + base64.urlsafe_b64encode(hmac.digest(key, body, hashlib.sha256)).rstrip(b"=")).decode()


GOOD = _token({"alg": "HS256"})
BAD = {
    "empty": "",
    "garbage": "a.b.c",
    "no dots": "abc",
    "not ASCII": GOOD + "é",
    "a lone surrogate": "\udcff",
    "padded": GOOD + "=",
    "another last character that decodes to the same": GOOD[:-1] + chr(ord(GOOD[-1]) + 1),
    "cut short": GOOD[:-2],
    "another key": _token({"alg": "HS256"}, key=KEY[::-1]),
    "unsigned": jwt.encode(SAID, None, "none"),
    "unsigned, with a signature": _token({"alg": "none"}),
    "HS512": jwt.encode(SAID, KEY * 2, "HS512"),
    "says HS512": _token({"alg": "HS512"}),
    "alg in lower case": _token({"alg": "hs256"}),
    "alg is a list": _token({"alg": ["HS256"]}),
    "no alg": _token({}),
    "critical": _token({"alg": "HS256", "crit": ["exp"]}),
    "header is a list": _token(["HS256"]),
    "header is no JSON": _token(b"{"),
    "claims are a list": _token({"alg": "HS256"}, ["aud", "history"]),
    "claims are no JSON": _token({"alg": "HS256"}, b"{"),
    "claims are no UTF-8": _token({"alg": "HS256"}, b'{"aud": "\xff"}'),
    "another audience": _token({"alg": "HS256"}, {**SAID, "aud": "matching"}),
    "several audiences": _token({"alg": "HS256"}, {**SAID, "aud": ["history"]}),
    "no audience": _token({"alg": "HS256"}, {"sub": "anna", "exp": 1}),
    "no expiry": _token({"alg": "HS256"}, {"aud": "history", "sub": "anna"}),
    "no subject": _token({"alg": "HS256"}, {**SAID, "sub": None}),
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD)
def test_what_is_no_token_of_ours(token: str) -> None:
    assert signed.decode(GOOD, KEY, "history", require=("exp", "sub")) == SAID
    with pytest.raises(signed.BadToken):
        signed.decode(token, KEY, "history", require=("exp", "sub"))


@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("text", ["eyJ+", "eyJ/", "eyJ=", "ey J", "eyJ\n", "e"])
def test_parts_that_are_not_base64url(part: int, text: str) -> None:
    parts = GOOD.split(".")[:2]
    parts[part] = text
    body = ".".join(parts)
    signature = base64.urlsafe_b64encode(hmac.digest(KEY, body.encode(), hashlib.sha256)).rstrip(b"=").decode()
    with pytest.raises(signed.BadToken):
        signed.decode(f"{body}.{signature}", KEY, "history")


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AQZaqz05-_."))
def test_no_character_can_be_another(at: int, other: str) -> None:
    token = GOOD[:at] + other + GOOD[at + 1 :]
    if token == GOOD:
        return
    with pytest.raises(signed.BadToken):
        signed.decode(token, KEY, "history")
