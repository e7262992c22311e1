"""Access tokens and passwords."""

from __future__ import annotations

import jwt
import pytest

from linkflow.domain.errors import Unauthenticated
from linkflow.domain.ids import uuid7
from linkflow.services.passwords import Passwords, password_problems
from linkflow.services.tokens import AccessTokens, Identity

SECRET = "s" * 32
WHO = Identity(uuid7(1, 1, 1), uuid7(2, 2, 2))
NOW = 1_764_000_000_000


def test_a_token_names_who_it_was_made_for_until_it_expires():
    tokens = AccessTokens(SECRET, ttl=900)
    token = tokens.issue(WHO, NOW)
    assert tokens.read(token, NOW + 899_000) == WHO
    with pytest.raises(Unauthenticated, match="expired"):
        tokens.read(token, NOW + 900_000)


def test_the_secret_must_be_long():
    with pytest.raises(ValueError, match="32"):
        AccessTokens("short")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "history"},
        {"aud": None},
        {"sub": None},
        {"sub": "x"},
        {"sid": None},
        {"sid": 1},
        {"exp": None},
        {"exp": "x"},
    ],
)
def test_claims_that_will_not_do(changes: dict[str, object]):
    tokens = AccessTokens(SECRET)
    claims = {**jwt.decode(tokens.issue(WHO, NOW), options={"verify_signature": False}), **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    with pytest.raises(Unauthenticated):
        tokens.read(jwt.encode(claims, tokens._key, algorithm="HS256"), NOW)


def test_another_installation_s_token_and_another_algorithm():
    tokens = AccessTokens(SECRET)
    for forged in (
        AccessTokens("t" * 32).issue(WHO, NOW),
        jwt.encode(jwt.decode(tokens.issue(WHO, NOW), options={"verify_signature": False}), None, algorithm="none"),
        "",
        "a.b.c",
        "\udcff",
    ):
        with pytest.raises(Unauthenticated):
            tokens.read(forged, NOW)


async def test_passwords():
    passwords = Passwords()
    stored = await passwords.hash("Correct1horse")
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), "what OWASP asks for"
    assert await passwords.verify(stored, "Correct1horse")
    assert not await passwords.verify(stored, "Wrong1horse")
    assert not await passwords.verify("", "Correct1horse")
    assert not await passwords.verify("no hash", "Correct1horse")
    assert not passwords.outdated(stored)
    assert passwords.outdated("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")


def test_a_good_password_has_no_problems():
    assert password_problems("Correct1horse", "Correct1horse") == []
    assert [problem.path for problem in password_problems("Correct1horse", "x")] == ["/password_confirmation"]
