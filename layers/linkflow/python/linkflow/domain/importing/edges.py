"""Reading edges: the stored form, React Flow's and the original's spellings of an edge's output."""

from __future__ import annotations

from linkflow.domain.definition import DONE, LOOPS, MAIN, Edge, Node
from linkflow.domain.importing.fields import Fields
from linkflow.domain.validation.catalogue import Catalogue
from linkflow.domain.validation.places import show, step

MAX_EDGE_ID = 255
"""Characters of an edge's id: React Flow joins two node ids and two handles for one."""

_MAX_NODE_ID = 100
_MAX_OUTPUT = 100

_MOST_OUTPUTS = 50  # a wider switch cannot be meant by an edge that names no output

CANVAS = frozenset((
    "type", "targetHandle", "target_handle", "animated", "selected", "hidden", "style", "className", "label",
    "labelStyle", "data", "markerStart", "markerEnd", "zIndex", "interactionWidth", "pathOptions", "deletable",
    "reconnectable", "sourceNode", "targetNode",
))  # fmt: skip
"""What React Flow keeps on an edge for itself."""

_OUTPUT_NAMES = ("source_output", "sourceHandle", "source_handle", "handle", "condition")


def read_edges(document: Fields, nodes: list[Node], catalogue: Catalogue | None) -> list[Edge]:
    """All edges that are objects, in order. What an edge without an output means depends on the node it leaves."""
    found = document.find("edges")
    values = document.value[found] if found else []
    if not isinstance(values, list):
        document.fault("edges", "edges", "invalid_type", f"Must be a list, not {show(values)}.")
        return []
    taken = {edge["id"] for edge in values if isinstance(edge, dict) and isinstance(edge.get("id"), str)}
    defaults = _Defaults(nodes, catalogue)
    edges: list[Edge] = []
    for place, value in enumerate(values):
        path = document.at("edges") + step(place)
        if isinstance(value, dict):
            fields = Fields(document.report, value, path, f"/edges/{len(edges)}")
            edges += _read_edge(fields, defaults, taken, len(edges))
        else:
            document.report.error(path, "invalid_type", f"Must be an object, not {show(value)}.")
    return edges


class _Defaults:
    """The outputs that an edge takes which names none."""

    def __init__(self, nodes: list[Node], catalogue: Catalogue | None) -> None:
        self._nodes = {node.id: node for node in reversed(nodes)}
        self._catalogue = catalogue
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, source: str) -> tuple[str, ...]:
        """`main` where there is one. The original's loop only ever went on after its last item, so `done` for a loop.

        Any other node with several outputs, such as a condition: all of them, because in the original an edge without
        a handle was always taken.
        """
        if source not in self._known:
            self._known[source] = self._find(source)
        return self._known[source]

    def _find(self, source: str) -> tuple[str, ...]:
        node = self._nodes.get(source)
        if node is None or self._catalogue is None or self._catalogue.canonical(node.type) != node.type:
            return (DONE,) if node and node.type in LOOPS else (MAIN,)
        if node.type in LOOPS:
            return (DONE,)
        # Outputs follow from the config, so a faulty one says nothing about them.
        if any(fault.severity == "error" for fault in self._catalogue.check(node.type, node.config, node.version)):
            return (MAIN,)
        outputs = self._catalogue.outputs(node.type, node.config, node.version)
        return outputs if MAIN not in outputs and 0 < len(outputs) <= _MOST_OUTPUTS else (MAIN,)


def _read_edge(fields: Fields, defaults: _Defaults, taken: set[str], place: int) -> list[Edge]:
    fields.report.places.note(fields.stored, fields.path)
    source, target = _end(fields, "source"), _end(fields, "target")
    id = fields.identifier("id", limit=MAX_EDGE_ID)
    if id is None:
        id = free_id("e", taken, place + 1)
    named = _output(fields)
    fields.unread(CANVAS)
    outputs = (named,) if named is not None else defaults.of(source)
    if len(outputs) > 1:
        message = f"Names no output, so it is taken from each: {', '.join(map(show, outputs[:10]))}."
        fields.report.warn(fields.path, "every_output", message)
    edges: list[Edge] = []
    for number, output in enumerate(outputs):
        fields.report.places.note(f"/edges/{place + number}", fields.path)
        own = id if number == 0 else free_id(f"{id[:200]}_", taken)
        edges.append(Edge(id=own, source=source, target=target, source_output=output))
    return edges


def _end(fields: Fields, name: str) -> str:
    if fields.value.get(name) in (None, ""):
        fields.fault(name, name, "missing_field", f"An edge needs a {name}.")
    return fields.identifier(name, limit=_MAX_NODE_ID) or ""


def free_id(stem: str, taken: set[str], first: int = 1) -> str:
    """`stem` with the first number from `first` that makes it a new id; it is then taken."""
    number = first
    while f"{stem}{number}" in taken:
        number += 1
    taken.add(f"{stem}{number}")
    return f"{stem}{number}"


def _output(fields: Fields) -> str | None:
    """The output an edge starts from; `true` and `false` may be booleans. None where none is named."""
    found = fields.find(*_OUTPUT_NAMES)
    value = fields.value[found] if found else None
    if isinstance(value, bool):
        return str(value).lower()
    if found:
        fields.report.places.note(fields.stored + "/source_output", fields.at(found))
    return fields.identifier(*_OUTPUT_NAMES, limit=_MAX_OUTPUT)
