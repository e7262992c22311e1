"""What a run can be found by: its error, and the attributes that its workflow has given it.

A run is found by *terms*, an index entry each: words of its error's text and of its attributes, its error's code, and
each attribute with its value. Pure; `postgres.facts` keeps them.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import Struct

MOST_WORDS = 60
LONGEST = 40
"""Characters of a word that count."""
MOST_ATTRIBUTES = 50
NAME_LENGTH, VALUE_LENGTH, VALUES = 100, 200, 20

_WORDS = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


class Facts(Struct, frozen=True):
    """What a transition says of its run. `attributes` are added to those that it has. With `settled` the error is told
    anew: `error` is ``{code, message, node}``, or None where there is none any more."""

    attributes: dict[str, Any] = {}
    settled: bool = False
    error: dict[str, Any] | None = None
    environment: str = ""


def words(text: str) -> list[str]:
    """The different words of a text in lower case, the first ones."""
    found: dict[str, None] = {}
    for match in _WORDS.finditer(text):
        found[match.group().lower()[:LONGEST]] = None
        if len(found) == MOST_WORDS:
            break
    return list(found)


def terms(attributes: dict[str, Any], error: dict[str, Any] | None, environment: str = "") -> list[str]:
    """All that a run is found by."""
    found: dict[str, None] = {environment_term(environment): None} if environment else {}
    texts = []
    if error:
        found[error_term(error["code"])] = None
        texts += [error["message"], error["code"]]
    for name, value in attributes.items():
        found[name_term(name)] = None
        for one in value if isinstance(value, list) else [value]:
            text = as_text(one)
            found[value_term(name, text)] = None
            texts.append(text)
    found.update((word_term(word), None) for word in words(" ".join(texts)))
    return list(found)


def word_term(word: str) -> str:
    return f"w:{word}"


def error_term(code: str) -> str:
    return f"e:{code[:VALUE_LENGTH]}"


def environment_term(name: str) -> str:
    return f"v:{name}"


def name_term(name: str) -> str:
    return f"n:{name}"


def value_term(name: str, text: str) -> str:
    return f"a:{name}={text[:VALUE_LENGTH]}"


def as_text(value: Any) -> str:
    """A value as it is compared: text as it is, anything else as JSON; 2.0 is 2."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.json.encode(value).decode()


def compares(value: Any, operator: str, wanted: str) -> bool:
    """Does an attribute (one of its items) compare so? Numbers with numbers, else text with text."""
    return any(_compares(one, operator, wanted) for one in (value if isinstance(value, list) else [value]))


def _compares(value: Any, operator: str, wanted: str) -> bool:
    if operator == "=":
        return as_text(value) == wanted
    left: Any = value
    right: Any = wanted
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            right = float(wanted)
        except ValueError:
            return False
    else:
        left = as_text(value)
    if operator == ">=":
        return bool(left >= right)
    if operator == "<=":
        return bool(left <= right)
    return bool(left > right) if operator == ">" else bool(left < right)


def attribute_fault(name: str, value: Any) -> str | None:
    """What is wrong with an attribute, if anything is."""
    if not name or len(name) > NAME_LENGTH or not re.fullmatch(r"[A-Za-z][\w.-]*", name):
        return f"an attribute's name begins with a letter, and has up to {NAME_LENGTH} letters, digits, _, . and -"
    items = value if isinstance(value, list) else [value]
    if len(items) > VALUES:
        return f"an attribute has at most {VALUES} values"
    for item in items:
        if not isinstance(item, str | int | float | bool):
            return "an attribute is text, a number, true or false, or a list of such"
        if len(as_text(item)) > VALUE_LENGTH:
            return f"an attribute's value has at most {VALUE_LENGTH} characters"
    return None
