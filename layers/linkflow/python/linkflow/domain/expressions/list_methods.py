"""Methods of lists. None changes its list: `sort` and `reverse` give a new one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.lexer import MAX_NESTING
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import join_texts, strict_equal, to_index, to_number, to_text, truthy

Items = list[Any]
Callback = Callable[..., Any]
"""Takes an item, its index and the whole list (`reduce`: also the result so far, first)."""

_NONE_GIVEN = object()


def map_items(run: Run, items: Items, each: Callback) -> Items:
    return [each(value, index, items) for index, value in enumerate(items)]


def filter_items(run: Run, items: Items, test: Callback) -> Items:
    return [value for index, value in enumerate(items) if truthy(test(value, index, items))]


def find(run: Run, items: Items, test: Callback) -> Any:
    return next((value for index, value in enumerate(items) if truthy(test(value, index, items))), None)


def find_index(run: Run, items: Items, test: Callback) -> int:
    return next((index for index, value in enumerate(items) if truthy(test(value, index, items))), -1)


def find_last(run: Run, items: Items, test: Callback) -> Any:
    places = range(len(items) - 1, -1, -1)
    return next((items[index] for index in places if truthy(test(items[index], index, items))), None)


def some(run: Run, items: Items, test: Callback) -> bool:
    return any(truthy(test(value, index, items)) for index, value in enumerate(items))


def every(run: Run, items: Items, test: Callback) -> bool:
    return all(truthy(test(value, index, items)) for index, value in enumerate(items))


def flat_map(run: Run, items: Items, each: Callback) -> Items:
    return flat(run, map_items(run, items, each))


def reduce(run: Run, items: Items, combine: Callback, initial: Any = _NONE_GIVEN) -> Any:
    """Without `initial` the first item begins; an empty list is then null, where JavaScript throws."""
    begin = 0
    if initial is _NONE_GIVEN:
        initial, begin = (items[0] if items else None), 1
    for index in range(begin, len(items)):
        initial = combine(initial, items[index], index, items)
    return initial


def sort(run: Run, items: Items, compare: Callback | None = None) -> Items:
    """Sorted by text, or by `compare`, whose result is negative, zero or positive."""
    run.handle(len(items))
    if compare is None:
        run.spend(len(items))
        return sorted(items, key=lambda value: to_text(value, run))
    given = compare

    def order(left: Any, right: Any) -> int:
        result = to_number(given(left, right), run)
        return (result > 0) - (result < 0)

    return sorted(items, key=cmp_to_key(order))


def reverse(run: Run, items: Items) -> Items:
    run.handle(len(items))
    return items[::-1]


def slice_items(run: Run, items: Items, start: Any = None, end: Any = None) -> Items:
    part = items[to_index(start, run, 0) : to_index(end, run, len(items))]
    run.handle(len(part))
    return part


def join(run: Run, items: Items, separator: Any = ",") -> str:
    return join_texts(items, "," if separator is None else to_text(separator, run), run)


def includes(run: Run, items: Items, wanted: Any, position: Any = None) -> bool:
    return index_of(run, items, wanted, position) >= 0


def index_of(run: Run, items: Items, wanted: Any, position: Any = None) -> int:
    run.handle(len(items))
    first = to_index(position, run, 0)
    first = max(0, first + len(items)) if first < 0 else first
    return next((at for at in range(first, len(items)) if strict_equal(items[at], wanted, run)), -1)


def last_index_of(run: Run, items: Items, wanted: Any) -> int:
    place = index_of(run, items[::-1], wanted)
    return len(items) - 1 - place if place >= 0 else -1


def concat(run: Run, items: Items, *others: Any) -> Items:
    run.handle(len(items))
    joined = list(items)
    for other in others:
        if type(other) is list:
            run.handle(len(other))
            joined.extend(other)
        else:
            joined.append(other)
    return joined


def flat(run: Run, items: Items, depth: Any = 1) -> Items:
    out: Items = []
    _flatten(run, items, min(to_index(depth, run, 1), MAX_NESTING + 1), out, 0)
    return out


def _flatten(run: Run, items: Items, depth: int, out: Items, level: int) -> None:
    if level > MAX_NESTING:
        raise Fault("the lists are nested too deeply")
    run.handle(len(items))
    for value in items:
        if type(value) is list and level < depth:
            _flatten(run, value, depth, out, level + 1)
        else:
            out.append(value)


def at(run: Run, items: Items, position: Any = None) -> Any:
    place = to_index(position, run, 0)
    return items[place] if -len(items) <= place < len(items) else None
