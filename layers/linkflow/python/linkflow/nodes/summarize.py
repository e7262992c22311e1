"""Group items and say something about each group: how many, how much. The output is a row for each group."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text, to_text
from linkflow.nodes.items import FAULTS, ListParams, Paths, identity, identity_at, items_of, number, plain, unique
from linkflow.nodes.paths import MISSING, get

Op = Literal[
    "count", "sum", "average", "min", "max", "median", "first", "last", "list", "unique", "count_unique", "join"
]


class Measure(Params):
    """What to say of each group."""

    op: Op = Field("count", validation_alias=AliasChoices("op", "operation", "aggregation"))
    field: Text = Field("", description="Dot path into the item. `count` counts items without one.")
    name: Text = Field("", validation_alias=AliasChoices("name", "as"), description="Left out: op_field.")
    separator: Text = Field(", ", description="Between the texts; op join.")

    @model_validator(mode="after")
    def _has_a_field(self) -> Measure:
        if self.op != "count" and not self.field:
            raise ValueError(f"{self.op} needs a `field`")
        return self

    @property
    def label(self) -> str:
        return self.name or (f"{self.op}_{self.field}".replace(".", "_") if self.field else self.op)


class SummarizeParams(ListParams):
    group_by: Paths = Field(
        default_factory=list,
        validation_alias=AliasChoices("group_by", "by"),
        description="Dot paths; items with the same values are a group. Left out: all items are one.",
    )
    measures: Annotated[list[Measure], Field(min_length=1, max_length=30)] = Field(
        default_factory=lambda: [Measure.model_validate({})],
        validation_alias=AliasChoices("measures", "fields", "aggregations"),
    )


class Summarize(Base):
    type: ClassVar[str] = "summarize"
    aliases: ClassVar[tuple[str, ...]] = ("group", "group_by", "transform_group")
    name: ClassVar[str] = "Summarize"
    description: ClassVar[str] = "Group items, and count, add up or collect what each group has."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = SummarizeParams
    help = """
    A row has the group's values under the last part of their paths (`user.country` under `country`; the whole path
    where two end alike), and a field for each measure. Groups come in the order of their first items. Without
    `group_by` the output is one row, also of an empty list.

    Items without the field, or with null there, count for nothing. `sum`, `average` and `median` take numbers, and text
    that spells one; other values fail the node. Whole numbers are added exactly. `min` and `max` compare numbers, or
    texts.
    """
    produces = {
        "main": {
            "type": "array",
            "items": {"type": "object"},
            "description": "A row for each group; an only row is in a list as well.",
        }
    }
    faults = (*FAULTS, Fault("not_a_number", "A value that is to be added is no number."))
    examples = (
        Example(
            name="Turnover by country",
            config={
                "group_by": ["user.country"],
                "measures": [{"op": "count", "as": "orders"}, {"op": "sum", "field": "total"}],
            },
            input=[
                {"user": {"country": "DE"}, "total": 5},
                {"user": {"country": "FR"}, "total": 2.5},
                {"user": {"country": "DE"}, "total": "7"},
            ],
            output=[
                {"country": "DE", "orders": 2, "sum_total": 12},
                {"country": "FR", "orders": 1, "sum_total": 2.5},
            ],
        ),
    )
    refuses = (Refusal({"measures": [{"op": "sum"}]}, "/measures/0", "invalid_value"),)

    def run(self, params: SummarizeParams, context: Context) -> Outcome:
        groups: dict[bytes, list[Any]] = {}
        for item in items_of(params, context):
            groups.setdefault(identity_at(item, params.group_by) if params.group_by else b"", []).append(item)
        if not params.group_by and not groups:
            groups[b""] = []
        names = _names(params.group_by)
        return Completed(output=[_row(items, params, names) for items in groups.values()])


def _names(paths: list[str]) -> list[str]:
    short = [path.rpartition(".")[2] for path in paths]
    return short if len(set(short)) == len(short) else list(paths)


def _row(items: list[Any], params: SummarizeParams, names: list[str]) -> dict[str, Any]:
    row = {name: plain(get(items[0], path)) for name, path in zip(names, params.group_by, strict=True)}
    for measure in params.measures:
        row[measure.label] = _measured(measure, items)
    return row


def _measured(measure: Measure, items: list[Any]) -> Any:
    if measure.op == "count" and not measure.field:
        return len(items)
    found = [value for item in items if (value := get(item, measure.field)) is not MISSING and value is not None]
    if measure.op == "join":
        return measure.separator.join(str(to_text(value)) for value in found)
    return _OPS[measure.op](found)


def _numbers(values: list[Any]) -> list[int | float]:
    numbers = []
    for value in values:
        one = number(value)
        if one is None:
            text = f"{str(value)[:50]!r} is no number, so it cannot be added up."
            raise NodeFailure("not_a_number", text, retryable=False)
        numbers.append(one)
    return numbers


def _sum(values: list[Any]) -> int | float:
    numbers = _numbers(values)
    return sum(numbers) if all(isinstance(one, int) for one in numbers) else math.fsum(numbers)


def _average(values: list[Any]) -> float | None:
    return _sum(values) / len(values) if values else None


def _median(values: list[Any]) -> int | float | None:
    numbers = sorted(_numbers(values))
    if not numbers:
        return None
    half = len(numbers) // 2
    return numbers[half] if len(numbers) % 2 else (numbers[half - 1] + numbers[half]) / 2


def _extreme(choose: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    def of(values: list[Any]) -> Any:
        numbers = [number(value) for value in values]
        if all(one is not None for one in numbers):
            return choose(numbers, default=None)
        return choose((str(to_text(value)) for value in values), default=None)

    return of


_OPS: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "sum": _sum,
    "average": _average,
    "median": _median,
    "min": _extreme(min),
    "max": _extreme(max),
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "list": lambda values: values,
    "unique": unique,
    "count_unique": lambda values: len({identity(value) for value in values}),
}

node = Summarize()
