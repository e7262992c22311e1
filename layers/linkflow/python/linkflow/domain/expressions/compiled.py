"""What compiling gives: a value that is known, an expression, or a list or object that holds some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from linkflow.domain.expressions.context import Closure, Context
from linkflow.domain.expressions.errors import ExpressionError, Fault, line_and_column, located, pointer
from linkflow.domain.expressions.facts import NO_FACTS, Facts
from linkflow.domain.expressions.json_text import settle, show
from linkflow.domain.expressions.scope import Run, Scope
from linkflow.domain.expressions.script import Script


class Compiled:
    """A compiled value. `evaluate` may be called from any thread and any number of times.

    Results share their parts with the scope and with the definition: treat them as frozen.
    """

    __slots__ = ("facts",)

    def __init__(self, facts: Facts = NO_FACTS) -> None:
        self.facts = facts

    def evaluate(self, scope: Scope) -> Any:
        """The JSON value in this scope; raises `ExpressionError`."""
        raise NotImplementedError

    @property
    def is_constant(self) -> bool:
        """Whether there is no expression in it."""
        return False

    @property
    def scripts(self) -> tuple[Script, ...]:
        """What the JavaScript engine has to answer before `evaluate` is called; usually nothing."""
        return ()

    def texts(self, path: str = "") -> Iterator[tuple[str, Expression]]:
        """Every text with expressions, with its JSON Pointer below `path`."""
        yield from ()

    @property
    def references(self) -> frozenset[str]:
        """Every name that may be a node's: `nodes` and `names` together."""
        return self.facts.nodes | self.facts.names

    @property
    def nodes(self) -> frozenset[str]:
        """Ids or labels in ``$node["…"]``: unknown ones are mistakes."""
        return self.facts.nodes

    @property
    def names(self) -> frozenset[str]:
        """Bare names that are neither fixed names nor functions: a node's id, or else a variable."""
        return self.facts.names

    @property
    def credentials(self) -> frozenset[str]:
        """Names in `credential.NAME`."""
        return self.facts.credentials

    @property
    def uses_clock(self) -> bool:
        """Whether it calls now()."""
        return self.facts.uses_clock

    @property
    def uses_random(self) -> bool:
        """Whether it calls random(), randint() or Math.random()."""
        return self.facts.uses_random


class Constant(Compiled):
    """A value without expressions: itself."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def evaluate(self, scope: Scope) -> Any:
        return self.value

    @property
    def is_constant(self) -> bool:
        return True


class Expression(Compiled):
    """One text: a lone expression, or a mix of text and expressions."""

    __slots__ = ("_builds", "_closure", "_locals", "_places", "_scripts", "_start", "source")

    def __init__(
        self, source: str, start: int, closure: Closure, context: Context, scripts: tuple[Script, ...] = ()
    ) -> None:
        super().__init__(context.facts())
        self.source = source
        self._scripts = scripts
        self._places = context.names | context.nodes
        self._start = start
        self._closure = closure
        self._builds = context.builds
        self._locals: list[Any] = [None] * context.places

    def evaluate(self, scope: Scope) -> Any:
        try:
            value = self._closure(Run(scope, self._locals.copy()))
            kind = type(value)
            if kind is float or (self._builds and (kind is list or kind is dict)):
                return settle(value)
        except (Fault, RecursionError) as failure:
            fault = failure if isinstance(failure, Fault) else Fault("the expression is nested too deeply")
            raise located(ExpressionError, fault, self.source, self._start) from None
        return value

    @property
    def scripts(self) -> tuple[Script, ...]:
        return self._scripts

    def texts(self, path: str = "") -> Iterator[tuple[str, Expression]]:
        yield path, self

    def place(self, name: str) -> tuple[int, int]:
        """Line and column where a node's or a variable's name first stands."""
        return line_and_column(self.source, self._places.get(name, self._start))


class Array(Compiled):
    """A list with expressions somewhere in it."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Compiled]) -> None:
        facts = NO_FACTS
        for item in items:
            facts |= item.facts
        super().__init__(facts)
        self.items = items

    @property
    def scripts(self) -> tuple[Script, ...]:
        return tuple(script for item in self.items for script in item.scripts)

    def texts(self, path: str = "") -> Iterator[tuple[str, Expression]]:
        for index, item in enumerate(self.items):
            yield from item.texts(path + pointer(index))

    def evaluate(self, scope: Scope) -> Any:
        index = 0
        out: list[Any] = []
        try:
            for index, item in enumerate(self.items):  # noqa: B007 - the handler below needs it
                out.append(item.evaluate(scope))
        except ExpressionError as error:
            error.within(index)
            raise
        return out


class Object(Compiled):
    """An object with expressions somewhere in it, in its values or its keys."""

    __slots__ = ("entries",)

    def __init__(self, entries: Sequence[tuple[Compiled, Compiled]]) -> None:
        facts = NO_FACTS
        for key, value in entries:
            facts |= key.facts | value.facts
        super().__init__(facts)
        self.entries = entries

    @property
    def scripts(self) -> tuple[Script, ...]:
        return tuple(script for entry in self.entries for part in entry for script in part.scripts)

    def texts(self, path: str = "") -> Iterator[tuple[str, Expression]]:
        for key, value in self.entries:
            here = path + pointer(_step(key))
            yield from key.texts(here)
            yield from value.texts(here)

    def evaluate(self, scope: Scope) -> Any:
        out: dict[str, Any] = {}
        step = ""
        try:
            for key, value in self.entries:
                step = _step(key)
                name = key.evaluate(scope)
                out[name if type(name) is str else show(name, Run(scope, []))] = value.evaluate(scope)
        except ExpressionError as error:
            error.within(step)
            raise
        return out


def _step(key: Compiled) -> str:
    """A key as its author wrote it."""
    return key.source if isinstance(key, Expression) else str(key.value) if isinstance(key, Constant) else ""
