"""From a list of items to one object with lists of their values."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text, TextList, ui
from linkflow.nodes.items import FAULTS, ListParams, items_of, unique
from linkflow.nodes.paths import MISSING, drop, get, put


class Collected(Params):
    """One field to collect."""

    field: Annotated[Text, Field(min_length=1)] = Field(description="Dot path into the item.")
    name: Text = Field("", validation_alias=AliasChoices("name", "as"), description="Left out: as the field.")


def _fields(value: Any) -> Any:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return [{"field": one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value


class AggregateParams(ListParams):
    fields: Annotated[list[Collected], BeforeValidator(_fields), Field(max_length=30)] = Field(
        default_factory=list, description="What to collect. Left out: the items as they are, under `into`."
    )
    into: Annotated[Text, Field(min_length=1)] = Field("items", description="Name of the list of whole items.")
    remove: TextList = Field(default_factory=list, description="Fields that the whole items lose.")
    unique: bool = Field(False, description="Each value once.")
    keep_missing: bool = Field(
        False, description="An item without the field gives null.", json_schema_extra=ui(group="More")
    )
    flatten: bool = Field(
        False, description="A value that is a list gives its items.", json_schema_extra=ui(group="More")
    )


class Aggregate(Base):
    type: ClassVar[str] = "aggregate"
    aliases: ClassVar[tuple[str, ...]] = ("transform_aggregate",)
    name: ClassVar[str] = "Aggregate"
    description: ClassVar[str] = "Collect the values of many items into lists of one object."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = AggregateParams
    produces = {"main": {"type": "object", "description": "A list under each name."}}
    faults = FAULTS
    examples = (
        Example(
            name="All addresses",
            config={"fields": [{"field": "user.email", "as": "emails"}], "unique": True},
            input=[{"user": {"email": "a@b.c"}}, {"user": {"email": "d@e.f"}}, {"user": {"email": "a@b.c"}}],
            output={"emails": ["a@b.c", "d@e.f"]},
        ),
        Example(
            name="Whole items, without a secret",
            config={"into": "users", "remove": ["password"]},
            input=[{"id": 1, "password": "x"}],
            output={"users": [{"id": 1}]},
        ),
    )
    refuses = (Refusal({"fields": [{"as": "emails"}]}, "/fields/0/field", "missing_field"),)

    def run(self, params: AggregateParams, context: Context) -> Outcome:
        items = items_of(params, context)
        if not params.fields:
            return Completed(output={params.into: _once([_without(item, params.remove) for item in items], params)})
        output: dict[str, Any] = {}
        for one in params.fields:
            values = [get(item, one.field) for item in items]
            kept = [
                None if value is MISSING else value for value in values if params.keep_missing or value is not MISSING
            ]
            output = put(output, one.name or one.field, _once(kept, params))
        return Completed(output=output)


def _without(item: Any, paths: list[str]) -> Any:
    for path in paths if isinstance(item, dict) else ():
        item = drop(item, path)
    return item


def _once(values: list[Any], params: AggregateParams) -> list[Any]:
    if params.flatten:
        values = [part for value in values for part in (value if isinstance(value, list) else [value])]
    return unique(values) if params.unique else values


node = Aggregate()
