"""Lists of items, as the nodes that shape them take them; and comparing values of any kind."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import Field

from linkflow.nodes.about import Fault
from linkflow.nodes.base import Context, NodeFailure, Params
from linkflow.nodes.fields import TextList
from linkflow.nodes.paths import MISSING, get

MAX_ITEMS = 100_000
"""Items that a node takes or makes: a loop is for more."""

MAX_BYTES = 16 * 1024 * 1024
"""Bytes that a node may make of what it was given: small inputs can be spelt out to huge outputs."""

FAULTS = (
    Fault("not_a_list", "There is no list where one is needed."),
    Fault("too_many_items", f"There are more than {MAX_ITEMS:,} items, or what they come to is too large."),
)

Paths = Annotated[TextList, Field(json_schema_extra={"widget": "list"})]
"""Dot paths into an item: a list, or text with commas."""


class ListParams(Params):
    """Base of the parameters of nodes that take a list."""

    items: Any = Field(None, description="A list, or a dot path to one in the input. Left out: the input itself.")


def items_of(params: ListParams, context: Context) -> list[Any]:
    """The list that a node works on. Raises `NodeFailure` ``not_a_list`` or ``too_many_items``."""
    given = "items" in params.model_fields_set
    value, where = (params.items, "`items`") if given else (context.input, "the input")
    if given and isinstance(value, str):
        value, where = get(context.input, value), f"`{value[:100]}` of the input"
    return as_list(value, where)


def as_list(value: Any, where: str) -> list[Any]:
    """`value`, if it is a list of a size that can be worked on."""
    if not isinstance(value, list | tuple):
        what = "missing" if value is None or value is MISSING else "not a list"
        raise NodeFailure("not_a_list", f"There is nothing to work on: {where} is {what}.", retryable=False)
    if len(value) > MAX_ITEMS:
        raise too_many(len(value))
    return list(value)


def too_many(count: int) -> NodeFailure:
    """The list is too long."""
    text = f"There are {count:,} items; {MAX_ITEMS:,} are the most that a node works on at once. Use a loop."
    return NodeFailure("too_many_items", text, retryable=False)


def too_large() -> NodeFailure:
    """What would come of it is more than a node may make."""
    text = f"The result would be larger than {MAX_BYTES:,} bytes. Work on less at once."
    return NodeFailure("too_many_items", text, retryable=False)


def identity(value: Any) -> bytes:
    """What two values are equal by: their JSON, so that 1 and "1" and true stay apart and lists can be keys."""
    return msgspec.json.encode(None if value is MISSING else value, order="deterministic")


def identity_at(item: Any, paths: list[str]) -> bytes:
    """What two items are equal by: the values at `paths`, or all of them."""
    return identity([plain(get(item, path)) for path in paths] if paths else item)


def unique(values: list[Any]) -> list[Any]:
    """Each value once, where it came first."""
    found: dict[bytes, Any] = {}
    for value in values:
        found.setdefault(identity(value), value)
    return list(found.values())


def plain(value: Any) -> Any:
    """`value`, with null for what is missing."""
    return None if value is MISSING else value


def number(value: Any) -> int | float | None:
    """A number, or text that spells one; None otherwise. Booleans are no numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and 0 < len(value) <= 400:
        try:
            return int(value) if value.strip().lstrip("+-").isdecimal() else _finite(float(value))
        except ValueError:
            return None
    return None


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None
