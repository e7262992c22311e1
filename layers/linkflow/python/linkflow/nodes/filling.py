"""Templates: text with expressions, and with parts that repeat or are chosen."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from linkflow.domain.expressions import Compiled, ExpressionError, Scope, compile_expression
from linkflow.nodes.compare import truthy
from linkflow.nodes.fields import to_text

MAX_TURNS = 10_000
MAX_TEXT = 1024 * 1024
MAX_DEPTH = 20
MAX_SECONDS = 2.0
"""Of CPU."""

_TAG = re.compile(r"\{\{((?:[^{}'\"`]|'[^'\n]*'|\"[^\"\n]*\"|`[^`]*`|\{[^{}]*\})*)\}\}")
_LONE = re.compile(r"(?m)^[ \t]*(\{\{\s*(?:[#/][^{}\n]*|else\s*)\}\})[ \t]*\n")


class TooMuch(Exception):
    """The template comes to more than it may."""


@dataclass(slots=True)
class _Each:
    items: Compiled
    body: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _If:
    test: Compiled
    body: list[Any] = field(default_factory=list)
    other: list[Any] = field(default_factory=list)


@lru_cache(maxsize=256)
def parsed(text: str) -> list[Any]:
    """The parts of a template: texts, expressions, blocks. Raises `ValueError` with the line of what is wrong."""
    text = _LONE.sub(r"\1", text)
    root: list[Any] = []
    open_: list[tuple[str, Any, list[Any], int]] = [("", None, root, 1)]
    at = 0
    for found in _TAG.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        open_[-1][2].append(text[at : found.start()])
        at = found.end()
        _take(found[1].strip(), line, open_)
    if len(open_) > 1:
        raise ValueError(f"line {open_[-1][3]}: {{{{#{open_[-1][0]}}}}} has no end")
    root.append(text[at:])
    return root


def _take(tag: str, line: int, open_: list[tuple[str, Any, list[Any], int]]) -> None:
    name, block, parts, _ = open_[-1]
    if tag.startswith("#"):
        kind, _, rest = tag[1:].strip().partition(" ")
        if kind not in ("each", "if"):
            raise ValueError(f"line {line}: there is no {{{{#{kind}}}}}; there are #each and #if")
        if len(open_) > MAX_DEPTH:
            raise ValueError(f"line {line}: blocks may stand in each other {MAX_DEPTH} deep")
        made: Any = _Each(_expression(rest, line)) if kind == "each" else _If(_expression(rest, line))
        parts.append(made)
        open_.append((kind, made, made.body, line))
    elif tag == "else" and name == "if" and parts is not block.other:
        open_[-1] = (name, block, block.other, open_[-1][3])
    elif tag.startswith("/") or tag == "else":
        if tag[1:].strip() != name or not name:
            raise ValueError(f"line {line}: {{{{{tag}}}}} ends nothing that is open")
        open_.pop()
    else:
        parts.append(_expression(tag, line))


def _expression(text: str, line: int) -> Compiled:
    try:
        compiled = compile_expression(text.strip())
    except ExpressionError as error:
        raise ValueError(f"line {line}: {error}") from None
    if compiled.scripts:
        # Each turn would be a call of the sandbox; a template's value can be made by an expression before it.
        raise ValueError(f"line {line}: this needs JavaScript, which templates have not; put it into `value`")
    return compiled


class _Filling:
    def __init__(self, value: Any, trigger: Any, escape: Callable[[str], str]) -> None:
        self.value, self.trigger, self.escape = value, trigger, escape
        self.out: list[str] = []
        self.size = self.turns = 0
        self.end = time.thread_time() + MAX_SECONDS

    def parts(self, parts: list[Any], loop: Mapping[str, Any] | None) -> None:
        for part in parts:
            if isinstance(part, str):
                self.write(part)
            elif isinstance(part, _If):
                self.parts(part.body if truthy(self.evaluate(part.test, loop)) else part.other, loop)
            elif isinstance(part, _Each):
                self.each(part, loop)
            else:
                self.write(self.escape(str(to_text(self.evaluate(part, loop)))))

    def each(self, part: _Each, loop: Mapping[str, Any] | None) -> None:
        items = self.evaluate(part.items, loop)
        if isinstance(items, dict):
            items = [{"key": key, "value": value} for key, value in items.items()]
        if items is not None and not isinstance(items, list):
            raise ValueError("What {{#each}} is given is no list.")
        for index, item in enumerate(items or ()):
            self.turns += 1
            if self.turns > MAX_TURNS:
                raise TooMuch(f"The template repeats more than {MAX_TURNS:,} times.")
            self.parts(part.body, {"item": item, "index": index, "items": items})

    def evaluate(self, compiled: Compiled, loop: Mapping[str, Any] | None) -> Any:
        if time.thread_time() > self.end:
            raise TooMuch(f"The template takes more than {MAX_SECONDS:g} s.")
        try:
            return compiled.evaluate(Scope(input=self.value, trigger=self.trigger, loop=loop))
        except ExpressionError as error:
            raise ValueError(str(error)) from None

    def write(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_TEXT:
            raise TooMuch(f"The text would have more than {MAX_TEXT:,} characters.")
        self.out.append(text)


def fill(template: str, value: Any, trigger: Any, as_html: bool) -> str:
    """The text. Raises `ValueError` where an expression fails, and `TooMuch`."""
    filling = _Filling(value, trigger, (lambda text: html.escape(text)) if as_html else (lambda text: text))
    filling.parts(parsed(template), None)
    return "".join(filling.out)
