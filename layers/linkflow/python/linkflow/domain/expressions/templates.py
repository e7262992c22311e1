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
from linkflow.domain.expressions.errors import ExpressionSyntaxError, Fault, NeedsEngine, located
from linkflow.domain.expressions.json_text import MAX_DEPTH, show
from linkflow.domain.expressions.lexer import find_close, read_string, read_template, skip_slash
from linkflow.domain.expressions.parser import parse
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.script import Script, compile_script
from linkflow.domain.expressions.syntax import Node

MAX_SOURCE = 32 * 1024
"""Characters that one expression may have."""
_CACHED_SOURCE = 8 * 1024  # longer texts are rare, and would make the cache large
_OPEN_OR_QUOTE = re.compile(r"\{\{|[\"'`/]")


def compile_value(value: Any) -> Compiled:
    """Compile every `{{ … }}` in the strings, keys included, of a JSON value.

    A string that is one `{{x}}` and nothing else gives x with its type; with text around it the result is a string.
    Raises `ExpressionSyntaxError`: it is the first problem, and its `problems` are all of them.
    """
    errors: list[ExpressionSyntaxError] = []
    compiled = _compile(value, "", errors, 0)
    if errors:
        first = errors[0]
        first.problems = tuple(
            Problem(error.path, error.code, message)
            for error in errors
            for message in [problem.message for problem in error.problems] or [error.message]
        )
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


class _Build:
    """The parts of one text: each native where it can be, and a script where not."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.compiler = Compiler()
        self.scripts: list[Script] = []

    def closure(self, source: str, start: int, end: int) -> Closure:
        """The expression `source[start:end]`. A fault is noted, so that the others of the text are found as well."""
        known = len(self.compiler.faults)
        try:
            if end - start > MAX_SOURCE:
                raise Fault(f"the expression is too long (over {MAX_SOURCE} characters)", start)
            return self._closure(parse(source, start, end), known)
        except Fault as fault:
            fault.at = start if fault.at < 0 else fault.at
            self.compiler.fresh(len(self.compiler.faults))
            self.compiler.report(fault)
            return lambda run: None

    def _closure(self, tree: Node, known: int) -> Closure:
        try:
            return self.compiler.compile(tree)
        except NeedsEngine:
            self.compiler.fresh(known)
        script = compile_script(self.compiler, tree)
        self.scripts.append(script)
        at = tree.at

        def closure(run: Run) -> Any:
            answer = run.scope.answers.get(script.code, _UNASKED)
            if isinstance(answer, Fault):
                raise Fault(answer.message, at)
            return answer

        return closure

    def expression(self, start: int, closure: Closure) -> Expression:
        """The whole. Raises an error that lists every fault."""
        faults = sorted(self.compiler.faults, key=lambda fault: fault.at)
        if faults:
            errors = [located(ExpressionSyntaxError, fault, self.text, start) for fault in faults]
            errors[0].problems = tuple(Problem("", error.code, error.message) for error in errors)
            raise errors[0]
        return Expression(self.text, start, closure, self.compiler, tuple(self.scripts))


_UNASKED = Fault("this expression needs the JavaScript engine, which is not there at this place")


@_refusing
def _text(text: str) -> Compiled:
    """A string with `{{` in it."""
    build = _Build(text)
    parts: list[str | Closure] = []
    at = first = 0
    while (start := text.find("{{", at)) >= 0:
        close = find_close(text, start + 2, len(text), "}}")
        if close < 0:
            raise Fault("'{{' is never closed by '}}'", start)
        first = first or start + 2
        parts += [text[at:start], build.closure(text, start + 2, close)]
        at = close + 2
    parts = [part for part in (*parts, text[at:]) if part != ""]
    if len(parts) == 1 and not isinstance(parts[0], str):
        return build.expression(first, parts[0])
    return build.expression(first, _mixed(parts))


@_refusing
def _expression(text: str) -> Compiled:
    """A whole expression; the braces become parentheses of the same width, so that positions stay right."""
    source, at = text, 0
    while found := _OPEN_OR_QUOTE.search(source, at):
        start, at = found.start(), found.end()
        if found[0] == "{{":
            close = find_close(source, at, len(source), "}}")
            if close < 0:
                raise Fault("'{{' is never closed by '}}'", start)
            source = f"{source[:start]}( {source[at:close]} ){source[close + 2 :]}"
            continue
        if found[0] == "/":
            at = skip_slash(source, 0, start, len(source))
            continue
        _, at = (
            read_template(source, start, len(source)) if found[0] == "`" else read_string(source, start, len(source))
        )
        if found[0] != "`" and "{{" in source[start:at]:
            # Elsewhere such quotes are common, and taken literally they would only ever compare as unequal.
            raise Fault("'{{' stands inside quotes; leave the quotes away", start)
    build = _Build(text)
    return build.expression(0, build.closure(source, 0, len(source)))


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
