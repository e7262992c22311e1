"""The syntax tree to closures: each takes a `Run` and gives a value. Done once for an expression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from linkflow.domain.expressions.calls import compile_call, compile_items
from linkflow.domain.expressions.context import Closure, Context
from linkflow.domain.expressions.errors import Fault, NeedsEngine
from linkflow.domain.expressions.functions import FUNCTIONS
from linkflow.domain.expressions.names import compile_name, compile_node_lookup, compile_special
from linkflow.domain.expressions.operators import ARITHMETIC, BINARY, UNARY
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.syntax import (
    Array,
    Arrow,
    Binary,
    Call,
    Conditional,
    Index,
    Literal,
    Member,
    Name,
    Node,
    Object,
    Spread,
    TemplateString,
    Unary,
)
from linkflow.domain.expressions.values import element, member, to_text, truthy

MAX_HEIGHT = 150
"""How high the tree may be. Chains such as a + b + c nest to the left without brackets, one level for each operator."""


class Compiler(Context):
    """Compiles the expressions of one text; what it found on the way is in its fields."""

    def __init__(self) -> None:
        super().__init__()
        self.height = 0
        self.kinds: dict[type[Node], Callable[[Any], Closure]] = {
            Literal: self.literal,
            Name: lambda node: compile_name(self, node),
            Member: self.member,
            Index: self.index,
            Call: lambda node: compile_call(self, node),
            Unary: self.unary,
            Binary: self.binary,
            Conditional: self.conditional,
            Array: self.array,
            Object: self.object,
            TemplateString: self.template,
            Arrow: self.misplaced,
            Spread: self.misplaced,
        }

    def fresh(self, faults: int) -> None:
        """Forget a tree that turned out to need the engine, and the faults behind the first `faults`."""
        self.height, self.parameters = 0, {}
        del self.faults[faults:]

    def compile(self, node: Node) -> Closure:
        self.size += 1
        self.height += 1
        if self.height > MAX_HEIGHT:
            raise Fault("the expression has too many parts in a row; split it up or use parentheses", node.at)
        compile_kind = self.kinds.get(type(node))
        if compile_kind is None or (isinstance(node, Binary) and node.operator == "instanceof"):
            raise NeedsEngine(type(node).__name__, node.at)
        closure = compile_kind(node)
        self.height -= 1
        return closure

    def literal(self, node: Literal) -> Closure:
        value = node.value
        return lambda run: value

    def member(self, node: Member) -> Closure:
        special = compile_special(self, node)
        if special is not None:
            return special
        owner, key = self.compile(node.object), node.name

        def closure(run: Run) -> Any:
            value = owner(run)
            return value.get(key) if type(value) is dict else member(value, key)

        return closure

    def index(self, node: Index) -> Closure:
        lookup = compile_node_lookup(self, node)
        if lookup is not None:
            return lookup
        owner, key = self.compile(node.object), self.compile(node.index)
        return lambda run: element(owner(run), key(run), run)

    def unary(self, node: Unary) -> Closure:
        operand, compute = self.compile(node.operand), UNARY[node.operator]
        self.builds = self.builds or node.operator in "+-~"
        return lambda run: compute(operand(run), run)

    def binary(self, node: Binary) -> Closure:
        self.builds = self.builds or node.operator in ARITHMETIC
        if node.operator == "|" and isinstance(node.right, Name) and node.right.name in FUNCTIONS:
            raise Fault(f"'|' calls no function; write {node.right.name}(…) around the value", node.at)
        return BINARY[node.operator](self.compile(node.left), self.compile(node.right))

    def conditional(self, node: Conditional) -> Closure:
        test, then, otherwise = self.compile(node.test), self.compile(node.then), self.compile(node.otherwise)
        return lambda run: then(run) if truthy(test(run)) else otherwise(run)

    def array(self, node: Array) -> Closure:
        self.builds = True
        return compile_items(self, node.items)

    def object(self, node: Object) -> Closure:
        self.builds = True
        entries = [
            (None if key is None else self.compile(key), self.compile(value), value.at) for key, value in node.entries
        ]

        def closure(run: Run) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for key, value, at in entries:
                if key is not None:
                    out[to_text(key(run), run)] = value(run)
                    continue
                spread = value(run)
                if type(spread) is dict:
                    run.handle(len(spread))
                    out.update(spread)
                elif spread is not None:
                    raise Fault("only an object or null can be spread here", at)
            return out

        return closure

    def template(self, node: TemplateString) -> Closure:
        parts = [part if isinstance(part, str) else self.compile(part) for part in node.parts]

        def closure(run: Run) -> str:
            texts = [part if isinstance(part, str) else to_text(part(run), run) for part in parts]
            run.room(sum(map(len, texts)))
            return "".join(texts)

        return closure

    def misplaced(self, node: Node) -> Closure:
        raise NeedsEngine("a function", node.at)
