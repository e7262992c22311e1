"""Secrets are found however they are written down, and what is no secret is left alone."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.redaction import MARK, Redactor

SECRETS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=8, max_size=60)
AROUND = st.binary(max_size=5)


@given(SECRETS, AROUND, AROUND)
def test_in_base64_at_any_offset(secret: str, before: bytes, after: bytes):
    hidden = Redactor([secret])
    for write in (base64.b64encode, base64.urlsafe_b64encode):
        text = write(before + secret.encode() + after).decode()
        assert hidden.has(msgspec.json.encode(text))
        told = hidden.text(text)
        assert MARK in told
        assert len(told.replace(MARK, "").rstrip("=")) <= (len(before) + len(after)) * 4 / 3 + 4  # the edges


@given(SECRETS)
def test_in_other_spellings(secret: str):
    hidden = Redactor([secret])
    for text in (
        secret, f"x{secret}y", json.dumps({"a": secret}), msgspec.json.encode([secret]).decode(), quote(secret, safe=""),
        quote_plus(secret), html.escape(secret), secret.encode().hex(), repr(secret), json.dumps(json.dumps(secret)),
    ):  # fmt: skip
        assert MARK in hidden.text(text), text
        assert hidden.has(msgspec.json.encode({"deep": [text]})), text


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner)))  # fmt: skip
def test_what_is_no_secret_stays(value: object):
    assert Redactor(["a secret that nobody writes"]).value(value) == value


def test_values_names_numbers_and_keys_in_pem():
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nAbCdEfGhIjKlMnOp\n-----END KEY-----\n"
    hidden = Redactor(["12345678", key, "short"])
    given = {"12345678": [12345678, 123456789, "n12345678"], "line": "AbCdEfGhIjKlMnOp", "short": "short"}
    assert hidden.value(given) == {MARK: [MARK, 123456789, f"n{MARK}"], "line": MARK, "short": "short"}
    assert "-----BEGIN KEY-----" in hidden.text("-----BEGIN KEY-----")


def test_a_secret_within_another_goes_with_it():
    hidden = Redactor(["abcdefgh", "abcdefghijkl"])
    assert hidden.text("abcdefghijkl abcdefgh") == f"{MARK} {MARK}"
    hidden.add(["later-secret"])
    assert hidden.text("a later-secret") == f"a {MARK}"
