"""Tokens of internal calls: what they carry, how long they are used, and when they are refused."""

from __future__ import annotations

import jwt
import pytest

from linkflow.config import BadConfig, Config
from linkflow.contracts.base import Caller
from linkflow.domain.errors import Unauthenticated
from linkflow.transports import tokens
from linkflow.transports.tokens import TokenSigner

SECRET = "0123456789abcdef0123456789abcdef"
ANNA = Caller("w1", frozenset({"read", "write"}), "anna")


class Watch:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def __call__(self) -> float:
        return self.time


def test_a_token_carries_its_caller_and_names_its_service() -> None:
    watch = Watch()
    token = TokenSigner(SECRET, 60, watch).sign("history", ANNA)
    claims = jwt.decode(token, SECRET, ["HS256"], audience="history", options={"verify_exp": False})
    assert claims == {
        "iss": "linkflow",
        "aud": "history",
        "sub": "anna",
        "ws": "w1",
        "perms": ["read", "write"],
        "exp": int(watch.time) + 60,
    }
    assert TokenSigner(SECRET, 60, watch).verify("history", token) == ANNA


def test_a_token_is_used_again_until_half_of_its_life() -> None:
    watch = Watch()
    signer = TokenSigner(SECRET, 60, watch)
    first = signer.sign("history", ANNA)
    watch.time += 29
    assert signer.sign("history", ANNA) == first
    assert signer.sign("matching", ANNA) != first
    assert signer.sign("history", Caller("w2", ANNA.permissions, "anna")) != first
    watch.time += 2
    assert signer.sign("history", ANNA) != first


def test_a_token_is_not_used_again_when_the_clock_was_set_back() -> None:
    watch = Watch()
    signer = TokenSigner(SECRET, 60, watch)
    first = signer.sign("history", ANNA)
    watch.time -= 3600
    # An hour of our time would pass until it is renewed, and the others refuse it after a minute of theirs.
    assert signer.sign("history", ANNA) != first


def test_a_verified_token_is_believed_until_it_expires_and_no_longer() -> None:
    watch = Watch()
    signer = TokenSigner(SECRET, 60, watch)
    token = signer.sign("history", ANNA)
    watch.time += 59.9
    assert signer.verify("history", token) == ANNA
    watch.time += 0.1
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            signer.verify("history", token)


def test_a_verified_token_opens_no_other_service() -> None:
    signer = TokenSigner(SECRET)
    token = signer.sign("history", ANNA)
    signer.verify("history", token)
    with pytest.raises(Unauthenticated):
        signer.verify("matching", token)


@pytest.mark.parametrize("secret", ["", "x" * 31])
def test_a_short_secret_is_an_error_that_names_the_setting(secret: str) -> None:
    with pytest.raises(BadConfig, match="LINKFLOW_SECRET"):
        TokenSigner.of(Config(secret=secret))


def test_the_caches_do_not_grow_without_end() -> None:
    watch = Watch()
    signer = TokenSigner(SECRET, 60, watch)
    for n in range(tokens._CACHED + 10):
        signer.verify("history", signer.sign("history", Caller(f"w{n}")))
    assert len(signer._signed) <= tokens._CACHED
    assert len(signer._verified) <= tokens._CACHED
