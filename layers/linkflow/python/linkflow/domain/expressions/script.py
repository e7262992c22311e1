"""The syntax tree as JavaScript, for what only the engine can evaluate.

What is written out is not the author's text but the tree, with LinkFlow's rules in it: reading from null is null, there
is one empty value, a value has only its own keys, names stand for what they stand for everywhere, and only known
functions and methods can be called. `$lf` holds the helpers and the data (sandbox/prelude.js).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from linkflow.domain.expressions import script_syntax as s
from linkflow.domain.expressions.calls import function_name, hint
from linkflow.domain.expressions.context import Context
from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.facts import Facts
from linkflow.domain.expressions.functions import CALLBACKS, CLOCK, FUNCTIONS, METHODS, RANDOM
from linkflow.domain.expressions.names import APPROVAL, FIXED, NEEDS_APPROVAL
from linkflow.domain.expressions.scope import Scope
from linkflow.domain.expressions.script_names import (
    ANY_METHOD,
    CLASSES,
    NOTHING_FROM,
    SCRIPT_CLOCK,
    SCRIPT_CONSTANTS,
    SCRIPT_FUNCTIONS,
    SCRIPT_NAMESPACES,
)
from linkflow.domain.expressions.script_statements import Statements
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


@dataclass(frozen=True, slots=True)
class Script:
    """One `{{ … }}` for the engine: an expression over `$lf`, and what it reads."""

    code: str
    facts: Facts

    def data(self, scope: Scope) -> dict[str, Any]:
        """What the script sees of a scope; JSON."""
        return data_of(self.facts, scope)


def data_of(facts: Facts, scope: Scope) -> dict[str, Any]:
    """What scripts with these facts see."""
    fixed = facts.fixed
    data: dict[str, Any] = {}
    if fixed & {"input", "$input", "$json", "$"}:
        data["input"] = scope.input
    for name in ("trigger", "workflow", "execution"):
        if name in fixed:
            data[name] = getattr(scope, name)
    members = {name[5:] for name in fixed if name.startswith("loop.")}
    if "loop" in fixed or members:
        loop = scope.loop
        partly = type(loop) is dict and "loop" not in fixed
        data["loop"] = {name: loop.get(name) for name in members} if partly else loop
    # Variables are small and few, and which ones a script reads is not kept.
    data["vars"] = dict(scope.vars)
    data["names"] = {name: _value(scope, name) for name in facts.names}
    data["nodes"] = {name: _record(scope.node(name)) for name in facts.nodes}
    if facts.prev:
        data["prev"] = _record(scope.prev)
    known = scope.credentials
    if asked := {name[len(APPROVAL) + 1 :] for name in fixed if name.startswith(APPROVAL)}:
        data["approvals"] = {name: scope.approvals(name) for name in asked}
    data["credentials"] = {name: known.get(name) if known else None for name in facts.credentials}
    return data


def _value(scope: Scope, name: str) -> Any:
    record = scope.node(name)
    return scope.vars.get(name) if record is None else record.get("output")


def _record(record: Any) -> Any:
    return None if record is None else {"json": record.get("output"), **record}


def compile_script(outer: Context, node: Node) -> Script:
    """A tree as a script. What it reads is noted in `outer`; raises `Fault`."""
    if isinstance(node, Arrow | s.Function):
        raise Fault("a function is no value; call it, or give it to a method such as map", node.at)
    writer = _Writer()
    code = writer.write(node)
    outer.absorb(writer.context)
    return Script(code, writer.context.facts())


class _Names(Context):
    def compile(self, node: Node) -> Any:
        raise NotImplementedError


class _Writer(Statements):
    """Writes one tree."""

    def __init__(self) -> None:
        super().__init__()
        self.context: Context = _Names()
        self.kinds |= self._values()

    def _values(self) -> dict[type[Node], Callable[[Any], str]]:
        return {
            Literal: lambda node: _literal(node.value), Name: self.name, Member: self.member, Index: self.index,
            Call: self.call, Unary: self.unary, Binary: self.binary, Conditional: self.conditional, Array: self.array,
            Object: self.object, TemplateString: self.template, Arrow: self.arrow, Spread: self.spread,
            s.Regex: self.regex, s.New: self.new, s.Function: self.function,
        }  # fmt: skip

    # --- names and members

    def name(self, node: Name) -> str:
        name = node.name
        if name in self.own:
            return self.own[name]
        if name in FIXED:
            self.context.fixed.add(name)
            return f"$lf.x.{_DATA.get(name, name)}"
        if name in _NEEDS_NAME:
            raise Fault(_NEEDS_NAME[name], node.at)
        self.context.names.setdefault(name, node.at)
        return f"$lf.g($lf.x.names, {json.dumps(name)})"

    def free(self, node: Node) -> str:
        return node.name if isinstance(node, Name) and node.name not in self.own else ""

    def member(self, node: Member) -> str:
        owner, key = self.free(node.object), json.dumps(node.name)
        if owner == "$node":
            if node.name == "prev":
                self.context.prev = True
                return "$lf.x.prev"
            self.context.nodes.setdefault(node.name, node.at)
            return f"$lf.g($lf.x.nodes, {key})"
        if owner == "credential":
            self.context.credentials.add(node.name)
            return f"$lf.g($lf.x.credentials, {key})"
        if owner == APPROVAL:
            self.context.fixed.add(f"{APPROVAL}.{node.name}")
            return f"$lf.g($lf.x.approvals, {key})"
        if owner in ("vars", "env"):
            return f"$lf.g($lf.x.vars, {key})"
        if owner == "loop":
            self.context.fixed.add(f"loop.{node.name}")
            return f"$lf.g($lf.x.loop, {key})"
        if owner in SCRIPT_NAMESPACES and f"{owner}.{node.name}" in SCRIPT_CONSTANTS:
            return f"{owner}.{node.name}"
        if function_name(self.own, node) in FUNCTIONS | dict.fromkeys(SCRIPT_FUNCTIONS):
            raise Fault(f"{owner}.{node.name} is no value; functions are called, as in Math.max(1, 2)", node.at)
        return f"$lf.g({self.write(node.object)}, {key})"

    def index(self, node: Index) -> str:
        if self.free(node.object) == "$node":
            raise Fault("beside what only JavaScript has, $node needs a name that is written out", node.at)
        if self.free(node.object) in _NEEDS_NAME:
            raise Fault(_NEEDS_NAME[self.free(node.object)], node.at)
        return f"$lf.g({self.write(node.object)}, {self.write(node.index)})"

    # --- calls

    def call(self, node: Call) -> str:
        callee = node.callee
        name = function_name(self.own, callee)
        if name in FUNCTIONS or name in SCRIPT_FUNCTIONS:
            return f"$lf.f[{json.dumps(self.note(name))}]({self.items(node.arguments)})"
        if isinstance(callee, Name) and callee.name not in self.own:
            known = [*FUNCTIONS, *SCRIPT_FUNCTIONS]
            raise Fault(f"there is no function '{name[:60]}'{hint(name, known)}", callee.at)
        if isinstance(callee, Member):
            return self.method(node, callee)
        if isinstance(callee, Index):
            raise Fault("only a function or a method can be called", callee.at)
        return f"({self.write(callee)}({self.items(node.arguments)}) ?? null)"

    def note(self, name: str) -> str:
        self.context.uses_clock |= name in CLOCK or name in SCRIPT_CLOCK
        self.context.uses_random |= name in RANDOM
        return name

    def method(self, node: Call, callee: Member) -> str:
        name = callee.name
        if name not in METHODS and name not in ANY_METHOD and name not in self.keys:
            raise Fault(f"there is no method '{name[:60]}'{hint(name, [*METHODS, *ANY_METHOD])}", callee.at)
        count = CALLBACKS.get(name, 1)
        owner, first = self.write(callee.object), NOTHING_FROM.get(name, len(node.arguments))
        given = [self.given(argument, count) for argument in node.arguments]
        given[first:] = [one if one.startswith("...") else f"$lf.u({one})" for one in given[first:]]
        return f"({owner}?.{name}({', '.join(given)}) ?? null)"

    def items(self, nodes: Iterable[Node], count: int = 1) -> str:
        return ", ".join(self.given(node, count) for node in nodes)

    def given(self, node: Node, count: int) -> str:
        """An argument; a function that is named gets what matters to it, and no index besides."""
        name = function_name(self.own, node) if isinstance(node, Name | Member) else ""
        if name in FUNCTIONS or name in SCRIPT_FUNCTIONS:
            names = ", ".join(("a", "b")[:count])
            return f"(({names}) => $lf.f[{json.dumps(self.note(name))}]({names}))"
        return self.write(node)

    def new(self, node: s.New) -> str:
        if node.name not in CLASSES or node.name in self.own:
            raise Fault(f"'new {node.name[:60]}' is not part of expressions{hint(node.name, CLASSES)}", node.at)
        self.context.uses_clock |= node.name == "Date"
        return f"(new $lf.n.{node.name}({self.items(node.arguments)}))"

    # --- values

    def regex(self, node: s.Regex) -> str:
        return f"$lf.r({json.dumps(node.pattern)}, {json.dumps(node.flags)})"

    def unary(self, node: Unary) -> str:
        operand = self.write(node.operand)
        if node.operator == "typeof":
            return f"$lf.t({operand})"
        if node.operator == "delete":
            return f"(delete {self.target(node.operand)})"
        return f"({node.operator} {operand})"

    def binary(self, node: Binary) -> str:
        left = self.write(node.left)
        if node.operator == "instanceof":
            name = self.free(node.right)
            if name not in CLASSES and name != "Object":
                raise Fault(f"'instanceof' needs one of {', '.join(sorted(CLASSES))}", node.right.at)
            return f"({left} instanceof $lf.n.{name})"
        right = self.write(node.right)
        return f"$lf.i({left}, {right})" if node.operator == "in" else f"({left} {node.operator} {right})"

    def conditional(self, node: Conditional) -> str:
        return f"({self.write(node.test)} ? {self.write(node.then)} : {self.write(node.otherwise)})"

    def array(self, node: Array) -> str:
        return f"[{self.items(node.items)}]"

    def spread(self, node: Spread) -> str:
        return f"...$lf.a({self.write(node.value)})"

    def object(self, node: Object) -> str:
        entries = []
        for key, value in node.entries:
            if key is None:
                entries.append(f"...$lf.p({self.write(value)})")
                continue
            if isinstance(key, Literal):
                self.keys.add(str(key.value))
            entries.append(f"[{self.write(key)}]: {self.write(value)}")
        return f"({{{', '.join(entries)}}})"

    def template(self, node: TemplateString) -> str:
        texts = [json.dumps(part) if isinstance(part, str) else f"$lf.s({self.write(part)})" for part in node.parts]
        return "(" + " + ".join(['""', *texts]) + ")"

    # --- functions

    def arrow(self, node: Arrow) -> str:
        return self.function(s.Function(node.at, tuple(_pattern(node.at, one) for one in node.parameters), node.body))

    def function(self, node: s.Function) -> str:
        """A function as a value; its own name is known inside of it."""
        outer = dict(self.own)
        text = self.made(node, self.local(node.name)) if node.name else self.made(node)
        self.own = outer
        return text


_DATA = {"$input": "input", "$json": "input", "$": "input", "env": "vars"}
_NEEDS_NAME = {
    "$node": '$node needs a node\'s name, as in $node["Fetch order"].output',
    "credential": "credential needs a name written out, as in credential.api_key",
    APPROVAL: NEEDS_APPROVAL,
}


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        return "(0 / 0)" if value != value else "(1 / 0)"
    return json.dumps(value)


def _pattern(at: int, parameter: Any) -> s.Pattern:
    if not parameter.keys:
        return s.Pattern(at, parameter.names[0])
    parts = [
        (None if type(key) is int else Literal(at, key), s.Pattern(at, name))
        for name, key in zip(parameter.names, parameter.keys, strict=True)
    ]
    return s.Pattern(at, "", "[" if type(parameter.keys[0]) is int else "{", tuple(parts))
