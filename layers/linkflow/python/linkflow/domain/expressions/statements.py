"""Bodies of functions: declarations, branches and loops, for the JavaScript engine."""

from __future__ import annotations

from abc import ABC, abstractmethod

from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.reading import Reader
from linkflow.domain.expressions.script_syntax import (
    Block,
    Declare,
    Empty,
    For,
    ForEach,
    Function,
    If,
    Leave,
    Pattern,
    Switch,
    Try,
    While,
)
from linkflow.domain.expressions.syntax import Literal, Node

_RESERVED = """break case catch class const continue debugger default delete do else enum export extends false finally
    for function if import in instanceof let new null return super switch this throw true try typeof var void while with
    yield await async static eval arguments undefined NaN Infinity implements interface package private protected
    public"""
RESERVED = frozenset(_RESERVED.split())
"""Words that nobody's own names can be."""
_BEGIN = "const let var function if while do for return throw break continue try switch"
_STATEMENTS = frozenset(_BEGIN.split())
_REFUSED = {
    "class": "classes are not part of expressions", "async": "an expression does not wait: use a code node",
    "with": "'with' is not part of expressions", "debugger": "'debugger' is not part of expressions",
}  # fmt: skip


class Statements(Reader, ABC):
    """The part of the parser that reads what stands between the braces of a function."""

    @abstractmethod
    def expression(self) -> Node: ...

    @abstractmethod
    def conditional(self) -> Node: ...

    def block(self) -> Block:
        """`{ … }`."""
        at = self.token.at
        self.expect("{")
        found: list[Node] = []
        while not self.take("}"):
            found.append(self.statement())
        return Block(at, tuple(found))

    def body(self) -> Block:
        """A function's body."""
        around = self.loops, self.switches
        self.functions, self.loops, self.switches = self.functions + 1, 0, 0
        block = self.block()
        self.functions, (self.loops, self.switches) = self.functions - 1, around
        return block

    def looped(self) -> Node:
        """A loop's body."""
        self.loops += 1
        node = self.statement()
        self.loops -= 1
        return node

    def statement(self) -> Node:
        return self.nested(self._statement)

    def _statement(self) -> Node:
        token = self.token
        if self.next_is("{"):
            return self.block()
        if self.take(";"):
            return Empty(token.at)
        if token.kind == "name":
            word = str(token.value)
            if word in _REFUSED:
                raise Fault(_REFUSED[word], token.at)
            read = getattr(self, f"_{word}", None) if word in _STATEMENTS else None
            if read is not None:
                self.position += 1
                node: Node = read(token.at, word)
                return node
        value = self.expression()
        self._end()
        return value

    def _end(self) -> None:
        """A semicolon, or a place where JavaScript puts one by itself."""
        if not self.take(";") and not self.next_is("}") and self.token.kind != "end" and not self.on_new_line():
            raise self.unexpected("';'")

    # --- one for each word that begins a statement

    def _const(self, at: int, word: str) -> Node:
        node = self._declaration(at, word)
        self._end()
        return node

    _let = _var = _const

    def _declaration(self, at: int, word: str) -> Node:
        names: list[tuple[Pattern, Node | None]] = []
        while True:
            pattern = self.pattern(default=False)
            value = self.expression() if self.take("=") else None
            if value is None and (word == "const" or pattern.shape):
                raise self.unexpected("'='")
            names.append((pattern, value))
            if not self.take(","):
                return Declare(at, word, tuple(names))

    def _function(self, at: int, word: str) -> Node:
        return self.function(at, named=True)

    def function(self, at: int, named: bool = False) -> Function:
        """What follows the word `function`."""
        if self.next_is("*"):
            raise Fault("generators are not part of expressions", self.token.at)
        name = self.own_name() if named or self.token.kind == "name" else ""
        return Function(at, self.parameters(), self.body(), name)

    def _if(self, at: int, word: str) -> Node:
        test = self._bracketed()
        then = self.statement()
        return If(at, test, then, self.statement() if self.take_word("else") else None)

    def _bracketed(self) -> Node:
        self.expect("(")
        value = self.expression()
        self.expect(")")
        return value

    def _while(self, at: int, word: str) -> Node:
        return While(at, self._bracketed(), self.looped(), True)

    def _do(self, at: int, word: str) -> Node:
        body = self.looped()
        if not self.take_word("while"):
            raise self.unexpected("'while'")
        node = While(at, self._bracketed(), body, False)
        self.take(";")
        return node

    def _for(self, at: int, word: str) -> Node:
        self.expect("(")
        first: Node | None = None
        start = self.token
        if start.kind == "name" and start.value in ("const", "let", "var"):
            self.position += 1
            place = self.position
            each = self.pattern(default=False)
            for kind in ("of", "in"):
                if self.take_word(kind):
                    items = self.expression()
                    self.expect(")")
                    return ForEach(at, kind, str(start.value), each, items, self.looped())
            self.position = place
            first = self._declaration(start.at, str(start.value))
        elif not self.next_is(";"):
            first = self.expression()
        self.expect(";")
        test = None if self.next_is(";") else self.expression()
        self.expect(";")
        step: list[Node] = []
        while not self.next_is(")"):
            step.append(self.expression())
            if not self.take(","):
                break
        self.expect(")")
        return For(at, first, test, tuple(step), self.looped())

    def _return(self, at: int, word: str) -> Node:
        empty = self.next_is(";") or self.next_is("}") or self.on_new_line()
        value = None if empty else self.expression()
        self._end()
        return Leave(at, word, value)

    def _throw(self, at: int, word: str) -> Node:
        value = self.expression()
        self._end()
        return Leave(at, word, value)

    def _break(self, at: int, word: str) -> Node:
        if not self.loops and (word == "continue" or not self.switches):
            raise Fault(f"'{word}' stands outside of a loop", at)
        self._end()
        return Leave(at, word)

    _continue = _break

    def _try(self, at: int, word: str) -> Node:
        body = self.block()
        caught = handler = last = None
        if self.take_word("catch"):
            if self.take("("):
                caught = self.pattern(default=False)
                self.expect(")")
            handler = self.block()
        if self.take_word("finally"):
            last = self.block()
        if handler is None and last is None:
            raise self.unexpected("'catch' or 'finally'")
        return Try(at, body, caught, handler, last)

    def _switch(self, at: int, word: str) -> Node:
        value = self._bracketed()
        self.expect("{")
        self.switches += 1
        cases: list[tuple[Node | None, tuple[Node, ...]]] = []
        while not self.take("}"):
            test: Node | None = None
            if self.take_word("case"):
                test = self.expression()
            elif not self.take_word("default"):
                raise self.unexpected("'case' or 'default'")
            self.expect(":")
            found: list[Node] = []
            while not (self.word_is("case") or self.word_is("default") or self.next_is("}")):
                found.append(self.statement())
            cases.append((test, tuple(found)))
        self.switches -= 1
        return Switch(at, value, tuple(cases))

    # --- names that something is bound to

    def own_name(self) -> str:
        at = self.token.at
        name = self.name()
        if name in RESERVED or name.startswith("$lf"):
            raise Fault(f"'{name}' cannot be a name of your own", at)
        return name

    def parameters(self) -> tuple[Pattern, ...]:
        """`(a, {b}, …rest)`."""
        self.expect("(")
        found: list[Pattern] = []
        while not self.take(")"):
            found.append(self.pattern())
            if not self.next_is(")"):
                if found[-1].rest:
                    raise Fault("the rest comes last", found[-1].at)
                self.expect(",")
        return tuple(found)

    def pattern(self, default: bool = True) -> Pattern:
        """A name, or names taken out of a list or an object; with a value for where there is none."""
        self.nesting += 1
        at = self.token.at
        if self.nesting > 60:
            raise Fault("the expression is nested too deeply", at)
        rest = self.take("...")
        if self.take("["):
            found = Pattern(at, "", "[", self._list_parts(), rest=rest)
        elif self.take("{"):
            found = Pattern(at, "", "{", self._object_parts(), rest=rest)
        else:
            found = Pattern(at, self.own_name(), rest=rest)
        self.nesting -= 1
        if default and not rest and self.take("="):
            found = Pattern(at, found.name, found.shape, found.parts, self.expression())
        return found

    def _list_parts(self) -> tuple[tuple[Node | None, Pattern], ...]:
        parts: list[tuple[Node | None, Pattern]] = []
        while not self.take("]"):
            parts.append((None, Pattern(self.token.at) if self.next_is(",") else self.pattern()))
            if not self.next_is("]"):
                self.expect(",")
        return tuple(parts)

    def _object_parts(self) -> tuple[tuple[Node | None, Pattern], ...]:
        parts: list[tuple[Node | None, Pattern]] = []
        while not self.take("}"):
            token = self.token
            if self.next_is("..."):
                parts.append((None, self.pattern()))
            elif token.kind in ("name", "string", "number") and self.next_is(":", 1):
                self.position += 2
                parts.append((Literal(token.at, token.value), self.pattern()))
            else:
                pattern = self.pattern()
                if pattern.shape:
                    raise Fault("a key is missing before this", pattern.at)
                parts.append((Literal(token.at, pattern.name), pattern))
            if not self.next_is("}"):
                self.expect(",")
        return tuple(parts)
