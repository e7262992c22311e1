"""Compare two lists by a key. The output says what only one of them has, what is the same, and what differs how."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.items import FAULTS, Paths, as_list, identity, identity_at
from linkflow.nodes.paths import MISSING, get


class CompareParams(Params):
    """The lists are the outputs of the two nodes in front, in their order, or `left` and `right`."""

    left: Any = Field(None, description="A list, or a dot path into the input.")
    right: Any = Field(None, description="A list, or a dot path into the input.")
    key: Paths = Field(
        default_factory=list,
        validation_alias=AliasChoices("key", "by"),
        description="Dot paths by which items belong together. Left out: the whole items.",
    )
    fields: Paths = Field(default_factory=list, description="Only these fields are compared. Left out: all.")
    ignore: Paths = Field(default_factory=list, description="Top-level fields that are not compared.")


class Compare(Base):
    type: ClassVar[str] = "compare"
    aliases: ClassVar[tuple[str, ...]] = ("compare_datasets", "compare_sets")
    name: ClassVar[str] = "Compare two lists"
    description: ClassVar[str] = "Find what was added, removed and changed between two lists."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = CompareParams
    help = """
    Of several items of one list with the same key the last counts. `left_only` are those that the second list lacks,
    `right_only` those that it has besides, `same` those that are equal (as the first list has them), `changed` those
    that differ: `{key, left, right, fields}`, where `fields` names the top-level fields (or those of `fields`) that do.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "left_only": {"type": "array"},
                "right_only": {"type": "array"},
                "same": {"type": "array"},
                "changed": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "key": {"type": "array"},
                            "left": {},
                            "right": {},
                            "fields": {"type": "array", "items": {"type": "string"}},
                        },
                    },
                },
            },
            "required": ["left_only", "right_only", "same", "changed"],
        }
    }
    faults = (*FAULTS, Fault("not_two_lists", "There are not two lists to compare."))
    examples = (
        Example(
            name="What has changed since yesterday",
            config={"key": "id"},
            inputs={
                "yesterday": [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3}],
                "today": [{"id": 2, "n": 2}, {"id": 3, "n": 4}, {"id": 4, "n": 5}],
            },
            output={
                "left_only": [{"id": 1, "n": 1}],
                "right_only": [{"id": 4, "n": 5}],
                "same": [{"id": 2, "n": 2}],
                "changed": [{"key": [3], "left": {"id": 3, "n": 3}, "right": {"id": 3, "n": 4}, "fields": ["n"]}],
            },
        ),
    )
    refuses = (Refusal({"keys": "id"}, "/keys", "unknown_field"),)

    def run(self, params: CompareParams, context: Context) -> Outcome:
        left, right = (_keyed(items, params.key) for items in _lists(params, context))
        output: dict[str, list[Any]] = {"left_only": [], "right_only": [], "same": [], "changed": []}
        for key, item in left.items():
            if key not in right:
                output["left_only"].append(item)
            elif fields := _differences(item, right[key], params):
                values = [None if (value := get(item, path)) is MISSING else value for path in params.key]
                changed = {"key": values, "left": item, "right": right[key], "fields": fields}
                output["changed"].append(changed)
            else:
                output["same"].append(item)
        output["right_only"] = [item for key, item in right.items() if key not in left]
        return Completed(output=output)


def _lists(params: CompareParams, context: Context) -> list[list[Any]]:
    given = {"left", "right"} & params.model_fields_set
    if not given and len(context.inputs) == 2:
        return [as_list(value, f"the output of `{source}`") for source, value in context.inputs.items()]
    if len(given) == 2:
        pair = []
        for name, value in (("left", params.left), ("right", params.right)):
            found = get(context.input, value) if isinstance(value, str) else value
            pair.append(as_list(found, f"`{name}`"))
        return pair
    text = "Lead two nodes to this one, or give both `left` and `right`."
    raise NodeFailure("not_two_lists", text, retryable=False)


def _keyed(items: list[Any], paths: list[str]) -> dict[bytes, Any]:
    return {identity_at(item, paths): item for item in items}


def _differences(left: Any, right: Any, params: CompareParams) -> list[str]:
    if params.fields:
        return [path for path in params.fields if identity(get(left, path)) != identity(get(right, path))]
    if not isinstance(left, dict) or not isinstance(right, dict):
        return [] if identity(left) == identity(right) else [""]
    names = [name for name in {**left, **right} if name not in params.ignore]
    return [name for name in names if identity(left.get(name, MISSING)) != identity(right.get(name, MISSING))]


node = Compare()
