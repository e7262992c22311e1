"""JSON in and out, as JSON.parse and JSON.stringify, and the check of what leaves an expression."""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import Any

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.scope import MAX_TEXT, Run
from linkflow.domain.expressions.values import INFINITY, number_text, type_name

MAX_DEPTH = 200
"""How deep a built value may nest."""
MAX_RESULT = 16 * 1024 * 1024
"""Size a built value may have: its texts' characters, and 16 for every value in it."""


def json_text(value: Any, run: Run, indent: str = "") -> str:
    """JSON.stringify; NaN and Infinity become null."""
    writer = _Writer(run, indent)
    writer.write(value, 0)
    return run.text("".join(writer.out))


class _Writer:
    """Stops as soon as the text grows too long: a small value can hold itself many times over."""

    def __init__(self, run: Run, indent: str) -> None:
        self.run = run
        self.indent = indent
        self.out: list[str] = []
        self.room = MAX_TEXT

    def put(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            self.run.room(MAX_TEXT + 1)
        self.out.append(text)

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            self.put(encode_basestring(value))
        elif value is None or kind is bool:
            self.put("null" if value is None else "true" if value else "false")
        elif kind is int or kind is float:
            self.put(number_text(value) if -INFINITY < value < INFINITY else "null")
        elif kind is list or kind is dict:
            if depth >= MAX_DEPTH:
                raise Fault(f"the value is nested too deeply (over {MAX_DEPTH} levels)")
            self.run.handle(len(value))
            self.container(value, depth)
        else:
            raise Fault("the value is no JSON value")

    def container(self, value: Any, depth: int) -> None:
        opener, closer = "[]" if type(value) is list else "{}"
        if not value:
            return self.put(opener + closer)
        line = "\n" + self.indent * (depth + 1) if self.indent else ""
        separator = opener + line
        for entry in value:
            self.put(separator)
            separator = "," + line
            if type(value) is dict:
                self.put(encode_basestring(str(entry)) + (": " if self.indent else ":"))
                self.write(value[entry], depth + 1)
            else:
                self.write(entry, depth + 1)
        return self.put((line[: -len(self.indent)] if self.indent else "") + closer)


def parse_json(value: Any, run: Run) -> Any:
    """JSON.parse; null stays null, and what is already parsed stays as it is."""
    if type(value) is not str:
        return value
    run.read(value)
    try:
        parsed = json.loads(value, parse_constant=_no_constant)
        if "\\u" in value:
            # Half a surrogate pair is no character: it could be stored nowhere.
            json.dumps(parsed, ensure_ascii=False).encode()
    except RecursionError:
        raise Fault("the JSON text is nested too deeply") from None
    except ValueError:
        raise Fault("the text is not valid JSON") from None
    return parsed


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def settle(value: Any) -> Any:
    """A built value as it may leave: NaN and Infinity as null, and its size checked.

    Without the check a few repeated references could grow into gigabytes once somebody writes them out.
    """
    return _Settler().settle(value, 0)


class _Settler:
    def __init__(self) -> None:
        self.room = MAX_RESULT

    def settle(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self.room -= 16 + len(value) if kind is str else 16
        if self.room < 0:
            raise Fault("the result is too large")
        if kind is float:
            return value if -INFINITY < value < INFINITY else None
        if kind is not list and kind is not dict:
            return value
        if depth >= MAX_DEPTH:
            raise Fault(f"the result is nested too deeply (over {MAX_DEPTH} levels)")
        if kind is list:
            settled = [self.settle(item, depth + 1) for item in value]
            return settled if any(a is not b for a, b in zip(settled, value, strict=True)) else value
        self.room -= sum(map(len, value))
        entries = {key: self.settle(item, depth + 1) for key, item in value.items()}
        return entries if any(entries[key] is not value[key] for key in value) else value


def show(value: Any, run: Run) -> str:
    """How a value stands in mixed text: null as nothing, lists and objects as JSON."""
    if value is None:
        return ""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return number_text(value) if -INFINITY < value < INFINITY else ""
    if kind is list or kind is dict:
        return json_text(value, run)
    raise Fault(f"a {type_name(value)} has no text")
