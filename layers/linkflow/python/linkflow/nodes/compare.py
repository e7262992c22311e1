"""The comparison operators of `condition`, `switch` and `transform`, and what they do across types.

- ``eq``: same type and value. A number equals a text that spells it (``200`` and ``"200"``) and a boolean equals
  ``"true"`` or ``"false"``, because forms give text; a boolean never equals a number, null equals null alone.
- ``gt gte lt lte``: as numbers if both are numbers (or spell one), as text if both are text (so ISO 8601 dates sort),
  otherwise false.
- ``contains``: a part of a text, an item of a list (by ``eq``), a key of an object. ``in`` is the other way round;
  its value is a list or a text with commas.
- ``empty``: null, ``""``, ``[]`` or ``{}``. Zero and false are not empty. ``exists``: there, and not null.
- ``matches``: a regular expression found anywhere in the text; see `patterns` for what it may hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from linkflow.nodes import patterns
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.paths import MISSING

_NUMBER = re.compile(r"\s*[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,4})?\s*", re.ASCII)


def _number(value: Any) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if any(sign in value for sign in ".eE") else int(value)
    return None


def equal(left: Any, right: Any) -> bool:
    """``eq``."""
    if isinstance(left, bool) or isinstance(right, bool):
        return _boolean(left) is not None and _boolean(left) is _boolean(right)
    if isinstance(left, str) is isinstance(right, str):
        return bool(left == right)
    first, second = _number(left), _number(right)
    return first is not None and first == second


def _boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else None


def truthy(value: Any) -> bool:
    """JavaScript's rule, since expressions are JavaScript's: false, null, 0, NaN and "" are false, all else is true."""
    if value is None or value is False or value == "" or value is MISSING:
        return False
    if isinstance(value, int | float):
        return value != 0 and value == value
    return True


def _ordered(left: Any, right: Any, test: Callable[[Any, Any], bool]) -> bool:
    first, second = _number(left), _number(right)
    if first is not None and second is not None:
        return test(first, second)
    return isinstance(left, str) and isinstance(right, str) and test(left, right)


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, str):
        return right is not None and _text(right) in left
    if isinstance(left, list | tuple):
        return any(equal(item, right) for item in left)
    return isinstance(left, dict) and isinstance(right, str) and right in left


def _in(left: Any, right: Any) -> bool:
    if isinstance(right, str):
        right = [part.strip() for part in right.split(",")]
    return _contains(right, left) if isinstance(right, list | tuple | dict) else False


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _matches(left: Any, right: Any) -> bool:
    if left is None or left is MISSING or isinstance(left, dict | list):
        return False
    try:
        return patterns.compile(_text(right)).search(_text(left))
    except ValueError as error:
        raise NodeFailure("bad_pattern", f"The pattern cannot be used: {error}.", retryable=False) from None


def _absent(value: Any) -> bool:
    return value is None or value is MISSING


def _empty(value: Any) -> bool:
    return _absent(value) or (isinstance(value, str | list | tuple | dict) and not value)


OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": equal,
    "ne": lambda left, right: not equal(left, right),
    "gt": lambda left, right: _ordered(left, right, lambda a, b: a > b),
    "gte": lambda left, right: _ordered(left, right, lambda a, b: a >= b),
    "lt": lambda left, right: _ordered(left, right, lambda a, b: a < b),
    "lte": lambda left, right: _ordered(left, right, lambda a, b: a <= b),
    "contains": _contains,
    "not_contains": lambda left, right: not _contains(left, right),
    "startsWith": lambda left, right: not _absent(left) and _text(left).startswith(_text(right)),
    "endsWith": lambda left, right: not _absent(left) and _text(left).endswith(_text(right)),
    "matches": _matches,
    "in": _in,
    "not_in": lambda left, right: not _in(left, right),
    "empty": lambda left, _: _empty(left),
    "not_empty": lambda left, _: not _empty(left),
    "exists": lambda left, _: not _absent(left),
    "not_exists": lambda left, _: _absent(left),
}

ALIASES: Final = {
    "==": "eq", "===": "eq", "=": "eq", "equals": "eq", "equal": "eq", "is": "eq",
    "!=": "ne", "!==": "ne", "<>": "ne", "not_equals": "ne", "not_equal": "ne", "neq": "ne",
    ">": "gt", "greater_than": "gt", ">=": "gte", "ge": "gte", "greater_than_or_equal": "gte",
    "greater_or_equal": "gte", "<": "lt", "less_than": "lt", "<=": "lte", "le": "lte",
    "less_than_or_equal": "lte", "less_or_equal": "lte",
    "starts_with": "startsWith", "ends_with": "endsWith", "regex": "matches",
    "is_empty": "empty", "is_not_empty": "not_empty",
}  # fmt: skip
"""Other spellings, the seed's among them."""


def canonical(operator: str) -> str:
    """The operator's own name. Raises `ValueError` for one that does not exist."""
    name = ALIASES.get(operator, operator)
    if name not in OPERATORS:
        raise ValueError(f"there is no operator {operator!r}; there are {', '.join(OPERATORS)}")
    return name


def compare(left: Any, operator: str, right: Any) -> bool:
    """`left` `operator` `right`, where `operator` is canonical. A missing `left` counts as null."""
    if left is MISSING and operator not in ("exists", "not_exists"):
        left = None
    return OPERATORS[operator](left, right)
