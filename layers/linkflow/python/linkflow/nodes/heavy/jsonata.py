"""JSONata, a language for queries: as free as a program, so it has a process of its own."""

from __future__ import annotations

import sys
from typing import Any

from jsonata import Jsonata


def evaluate(expression: str, data: Any, values: dict[str, Any]) -> Any:
    """The value of `expression` over `data`; `values` are variables. Raises `ValueError`."""
    sys.setrecursionlimit(20_000)
    try:
        query = Jsonata(expression)
        for name, value in values.items():
            query.assign(name, value)
        return _plain(query.evaluate(data))
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # the library raises errors of many classes for what an author wrote
        raise ValueError(str(error) or type(error).__name__) from None


def check(expression: str) -> bool:
    """Does it parse? Raises `ValueError`."""
    try:
        Jsonata(expression)
    except RecursionError:
        raise
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from None
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise ValueError("the result is a function, not a value")
