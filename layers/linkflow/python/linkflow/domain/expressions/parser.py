"""Tokens to a syntax tree, by precedence climbing."""

from __future__ import annotations

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.lexer import Token, tokenize
from linkflow.domain.expressions.script_syntax import Assign, Function, New, Pattern, Regex, Update
from linkflow.domain.expressions.statements import Statements
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
    "??": 10, "||": 10, "&&": 20, "|": 32, "^": 34, "&": 36,
    "==": 40, "!=": 40, "===": 40, "!==": 40,
    "<": 50, "<=": 50, ">": 50, ">=": 50, "in": 50, "instanceof": 50, "<<": 55, ">>": 55, ">>>": 55,
    "+": 60, "-": 60, "*": 70, "/": 70, "%": 70, "**": 80,
}  # fmt: skip
_POWER = 80
_NOT = 30  # the word `not` binds as in `not a == b`: looser than a comparison, tighter than `and`
_ASSIGNMENTS = frozenset(
    ["=", "+=", "-=", "*=", "/=", "%=", "**=", "&=", "|=", "^=", "<<=", ">>=", "&&=", "||=", "??="]
) | {">>>="}
_CHANGES = {
    "=": "'=' is no operator here; compare with '=='",
    "++": "'++' changes a value, which an expression cannot",
    "--": "'--' changes a value, which an expression cannot",
    ";": "an expression is one value; ';' does not belong in it",
}
"""What may stand only inside the body of a function."""
_WORDS = {"and": "&&", "AND": "&&", "or": "||", "OR": "||", "in": "in", "instanceof": "instanceof"}
_VALUES = {"true": True, "false": False, "null": None, "undefined": None, "NaN": float("nan"), "Infinity": float("inf")}
_CLOSERS = {")": "(", "]": "[", "}": "{"}


def parse(source: str, start: int, end: int, nesting: int = 0) -> Node:
    """The expression `source[start:end]`; raises `Fault` with an offset into `source`."""
    return _Parser(source, tokenize(source, start, end), start, nesting).whole()


class _Parser(Statements):
    def __init__(self, source: str, tokens: list[Token], start: int, nesting: int) -> None:
        super().__init__(source, tokens, start, nesting)
        self.closing = _matching(tokens)

    def whole(self) -> Node:
        if self.tokens[0].kind == "end":
            raise Fault("an expression is missing", self.start)
        node = self.expression()
        if self.token.kind != "end":
            why = _CHANGES.get(self.token.value, "") if self.token.kind == "op" else ""
            raise Fault(why, self.token.at) if why else self.unexpected()
        return node

    # --- operators

    def expression(self) -> Node:
        return self.nested(self.arrow if self.at_arrow() else self.assignment)

    def assignment(self) -> Node:
        target = self.conditional()
        token = self.token
        if token.kind != "op" or token.value not in _ASSIGNMENTS:
            return target
        self.changing(target, token)
        self.position += 1
        return Assign(token.at, token.value, target, self.expression())

    def changing(self, target: Node, token: Token) -> None:
        """Refuse to change a value outside of a function's body, and what no value can be kept in."""
        if not self.functions or not isinstance(target, Name | Member | Index):
            raise Fault(_CHANGES.get(token.value, "'=' changes a value, which an expression cannot"), token.at)

    def conditional(self) -> Node:
        test = self.binary(0)
        at = self.token.at
        if not self.take("?"):
            return test
        then = self.expression()
        self.expect(":")
        return Conditional(at, test, then, self.expression())

    def binary(self, lowest: int) -> Node:
        left = self.unary()
        while True:
            token = self.token
            operator = (
                _WORDS.get(token.value, "") if token.kind == "name" else token.value if token.kind == "op" else ""
            )
            power = _PRECEDENCE.get(operator, 0)
            if power == 0 or power < lowest:
                return left
            self.position += 1
            # `**` is the one operator that groups to the right.
            right = self.nested(self.binary, power if power == _POWER else power + 1)
            left = Binary(token.at, operator, left, right)

    def unary(self) -> Node:
        token = self.token
        if token.kind == "op" and token.value in ("!", "-", "+", "~"):
            self.position += 1
            # JavaScript refuses `-2 ** 2`; the usual reading is -(2 ** 2).
            return Unary(token.at, token.value, self.nested(self.binary, _POWER))
        if token.kind == "op" and token.value in ("++", "--"):
            self.position += 1
            target = self.nested(self.unary)
            self.changing(target, token)
            return Update(token.at, token.value, target, True)
        if token.kind == "name" and (token.value == "typeof" or (token.value == "delete" and self.functions)):
            self.position += 1
            return Unary(token.at, token.value, self.nested(self.unary))
        if token.kind == "name" and token.value in ("not", "NOT"):
            self.position += 1
            return Unary(token.at, "!", self.nested(self.binary, _NOT))
        return self.postfix()

    def postfix(self) -> Node:
        node = self.primary()
        while True:
            token = self.token
            if self.take("?."):
                if not (self.next_is("(") or self.next_is("[")):
                    node = Member(token.at, node, self.name())
            elif self.take("."):
                node = Member(token.at, node, self.name())
            elif self.take("["):
                index = self.expression()
                self.expect("]")
                if isinstance(index, Literal) and isinstance(index.value, str):
                    node = Member(token.at, node, index.value)
                else:
                    node = Index(token.at, node, index)
            elif self.take("("):
                node = Call(node.at, node, self.items(")"))
            elif token.kind == "op" and token.value in ("++", "--") and not self.on_new_line():
                self.changing(node, token)
                self.position += 1
                node = Update(token.at, token.value, node, False)
            else:
                return node

    # --- values

    def primary(self) -> Node:
        token = self.token
        if token.kind == "name":
            if token.value == "new":
                return self.new()
            if token.value == "function":
                self.position += 1
                return self.function(token.at)
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
        if token.kind == "regex":
            self.position += 1
            return Regex(token.at, *token.value)
        if self.take("("):
            node = self.expression()
            self.expect(")")
            return node
        if self.take("["):
            return Array(token.at, self.items("]"))
        if self.take("{"):
            return self.object(token.at)
        raise self.unexpected("a value")

    def new(self) -> Node:
        at = self.token.at
        self.position += 1
        name = self.name()
        return New(at, name, self.items(")") if self.take("(") else ())

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
            at = self.token.at
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
        token = self.token
        if self.take("..."):
            return None, self.expression()
        key: Node
        if self.take("["):
            key = self.expression()
            self.expect("]")
        elif token.kind in ("name", "string", "number"):
            self.position += 1
            key = Literal(token.at, token.value)
            if self.next_is("("):
                return key, Function(token.at, self.parameters(), self.body())
            if token.kind == "name" and not self.next_is(":"):
                return key, Name(token.at, token.value)
        else:
            raise self.unexpected("a key")
        self.expect(":")
        return key, self.expression()

    # --- arrow functions

    def at_arrow(self) -> bool:
        if self.token.kind == "name":
            return self.next_is("=>", 1)
        close = self.closing.get(self.position, -1) if self.next_is("(") else -1
        return close >= 0 and self.next_is("=>", close + 1 - self.position)

    def arrow(self) -> Node:
        at = self.token.at
        given = self.parameters() if self.next_is("(") else (Pattern(at, self.own_name()),)
        self.expect("=>")
        if self.next_is("{"):
            return Function(at, given, self.body())
        body = self.expression()
        plain = [_plain(pattern) for pattern in given]
        parameters = tuple(parameter for parameter in plain if parameter is not None)
        return Arrow(at, parameters, body) if len(parameters) == len(given) else Function(at, given, body)


def _plain(pattern: Pattern) -> Parameter | None:
    """A parameter as the native language has it: a name, or names straight out of a list or an object."""
    if pattern.default is not None or pattern.rest:
        return None
    if not pattern.shape:
        return Parameter((pattern.name,))
    parts = [part for _, part in pattern.parts]
    if any(part.shape or part.rest or part.default is not None or not part.name for part in parts):
        return None
    names = tuple(part.name for part in parts)
    if pattern.shape == "[":
        return Parameter(names, tuple(range(len(names))))
    return Parameter(names, tuple(str(key.value) for key, _ in pattern.parts if isinstance(key, Literal)))


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
