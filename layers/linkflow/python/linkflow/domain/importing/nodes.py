"""Reading nodes: the stored form, and the original's, where most of a node sits under `data`."""

from __future__ import annotations

from typing import Any

from linkflow.domain.definition import Node, Position
from linkflow.domain.environments import BETWEEN
from linkflow.domain.importing.fields import Fields, Report, check_json, same
from linkflow.domain.importing.policies import read_pinned_error, read_retry, read_timeout
from linkflow.domain.state import split_key
from linkflow.domain.validation.places import show, step

MAX_ID = 100
"""Characters of a node's id, its type and other short names."""

MAX_NAME = 10_000
"""Characters of a name that is read at all; `validation` has the limit that people see."""

DEFAULT_SLOT = "default"
"""The slot of a credential that the original names without one."""

CANVAS = frozenset((
    "width", "height", "selected", "dragging", "positionAbsolute", "measured", "style", "className", "parentId",
    "parentNode", "extent", "zIndex", "hidden", "draggable", "selectable", "connectable", "deletable",
    "sourcePosition", "targetPosition", "resizing", "origin",
))  # fmt: skip
"""What React Flow keeps on a node for itself."""

_DATA_NAMES = ("label", "name")
_DATA_FIELDS = frozenset(("config", "label", "name", "onError", "on_error", "credentialId", "credential_id"))


def read_nodes(document: Fields) -> list[Node]:
    """All nodes that can be told apart at all, in order. A faulty field is noted and left at its default."""
    found = document.find("nodes")
    values = document.value[found] if found else None
    if found is None:
        document.fault("nodes", "nodes", "missing_field", "A workflow needs nodes.")
        return []
    if not isinstance(values, list):
        document.fault("nodes", "nodes", "invalid_type", f"Must be a list, not {show(values)}.")
        return []
    nodes: list[Node] = []
    for place, value in enumerate(values):
        path = document.at("nodes") + step(place)
        if isinstance(value, dict):
            nodes.append(_read_node(Fields(document.report, value, path, f"/nodes/{len(nodes)}"), place))
        else:
            document.report.error(path, "invalid_type", f"Must be an object, not {show(value)}.")
    return nodes


def _read_node(fields: Fields, place: int) -> Node:
    fields.report.places.note(fields.stored, fields.path)
    data = _data(fields)
    node = Node(
        id=_id(fields, place),
        type=_type(fields),
        name=_name(fields, data),
        config=_config(fields, data),
        position=_position(fields),
        join=fields.choice("join", options=("all", "any"), default="all"),
        retry=read_retry(fields),
        timeout=read_timeout(fields),
        on_error=_on_error(fields, data),
        credentials=_credentials(fields, data),
        queue=fields.text("queue", limit=MAX_ID, default="default"),
        priority=fields.whole("priority", default=0),
        disabled=fields.flag("disabled"),
        pinned_output=fields.json("pinned_output"),
        pinned_error=read_pinned_error(fields),
        version=fields.whole("version", default=1),
    )
    fields.unread(CANVAS)
    if data is not None and (fields.has("config") or data.has("config")):
        data.unread()
    return node


def _data(fields: Fields) -> Fields | None:
    """`data`, whose fields the stored form keeps on the node itself."""
    data = fields.object("data")
    if data is not None:
        return Fields(fields.report, data.value, data.path, fields.stored)
    if fields.has("data"):
        fields.report.places.mark(fields.stored + "/config")
    return None


def _id(fields: Fields, place: int) -> str:
    if fields.value.get("id") in (None, ""):
        fields.fault("id", "id", "missing_field", "A node needs an id.")
    found = fields.identifier("id", limit=MAX_ID)
    if found and split_key(found)[1]:
        fields.fault("id", "id", "invalid_id", "An id must not end like an iteration, as in send[3].")
    if found and BETWEEN in found:
        fields.fault("id", "id", "invalid_id", "An id must not have a unit separator (U+001F).")
    # The stand-in lets the rest of the node be checked; the document is refused all the same.
    return found or f"\x1f{place}"


def _type(fields: Fields) -> str:
    if fields.value.get("type") in (None, ""):
        fields.fault("type", "type", "missing_field", "A node needs a type.")
    return fields.text("type", limit=MAX_ID)


def _first(owners: tuple[Fields | None, ...], names: tuple[str, ...]) -> Fields | None:
    """The first owner that has one of `names`; they count as read in all of them."""
    having = [(owner, found) for owner in owners if owner is not None and (found := owner.find(*names))]
    if not having:
        return None
    first, field = having[0]
    for other, found in having[1:]:
        if not same(other.value[found], first.value[field]):
            first.report.warn(other.at(found), "ignored_field", f"Ignored, because {first.at(field)} says otherwise.")
    return first


def _name(fields: Fields, data: Fields | None) -> str:
    owner = _first((fields, data), ("name", "label"))
    if owner is None:
        return ""
    order = ("name", "label") if owner is fields else _DATA_NAMES
    return owner.text(*order, limit=MAX_NAME)


def _on_error(fields: Fields, data: Fields | None) -> Any:
    names = ("on_error", "onError")
    owner = _first((fields, data), names) or fields
    return owner.choice(*names, options=("stop", "continue", "branch"), default="stop")


def _config(fields: Fields, data: Fields | None) -> dict[str, Any]:
    """`config`, `data.config`, or what else is in `data`."""
    owner = _first((fields, data), ("config",))
    if owner is None:
        return _loose_config(data) if data is not None else {}
    config = owner.object("config")
    if config is None or not check_json(config.value, config.path, config.stored, fields.report):
        return {}
    return config.value


def _loose_config(data: Fields) -> dict[str, Any]:
    data.report.places.note(data.stored + "/config", data.path)
    config = {key: value for key, value in data.value.items() if key not in _DATA_FIELDS}
    return config if check_json(config, data.path, data.stored + "/config", data.report) else {}


def _position(fields: Fields) -> Position | None:
    position = fields.object("position")
    if position is None:
        return None
    return Position(x=position.number("x", default=0), y=position.number("y", default=0))


def _credentials(fields: Fields, data: Fields | None) -> dict[str, str]:
    """By slot. The original has one credential a node, without a slot."""
    names = ("credentialId", "credential_id")
    owner = _first((fields, data), names)
    single = owner.identifier(*names, limit=MAX_ID) if owner else None
    slots = fields.object("credentials")
    found: dict[str, str] = {}
    for slot in slots.value if slots else ():
        id = slots.identifier(slot, limit=MAX_ID) if slots and _is_slot(slot, fields.report, slots) else None
        if id is not None:
            found[slot] = id
    if single is not None:
        found.setdefault(DEFAULT_SLOT, single)
    return found


def _is_slot(slot: Any, report: Report, slots: Fields) -> bool:
    if isinstance(slot, str) and 0 < len(slot) <= MAX_ID and slot.isprintable():
        return True
    report.error(slots.path, "invalid_value", f"{show(slot)} is no name for a credential's slot.")
    return False
