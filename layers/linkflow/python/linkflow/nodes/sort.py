"""Sort a list. The output is the sorted list."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text
from linkflow.nodes.items import FAULTS, ListParams, identity, items_of, number
from linkflow.nodes.paths import MISSING, get


class SortKey(Params):
    """One thing to sort by."""

    field: Text = Field("", description="Dot path into the item; left out: the item itself.")
    order: Literal["asc", "desc"] = "asc"
    kind: Literal["auto", "number", "text", "text_nocase"] = Field(
        "auto", description="auto: numbers before text, text as it is. number: also text that spells one."
    )
    nulls: Literal["last", "first"] = Field("last", description="Where items without a value go.")


def _keys(value: Any) -> Any:
    """`name`, `-name` and lists of those are keys as well."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, list):
        return value
    return [
        {"field": key.lstrip("-"), **({"order": "desc"} if key.startswith("-") else {})}
        if isinstance(key, str)
        else key
        for key in value
    ]


class SortParams(ListParams):
    by: Annotated[list[SortKey], BeforeValidator(_keys), Field(min_length=1, max_length=20)] = Field(
        default_factory=lambda: [SortKey.model_validate({})],
        validation_alias=AliasChoices("by", "keys"),
        description="Keys, the first counts most; or text such as `-price, name`. Left out: the items themselves.",
    )
    order: Literal["asc", "desc"] = Field("asc", description="Of keys that say none.")


class Sort(Base):
    type: ClassVar[str] = "sort"
    aliases: ClassVar[tuple[str, ...]] = ("transform_sort",)
    name: ClassVar[str] = "Sort"
    description: ClassVar[str] = "Sort a list by one or more keys."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = SortParams
    help = """
    Items that are equal keep their order. With kind `auto`, false comes before true, those before numbers, numbers
    before text, text before lists and objects; text is compared by its characters' code points.
    """
    produces = {"main": {"type": "array", "description": "The same items, in order."}}
    faults = FAULTS
    examples = (
        Example(
            name="The dearest first, then by name",
            config={"by": "-price, name"},
            input=[{"name": "b", "price": 2}, {"name": "a", "price": 2}, {"name": "c", "price": 9}],
            output=[{"name": "c", "price": 9}, {"name": "a", "price": 2}, {"name": "b", "price": 2}],
        ),
    )
    refuses = (Refusal({"by": [{"field": "a", "order": "down"}]}, "/by/0/order", "invalid_value"),)

    def run(self, params: SortParams, context: Context) -> Outcome:
        items = items_of(params, context)
        for key in reversed(params.by):  # stable: the first key is sorted by last
            is_down = (key.order if "order" in key.model_fields_set else params.order) == "desc"
            items = _sorted(items, key, is_down)
        return Completed(output=items)


def _sorted(items: list[Any], key: SortKey, is_down: bool) -> list[Any]:
    ranked, missing = [], []
    for item in items:
        found = _rank(get(item, key.field) if key.field else item, key.kind)
        if found is None:
            missing.append(item)
        else:
            ranked.append((found, item))
    ranked.sort(key=lambda pair: pair[0], reverse=is_down)
    values = [item for _, item in ranked]
    return [*missing, *values] if key.nulls == "first" else [*values, *missing]


def _rank(value: Any, kind: str) -> tuple[int, Any] | None:
    if value is None or value is MISSING:
        return None
    if kind == "number":
        found = number(value)
        return None if found is None else (1, found)
    if kind != "auto":
        text = value if isinstance(value, str) else identity(value).decode()
        return (2, text.casefold() if kind == "text_nocase" else text)
    if isinstance(value, bool):
        return (0, value)
    if isinstance(value, int | float):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, identity(value))


node = Sort()
