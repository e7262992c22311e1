"""Expressions in configs: do they parse, and do the nodes they name exist?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from linkflow.domain.definition import Definition
from linkflow.domain.expressions import Compiled, ExpressionSyntaxError, compile_expression, compile_value
from linkflow.domain.expressions.compiled import Expression
from linkflow.domain.expressions.names import APPROVAL
from linkflow.domain.validation.findings import Findings
from linkflow.domain.validation.places import show, step

_DEEPEST = 200
"""Levels below which no more is looked for; what is nested too deeply was reported as such."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


class KnownNames:
    """What `$node["…"]` and a bare name can mean in this definition."""

    def __init__(self, definition: Definition) -> None:
        self.ids = {node.id for node in definition.nodes}
        self.names = Counter(node.name for node in definition.nodes if node.name)
        self.approvals = {name for node in definition.nodes if node.type == "approval" for name in (node.id, node.name)}

    def __contains__(self, name: str) -> bool:
        return name in self.ids or name in self.names

    def is_ambiguous(self, name: str) -> bool:
        return self.names[name] > 1


def check_config(
    config: Mapping[str, Any], fields: Iterable[str], known: KnownNames, path: str, findings: Findings
) -> None:
    """Every expression in a config. `fields` are those that hold an expression as such."""
    plain: dict[str, Any] = dict(config)
    for field in fields:
        for place, text in _take(plain, field.split("."), ""):
            _check_expression(text, known, path + place, findings)
    for key, value in plain.items():
        check_text({key: value}, known, path, findings)


def check_text(value: Any, known: KnownNames, path: str, findings: Findings) -> None:
    """The templates in a JSON value: each fault with its place, and line and column in that text."""
    try:
        compiled = compile_value(value)
    except ExpressionSyntaxError as error:
        for problem in error.problems:
            findings.error(path + problem.path, "expression_syntax", problem.message)
        _check_others(value, known, path, findings)
        return
    if not compiled.is_constant:
        _check_names(compiled, known, path, findings)


def _check_others(value: Any, known: KnownNames, path: str, findings: Findings, depth: int = 0) -> None:
    """The names in those texts of a value that do parse."""
    if isinstance(value, str):
        with suppress(ExpressionSyntaxError):
            _check_names(compile_value(value), known, path, findings)
    elif isinstance(value, Mapping | list) and depth < _DEEPEST:
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            _check_others(item, known, path + step(key), findings, depth + 1)


def _check_expression(text: str, known: KnownNames, path: str, findings: Findings) -> None:
    try:
        compiled = compile_expression(text)
    except ExpressionSyntaxError as error:
        for message in [problem.message for problem in error.problems] or [error.message]:
            findings.error(path, "expression_syntax", message)
        return
    _check_names(compiled, known, path, findings)


def _check_names(compiled: Compiled, known: KnownNames, path: str, findings: Findings) -> None:
    for here, text in compiled.texts(path):
        for name in sorted(text.nodes):
            if name not in known:
                message = f"There is no node with the name or id {show(name)} {_place(text, name)}."
                findings.error(here, "unknown_node_in_expression", message)
            elif known.is_ambiguous(name):
                message = f"Several nodes are named {show(name)}; the first is meant {_place(text, name)}."
                findings.warn(here, "ambiguous_node_in_expression", message)
        for name in sorted(name[len(APPROVAL) + 1 :] for name in text.facts.fixed if name.startswith(APPROVAL)):
            if name not in known.approvals:
                message = f"There is no approval node with the name or id {show(name)}."
                findings.error(here, "unknown_node_in_expression", message)
        for name in sorted(text.names):
            if name not in known and not _VARIABLE.fullmatch(name):
                message = f"{show(name)} is no node; if it is no variable either, it will be null {_place(text, name)}."
                findings.warn(here, "unknown_name", message)


def _place(text: Expression, name: str) -> str:
    line, column = text.place(name)
    return f"(line {line}, column {column})"


def _take(config: dict[str, Any], names: list[str], path: str) -> list[tuple[str, str]]:
    """The strings at a dotted name, with their places. They are taken out of `config`, whose inner parts are copied."""
    name, rest = names[0], names[1:]
    if name not in config:
        return []
    value, here = config[name], path + step(name)
    if not rest:
        if isinstance(value, str):
            del config[name]
            return [(here, value)]
        return []
    if isinstance(value, dict):
        config[name] = inner = dict(value)
        return _take(inner, rest, here)
    if not isinstance(value, list):
        return []
    items = config[name] = [dict(item) if isinstance(item, dict) else item for item in value]
    return [
        found
        for place, item in enumerate(items)
        if isinstance(item, dict)
        for found in _take(item, rest, here + step(place))
    ]
