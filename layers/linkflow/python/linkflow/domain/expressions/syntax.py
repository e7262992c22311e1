"""The syntax tree. `at` is the offset into the source, for messages.

There is no node for `?.`: reading from null is null anyway, so it parses as `.`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    at: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`object.name`, and `object["name"]`."""

    object: Node
    name: str


@dataclass(frozen=True, slots=True)
class Index(Node):
    object: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    callee: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Spread(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class Array(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Object(Node):
    """Pairs of key and value; a spread stands alone, with no key."""

    entries: tuple[tuple[Node | None, Node], ...]


@dataclass(frozen=True, slots=True)
class TemplateString(Node):
    parts: tuple[str | Node, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an arrow function: a plain name, or names taken out of an array or an object."""

    names: tuple[str, ...]
    keys: tuple[str | int, ...] = ()
    """Where each name is found in the argument; empty for a plain name."""


@dataclass(frozen=True, slots=True)
class Arrow(Node):
    parameters: tuple[Parameter, ...]
    body: Node
