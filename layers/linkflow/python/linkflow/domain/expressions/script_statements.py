"""Statements, and the functions that they stand in, written as JavaScript."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from linkflow.domain.expressions import script_syntax as s
from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.script_names import FORBIDDEN_KEYS
from linkflow.domain.expressions.syntax import Index, Member, Name, Node

MAX_HEIGHT = 200


class Statements:
    """`own` are the names in reach, as they are written; `kinds` how each kind of node is."""

    def __init__(self) -> None:
        self.own: dict[str, str] = {}
        self.keys: set[str] = set()
        """Keys that the script itself gives to objects, which may hold functions."""
        self.height = self.temporaries = 0
        self.kinds: dict[type[Node], Callable[[Any], str]] = {
            s.Assign: self.assign, s.Update: self.update, s.Block: self.block, s.Declare: self.declare, s.If: self.if_,
            s.For: self.for_, s.ForEach: self.for_each, s.While: self.while_, s.Leave: self.leave, s.Try: self.try_,
            s.Switch: self.switch, s.Empty: lambda node: ";",
        }  # fmt: skip

    def write(self, node: Node) -> str:
        self.height += 1
        if self.height > MAX_HEIGHT:
            raise Fault("the expression has too many parts in a row; split it up or use parentheses", node.at)
        text = self.kinds[type(node)](node)
        self.height -= 1
        return text

    # --- functions

    def local(self, name: str) -> str:
        """A name of the author's own, from here on."""
        written = name if name.isascii() else "$lf_" + name.encode("utf-16-be").hex()
        self.own[name] = written
        return written

    def temporary(self) -> int:
        self.temporaries += 1
        return self.temporaries

    def made(self, node: s.Function, name: str = "") -> str:
        outer = dict(self.own)
        head, first = self.parameters(node.parameters)
        body = self.write(node.body) if isinstance(node.body, s.Block) else f"{{ return {self.write(node.body)}; }}"
        self.own = outer
        inside = f"{{ {first}{body[1:-1]} }}"
        return f"(function {name}({head}) {inside})" if name else f"(({head}) => {inside})"

    def parameters(self, patterns: tuple[s.Pattern, ...]) -> tuple[str, str]:
        """The list of parameters, and the statement that takes out of them what the author named."""
        if all(not pattern.shape and pattern.default is None for pattern in patterns):
            names = [("..." if one.rest else "", self.local(one.name), one.rest) for one in patterns]
            return ", ".join(f"{dots}{name}{'' if rest else ' = null'}" for dots, name, rest in names), ""
        heads, bound = [], []
        for pattern in patterns:
            name = f"$lf{self.temporary()}"
            heads.append(("..." if pattern.rest else "") + name)
            bound += self.bind(replace(pattern, rest=False), name)
        return ", ".join(heads), f"let {', '.join(bound)}; "

    def bind(self, pattern: s.Pattern, value: str) -> list[str]:
        """Declarations that take `pattern` out of `value`."""
        if pattern.default is not None:
            value = f"$lf.d({value}, () => {self.write(pattern.default)})"
        if not pattern.shape:
            return [f"{self.local(pattern.name)} = {value} ?? null"] if pattern.name else []
        whole = f"$lf{self.temporary()}"
        found = [f"{whole} = {'$lf.a(' if pattern.shape == '[' else '('}{value})"]
        taken: list[str] = []
        for place, (key, part) in enumerate(pattern.parts):
            if part.rest:
                rest = f"{whole}.slice({place})" if pattern.shape == "[" else f"$lf.o({whole}, [{', '.join(taken)}])"
                found += self.bind(replace(part, rest=False), rest)
                continue
            step = str(place) if key is None else self.write(key)
            taken.append(step)
            found += self.bind(part, f"$lf.g({whole}, {step})")
        return found

    # --- statements

    def target(self, node: Node) -> str:
        """Something that is changed."""
        if isinstance(node, Name):
            if node.name not in self.own:
                raise Fault(f"'{node.name[:60]}' is not yours to change; declare it with let", node.at)
            return self.own[node.name]
        if isinstance(node, Member):
            if node.name in FORBIDDEN_KEYS:
                raise Fault(f"nothing can be put under '{node.name}'", node.at)
            self.keys.add(node.name)
            return f"{self.write(node.object)}[{json.dumps(node.name)}]"
        if isinstance(node, Index):
            return f"{self.write(node.object)}[$lf.k({self.write(node.index)})]"
        raise Fault("this cannot be changed", node.at)

    def assign(self, node: s.Assign) -> str:
        value = self.write(node.value)
        return f"({self.target(node.target)} {node.operator} {value})"

    def update(self, node: s.Update) -> str:
        target = self.target(node.target)
        return f"({node.operator}{target})" if node.before else f"({target}{node.operator})"

    def block(self, node: s.Block) -> str:
        outer = dict(self.own)
        for one in node.statements:  # a function may speak of what is declared behind it
            if isinstance(one, s.Function) and one.name:
                self.local(one.name)
            for pattern, _ in one.names if isinstance(one, s.Declare) else ():
                self.announce(pattern)
        ordered = sorted(node.statements, key=lambda one: not (isinstance(one, s.Function) and one.name))
        text = "{ " + " ".join(self.statement(one) for one in ordered) + " }"
        self.own = outer
        return text

    def announce(self, pattern: s.Pattern) -> None:
        """The names of a declaration, before it is written."""
        if pattern.name:
            self.local(pattern.name)
        for _, part in pattern.parts:
            self.announce(part)

    def statement(self, node: Node) -> str:
        if isinstance(node, s.Function) and node.name:
            return f"var {self.own[node.name]} = {self.made(node)};" if node.name in self.own else ";"
        text = self.write(node)
        return text if type(node) in _STATEMENTS else f"{text};"

    def declare(self, node: s.Declare) -> str:
        return f"{node.keyword} {self.declared(node)};"

    def declared(self, node: s.Declare) -> str:
        bound: list[str] = []
        for pattern, value in node.names:
            written = "null" if value is None else self.write(value)
            bound += self.bind(pattern, written)
        return ", ".join(bound) or f"$lf{self.temporary()} = null"

    def if_(self, node: s.If) -> str:
        otherwise = f" else {self.inner(node.otherwise)}" if node.otherwise else ""
        return f"if ({self.write(node.test)}) {self.inner(node.then)}{otherwise}"

    def inner(self, node: Node) -> str:
        """A statement as a block of its own."""
        return self.block(node if isinstance(node, s.Block) else s.Block(node.at, (node,)))

    def for_(self, node: s.For) -> str:
        outer = dict(self.own)
        first = ""
        if isinstance(node.first, s.Declare):
            first = f"{node.first.keyword} {self.declared(node.first)}"
        elif node.first is not None:
            first = self.write(node.first)
        test = self.write(node.test) if node.test else ""
        step = ", ".join(self.write(one) for one in node.step)
        text = f"for ({first}; {test}; {step}) {self.inner(node.body)}"
        self.own = outer
        return text

    def for_each(self, node: s.ForEach) -> str:
        items = self.write(node.items)
        outer = dict(self.own)
        name = f"$lf{self.temporary()}"
        bound = ", ".join(self.bind(node.each, name))
        items = f"$lf.a({items})" if node.word == "of" else f"$lf.f['Object.keys']({items})"
        text = f"for (const {name} of {items}) {{ {node.keyword} {bound or '$lf0'}; {self.inner(node.body)} }}"
        self.own = outer
        return text

    def while_(self, node: s.While) -> str:
        test = self.write(node.test)
        return (
            f"while ({test}) {self.inner(node.body)}" if node.first else f"do {self.inner(node.body)} while ({test});"
        )

    def leave(self, node: s.Leave) -> str:
        return f"{node.word} {self.write(node.value)};" if node.value else f"{node.word};"

    def try_(self, node: s.Try) -> str:
        text = f"try {self.inner(node.body)}"
        if node.handler is not None:
            outer = dict(self.own)
            name = f"$lf{self.temporary()}"
            bound = self.bind(node.caught, name) if node.caught else []
            text += (
                f" catch ({name}) {{ {'let ' + ', '.join(bound) + ';' if bound else ''} {self.inner(node.handler)} }}"
            )
            self.own = outer
        return text + (f" finally {self.inner(node.finally_)}" if node.finally_ else "")

    def switch(self, node: s.Switch) -> str:
        text = f"switch ({self.write(node.value)}) {{ "
        outer = dict(self.own)
        for test, statements in node.cases:
            text += "default: " if test is None else f"case {self.write(test)}: "
            text += " ".join(self.statement(one) for one in statements) + " "
        self.own = outer
        return text + "}"


_STATEMENTS = frozenset((s.Block, s.Declare, s.If, s.For, s.ForEach, s.While, s.Leave, s.Try, s.Switch, s.Empty))
