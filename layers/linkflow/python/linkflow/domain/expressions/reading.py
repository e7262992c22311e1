"""Reading tokens one after another: what the parsers of values and of statements share."""

from __future__ import annotations

from collections.abc import Callable

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.lexer import MAX_NESTING, Token
from linkflow.domain.expressions.syntax import Node


class Reader:
    """A place in a list of tokens."""

    def __init__(self, source: str, tokens: list[Token], start: int, nesting: int) -> None:
        self.source = source
        self.tokens = tokens
        self.start = start
        self.position = 0
        self.nesting = nesting
        self.functions = 0
        """Bodies of functions around this place; only in there something may be assigned."""
        self.loops = self.switches = 0
        """Those around this place in its own function."""

    @property
    def token(self) -> Token:
        """The next token."""
        return self.tokens[self.position]

    def unexpected(self, wanted: str = "") -> Fault:
        token = self.token
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

    def word_is(self, word: str, ahead: int = 0) -> bool:
        place = self.position + ahead
        return place < len(self.tokens) and self.tokens[place][:2] == ("name", word)

    def take(self, operator: str) -> bool:
        if self.next_is(operator):
            self.position += 1
            return True
        return False

    def take_word(self, word: str) -> bool:
        if self.word_is(word):
            self.position += 1
            return True
        return False

    def expect(self, operator: str) -> None:
        if not self.take(operator):
            raise self.unexpected(f"'{operator}'")

    def name(self) -> str:
        token = self.token
        if token.kind != "name":
            raise self.unexpected("a name")
        self.position += 1
        return str(token.value)

    def nested(self, parse_inner: Callable[..., Node], *lowest: int) -> Node:
        """Run `parse_inner` one level deeper, so that no text can exhaust the stack."""
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise Fault("the expression is nested too deeply", self.token.at)
        node = parse_inner(*lowest)
        self.nesting -= 1
        return node

    def on_new_line(self) -> bool:
        """Does a line end before the next token?"""
        before = self.tokens[self.position - 1].at if self.position else self.start
        return "\n" in self.source[before : self.token.at]
