"""JavaScript's conversions and comparisons on JSON values (ECMA-262, sections 7.1 and 7.2).

Only the exact types of JSON are known. Anything else that should come in behaves as an opaque object: it has no
members, and its text is ``[object Object]``.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.scope import Run

NAN = float("nan")
INFINITY = float("inf")
SAFE = 2**53
"""Up to here every whole number has its own floating point number."""
NUMBERS = frozenset((int, float))  # bool, which Python counts as a number, is left out on purpose
EXACT = 10**21
"""Below this, whole numbers stay exact integers. JavaScript's are exact to 2**53, and print in full to 1e21."""
WHITESPACE = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"  # noqa: E501

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+")
_TYPE_NAMES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}


def type_name(value: Any) -> str:
    """What messages call the type of `value`."""
    return "null" if value is None else _TYPE_NAMES.get(type(value), "object")


def as_float(value: float) -> float:
    """A number as floating point; past the range it is infinite, as in JavaScript."""
    try:
        return float(value)
    except OverflowError:
        return INFINITY if value > 0 else -INFINITY


def tidy(value: float) -> int | float:
    """A result in its lasting form: an integer where floating point is still exact, and integers only below 1e21."""
    if type(value) is float:
        return int(value) if value.is_integer() and -SAFE <= value <= SAFE else value
    return int(value) if -EXACT < value < EXACT else as_float(value)


def truthy(value: Any) -> bool:
    """JavaScript's ToBoolean: null, false, 0, NaN and "" are false, all else (also [] and {}) is true."""
    kind = type(value)
    if kind is bool:
        return bool(value)
    if kind is str or kind is int or kind is float:
        return bool(value) and value == value
    return value is not None


def to_number(value: Any, run: Run) -> int | float:
    """JavaScript's ToNumber; null is 0."""
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]
    if value is None:
        return 0
    if kind is bool:
        return int(value)
    if kind is str:
        run.read(value)
        return _text_to_number(value)
    return _text_to_number(to_text(value, run)) if kind is list else NAN


def _text_to_number(text: str) -> int | float:
    text = text.strip(WHITESPACE)
    if not text:
        return 0
    if _DECIMAL.fullmatch(text):
        return tidy(int(text)) if len(text) <= 22 and text.lstrip("+-").isdigit() else tidy(float(text))
    if _RADIX.fullmatch(text):
        return tidy(int(text, 0))
    return {"Infinity": INFINITY, "+Infinity": INFINITY, "-Infinity": -INFINITY}.get(text, NAN)


def to_index(value: Any, run: Run, default: int) -> int:
    """A position or a count: whole, within reach of any length; null means `default`."""
    if value is None:
        return default
    number = to_number(value, run)
    if number != number:
        return 0
    return int(max(-(2**53), min(2**53, number)))


def number_text(value: float) -> str:
    """A number as JavaScript prints it (Number::toString)."""
    if type(value) is int:
        if -EXACT < value < EXACT:
            return str(value)
        value = as_float(value)
    if value != value:
        return "NaN"
    if value in (INFINITY, -INFINITY):
        return "Infinity" if value > 0 else "-Infinity"
    if value.is_integer() and -1e21 < value < 1e21:
        # Past 2**53 JavaScript prints the shortest digits that tell the number apart, then zeros.
        return str(int(value)) if -SAFE <= value <= SAFE else str(int(Decimal(repr(value))))
    digits, _, exponent = repr(float(value)).partition("e")
    if not exponent or exponent.startswith("+"):
        return digits + (f"e{exponent}" if exponent else "")
    power = int(exponent)
    if power < -6:
        return f"{digits}e{power}"
    # Python turns to exponents at 1e-4, JavaScript only at 1e-6.
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    return f"{sign}0.{'0' * (-power - 1)}{digits.replace('.', '')}"


def to_text(value: Any, run: Run) -> str:
    """JavaScript's ToString: a list is its items joined by commas, an object is ``[object Object]``."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return number_text(value)
    return join_texts(value, ",", run) if kind is list else "[object Object]"


def join_texts(items: list[Any], separator: str, run: Run) -> str:
    """Array.prototype.join: null is the empty text."""
    run.spend(1 + len(items))
    texts = ["" if item is None else to_text(item, run) for item in items]
    run.room(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def strict_equal(left: Any, right: Any, run: Run) -> bool:
    """``===``: no conversion; lists and objects are equal only to themselves."""
    kind = type(left)
    if kind is str and left is not right:
        run.read(left)
    if kind is type(right):
        return left is right if kind is list or kind is dict else bool(left == right)
    return kind in NUMBERS and type(right) in NUMBERS and bool(left == right)


def loose_equal(left: Any, right: Any, run: Run) -> bool:
    """``==``: null only to null; otherwise numbers, texts and booleans are compared as numbers."""
    kind, other = type(left), type(right)
    if kind is other or (kind in NUMBERS and other in NUMBERS):
        return strict_equal(left, right, run)
    if left is None or right is None:
        return False
    if kind in (list, dict):
        if other in (list, dict):
            return False
        left = to_text(left, run)
    elif other in (list, dict):
        right = to_text(right, run)
    if type(left) is str and type(right) is str:
        return left == right
    return to_number(left, run) == to_number(right, run)


def comparable(left: Any, right: Any, run: Run) -> tuple[Any, Any]:
    """Both sides as ``<`` compares them: two texts, or two numbers."""
    if type(left) in (list, dict):
        left = to_text(left, run)
    if type(right) in (list, dict):
        right = to_text(right, run)
    if type(left) is str and type(right) is str:
        run.read(left)
        return left, right
    return to_number(left, run), to_number(right, run)


def member(value: Any, key: str) -> Any:
    """`value.key`: an object's own key, or the length of a list or text; null for everything else."""
    kind = type(value)
    if kind is dict:
        return value.get(key)
    if kind is list or kind is str:
        if key == "length":
            return len(value)
        if key.isdigit() and key.isascii() and len(key) < 16:
            return item(value, int(key))
    return None


def item(value: Any, index: int) -> Any:
    """`value[index]` of a list or text; null outside of it. A negative index is outside, as in JavaScript."""
    return value[index] if 0 <= index < len(value) else None


def element(value: Any, key: Any, run: Run) -> Any:
    """`value[key]` with a computed key."""
    kind = type(value)
    if kind is list or kind is str:
        if type(key) is int:
            return item(value, key)
        if type(key) is float:
            return item(value, int(key)) if key.is_integer() else None
    elif kind is not dict:
        return None
    return member(value, to_text(key, run))


def contains_key(key: Any, value: Any, run: Run) -> bool:
    """`key in value`."""
    if value is None:
        return False
    if type(value) is dict:
        return to_text(key, run) in value
    if type(value) is list:
        name = to_text(key, run)
        return name == "length" or (
            name.isdigit() and name.isascii() and len(name) < 16 and name == str(int(name)) and int(name) < len(value)
        )
    raise Fault(f"'in' needs an object or an array on its right, not a {type_name(value)}")
