"""E-mail addresses, as far as one can tell without writing to them."""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

LONGEST, LONGEST_NAME = 254, 64  # octets: RFC 5321, 4.5.3.1
NOWHERE = frozenset({"arpa", "internal", "invalid", "local", "localhost", "onion", "test"})
"""Top-level names under which nobody gets mail from outside (RFC 6761, 6762, 7686)."""

_ATEXT = frozenset(string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{|}~-")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def email(text: str) -> str:
    """The address without spaces around it and with its domain in lower case. Raises `PydanticCustomError`."""
    text = unicodedata.normalize("NFC", text.strip())
    name, at, domain = text.rpartition("@")
    domain = domain.lower()
    if not at:
        raise _wrong("it has no @-sign")
    if len(text.encode(errors="replace")) > LONGEST or len(name.encode(errors="replace")) > LONGEST_NAME:
        raise _wrong("it is too long")
    # A dot-atom, also in other scripts (RFC 6531). What is quoted or is no letter, sign or mark is not an address that
    # people have.
    if not all(atom and all(map(_may_be_there, atom)) for atom in name.split(".")):
        raise _wrong("something before the @-sign cannot be there")
    try:
        labels = domain.encode("idna").decode().lower().split(".")
    except UnicodeError:
        labels = []
    if len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdecimal() or labels[-1] in NOWHERE:
        raise _wrong("there is no such domain after the @-sign")
    return f"{name}@{domain}"


def _may_be_there(letter: str) -> bool:
    return letter in _ATEXT or (letter > "\u00a0" and unicodedata.category(letter)[0] in "LMNPS")


def _wrong(why: str) -> PydanticCustomError:
    return PydanticCustomError("value_error", "This is not a valid e-mail address: {why}.", {"why": why})


Email = Annotated[str, AfterValidator(email), WithJsonSchema({"type": "string", "format": "email"})]
