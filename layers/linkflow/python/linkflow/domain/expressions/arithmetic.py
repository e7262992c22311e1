"""JavaScript's arithmetic on JSON values.

Whole numbers stay exact integers up to 1e21. NaN and Infinity exist while an expression is evaluated; in its result
they become null, as JSON.stringify makes them.
"""

from __future__ import annotations

import math
from typing import Any

from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import INFINITY, NAN, NUMBERS, as_float, tidy, to_number, to_text


def add(left: Any, right: Any, run: Run) -> Any:
    """``+``: joins if either side is a text, a list or an object, otherwise adds."""
    kind, other = type(left), type(right)
    if kind in NUMBERS and other in NUMBERS:
        return _add(left, right)
    if kind in (str, list, dict) or other in (str, list, dict):
        start, rest = to_text(left, run), to_text(right, run)
        run.room(len(start) + len(rest))
        return start + rest
    return _add(to_number(left, run), to_number(right, run))


def _add(left: float, right: float) -> int | float:
    return tidy(left + right) if type(left) is type(right) else tidy(as_float(left) + as_float(right))


def subtract(left: Any, right: Any, run: Run) -> int | float:
    """``-``"""
    return _add(to_number(left, run), -to_number(right, run))


def multiply(left: Any, right: Any, run: Run) -> int | float:
    """``*``"""
    a, b = to_number(left, run), to_number(right, run)
    return tidy(a * b) if type(a) is type(b) else tidy(as_float(a) * as_float(b))


def divide(left: Any, right: Any, run: Run) -> int | float:
    """``/``: exact where it can be; by zero it is infinite, or NaN for 0/0."""
    a, b = to_number(left, run), to_number(right, run)
    if b == 0:
        return NAN if a == 0 or a != a else math.copysign(INFINITY, a)
    if type(a) is int and type(b) is int and a % b == 0:
        return tidy(a // b)
    return _quotient(as_float(a), as_float(b))


def _quotient(a: float, b: float) -> int | float:
    return tidy(a / b) if b else NAN


def remainder(left: Any, right: Any, run: Run) -> int | float:
    """``%``: takes the sign of the left side, unlike Python's."""
    a, b = to_number(left, run), to_number(right, run)
    if b == 0 or a != a or b != b or a in (INFINITY, -INFINITY):
        return NAN
    if type(a) is int and type(b) is int:
        return tidy(abs(a) % abs(b) * (1 if a >= 0 else -1))
    return tidy(math.fmod(as_float(a), as_float(b)))


def power(left: Any, right: Any, run: Run) -> int | float:
    """``**``: exact where that is short, otherwise floating point; never a long calculation."""
    a, b = to_number(left, run), to_number(right, run)
    if b == 0:
        return 1
    if b != b:
        return NAN
    if type(a) is int and type(b) is int and b > 0 and a.bit_length() * b <= 128:
        return tidy(a**b)
    base, exponent = as_float(a), as_float(b)
    if abs(base) == 1 and exponent in (INFINITY, -INFINITY):
        return NAN
    odd = exponent % 2 == 1
    try:
        return tidy(math.pow(base, exponent))
    except OverflowError:
        return -INFINITY if base < 0 and odd else INFINITY
    except ValueError:
        # Zero to a negative power is infinite; a negative base has no root.
        return INFINITY if base == 0 else NAN


BITS = frozenset(("&", "|", "^", "<<", ">>", ">>>"))
"""Operators on 32 bits."""


def _whole(value: Any, run: Run) -> int:
    """JavaScript's ToUint32."""
    number = to_number(value, run)
    return int(number) & 0xFFFFFFFF if -INFINITY < number < INFINITY else 0


def _signed(bits: int) -> int:
    bits &= 0xFFFFFFFF
    return bits - 0x100000000 if bits & 0x80000000 else bits


def on_bits(operator: str, left: Any, right: Any, run: Run) -> int:
    """``&``, ``|``, ``^``, ``<<``, ``>>`` and ``>>>``"""
    a, b = _whole(left, run), _whole(right, run)
    if operator == ">>>":
        return a >> (b & 31)
    if operator in ("<<", ">>"):
        return _signed(a << (b & 31)) if operator == "<<" else _signed(a) >> (b & 31)
    return _signed(a & b if operator == "&" else a | b if operator == "|" else a ^ b)


def invert(value: Any, run: Run) -> int:
    """Unary ``~``"""
    return _signed(~_whole(value, run))


def negate(value: Any, run: Run) -> int | float:
    """Unary ``-``"""
    return -to_number(value, run)
