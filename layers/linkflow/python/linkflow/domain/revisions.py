"""What is different between two definitions, as an author reads it: by field (a JSON pointer), and as lines of text."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from .definition import MAIN, Definition, Edge, Node
from .differences import Difference, differences

MAX_CHANGES = 1_000
"""Changes that are listed; what is beyond is counted."""
_WIDE = 60
_APART = ("id", "position")


class NodeDifference(Struct, frozen=True):
    """A node that is in both."""

    id: str
    name: str
    changes: tuple[Difference, ...]


class NodeName(Struct, frozen=True):
    id: str
    name: str
    type: str


class EdgeName(Struct, frozen=True):
    source: str
    source_output: str
    target: str


class Revision(Struct, frozen=True):
    """`workflow` are changes of name, description, icon and colour. `moved` nodes only stand elsewhere on the canvas.
    `more`: there are too many changes to list."""

    added: tuple[NodeName, ...]
    removed: tuple[NodeName, ...]
    changed: tuple[NodeDifference, ...]
    edges_added: tuple[EdgeName, ...]
    edges_removed: tuple[EdgeName, ...]
    settings: tuple[Difference, ...]
    workflow: tuple[Difference, ...]
    moved: tuple[str, ...]
    more: bool = False

    @property
    def is_empty(self) -> bool:
        """Would a run notice nothing, and an author neither but for the places of nodes?"""
        return not (
            self.added or self.removed or self.changed or self.edges_added or self.edges_removed or self.settings
            or self.workflow
        )  # fmt: skip


class _Room:
    """How many changes may still be listed."""

    def __init__(self) -> None:
        self.left = MAX_CHANGES
        self.more = False

    def take(self, before: Any, after: Any) -> tuple[Difference, ...]:
        found, more = differences(before, after, self.left)
        self.left -= len(found)
        self.more = self.more or more
        return tuple(found)


def revision(before: Definition, after: Definition) -> Revision:
    """From `before` to `after`."""
    old, new = ({node.id: node for node in definition.nodes} for definition in (before, after))
    room = _Room()
    changed = []
    for id, node in new.items():
        if id in old and (found := room.take(_plain(old[id]), _plain(node))):
            changed.append(NodeDifference(id, node.label, found))
    wires, rewires = (dict.fromkeys(_edge(edge) for edge in definition.edges) for definition in (before, after))
    about = ({name: getattr(one, name) for name in ("name", "description", "icon", "color")} for one in (before, after))
    settings = room.take(msgspec.to_builtins(before.settings), msgspec.to_builtins(after.settings))
    return Revision(
        added=tuple(_name(node) for id, node in new.items() if id not in old),
        removed=tuple(_name(node) for id, node in old.items() if id not in new),
        changed=tuple(changed),
        edges_added=tuple(edge for edge in rewires if edge not in wires),
        edges_removed=tuple(edge for edge in wires if edge not in rewires),
        settings=settings,
        workflow=room.take(*about),
        moved=tuple(id for id, node in new.items() if id in old and old[id].position != node.position),
        more=room.more,
    )


def lines(found: Revision) -> list[str]:
    """The difference for people, a line a change."""
    text = [_changed(change) for change in found.workflow]
    text += [f"+ node {node.name} ({node.type})" for node in found.added]
    text += [f"- node {node.name} ({node.type})" for node in found.removed]
    for node in found.changed:
        text.append(f"~ node {node.name}")
        text += [f"    {_changed(change)}" for change in node.changes]
    text += [f"+ edge {_arrow(edge)}" for edge in found.edges_added]
    text += [f"- edge {_arrow(edge)}" for edge in found.edges_removed]
    if found.settings:
        text.append("~ settings")
        text += [f"    {_changed(change)}" for change in found.settings]
    if found.more:
        text.append("… and more")
    return text


def _plain(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(node)
    return {name: value for name, value in found.items() if name not in _APART}


def _name(node: Node) -> NodeName:
    return NodeName(node.id, node.label, node.type)


def _edge(edge: Edge) -> EdgeName:
    return EdgeName(edge.source, edge.source_output, edge.target)


def _arrow(edge: EdgeName) -> str:
    output = "" if edge.source_output == MAIN else f" [{edge.source_output}]"
    return f"{edge.source}{output} → {edge.target}"


def _changed(change: Difference) -> str:
    if change.before is msgspec.UNSET:
        return f"+ {change.path[1:]}: {_short(change.after)}"
    if change.after is msgspec.UNSET:
        return f"- {change.path[1:]}: {_short(change.before)}"
    return f"~ {change.path[1:]}: {_short(change.before)} → {_short(change.after)}"


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 1]}…"
