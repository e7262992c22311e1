"""What a node's config reads, told from its expressions without running them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from linkflow.domain.expressions import Compiled, ExpressionError, compile_expression, compile_value
from linkflow.domain.expressions.facts import NO_FACTS, Facts
from linkflow.domain.expressions.script import Script

TRIGGER = "trigger"


def facts_of(config: Any, fields: Sequence[str]) -> Facts:
    """What a config's expressions read. `fields` hold expressions, or paths, without braces around them."""
    facts = compile_value({name: value for name, value in config.items() if name not in fields}).facts
    for name in fields:
        facts |= _bare(config.get(name))
    if "trigger" in str(config):  # a path such as trigger.id is no expression
        facts |= Facts(fixed=frozenset({TRIGGER}))
    return facts


def scripts_of(value: Any) -> tuple[Script, ...]:
    """What the JavaScript engine has to answer before expressions that stand without braces can be evaluated."""
    return tuple(script for compiled in _expressions(value) for script in compiled.scripts)


def _bare(value: Any) -> Facts:
    facts = NO_FACTS
    for compiled in _expressions(value):
        facts |= compiled.facts
    return facts


def _expressions(value: Any) -> Iterator[Compiled]:
    if isinstance(value, str):
        with suppress(ExpressionError):  # a path; or the run will say what is wrong with it
            yield compile_expression(value)
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _expressions(item)
