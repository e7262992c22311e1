"""What a node's config reads, told from its expressions without running them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.domain.expressions import ExpressionError, compile_expression, compile_value
from linkflow.domain.expressions.facts import NO_FACTS, Facts

TRIGGER = "trigger"


def facts_of(config: Any, fields: Sequence[str]) -> Facts:
    """What a config's expressions read. `fields` hold expressions, or paths, without braces around them."""
    facts = compile_value({name: value for name, value in config.items() if name not in fields}).facts
    for name in fields:
        facts |= _bare(config.get(name))
    if "trigger" in str(config):  # a path such as trigger.id is no expression
        facts |= Facts(fixed=frozenset({TRIGGER}))
    return facts


def _bare(value: Any) -> Facts:
    if isinstance(value, str):
        try:
            return compile_expression(value).facts
        except ExpressionError:  # a path; or the run will say what is wrong with it
            return NO_FACTS
    facts = NO_FACTS
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        facts |= _bare(item)
    return facts
