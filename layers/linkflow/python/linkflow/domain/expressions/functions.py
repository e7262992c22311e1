"""The functions and methods that expressions know: one table each, name to implementation.

A plain function given null gives null wherever it works on a text or a date, so a missing path stays null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from linkflow.domain.expressions import dates, list_methods, numbers, text_methods
from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.json_text import json_text, parse_json
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.values import member, to_index, to_number, to_text, truthy

Function = Callable[..., Any]
"""Takes the `Run`, for methods the value they are called on, and the arguments."""


def _on_text(method: Function) -> Function:
    """A text method as a plain function: `toUpper(x)`."""

    def call(run: Run, value: Any, *rest: Any) -> Any:
        return None if value is None else method(run, to_text(value, run), *rest)

    return call


def _length(run: Run, value: Any) -> int:
    if value is None:
        return 0
    return len(value) if type(value) in (list, dict) else len(to_text(value, run))


def _contains(run: Run, value: Any, part: Any) -> bool:
    if type(value) is list:
        return list_methods.includes(run, value, part)
    if type(value) is dict:
        return to_text(part, run) in value
    return value is not None and text_methods.includes(run, to_text(value, run), part)


def _join(run: Run, items: Any, separator: Any = ",") -> Any:
    if items is None:
        return None
    return list_methods.join(run, items if type(items) is list else [items], separator)


def _stringify(run: Run, value: Any, replacer: Any = None, indent: Any = None) -> str:
    if replacer is not None:
        raise Fault("the second argument must be null")
    if type(indent) is not str:
        indent = " " * max(0, min(10, to_index(indent, run, 0)))
    return json_text(value, run, indent[:10])


def _parse(run: Run, text: Any) -> Any:
    return parse_json(text, run)


def _keys(run: Run, value: Any) -> list[str]:
    if type(value) is not dict and type(value) is not list:
        return []
    run.handle(len(value))
    return list(value) if type(value) is dict else [str(index) for index in range(len(value))]


def _values(run: Run, value: Any) -> list[Any]:
    keys = _keys(run, value)
    return list(value.values()) if type(value) is dict else list(value) if keys else []


def _entries(run: Run, value: Any) -> list[Any]:
    return [list(pair) for pair in zip(_keys(run, value), _values(run, value), strict=True)]


def _from_entries(run: Run, pairs: Any) -> dict[str, Any]:
    if type(pairs) is not list or not all(type(pair) is list for pair in pairs):
        raise Fault("Object.fromEntries needs an array of [key, value] pairs")
    run.handle(len(pairs))
    return {to_text(member(pair, "0"), run): member(pair, "1") for pair in pairs}


def _encode(run: Run, value: Any) -> str:
    text = to_text(value, run)
    run.room(len(text) * 3)
    return run.text(quote(text.encode("utf-8", "replace"), safe="!~*'()"))


def _to_string(run: Run, value: Any) -> str:
    return to_text(value, run)


def _is_number_nan(run: Run, value: Any) -> bool:
    return value != value and type(value) is float


def _has_own(run: Run, value: Mapping[str, Any], key: Any) -> bool:
    return to_text(key, run) in value


def _first(found: Function) -> Function:
    """`fn(a, b)` where JavaScript has `a.fn(b)` and no null: null has nothing in it."""

    def call(run: Run, value: Any, part: Any) -> bool:
        return value is not None and bool(found(run, to_text(value, run), part))

    return call


FUNCTIONS: dict[str, tuple[Function, int, int | None]] = {}
"""Name to implementation and the least and most arguments it takes (most: None for any number)."""
METHODS: dict[str, dict[type, Function]] = {}
"""Name to implementation by the type of value that has the method."""
CONSTANTS = {
    "Math.PI": math.pi,
    "Math.E": math.e,
    "Number.MAX_SAFE_INTEGER": 2**53 - 1,
    "Number.MIN_SAFE_INTEGER": 1 - 2**53,
}
NAMESPACES = frozenset(("Math", "Object", "JSON", "Array", "Number"))
CALLBACKS = {
    "map": 1, "filter": 1, "find": 1, "findIndex": 1, "findLast": 1, "some": 1, "every": 1, "flatMap": 1,
    "reduce": 2, "sort": 2,
}  # fmt: skip
"""Methods whose first argument is a function, and how many values matter to it."""
OPTIONAL_CALLBACK = frozenset(("sort",))
SELECTING = frozenset(
    ("filter", "find", "findLast", "slice", "sort", "reverse", "at", "some", "every", "includes", "indexOf", "join",
     "toUpperCase", "toLowerCase", "trim", "startsWith", "endsWith", "replace", "toUpper", "toLower", "upper", "lower",
     "contains", "length", "len", "now", "dateAdd", "dateFormat", "substring", "toFixed", "toString", "String",
     "Boolean", "toJson", "jsonStringify", "JSON.stringify", "encodeURIComponent", "Array.isArray")
)  # fmt: skip
"""Calls that only pick from what is there, so their result is as sound and as small as what went in."""
CLOCK = frozenset(("now",))
RANDOM = frozenset(("random", "randint", "Math.random"))


def arity(function: Function, skip: int) -> tuple[int, int | None]:
    """The least and most arguments of an implementation, without its first `skip` parameters."""
    code = function.__code__
    most = code.co_argcount - skip
    least = most - len(function.__defaults__ or ())
    return least, None if code.co_flags & 0x04 else most


def _define(table: dict[str, Function]) -> None:
    for name, function in table.items():
        FUNCTIONS[name] = (function, *arity(function, 1))


def _define_text(table: dict[str, Function]) -> None:
    """Plain functions made of text methods; they take the text besides the method's own arguments."""
    for name, method in table.items():
        least, most = arity(method, 1)
        FUNCTIONS[name] = (_on_text(method), least, most)


_define_text({
    "toUpper": text_methods.to_upper, "upper": text_methods.to_upper,
    "toLower": text_methods.to_lower, "lower": text_methods.to_lower,
    "trim": text_methods.trim, "split": text_methods.split, "replace": text_methods.replace_all,
})  # fmt: skip
_define({
    "startsWith": _first(text_methods.starts_with), "endsWith": _first(text_methods.ends_with),
    "contains": _contains, "length": _length, "len": _length, "join": _join,
    "jsonParse": _parse, "fromJson": _parse, "JSON.parse": _parse,
    "jsonStringify": _stringify, "toJson": _stringify, "JSON.stringify": _stringify,
    "now": dates.now, "dateAdd": dates.date_add, "dateFormat": dates.date_format,
    "round": numbers.round_half_up, "random": numbers.random_number, "randint": numbers.random_integer,
    "Number": lambda run, value=0: to_number(value, run),
    "String": lambda run, value="": to_text(value, run),
    "Boolean": lambda run, value=None: truthy(value),
    "parseInt": numbers.parse_int, "Number.parseInt": numbers.parse_int,
    "parseFloat": numbers.parse_float, "Number.parseFloat": numbers.parse_float,
    "isNaN": numbers.is_nan, "Number.isNaN": _is_number_nan,
    "isFinite": numbers.is_finite, "Number.isInteger": numbers.is_integer,
    "encodeURIComponent": _encode,
    "Array.isArray": lambda run, value=None: type(value) is list,
    "Object.keys": _keys, "Object.values": _values, "Object.entries": _entries, "Object.fromEntries": _from_entries,
    "Math.abs": numbers.of_one(abs), "Math.ceil": numbers.of_one(math.ceil), "Math.floor": numbers.of_one(math.floor),
    "Math.trunc": numbers.of_one(math.trunc), "Math.sqrt": numbers.of_one(math.sqrt),
    "Math.log": numbers.of_one(math.log), "Math.log2": numbers.of_one(math.log2),
    "Math.log10": numbers.of_one(math.log10), "Math.exp": numbers.of_one(math.exp),
    "Math.round": numbers.math_round, "Math.sign": numbers.sign, "Math.min": numbers.minimum,
    "Math.max": numbers.maximum, "Math.random": numbers.random_number,
})  # fmt: skip


def _define_methods(kind: type, table: dict[str, Function]) -> None:
    for name, function in table.items():
        METHODS.setdefault(name, {})[kind] = function


_define_methods(str, {
    "toUpperCase": text_methods.to_upper, "toLowerCase": text_methods.to_lower, "trim": text_methods.trim,
    "trimStart": text_methods.trim_start, "trimEnd": text_methods.trim_end, "split": text_methods.split,
    "replace": text_methods.replace, "replaceAll": text_methods.replace_all, "startsWith": text_methods.starts_with,
    "endsWith": text_methods.ends_with, "includes": text_methods.includes, "indexOf": text_methods.index_of,
    "lastIndexOf": text_methods.last_index_of, "padStart": text_methods.pad_start, "padEnd": text_methods.pad_end,
    "repeat": text_methods.repeat, "substring": text_methods.substring, "slice": text_methods.slice_text,
    "charAt": text_methods.char_at, "at": text_methods.at, "concat": text_methods.concat,
    "localeCompare": text_methods.locale_compare, "toString": _to_string,
})  # fmt: skip
_define_methods(list, {
    "map": list_methods.map_items, "filter": list_methods.filter_items, "find": list_methods.find,
    "findIndex": list_methods.find_index, "findLast": list_methods.find_last, "some": list_methods.some,
    "every": list_methods.every, "reduce": list_methods.reduce, "sort": list_methods.sort,
    "flatMap": list_methods.flat_map, "flat": list_methods.flat, "slice": list_methods.slice_items,
    "join": list_methods.join, "includes": list_methods.includes, "indexOf": list_methods.index_of,
    "lastIndexOf": list_methods.last_index_of, "concat": list_methods.concat, "reverse": list_methods.reverse,
    "at": list_methods.at, "toString": _to_string,
})  # fmt: skip
for _kind in (int, float):
    _define_methods(_kind, {"toFixed": numbers.to_fixed, "toString": numbers.number_to_string})
_define_methods(bool, {"toString": _to_string})
_define_methods(dict, {"toString": _to_string, "hasOwnProperty": _has_own})
