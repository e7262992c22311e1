"""Number functions and methods, and Math."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import (
    INFINITY,
    NAN,
    WHITESPACE,
    as_float,
    number_text,
    tidy,
    to_index,
    to_number,
    to_text,
)

Number = int | float
_WIDE = Context(prec=800)  # enough digits for any floating point number written out in full
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_FLOAT = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


def _finite(number: Number) -> bool:
    return -INFINITY < number < INFINITY


def round_half_up(run: Run, value: Any, digits: Any = 0) -> Number | None:
    """`round(x, digits)`: halves away from zero, counted on the number as it prints: round(1.005, 2) is 1.01."""
    if value is None:
        return None
    number, places = to_number(value, run), _digits(run, digits)
    if not _finite(number) or abs(number) >= 1e21:
        return number
    step = Decimal(1).scaleb(-places)
    return tidy(float(Decimal(repr(number)).quantize(step, ROUND_HALF_UP, _WIDE)))


def to_fixed(run: Run, value: Number, digits: Any = 0) -> str:
    """Exact, on the binary value, as Number.prototype.toFixed."""
    places = _digits(run, digits)
    if not _finite(value) or abs(value) >= 1e21:
        return number_text(value)
    fixed = Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _WIDE)
    return f"{fixed:f}" if value else f"{abs(fixed):f}"


def _digits(run: Run, digits: Any) -> int:
    places = to_index(digits, run, 0)
    if not 0 <= places <= 100:
        raise Fault("the number of digits must be between 0 and 100")
    return places


def number_to_string(run: Run, value: Number, radix: Any = 10) -> str:
    base = to_index(radix, run, 10)
    if 2 <= base <= 36 and (base == 10 or not _finite(value)):
        return number_text(value)
    if not 2 <= base <= 36 or value != int(value) or abs(value) >= 1e21:
        raise Fault("toString takes a base from 2 to 36, and another base than 10 only for whole numbers")
    left, out = abs(int(value)), ""
    while left:
        left, digit = divmod(left, base)
        out = _DIGITS[digit] + out
    return ("-" if value < 0 else "") + (out or "0")


def parse_int(run: Run, value: Any, radix: Any = None) -> Number:
    text, base = to_text(value, run), to_index(radix, run, 0) & 0xFFFFFFFF
    run.read(text)
    text = text.strip(WHITESPACE).lower()
    sign = -1 if text.startswith("-") else 1
    text = text.removeprefix("-" if sign < 0 else "+")
    if base in (0, 16) and text.startswith("0x"):
        text, base = text[2:], 16
    base = base or 10
    if not 2 <= base <= 36:
        return NAN
    allowed = _DIGITS[:base]
    length = next((place for place, char in enumerate(text) if char not in allowed), len(text))
    if length == 0:
        return NAN
    # Longer ones are beyond floating point in every base.
    return sign * (tidy(int(text[:length], base)) if length <= 1100 else INFINITY)


def parse_float(run: Run, value: Any) -> Number:
    text = to_text(value, run)
    run.read(text)
    found = _FLOAT.match(text.lstrip(WHITESPACE))
    return tidy(float(found[0])) if found else NAN


def is_nan(run: Run, value: Any) -> bool:
    number = to_number(value, run)
    return number != number


def is_finite(run: Run, value: Any) -> bool:
    return _finite(to_number(value, run))


def is_integer(run: Run, value: Any) -> bool:
    return type(value) in (int, float) and _finite(value) and value == int(value)


def random_number(run: Run) -> float:
    if run.scope.random is None:
        raise Fault("random() is not available here")
    return float(run.scope.random())


def random_integer(run: Run, low: Any, high: Any) -> int:
    """`randint(low, high)`: both ends are possible."""
    first, last = to_index(low, run, 0), to_index(high, run, 0)
    if first > last:
        raise Fault("randint needs its lower bound first")
    return min(last, first + int(random_number(run) * (last - first + 1)))


def math_round(run: Run, value: Any) -> Number:
    """Halves go up, also below zero, as Math.round."""
    number = to_number(value, run)
    if not _finite(number):
        return number
    floor = math.floor(number)
    return tidy(floor + (number - floor >= 0.5))


def minimum(run: Run, *values: Any) -> Number:
    return _extreme(run, values, min, INFINITY)


def maximum(run: Run, *values: Any) -> Number:
    return _extreme(run, values, max, -INFINITY)


def _extreme(run: Run, values: tuple[Any, ...], pick: Callable[..., Number], empty: Number) -> Number:
    run.handle(len(values))
    numbers = [to_number(value, run) for value in values]
    if any(number != number for number in numbers):
        return NAN
    return pick(numbers, default=empty)


def sign(run: Run, value: Any) -> Number:
    number = to_number(value, run)
    return number if number != number else (number > 0) - (number < 0)


def of_one(function: Callable[[Any], Number]) -> Callable[[Run, Any], Number]:
    """A function of one number for expressions: outside of its domain it is NaN, past the range infinite."""

    def call(run: Run, value: Any) -> Number:
        number = to_number(value, run)
        if number != number:
            return NAN
        try:
            return tidy(function(number))
        except ValueError:
            return -INFINITY if number == 0 else NAN  # only the logarithms refuse 0
        except OverflowError:
            # Rounding an infinite number leaves it; anything else grew too large.
            return as_float(number) if not _finite(number) else INFINITY

    return call
