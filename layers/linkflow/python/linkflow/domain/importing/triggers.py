"""`trigger_type` and `trigger_config` at the top of a document: the stored form has nodes for triggers."""

from __future__ import annotations

from typing import Any

import msgspec

from linkflow.domain.definition import TRIGGERS, Edge, Node, Position
from linkflow.domain.importing.edges import free_id
from linkflow.domain.importing.fields import Fields, check_json
from linkflow.domain.validation.places import show, step

_LEFT_OF_ROOTS = 300
"""Canvas units between a new trigger and the nodes it leads to, as between columns in the original's templates."""


def add_trigger(document: Fields, nodes: list[Node], edges: list[Edge]) -> None:
    """Merge `trigger_type` and `trigger_config` into the trigger node they mean, or add that node.

    What the node itself says wins. A new trigger leads to every node without an incoming edge, as in the original,
    or, where there is none, to what the other triggers lead to.
    """
    config = _config(document)
    type = _type(document, nodes, bool(config))
    if not type:
        return
    place = next((place for place, node in enumerate(nodes) if node.type == type), None)
    if place is None:
        place = _create(document, type, nodes, edges)
    _merge(document, config, nodes, place)


def _config(document: Fields) -> dict[str, Any]:
    fields = document.object("trigger_config")
    if fields is None or not check_json(fields.value, fields.path, fields.stored, document.report):
        return {}
    return {key: value for key, value in fields.value.items() if value is not None}


def _type(document: Fields, nodes: list[Node], has_config: bool) -> str:
    named = document.text("trigger_type", limit=100)
    if not named and not document.report.places.is_marked("/trigger_type"):
        triggers = [node.type for node in nodes if node.type in TRIGGERS]
        if has_config and len(triggers) != 1:
            message = "Say with 'trigger_type' which trigger these settings are for."
            document.fault("trigger_config", "trigger_config", "missing_trigger_type", message)
        return triggers[0] if has_config and len(triggers) == 1 else ""
    type = named if named in TRIGGERS else f"trigger_{named}"
    if type in TRIGGERS:
        return type
    if named:
        known = ", ".join(trigger.removeprefix("trigger_") for trigger in TRIGGERS)
        message = f"There is no trigger {show(named)}; it must be one of {known}."
        document.fault("trigger_type", "trigger_type", "unknown_trigger", message)
    return ""


def _create(document: Fields, type: str, nodes: list[Node], edges: list[Edge]) -> int:
    targeted = {edge.target for edge in edges}
    ids = {node.id for node in nodes}
    triggers = {node.id for node in nodes if node.type in TRIGGERS}
    roots = [node.id for node in nodes if node.id not in targeted and node.id not in triggers]
    goals = roots or [edge.target for edge in edges if edge.source in triggers and edge.target in ids]
    trigger = Node(id=free_id("trigger", ids), type=type, position=_position(nodes, set(goals)))
    document.report.places.note(f"/nodes/{len(nodes)}", document.at("trigger_type"))
    document.report.places.note(f"/nodes/{len(nodes)}/config", document.at("trigger_config"))
    nodes.append(trigger)
    taken = {edge.id for edge in edges}
    for goal in dict.fromkeys(goals):
        document.report.places.note(f"/edges/{len(edges)}", document.at("trigger_type"))
        edges.append(Edge(id=free_id("e", taken, len(edges) + 1), source=trigger.id, target=goal))
    return len(nodes) - 1


def _position(nodes: list[Node], goals: set[str]) -> Position | None:
    around = [node.position for node in nodes if node.id in goals and node.position]
    if not around:
        return None
    return Position(x=min(place.x for place in around) - _LEFT_OF_ROOTS, y=around[0].y)


def _merge(document: Fields, config: dict[str, Any], nodes: list[Node], place: int) -> None:
    own = nodes[place].config
    for key in config.keys() - own.keys():
        document.report.places.note(f"/nodes/{place}/config{step(key)}", document.at("trigger_config") + step(key))
    if config:
        nodes[place] = msgspec.structs.replace(nodes[place], config={**config, **own})
