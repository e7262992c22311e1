"""The syntax of scripts in a workflow, checked as it is saved: by the engines that will run them, in their sandbox, and
without running anything of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from linkflow.domain.definition import Definition
from linkflow.domain.errors import Problem

if TYPE_CHECKING:
    from linkflow.nodes.scripts import Part, Ran, Scripts

SECONDS = 2.0
_NOW = "2000-01-01T00:00:00.000Z"


class Scripted(Protocol):
    """The node types, as far as they hold scripts."""

    def scripts(self, type: str, config: Mapping[str, Any], version: int = 0) -> tuple[Part, ...]: ...


class ScriptChecks:
    """`engine` gives what runs scripts; it is asked for when the first script is to be checked."""

    def __init__(self, catalogue: Scripted, engine: Callable[[], Scripts]) -> None:
        self._catalogue = catalogue
        self._engine = engine

    async def check(self, document: Mapping[str, Any], definition: Definition) -> list[Problem]:
        """A problem for each script that does not parse, with its line and column, at its place in `document`. Where
        there is no engine, or it does not answer, nothing is said: the run will tell."""
        parts = [
            (node.id, part)
            for node in definition.nodes
            for part in self._catalogue.scripts(node.type, node.config, node.version)
        ]
        if not parts:
            return []
        found = await asyncio.gather(*(self._fault(part) for _, part in parts))
        return [
            Problem(_place(document, id, part.field), "script_syntax", fault)
            for (id, part), fault in zip(parts, found, strict=True)
            if fault
        ]

    async def _fault(self, part: Part) -> str:
        """What is wrong with a script, else nothing. It is the body of a function that nobody calls."""
        from linkflow.nodes.base import NodeFailure  # here: a cold start knows no node types

        wrapped = _javascript(part) if part.language == "javascript" else _python(part)
        try:
            ran = await self._engine().run(part.language, wrapped, {}, now=_NOW, seed=0.5, seconds=SECONDS)
        except NodeFailure:
            return ""
        return _told(ran, part.code, 0 if part.language == "javascript" else 1)


def _javascript(part: Part) -> str:
    return f"return 0; (async function ({', '.join(part.names)}) {{\n{part.code}\n}})"


def _python(part: Part) -> str:
    """Indented by one blank each; the names are there by assignment, so no parameter can clash."""
    lines = "\n".join(f" {line}" for line in part.code.split("\n"))
    return f"async def script():\n{lines}\n pass\n"


def _told(ran: Ran, code: str, indent: int) -> str:
    error = ran.error
    if error is None or error.kind != "error" or not error.line:
        return ""
    name, colon, rest = error.message.partition(": ")
    if name not in ("SyntaxError", "NotImplementedError"):
        return ""
    message, line, lines = rest if colon else error.message, error.line - 1, code.split("\n")
    if line > len(lines):  # what comes behind it is ours
        return f"The script ends in the middle of something (line {len(lines)}, column {len(lines[-1]) + 1})"
    return f"{message[:1].upper()}{message[1:]} (line {max(1, line)}, column {max(1, error.column - indent)})"


def _place(document: Mapping[str, Any], id: str, names: Sequence[str]) -> str:
    """Where the author wrote the script of a node: in the stored form, or in the original's."""
    inner = document.get("workflow")
    wrapped = "nodes" not in document and isinstance(inner, Mapping)
    nodes: Any = inner.get("nodes") if wrapped and isinstance(inner, Mapping) else document.get("nodes")
    above = "/workflow/nodes" if wrapped else "/nodes"
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        if not isinstance(node, Mapping) or str(node.get("id")) != id:
            continue
        for path in (("config",), ("data", "config"), ("data",)):
            here: Any = node
            for step in path:
                here = here.get(step) if isinstance(here, Mapping) else None
            for name in names:
                if isinstance(here, Mapping) and name in here:
                    return "/".join((above, str(index), *path, name))
        return f"{above}/{index}"
    return above
