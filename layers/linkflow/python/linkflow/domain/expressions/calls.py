"""Calls of functions and methods, and arrow functions.

A function is no value here: it can only stand where a method such as `map` takes one. So no expression can store,
return or misuse one, and what may be called is known when the expression is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from difflib import get_close_matches
from typing import Any

from linkflow.domain.expressions.arrows import Prepare, compile_arrow, each_item, plain_arrow
from linkflow.domain.expressions.context import Closure, Context
from linkflow.domain.expressions.errors import Fault, NeedsEngine
from linkflow.domain.expressions.functions import (
    CALLBACKS,
    CLOCK,
    FUNCTIONS,
    METHODS,
    OPTIONAL_CALLBACK,
    RANDOM,
    SELECTING,
    Function,
    arity,
)
from linkflow.domain.expressions.kinds import kind_of
from linkflow.domain.expressions.scope import Run
from linkflow.domain.expressions.script_names import ANY_METHOD, SCRIPT_FUNCTIONS, SCRIPT_METHODS, SCRIPT_NAMESPACES
from linkflow.domain.expressions.script_syntax import Function as Block
from linkflow.domain.expressions.syntax import Arrow, Call, Member, Name, Node, Spread
from linkflow.domain.expressions.values import type_name

_Arguments = Callable[[Run], list[Any]]


def compile_call(context: Context, node: Call) -> Closure:
    """`name(…)`, `Math.name(…)` or `value.name(…)`."""
    callee = node.callee
    name = function_name(context.parameters, callee)
    if name in FUNCTIONS:
        return _function_call(context, node, name)
    if name in SCRIPT_FUNCTIONS or isinstance(callee, Arrow | Block):
        raise NeedsEngine(name, node.at)
    if name:
        same = name.partition(".")[0]
        known = [one for one in (*FUNCTIONS, *SCRIPT_FUNCTIONS) if "." not in one or one.partition(".")[0] == same]
        return _unknown(context, node, f"there is no function '{name[:60]}'{hint(name, known)}")
    if isinstance(callee, Name):
        raise Fault(f"'{callee.name[:60]}' is a value here, not a function", callee.at)
    if not isinstance(callee, Member):
        raise NeedsEngine("a call", callee.at)
    if callee.name not in METHODS:
        if callee.name in ANY_METHOD:
            raise NeedsEngine(callee.name, callee.at)
        return _unknown(context, node, f"there is no method '{callee.name[:60]}'{hint(callee.name, METHODS)}")
    return _method_call(context, node, callee)


def _unknown(context: Context, node: Call, message: str) -> Closure:
    """Report a call of what there is not, and look at its arguments all the same."""
    context.report(Fault(message, node.callee.at))
    for argument in node.arguments:
        if not isinstance(argument, Arrow | Block):
            context.compile(argument.value if isinstance(argument, Spread) else argument)
    return lambda run: None


def function_name(own: Container[str], callee: Node) -> str:
    """The table's name for a plain or namespaced function; empty for anything else. `own` hides functions."""
    if isinstance(callee, Name):
        return "" if callee.name in own else callee.name
    if isinstance(callee, Member) and isinstance(callee.object, Name):
        owner = callee.object.name
        if owner in SCRIPT_NAMESPACES and owner not in own:
            return f"{owner}.{callee.name}"
    return ""


def hint(name: str, known: Iterable[str]) -> str:
    """What was perhaps meant by `name`."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(name[:60].lower(), by_lower, 1)
    return f"; did you mean '{by_lower[close[0]]}'?" if close else ""


def _function_call(context: Context, node: Call, name: str) -> Closure:
    _note(context, name)
    function, least, most = FUNCTIONS[name]
    _check_count(name, node.arguments, least, most, node.at)
    at = node.at
    if len(node.arguments) == 1 and not isinstance(node.arguments[0], Spread):
        argument = context.compile(node.arguments[0])
        return _guarded(lambda run: function(run, argument(run)), at)
    arguments = _arguments(context, node.arguments)

    def call(run: Run) -> Any:
        given = arguments(run)
        if len(given) < least or (most is not None and len(given) > most):
            raise Fault(f"{name} {_wanted(least, most)}")
        return function(run, *given)

    return _guarded(call, at)


def _note(context: Context, name: str) -> None:
    context.uses_clock = context.uses_clock or name in CLOCK
    context.uses_random = context.uses_random or name in RANDOM
    context.builds = context.builds or name not in SELECTING


def _guarded(call: Closure, at: int) -> Closure:
    """`call`, counted as a step, its faults placed at this call."""

    def closure(run: Run) -> Any:
        try:
            run.spend(1)
            return call(run)
        except Fault as fault:
            if fault.at < 0:
                fault.at = at
            raise

    return closure


def _method_call(context: Context, node: Call, callee: Member) -> Closure:
    name, owner = callee.name, context.compile(callee.object)
    _note(context, name)
    _check_kind(context, callee)
    table = {kind: (method, *arity(method, 2)) for kind, method in METHODS[name].items()}
    _check_method_count(name, node, [(least, most) for _, least, most in table.values()])
    arrow = plain_arrow(node.arguments) if name in ("map", "filter") else None
    if arrow is not None:
        return each_item(context, owner, arrow, callee, name == "map")
    with_callback = name in CALLBACKS and (bool(node.arguments) or name not in OPTIONAL_CALLBACK)
    prepare = _callback(context, node.arguments[0], name) if with_callback else None
    arguments = _arguments(context, node.arguments[1:] if with_callback else node.arguments)

    def call(run: Run) -> Any:
        value = owner(run)
        if value is None:
            return None
        found = table.get(type(value))
        if found is None:
            raise Fault(f"{type_name(value)} values have no method '{name}'")
        method, least, most = found
        given = arguments(run)
        if prepare is not None:
            return method(run, value, prepare(run), *given)
        if len(given) < least or (most is not None and len(given) > most):
            raise Fault(f"{name} {_wanted(least, most)}")
        return method(run, value, *given)

    return _guarded(call, callee.at)


def _check_kind(context: Context, callee: Member) -> None:
    """Refuse a method that the value surely has not."""
    kind = kind_of(callee.object, context.parameters)
    if kind is None or kind in METHODS[callee.name]:
        return
    if callee.name in SCRIPT_METHODS.get(kind, ()):
        raise NeedsEngine(callee.name, callee.at)
    what = type_name(kind())
    raise Fault(f"{what} values have no method '{callee.name}'", callee.at)


def _check_method_count(name: str, node: Call, counts: list[tuple[int, int | None]]) -> None:
    """Refuse what suits no type that has the method; whether it suits the value's own is seen later."""
    most = [most for _, most in counts if most is not None]
    open_ended = len(most) < len(counts)
    _check_count(name, node.arguments, min(least for least, _ in counts), None if open_ended else max(most), node.at)


def _check_count(name: str, arguments: tuple[Node, ...], least: int, most: int | None, at: int) -> None:
    """Refuse a wrong number of arguments on saving; where one is a spread, that waits for the evaluation."""
    spread = any(isinstance(argument, Spread) for argument in arguments)
    count = sum(not isinstance(argument, Spread) for argument in arguments)
    if (count < least and not spread) or (most is not None and count > most):
        raise Fault(f"{name} {_wanted(least, most)}", at)


def _wanted(least: int, most: int | None) -> str:
    if most is None:
        return f"takes at least {least} argument{'s' * (least != 1)}"
    if least == most:
        return f"takes {least or 'no'} argument{'s' * (least != 1)}"
    return f"takes {least} to {most} arguments"


def _arguments(context: Context, nodes: tuple[Node, ...]) -> _Arguments:
    if any(isinstance(node, Spread) for node in nodes):
        return compile_items(context, nodes)
    closures = [context.compile(node) for node in nodes]
    return lambda run: [closure(run) for closure in closures]


def compile_items(context: Context, nodes: tuple[Node, ...]) -> _Arguments:
    """Values and spreads as one list."""
    parts = [
        (context.compile(node.value), node.at) if isinstance(node, Spread) else (context.compile(node), -1)
        for node in nodes
    ]

    def closure(run: Run) -> list[Any]:
        out: list[Any] = []
        for part, spread_at in parts:
            value = part(run)
            if spread_at < 0:
                out.append(value)
            elif type(value) in (list, str):
                run.handle(len(value))
                out.extend(value)
            elif value is not None:
                raise Fault("only an array, a text or null can be spread here", spread_at)
        return out

    return closure


def _callback(context: Context, node: Node, method: str) -> Prepare:
    if isinstance(node, Arrow):
        return compile_arrow(context, node)
    name = function_name(context.parameters, node)
    if isinstance(node, Block) or name in SCRIPT_FUNCTIONS:
        raise NeedsEngine(method, node.at)
    if name not in FUNCTIONS:
        raise Fault(f"{method} needs a function, as in {method}(x => x.id)", node.at)
    _note(context, name)
    function, least, most = FUNCTIONS[name]
    # A named function gets only what matters, not also the index: ["1", "2"].map(parseInt) is [1, 2].
    count = CALLBACKS[method]
    _check_count(name, (node,) * count, least, most, node.at)
    return lambda run: _counted(run, function, count)


def _counted(run: Run, function: Function, count: int) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        run.spend(1)
        return function(run, *given[:count])

    return call
