"""A small catalogue written out, so that these tests depend on no node type; and short ways to write definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from linkflow.domain.definition import Definition, Edge, Node
from linkflow.domain.errors import Problem


@dataclass(frozen=True)
class Type:
    aliases: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ("main",)
    expressions: tuple[str, ...] = ()


TYPES = {
    "trigger_manual": Type(),
    "trigger_webhook": Type(required=("path",), optional=("method", "methods")),
    "trigger_schedule": Type(required=("cron",), optional=("timezone",)),
    "action_http_request": Type(("action_http", "http"), ("url",), ("method", "headers", "body", "timeout")),
    "condition": Type(
        ("logic_condition",), (), ("expression", "conditions"), ("true", "false"), ("expression", "conditions.test")
    ),
    "loop": Type(("logic_loop",), (), ("items", "items_field", "concurrency"), ("each", "done")),
    "transform": Type(("transform_set", "transform_filter"), (), ("set",)),
    "delay": Type(("logic_delay",), ("seconds",)),
    "output_log": Type((), (), ("label", "message")),
    "action_ai": Type(("ai",), ("prompt",)),
    "action_slack": Type(("slack",), ("channel", "message")),
    "action_email": Type(("email",), ("to", "subject"), ("body",)),
    "action_database": Type(("database",), ("query",)),
}


class LiteralCatalogue:
    """`TYPES` as a `Catalogue`."""

    def canonical(self, name: str) -> str | None:
        return next((type for type, about in TYPES.items() if name == type or name in about.aliases), None)

    def names(self) -> Iterable[str]:
        return TYPES

    def versions(self, type: str) -> tuple[int, ...]:
        return (1,)

    def literal_fields(self, type: str, version: int = 0) -> tuple[str, ...]:
        return ()

    def check(self, type: str, config: Mapping[str, Any], version: int = 0) -> list[Problem]:
        about = TYPES[type]
        missing = [Problem(f"/{name}", "missing_config", "Required.") for name in about.required if name not in config]
        known = {*about.required, *about.optional}
        return missing + [Problem(f"/{name}", "unknown_field", "Unknown.") for name in config if name not in known]

    def outputs(self, type: str, config: Mapping[str, Any], version: int = 0) -> tuple[str, ...]:
        return TYPES[type].outputs

    def expression_fields(self, type: str, version: int = 0) -> tuple[str, ...]:
        return TYPES[type].expressions


CATALOGUE = LiteralCatalogue()


def edges(text: str) -> tuple[Edge, ...]:
    """``"a>b c:true>d"`` as edges with the ids e1, e2, …"""
    found: list[Edge] = []
    for number, arrow in enumerate(text.split(), 1):
        start, target = arrow.split(">")
        source, _, output = start.partition(":")
        found.append(Edge(id=f"e{number}", source=source, target=target, source_output=output or "main"))
    return tuple(found)


def definition(text: str, **types: str) -> Definition:
    """The definition that `text` draws: ``t``… are manual triggers, ``L``… loops, others as `types` says or no-ops."""
    drawn = edges(text)
    ids = dict.fromkeys(id for edge in drawn for id in (edge.source, edge.target))
    return Definition("Drawn", tuple(Node(id, types.get(id) or _type(id)) for id in ids), drawn)


def _type(id: str) -> str:
    return {"t": "trigger_manual", "L": "loop"}.get(id[0], "transform")
