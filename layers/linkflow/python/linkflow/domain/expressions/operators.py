"""The operators as closures. Numbers are compared on the spot; everything else takes the long way round."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from linkflow.domain.expressions import arithmetic
from linkflow.domain.expressions.context import Closure
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import (
    NUMBERS,
    comparable,
    contains_key,
    loose_equal,
    strict_equal,
    to_number,
    truthy,
    type_name,
)

_Build = Callable[[Closure, Closure], Closure]


def _ordered(compare: Callable[[Any, Any], bool]) -> _Build:
    def build(left: Closure, right: Closure) -> Closure:
        def closure(run: Run) -> bool:
            a, b = left(run), right(run)
            if not (type(a) in NUMBERS and type(b) in NUMBERS):
                a, b = comparable(a, b, run)
            return compare(a, b)

        return closure

    return build


def _computed(compute: Callable[[Any, Any, Run], Any]) -> _Build:
    return lambda left, right: lambda run: compute(left(run), right(run), run)


def _and(left: Closure, right: Closure) -> Closure:
    def closure(run: Run) -> Any:
        value = left(run)
        return right(run) if truthy(value) else value

    return closure


def _or(left: Closure, right: Closure) -> Closure:
    def closure(run: Run) -> Any:
        value = left(run)
        return value if truthy(value) else right(run)

    return closure


def _if_null(left: Closure, right: Closure) -> Closure:
    def closure(run: Run) -> Any:
        value = left(run)
        return right(run) if value is None else value

    return closure


BINARY: dict[str, _Build] = {
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "===": _computed(strict_equal),
    "!==": _computed(lambda a, b, run: not strict_equal(a, b, run)),
    "==": _computed(loose_equal),
    "!=": _computed(lambda a, b, run: not loose_equal(a, b, run)),
    "in": _computed(contains_key),
    "&&": _and,
    "||": _or,
    "??": _if_null,
    "+": _computed(arithmetic.add),
    "-": _computed(arithmetic.subtract),
    "*": _computed(arithmetic.multiply),
    "/": _computed(arithmetic.divide),
    "%": _computed(arithmetic.remainder),
    "**": _computed(arithmetic.power),
    **{name: _computed(partial(arithmetic.on_bits, name)) for name in arithmetic.BITS},
}
ARITHMETIC = frozenset("+-*/%") | {"**"}
"""Operators that may give NaN or Infinity."""


def _typeof(value: Any, run: Run) -> str:
    # null is what a missing path gives, and `typeof x == "undefined"` is how scripts ask for that.
    return "undefined" if value is None else "object" if type(value) is list else type_name(value)


UNARY: dict[str, Callable[[Any, Run], Any]] = {
    "!": lambda value, run: not truthy(value),
    "-": arithmetic.negate,
    "~": arithmetic.invert,
    "+": to_number,
    "typeof": _typeof,
}
