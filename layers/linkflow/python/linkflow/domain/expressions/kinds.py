"""The type of a value as far as its text tells it, for faults that can be found when a workflow is saved."""

from __future__ import annotations

from collections.abc import Container

from linkflow.domain.expressions.arithmetic import BITS
from linkflow.domain.expressions.syntax import (
    Array,
    Binary,
    Call,
    Literal,
    Member,
    Name,
    Node,
    Object,
    TemplateString,
    Unary,
)

_TEXT = """now String dateFormat dateAdd JSON.stringify toUpperCase toLowerCase trim trimStart trimEnd replace
    replaceAll padStart padEnd repeat substring charAt toFixed toString join"""
_LISTS = "split Object.keys Object.values Object.entries map filter sort flatMap flat reverse"
_NUMBERS = "length len random randint Number.parseInt Number.parseFloat indexOf lastIndexOf findIndex localeCompare"
_TEXT_CALLS, _LIST_CALLS, _NUMBER_CALLS = (
    frozenset(_TEXT.split()),
    frozenset(_LISTS.split()),
    frozenset(_NUMBERS.split()),
)
_SURE = frozenset(("now", "String", "random", "randint", "length", "len"))
"""Plain functions that never give null; those of texts give null for null."""
_TRUTHS = frozenset(("==", "!=", "===", "!==", "<", "<=", ">", ">=", "in", "instanceof"))


def kind_of(node: Node, own: Container[str]) -> type | None:
    """str, int (any number), bool, list or dict; None where it is only known when it runs, or may be null.

    `own` are the names of parameters, which hide functions.
    """
    if isinstance(node, Literal):
        kind = type(node.value)
        return None if node.value is None else int if kind is float else kind
    if isinstance(node, TemplateString):
        return str
    if isinstance(node, Array | Object):
        return list if isinstance(node, Array) else dict
    if isinstance(node, Unary):
        return str if node.operator == "typeof" else bool if node.operator == "!" else int
    if isinstance(node, Binary):
        return _of_binary(node, own)
    return _of_call(node, own) if isinstance(node, Call) else None


def _of_binary(node: Binary, own: Container[str]) -> type | None:
    if node.operator in _TRUTHS:
        return bool
    if node.operator in ("-", "*", "/", "%", "**") or node.operator in BITS:
        return int
    if node.operator == "+":
        sides = (kind_of(node.left, own), kind_of(node.right, own))
        return str if str in sides else int if sides == (int, int) else None
    return None


def _of_call(node: Call, own: Container[str]) -> type | None:
    """Only plain functions, and methods of a value that is surely there: those of null give null."""
    callee = node.callee
    if isinstance(callee, Name):
        return _result(callee.name) if callee.name in _SURE and callee.name not in own else None
    if not isinstance(callee, Member):
        return None
    if isinstance(callee.object, Name):
        return _result(f"{callee.object.name}.{callee.name}") if callee.object.name not in own else None
    return _result(callee.name) if kind_of(callee.object, own) else None


def _result(name: str) -> type | None:
    if name in _TEXT_CALLS:
        return str
    if name in _LIST_CALLS:
        return list
    return int if name in _NUMBER_CALLS or name.startswith("Math.") else None
