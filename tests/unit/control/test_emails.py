"""Which e-mail addresses are taken, and how they are kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from linkflow.http.accounts import Forgotten
from linkflow.http.emails import Email

EMAIL: TypeAdapter[str] = TypeAdapter(Email)

GOOD = {
    "ada@example.com": "ada@example.com",
    " ada@example.com\n": "ada@example.com",
    "Ada@EXAMPLE.com": "Ada@example.com",
    "a+b.c_d-e@sub.example.co": "a+b.c_d-e@sub.example.co",
    "!#$%&'*/=?^`{|}~@example.com": "!#$%&'*/=?^`{|}~@example.com",
    "x@b.c": "x@b.c",
    "1@2.io": "1@2.io",
    "ä@exämple.de": "ä@exämple.de",
    "a\u0308@example.de": "ä@example.de",
    "用户@例子.广告": "用户@例子.广告",
    "a@xn--80ak6aa92e.com": "a@xn--80ak6aa92e.com",
    "x" * 64 + "@example.com": "x" * 64 + "@example.com",
}

BAD = [
    "", "@", "ada", "ada@", "@example.com", "ada@@example.com", "a@b@c.de", "ada example@example.com", "ada@exam ple.com",
    "ada@localhost", "ada@box", "ada@example.test", "ada@x.invalid", "ada@1.2.3.4", "ada@[1.2.3.4]", "ada@[::1]",
    "a..b@example.com", ".a@example.com", "a.@example.com", '"a b"@example.com', "Ada <ada@example.com>",
    "ada@-b.de", "ada@b-.de", "ada@b_c.de", "ada@.de", "ada@b..de", "ada@b.de.", "ada@b.123", "a\0@example.com",
    "a\r\nBcc: b@example.com", "ada@example.com\r\nX", "a,b@example.com", "a;b@example.com", "a(b)@example.com",
    "a\u200b@example.com", "a\u202e@example.com", "a\ud800@example.com", "ada@" + "b" * 64 + ".de",
    "x" * 65 + "@example.com", "ä" * 33 + "@example.com", "a@" + "b." * 130 + "de",
]  # fmt: skip


@pytest.mark.parametrize(("text", "kept"), GOOD.items())
def test_addresses(text: str, kept: str) -> None:
    assert EMAIL.validate_python(text) == kept
    assert EMAIL.validate_python(kept) == kept


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValidationError) as told:
        EMAIL.validate_python(text)
    [fault] = told.value.errors()
    assert fault["type"] in ("value_error", "string_unicode")


@given(st.text())
def test_any_text_is_an_address_or_is_not(text: str) -> None:
    try:
        kept = EMAIL.validate_python(text + "@example.com")
    except ValidationError:
        return
    assert EMAIL.validate_python(kept) == kept
    assert kept.isprintable()
    assert not set(kept) & set(' ,;:<>()[]"\\\r\n')


def test_the_form_says_what_it_takes() -> None:
    assert EMAIL.json_schema() == {"type": "string", "format": "email"}


def test_spaces_around_an_address_count_for_its_length() -> None:
    assert Forgotten(email=" ada@example.com ").email == "ada@example.com"
    with pytest.raises(ValidationError):
        Forgotten(email=" " * 250 + "a@example.com")
