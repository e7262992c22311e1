"""What a fork comes to: its plan, and what two versions of a workflow differ in as far as a run notices."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from .definition import Definition, Node

_UNSEEN = ("id", "position")


class Changed(Struct, frozen=True):
    """A node that is in both versions; `fields` are the ones that differ, ``config.url`` for a part of its config."""

    node: str
    fields: tuple[str, ...]


class Report(Struct, frozen=True, omit_defaults=True):
    """What changed between the version that a run had and the one that its fork takes.

    Nodes by id, node runs by key. `rewired` nodes have other incoming edges. `kept_although_changed` were changed or
    rewired, and their results stand all the same; `dropped` are results whose node is gone from its place.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Changed, ...] = ()
    rewired: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    kept_although_changed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class OpenLoop(Struct, frozen=True):
    """A loop that is opened again: how many iterations it keeps, and which of those begun run (on) again."""

    node: str
    kept: int
    runs: tuple[int, ...]


class Plan(Struct, frozen=True, omit_defaults=True):
    """`kept` are keys of node runs whose results stand, but for those inside ended iterations, which `loops` count.
    `runs` are nodes that run or may run, `skipped` those known to be left out. `report` is there where the versions
    differ."""

    kept: tuple[str, ...]
    runs: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    loops: tuple[OpenLoop, ...] = ()
    report: Report | None = None


def compare(before: Definition, after: Definition) -> Report:
    """The differences of two versions. Places on the canvas, texts and colours are none."""
    old, new = ({node.id: node for node in definition.nodes} for definition in (before, after))
    both = [id for id in new if id in old]
    fields = {id: _fields(old[id], new[id]) for id in both}
    wires, rewires = _wires(before), _wires(after)
    return Report(
        added=tuple(id for id in new if id not in old),
        removed=tuple(id for id in old if id not in new),
        changed=tuple(Changed(id, found) for id, found in fields.items() if found),
        rewired=tuple(id for id in both if wires.get(id) != rewires.get(id)),
        settings=tuple(
            name
            for name in after.settings.__struct_fields__
            if getattr(before.settings, name) != getattr(after.settings, name)
        ),
    )


def _fields(old: Node, new: Node) -> tuple[str, ...]:
    names: list[str] = []
    for name in new.__struct_fields__:
        if name in _UNSEEN or getattr(old, name) == getattr(new, name):
            continue
        if name == "config":
            keys = sorted(old.config.keys() | new.config.keys())
            missing = msgspec.UNSET
            names += [f"config.{k}" for k in keys if old.config.get(k, missing) != new.config.get(k, missing)]
        else:
            names.append(name)
    return tuple(names)


def _wires(definition: Definition) -> dict[str, frozenset[tuple[str, str]]]:
    found: dict[str, set[tuple[str, str]]] = {}
    for edge in definition.edges:
        found.setdefault(edge.target, set()).add((edge.source, edge.source_output))
    return {id: frozenset(edges) for id, edges in found.items()}
