"""`{{ … }}` in the strings of a JSON value, compiled once and evaluated often."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from linkflow.domain.errors import Problem
from linkflow.domain.expressions.compiled import Array, Compiled, Constant, Expression, Object
from linkflow.domain.expressions.compiler import Compiler
from linkflow.domain.expressions.context import Closure
from linkflow.domain.expressions.errors import ExpressionSyntaxError, Fault, located
from linkflow.domain.expressions.json_text import MAX_DEPTH, show
from linkflow.domain.expressions.lexer import find_close, read_string, read_template
from linkflow.domain.expressions.parser import parse
from linkflow.domain.expressions.scope import Run

MAX_SOURCE = 32 * 1024
"""Characters that one expression may have."""
_CACHED_SOURCE = 8 * 1024  # longer texts are rare, and would make the cache large
_OPEN_OR_QUOTE = re.compile(r"\{\{|[\"'`]")


def compile_value(value: Any) -> Compiled:
    """Compile every `{{ … }}` in the strings, keys included, of a JSON value.

    A string that is one `{{x}}` and nothing else gives x with its type; with text around it the result is a string.
    Raises `ExpressionSyntaxError`: it is the first problem, and its `problems` are all of them.
    """
    errors: list[ExpressionSyntaxError] = []
    compiled = _compile(value, "", errors, 0)
    if errors:
        first = errors[0]
        first.problems = tuple(Problem(error.path, error.code, error.message) for error in errors)
        raise first
    return compiled


def compile_expression(text: str) -> Compiled:
    """Compile a text that is an expression as a whole, such as a condition; `{{ … }}` in it are parentheses."""
    return _cached_expression(text) if len(text) <= _CACHED_SOURCE else _expression(text)


def _compile(value: Any, path: str, errors: list[ExpressionSyntaxError], depth: int) -> Compiled:
    kind = type(value)
    if kind is str:
        return _text_at(value, path, errors)
    if kind is not dict and kind is not list:
        return Constant(value)
    if depth >= MAX_DEPTH:
        error = ExpressionSyntaxError(f"the value is nested too deeply (over {MAX_DEPTH} levels)")
        error.details["path"] = path
        errors.append(error)
        return Constant(value)
    if kind is list:
        items = [_compile(item, f"{path}/{index}", errors, depth + 1) for index, item in enumerate(value)]
        return Constant(value) if all(item.is_constant for item in items) else Array(items)
    steps = {key: f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}" for key in value}
    entries = [
        (_text_at(key, steps[key], errors), _compile(value[key], steps[key], errors, depth + 1)) for key in value
    ]
    return Constant(value) if all(k.is_constant and v.is_constant for k, v in entries) else Object(entries)


def _text_at(text: str, path: str, errors: list[ExpressionSyntaxError]) -> Compiled:
    if type(text) is not str or "{{" not in text:
        return Constant(text)
    try:
        return _cached_text(text) if len(text) <= _CACHED_SOURCE else _text(text)
    except ExpressionSyntaxError as error:
        error.details["path"] = path
        errors.append(error)
        return Constant(text)


def _refusing(compile_text: Callable[[str], Compiled]) -> Callable[[str], Compiled]:
    """Faults while compiling become syntax errors with line and column."""

    def call(text: str) -> Compiled:
        try:
            return compile_text(text)
        except Fault as fault:
            raise located(ExpressionSyntaxError, fault, text) from None
        except RecursionError:
            raise ExpressionSyntaxError("the expression is nested too deeply", source=text) from None

    return call


@_refusing
def _text(text: str) -> Compiled:
    """A string with `{{` in it."""
    compiler = Compiler()
    parts: list[str | Closure] = []
    at = first = 0
    while (start := text.find("{{", at)) >= 0:
        close = find_close(text, start + 2, len(text), "}}")
        if close < 0:
            raise Fault("'{{' is never closed by '}}'", start)
        first = first or start + 2
        parts += [text[at:start], _closure(compiler, text, start + 2, close)]
        at = close + 2
    parts = [part for part in (*parts, text[at:]) if part != ""]
    if len(parts) == 1 and not isinstance(parts[0], str):
        return Expression(text, first, parts[0], compiler)
    return Expression(text, first, _mixed(parts), compiler)


@_refusing
def _expression(text: str) -> Compiled:
    """A whole expression; the braces become parentheses of the same width, so that positions stay right."""
    compiler, source, at = Compiler(), text, 0
    while found := _OPEN_OR_QUOTE.search(source, at):
        start, at = found.start(), found.end()
        if found[0] == "{{":
            close = find_close(source, at, len(source), "}}")
            if close < 0:
                raise Fault("'{{' is never closed by '}}'", start)
            source = f"{source[:start]}( {source[at:close]} ){source[close + 2 :]}"
            continue
        _, at = (
            read_template(source, start, len(source)) if found[0] == "`" else read_string(source, start, len(source))
        )
        if found[0] != "`" and "{{" in source[start:at]:
            # Elsewhere such quotes are common, and taken literally they would only ever compare as unequal.
            raise Fault("'{{' stands inside quotes; leave the quotes away", start)
    return Expression(text, 0, _closure(compiler, source, 0, len(source)), compiler)


def _closure(compiler: Compiler, text: str, start: int, end: int) -> Closure:
    if end - start > MAX_SOURCE:
        raise Fault(f"the expression is too long (over {MAX_SOURCE} characters)", start)
    try:
        return compiler.compile(parse(text, start, end))
    except Fault as fault:
        if fault.at < 0:
            fault.at = start
        raise


def _mixed(parts: list[str | Closure]) -> Closure:
    def closure(run: Run) -> str:
        out: list[str] = []
        for part in parts:
            if isinstance(part, str):
                out.append(part)
                continue
            value = part(run)
            out.append(value if type(value) is str else show(value, run))
        text = "".join(out)
        if len(text) > 256:
            run.room(len(text))
        return text

    return closure


_cached_text = lru_cache(maxsize=4096)(_text)
_cached_expression = lru_cache(maxsize=4096)(_expression)
