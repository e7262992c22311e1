"""Arrow functions, and the methods that give them item after item."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from linkflow.domain.expressions.context import Closure, Context
from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.syntax import Arrow, Member, Node, Parameter
from linkflow.domain.expressions.values import element, truthy, type_name

Prepare = Callable[[Run], Callable[..., Any]]


def plain_arrow(arguments: tuple[Node, ...]) -> Arrow | None:
    """The one argument, where it is an arrow function of an item, or of an item and its index."""
    if len(arguments) != 1 or not isinstance(arrow := arguments[0], Arrow):
        return None
    return arrow if len(arrow.parameters) in (1, 2) and not any(one.keys for one in arrow.parameters) else None


def each_item(context: Context, owner: Closure, arrow: Arrow, callee: Member, all: bool) -> Closure:
    """`map` (`all`) or `filter` with a plain arrow function: the commonest methods, without a call for each item."""
    outer = dict(context.parameters)
    places = [context.new_place(parameter.names[0]) for parameter in arrow.parameters]
    before = context.size
    body = context.compile(arrow.body)
    cost, at, first, second = 1 + (context.size - before) // 8, callee.at, places[0], places[-1]
    context.parameters = outer

    def closure(run: Run) -> list[Any] | None:
        items = owner(run)
        if type(items) is not list:
            if items is None:
                return None
            raise Fault(f"{type_name(items)} values have no method '{callee.name}'", at)
        run.steps -= 1 + cost * len(items)
        if run.steps < 0:
            run.spend(0)
        bound, out = run.locals, []
        for index, item in enumerate(items):
            bound[second] = index
            bound[first] = item
            value = body(run)
            if all:
                out.append(value)
            elif value is True or (value is not False and truthy(value)):
                out.append(item)
        return out

    return closure


def compile_arrow(context: Context, node: Arrow) -> Prepare:
    """An arrow function. Every call of it costs steps by the size of its body."""
    outer = dict(context.parameters)
    bindings = [_binding(context, parameter) for parameter in node.parameters]
    before = context.size
    body = context.compile(node.body)
    cost = 1 + (context.size - before) // 8
    context.parameters = outer
    if len(bindings) == 1 and not node.parameters[0].keys:
        place = bindings[0][0][0]
        return lambda run: _one_parameter(run, place, body, cost)

    def prepare(run: Run) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            run.spend(cost)
            for number, (places, keys) in enumerate(bindings):
                value = given[number] if number < len(given) else None
                if not keys:
                    run.locals[places[0]] = value
                else:
                    for place, key in zip(places, keys, strict=True):
                        run.locals[place] = element(value, key, run)
            return body(run)

        return call

    return prepare


def _binding(context: Context, parameter: Parameter) -> tuple[list[int], tuple[str | int, ...]]:
    return [context.new_place(name) for name in parameter.names], parameter.keys


def _one_parameter(run: Run, place: int, body: Closure, cost: int) -> Callable[..., Any]:
    bound = run.locals

    # Named parameters cost less than a tuple of the rest.
    def call(value: Any, _index: Any = None, _items: Any = None, _more: Any = None) -> Any:
        run.steps -= cost
        if run.steps < 0:
            run.spend(0)
        bound[place] = value
        return body(run)

    return call
