"""JMESPath with a bound on its work.

The language has no loops of its own, but ``[@,@]|[@,@]|…`` doubles a value with each step: it is small in memory, where
the halves are one, and endless where it is written out, compared or made text. So what a query makes is counted as it
would be written out.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jmespath
from jmespath import exceptions, functions, visitor

STEPS = 500_000
"""Visits of the query's parts, and values that it makes, all together."""


class TooMuch(Exception):
    """The query does more than it may."""


class _Budget:
    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = STEPS

    def spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooMuch(f"The query does too much work (over {STEPS:,} steps).")

    def spell(self, value: Any) -> None:
        """Pay for a value as it would be written out."""
        stack = [value]
        while stack:
            one = stack.pop()
            if isinstance(one, list):
                self.spend(1 + len(one))
                stack += [inner for inner in one if isinstance(inner, list | dict | str)]
            elif isinstance(one, dict):
                self.spend(1 + len(one))
                stack += [inner for inner in one.values() if isinstance(inner, list | dict | str)]
            else:
                self.spend(1 + len(one) // 64 if isinstance(one, str) else 1)


class _Functions(functions.Functions):  # type: ignore[misc]
    def __init__(self, budget: _Budget) -> None:
        super().__init__()
        self._budget = budget

    def call_function(self, function_name: str, resolved_args: list[Any]) -> Any:
        # Each reads its arguments to the bottom at most: to_string and contains do.
        for argument in resolved_args:
            if isinstance(argument, list | dict | str):
                if function_name in ("to_string", "contains", "join", "reverse", "merge", "sort", "sort_by"):
                    self._budget.spell(argument)
                else:
                    self._budget.spend(1 + len(argument) // 8)
        return super().call_function(function_name, resolved_args)


class _Interpreter(visitor.TreeInterpreter):  # type: ignore[misc]
    def __init__(self, budget: _Budget) -> None:
        super().__init__(visitor.Options(custom_functions=_Functions(budget)))
        self._budget = budget

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._budget.spend(1)
        found = super().visit(node, *args, **kwargs)
        kind = node["type"]
        if kind in ("multi_select_list", "multi_select_dict"):
            self._budget.spell(found)
        elif kind in ("slice", "flatten") and isinstance(found, list):
            self._budget.spend(len(found))
        return found

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        compare = self.COMPARATOR_FUNC[node["value"]]
        if node["value"] in self._EQUALITY_OPS:
            self._budget.spell(left)
            self._budget.spell(right)
            return compare(left, right)
        ordered = visitor._is_comparable(left) and visitor._is_comparable(right)
        return compare(left, right) if ordered else None


@lru_cache(maxsize=1024)
def compiled(query: str) -> Any:
    """The parsed query. Raises `ValueError` with the place of what is wrong."""
    try:
        return jmespath.compile(query)
    except exceptions.JMESPathError as error:
        raise ValueError(str(error).split("\n")[0]) from None
    except RecursionError:
        raise ValueError("the query nests too deeply") from None


def search(query: str, value: Any) -> Any:
    """What the query gives for `value`. Raises `ValueError`, `TooMuch`, `RecursionError`."""
    budget = _Budget()
    try:
        found = _Interpreter(budget).visit(compiled(query).parsed, value)
    except exceptions.JMESPathError as error:
        raise ValueError(str(error).split("\n")[0]) from None
    except (TypeError, AttributeError) as error:
        raise ValueError(f"a function was given what it cannot take ({error})") from None
    budget.spell(found)
    return found
