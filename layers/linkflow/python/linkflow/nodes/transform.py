"""Shape data: set, rename and delete fields, filter lists.

The output is the shaped input itself. An input that is a list is shaped item by item; `filter` with conditions keeps
those items that match, without conditions it drops null fields (as the original did).
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.condition import Combine, Rule, rule_holds
from linkflow.nodes.paths import MISSING, drop, get, put

Fields = Annotated[
    dict[str, Any],
    BeforeValidator(
        lambda value: (
            dict.fromkeys(value)
            if isinstance(value, list) and all(isinstance(name, str) for name in value)
            else {value: None}
            if isinstance(value, str) and value and "{{" not in value
            else value or {}
        )
    ),
]


class Step(Params):
    """One operation. `fields`: for set name → value, for rename old → new, for delete the names (a list will do)."""

    operation: Annotated[
        Literal["set", "rename", "delete", "filter"],
        BeforeValidator(lambda value: "delete" if value == "remove" else value),
    ] = Field("set", description="delete is remove as well.")
    fields: Fields = Field(
        default_factory=dict,
        validation_alias=AliasChoices("fields", "values", "mapping"),
        description="Names are dot paths.",
    )
    items: Any = Field(None, description="filter: the list, where it is not the input.")
    conditions: list[Rule] = Field(default_factory=list, description="filter: which items stay.")
    combine: Combine = "and"

    @model_validator(mode="before")
    @classmethod
    def _conditions_are_a_filters(cls, given: Any) -> Any:
        """`transform_filter` of the original says it by its name alone."""
        others = {"operation", "fields", "values", "mapping"}
        if isinstance(given, dict) and given.get("conditions") and not others & given.keys():
            return {**given, "operation": "filter"}
        return given


class TransformParams(Step):
    operations: list[Step] = Field(default_factory=list, description="Several operations, one after another.")
    keep: bool = Field(
        True,
        validation_alias=AliasChoices("keep", "keep_input", "include_input"),
        description="set: keep the input's other fields.",
    )

    @model_validator(mode="after")
    def _is_one_form(self) -> TransformParams:
        if self.operations and self.model_fields_set & {"operation", "fields", "items", "conditions"}:
            raise ValueError("use either `operations` or one `operation`, not both")
        return self


class Transform(Base):
    type: ClassVar[str] = "transform"
    aliases: ClassVar[tuple[str, ...]] = ("transform_set", "transform_filter", "set", "action_set")
    name: ClassVar[str] = "Transform"
    description: ClassVar[str] = "Set, rename, delete and filter fields."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = TransformParams
    help = """
    `operation` with `fields` (dot paths), or `operations`, a list of such steps. A list is shaped item by item.
    `filter` keeps the items of the input (or of `items`, a path or list) that match `conditions`; without conditions it
    drops null fields.
    """
    produces = {"main": {"description": "The shaped input."}}
    faults = (Fault("filter_not_a_list", "A filter with conditions got no list."),)
    examples = (
        Example(
            name="A total in place of the net sum",
            config={
                "operations": [
                    {"operation": "set", "fields": {"total": "{{ input.net * 2 }}"}},
                    {"operation": "delete", "fields": ["net"]},
                ]
            },
            input={"id": 7, "net": 50},
            output={"id": 7, "total": 100},
        ),
        Example(
            name="Other names",
            config={"operation": "rename", "fields": {"mail": "user.email"}},
            input={"id": 7, "mail": "a@b.c"},
            output={"id": 7, "user": {"email": "a@b.c"}},
        ),
        Example(
            name="Only what is paid",
            config={"operation": "filter", "conditions": [{"field": "paid", "value": True}]},
            input=[{"id": 1, "paid": True}, {"id": 2, "paid": False}],
            output=[{"id": 1, "paid": True}],
        ),
    )
    refuses = (Refusal({"operation": "explode"}, "/operation", "invalid_value"),)

    def run(self, params: TransformParams, context: Context) -> Outcome:
        value = context.input
        for index, step in enumerate(params.operations or (params,)):
            value = _apply(step, value, params.keep or index > 0, context)
        return Completed(output=value)


def _apply(step: Step, value: Any, keep: bool, context: Context) -> Any:
    if step.operation == "set":
        return _each(value if keep else ([{} for _ in value] if isinstance(value, list) else {}), step.fields, _set)
    if step.operation == "rename":
        return _each(value, step.fields, _rename)
    if step.operation == "delete":
        return _each(value, step.fields, _delete)
    return _filter(step, value, context)


def _each(value: Any, fields: dict[str, Any], change: Callable[[dict[str, Any], dict[str, Any]], Any]) -> Any:
    if isinstance(value, list):
        return [_each(item, fields, change) for item in value]
    # A first node's input, or a plain value: there are no fields to keep.
    return change(value if isinstance(value, dict) else {}, fields)


def _set(value: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    plain = dict(value)
    for name, new in fields.items():
        if "." in name or "[" in name:
            plain = put(plain, name, new)
        else:
            plain[name] = new
    return plain


def _rename(value: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    found = {old: get(value, old) for old in fields}
    for old, moved in found.items():
        if moved is not MISSING:
            value = drop(value, old)
    for old, new in fields.items():
        if found[old] is not MISSING:
            value = put(value, str(new), found[old])
    return value


def _delete(value: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    for name in fields:
        value = drop(value, name)
    return value


def _filter(step: Step, value: Any, context: Context) -> Any:
    source = step.items if "items" in step.model_fields_set else value
    if isinstance(source, str):
        found = get(value, source)
        source = None if found is MISSING else found
    if not step.conditions:
        return _without_nulls(source)
    if not isinstance(source, list):
        raise NodeFailure(
            "filter_not_a_list", "A filter with conditions needs a list: name it in `items`.", retryable=False
        )
    return [item for item in source if rule_holds(step.conditions, step.combine, replace(context, input=item))]


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value if item is not None] if isinstance(value, list) else value


node = Transform()
