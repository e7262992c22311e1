"""Tokens to a syntax tree, by precedence climbing."""

from __future__ import annotations

from collections.abc import Callable

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.lexer import MAX_NESTING, Token, tokenize
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
    Parameter,
    Spread,
    TemplateString,
    Unary,
)

_PRECEDENCE = {
    "??": 1, "||": 1, "&&": 2,
    "==": 4, "!=": 4, "===": 4, "!==": 4,
    "<": 5, "<=": 5, ">": 5, ">=": 5, "in": 5,
    "+": 6, "-": 6, "*": 7, "/": 7, "%": 7, "**": 8,
}  # fmt: skip
_NOT = 3  # the word `not` binds as in `not a == b`: looser than a comparison, tighter than `and`
_WORDS = {"and": "&&", "AND": "&&", "or": "||", "OR": "||", "in": "in"}
_VALUES = {"true": True, "false": False, "null": None, "undefined": None, "NaN": float("nan"), "Infinity": float("inf")}
_REFUSED = frozenset(("new", "function", "instanceof"))
_CLOSERS = {")": "(", "]": "[", "}": "{"}


def parse(source: str, start: int, end: int, nesting: int = 0) -> Node:
    """The expression `source[start:end]`; raises `Fault` with an offset into `source`."""
    return _Parser(source, tokenize(source, start, end), start, nesting).whole()


class _Parser:
    def __init__(self, source: str, tokens: list[Token], start: int, nesting: int) -> None:
        self.source = source
        self.tokens = tokens
        self.start = start
        self.position = 0
        self.nesting = nesting
        self.closing = _matching(tokens)

    def whole(self) -> Node:
        if self.tokens[0].kind == "end":
            raise Fault("an expression is missing", self.start)
        node = self.expression()
        if self.tokens[self.position].kind != "end":
            raise self.unexpected()
        return node

    # --- reading tokens

    def unexpected(self, wanted: str = "") -> Fault:
        token = self.tokens[self.position]
        if token.kind == "end":
            found = "the expression ends too early"
        elif token.kind in ("op", "name"):
            found = f"unexpected '{str(token.value)[:40]}'"
        else:
            found = f"unexpected {token.kind}"
        return Fault(f"{found}; expected {wanted}" if wanted else found, token.at)

    def next_is(self, operator: str, ahead: int = 0) -> bool:
        place = self.position + ahead
        return place < len(self.tokens) and self.tokens[place][:2] == ("op", operator)

    def take(self, operator: str) -> bool:
        if self.next_is(operator):
            self.position += 1
            return True
        return False

    def expect(self, operator: str) -> None:
        if not self.take(operator):
            raise self.unexpected(f"'{operator}'")

    def name(self) -> str:
        token = self.tokens[self.position]
        if token.kind != "name":
            raise self.unexpected("a name")
        self.position += 1
        return str(token.value)

    def nested(self, parse_inner: Callable[..., Node], *lowest: int) -> Node:
        """Run `parse_inner` one level deeper, so that no text can exhaust the stack."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise Fault("the expression is nested too deeply", self.tokens[self.position].at)
        node = parse_inner(*lowest)
        self.nesting -= 1
        return node

    # --- operators

    def expression(self) -> Node:
        return self.nested(self.arrow if self.at_arrow() else self.conditional)

    def conditional(self) -> Node:
        test = self.binary(0)
        at = self.tokens[self.position].at
        if not self.take("?"):
            return test
        then = self.expression()
        self.expect(":")
        return Conditional(at, test, then, self.expression())

    def binary(self, lowest: int) -> Node:
        left = self.unary()
        while True:
            token = self.tokens[self.position]
            operator = (
                _WORDS.get(token.value, "") if token.kind == "name" else token.value if token.kind == "op" else ""
            )
            power = _PRECEDENCE.get(operator, 0)
            if power == 0 or power < lowest:
                return left
            self.position += 1
            # `**` is the one operator that groups to the right.
            right = self.nested(self.binary, power if power == 8 else power + 1)
            left = Binary(token.at, operator, left, right)

    def unary(self) -> Node:
        token = self.tokens[self.position]
        if token.kind == "op" and token.value in ("!", "-", "+"):
            self.position += 1
            # JavaScript refuses `-2 ** 2`; the usual reading is -(2 ** 2).
            return Unary(token.at, token.value, self.nested(self.binary, 8))
        if token.kind == "name" and token.value == "typeof":
            self.position += 1
            return Unary(token.at, "typeof", self.nested(self.unary))
        if token.kind == "name" and token.value in ("not", "NOT"):
            self.position += 1
            return Unary(token.at, "!", self.nested(self.binary, _NOT))
        return self.postfix()

    def postfix(self) -> Node:
        node = self.primary()
        while True:
            at = self.tokens[self.position].at
            if self.take("?."):
                if not (self.next_is("(") or self.next_is("[")):
                    node = Member(at, node, self.name())
            elif self.take("."):
                node = Member(at, node, self.name())
            elif self.take("["):
                index = self.expression()
                self.expect("]")
                if isinstance(index, Literal) and isinstance(index.value, str):
                    node = Member(at, node, index.value)
                else:
                    node = Index(at, node, index)
            elif self.take("("):
                node = Call(node.at, node, self.items(")"))
            else:
                return node

    # --- values

    def primary(self) -> Node:
        token = self.tokens[self.position]
        if token.kind == "name":
            if token.value in _REFUSED:
                raise Fault(f"'{token.value}' is not part of expressions", token.at)
            if token.value in _WORDS:
                raise self.unexpected("a value")
            self.position += 1
            return Literal(token.at, _VALUES[token.value]) if token.value in _VALUES else Name(token.at, token.value)
        if token.kind in ("number", "string"):
            self.position += 1
            return Literal(token.at, token.value)
        if token.kind == "template":
            self.position += 1
            return self.template(token)
        if self.take("("):
            node = self.expression()
            self.expect(")")
            return node
        if self.take("["):
            return Array(token.at, self.items("]"))
        if self.take("{"):
            return self.object(token.at)
        raise self.unexpected("a value")

    def template(self, token: Token) -> Node:
        parts: list[str | Node] = []
        for part in token.value:
            if isinstance(part, str):
                parts.append(part)
            else:
                parts.append(parse(self.source, part[0], part[1], self.nesting + 1))
        return TemplateString(token.at, tuple(parts))

    def items(self, closer: str) -> tuple[Node, ...]:
        """Values and spreads, parted by commas, up to `closer`."""
        found: list[Node] = []
        while not self.take(closer):
            at = self.tokens[self.position].at
            found.append(Spread(at, self.expression()) if self.take("...") else self.expression())
            if not self.next_is(closer):
                self.expect(",")
        return tuple(found)

    def object(self, at: int) -> Node:
        entries: list[tuple[Node | None, Node]] = []
        while not self.take("}"):
            entries.append(self.entry())
            if not self.next_is("}"):
                self.expect(",")
        return Object(at, tuple(entries))

    def entry(self) -> tuple[Node | None, Node]:
        token = self.tokens[self.position]
        if self.take("..."):
            return None, self.expression()
        key: Node
        if self.take("["):
            key = self.expression()
            self.expect("]")
        elif token.kind in ("name", "string", "number"):
            self.position += 1
            key = Literal(token.at, token.value)
            if token.kind == "name" and not self.next_is(":"):
                return key, Name(token.at, token.value)
        else:
            raise self.unexpected("a key")
        self.expect(":")
        return key, self.expression()

    # --- arrow functions

    def at_arrow(self) -> bool:
        if self.tokens[self.position].kind == "name":
            return self.next_is("=>", 1)
        close = self.closing.get(self.position, -1) if self.next_is("(") else -1
        return close >= 0 and self.next_is("=>", close + 1 - self.position)

    def arrow(self) -> Node:
        at = self.tokens[self.position].at
        parameters: list[Parameter] = []
        if self.take("("):
            while not self.take(")"):
                parameters.append(self.parameter())
                if not self.next_is(")"):
                    self.expect(",")
        else:
            parameters.append(Parameter((self.name(),)))
        self.expect("=>")
        if self.next_is("{"):
            raise Fault("a function is one expression here; write (…) around an object", self.tokens[self.position].at)
        return Arrow(at, tuple(parameters), self.expression())

    def parameter(self) -> Parameter:
        if self.take("["):
            names = self.pattern("]")
            return Parameter(names, tuple(range(len(names))))
        if self.take("{"):
            names = self.pattern("}")
            return Parameter(names, names)
        return Parameter((self.name(),))

    def pattern(self, closer: str) -> tuple[str, ...]:
        names: list[str] = []
        while not self.take(closer):
            names.append(self.name())
            if not self.next_is(closer):
                self.expect(",")
        return tuple(names)


def _matching(tokens: list[Token]) -> dict[int, int]:
    """For every opening bracket the place of its partner; what does not match is left for the parser to refuse."""
    open_at: list[int] = []
    pairs: dict[int, int] = {}
    for place, token in enumerate(tokens):
        if token.kind != "op":
            continue
        if token.value in "([{":
            open_at.append(place)
        elif token.value in _CLOSERS and open_at and tokens[open_at[-1]].value == _CLOSERS[token.value]:
            pairs[open_at.pop()] = place
    return pairs
