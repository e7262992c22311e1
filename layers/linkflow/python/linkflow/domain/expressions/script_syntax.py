"""What only the JavaScript engine runs: functions with statements, regular expressions, `new`, assignments.

The parser makes these; the native compiler refuses each with `NeedsEngine`, and `script` writes them out again.
"""

from __future__ import annotations

from dataclasses import dataclass

from linkflow.domain.expressions.syntax import Node


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    """A parameter or a declared name: `names` is one name, or the parts taken out of a list or an object."""

    name: str = ""
    shape: str = ""
    """``[`` or ``{`` where parts are taken out."""
    parts: tuple[tuple[Node | None, Pattern], ...] = ()
    """Key (of an object) and what it is bound to; a list's holes are patterns without a name."""
    default: Node | None = None
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Regex(Node):
    pattern: str
    flags: str


@dataclass(frozen=True, slots=True)
class New(Node):
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Function(Node):
    """An arrow function that the native language does not have, or a `function`. `body` is a value or a block."""

    parameters: tuple[Pattern, ...]
    body: Node
    name: str = ""


@dataclass(frozen=True, slots=True)
class Assign(Node):
    operator: str
    target: Node
    value: Node


@dataclass(frozen=True, slots=True)
class Update(Node):
    """`++` and `--`."""

    operator: str
    target: Node
    before: bool


@dataclass(frozen=True, slots=True)
class Block(Node):
    statements: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Declare(Node):
    keyword: str
    names: tuple[tuple[Pattern, Node | None], ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    test: Node
    then: Node
    otherwise: Node | None


@dataclass(frozen=True, slots=True)
class For(Node):
    first: Node | None
    test: Node | None
    step: tuple[Node, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class ForEach(Node):
    """`for (… of …)` and `for (… in …)`."""

    word: str
    keyword: str
    each: Pattern
    items: Node
    body: Node


@dataclass(frozen=True, slots=True)
class While(Node):
    test: Node
    body: Node
    first: bool
    """True for `while`, false for `do … while`."""


@dataclass(frozen=True, slots=True)
class Leave(Node):
    """`return` and `throw` with a value, `break` and `continue` without."""

    word: str
    value: Node | None = None


@dataclass(frozen=True, slots=True)
class Try(Node):
    body: Node
    caught: Pattern | None
    handler: Node | None
    finally_: Node | None


@dataclass(frozen=True, slots=True)
class Switch(Node):
    value: Node
    cases: tuple[tuple[Node | None, tuple[Node, ...]], ...]


@dataclass(frozen=True, slots=True)
class Empty(Node):
    """`;` by itself."""
