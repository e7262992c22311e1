"""Bring the outputs of several branches together, in the order of the branches' sources."""

from __future__ import annotations

import builtins
from itertools import zip_longest
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text
from linkflow.nodes.paths import MISSING, get


class MergeParams(Params):
    """`append`: one list. `combine`: one object, later inputs win. `by_position`: lists side by side.
    `by_key`: lists joined where `key` is equal. The last two give a list of objects."""

    mode: Literal["append", "combine", "by_position", "by_key"] = "append"
    key: Text = Field("", validation_alias=AliasChoices("key", "join_key"), description="Dot path; mode by_key.")
    join: Literal["outer", "inner", "left"] = Field(
        "outer", description="What stays of items without a partner: all, none, or the first input's."
    )

    @model_validator(mode="after")
    def _has_a_key(self) -> MergeParams:
        if self.mode == "by_key" and not self.key:
            raise ValueError("mode by_key needs a `key`")
        return self


class Merge(Base):
    type: ClassVar[str] = "merge"
    aliases: ClassVar[tuple[str, ...]] = ("logic_merge",)
    name: ClassVar[str] = "Merge"
    description: ClassVar[str] = "Bring branches together."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = MergeParams
    help = """
    Inputs come in the order of the sources. `append` gives one list, `combine` one object in which later inputs win,
    `by_position` objects side by side, `by_key` objects that are equal at `key`. `join` is for the last two: `outer`
    keeps items without a partner, `inner` drops them, `left` keeps the first input's.
    """
    produces = {"main": {"type": ["array", "object"], "description": "A list; with `combine` an object."}}
    faults = (
        Fault("merge_not_an_object", "Only objects can be laid over each other."),
        Fault("merge_no_key", "An item has nothing at `key`."),
    )
    examples = (
        Example(
            name="Join orders and customers",
            config={"mode": "by_key", "key": "id"},
            inputs={"orders": [{"id": 1, "total": 5}, {"id": 2, "total": 8}], "names": [{"id": 2, "name": "Ada"}]},
            output=[{"id": 1, "total": 5}, {"id": 2, "total": 8, "name": "Ada"}],
        ),
        Example(name="One list of all", config={}, inputs={"a": [1, 2], "b": [3]}, output=[1, 2, 3]),
    )
    refuses = (Refusal({"mode": "by_key"}, "", "invalid_value"),)

    def run(self, params: MergeParams, context: Context) -> Outcome:
        inputs = list(context.inputs.values()) if context.inputs else [context.input]
        if params.mode == "append":
            return Completed(output=[item for value in inputs for item in _items(value)])
        if params.mode == "combine":
            return Completed(output=_overlay(inputs))
        lists = [_items(value) for value in inputs]
        if params.mode == "by_position":
            rows = zip_longest(*lists) if params.join == "outer" else zip(*lists, strict=False)
            return Completed(output=[_overlay(row) for row in rows])
        return Completed(output=_joined(lists, params.key, params.join))


def _items(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _overlay(values: Any) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for value in values:
        if isinstance(value, dict):
            result.update(value)
        elif value is not None:
            raise NodeFailure(
                "merge_not_an_object", "Only objects can be merged into one; use mode append.", retryable=False
            )
    return result


def _joined(lists: list[list[Any]], path: str, join: str) -> list[dict[str, Any]]:
    """One row a key, in the order keys were first seen. A key that one input has twice is still one row."""
    rows: dict[bytes, list[dict[str, Any]]] = {}
    for index, items in enumerate(lists):
        for item in items:
            parts = rows.setdefault(_key(item, path), [{} for _ in lists])
            parts[index] = _overlay((parts[index], item))
    return [_overlay(parts) for parts in rows.values() if _stays(parts, join)]


def _stays(parts: list[dict[str, Any]], join: str) -> bool:
    return all(parts) if join == "inner" else join == "outer" or bool(parts[0])


def _key(item: Any, path: str) -> bytes:
    value = get(item, path)
    if value is MISSING:
        raise NodeFailure("merge_no_key", f"An item has nothing at {path!r}, so it cannot be joined.", retryable=False)
    # Its JSON, so that 1 and "1" and true stay apart and lists can be keys.
    return msgspec.json.encode(value, order="deterministic")


node = Merge()
