"""Keep a part of a list. The output is that part."""

from __future__ import annotations

import builtins
from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.items import FAULTS, ListParams, items_of


class LimitParams(ListParams):
    count: int = Field(1, ge=0, validation_alias=AliasChoices("count", "limit", "max"), description="Items to keep.")
    offset: int = Field(
        0, ge=0, validation_alias=AliasChoices("offset", "skip"), description="Items to leave out first."
    )
    keep: Literal["first", "last"] = Field("first", description="From which end.")


class Limit(Base):
    type: ClassVar[str] = "limit"
    aliases: ClassVar[tuple[str, ...]] = ("transform_limit",)
    name: ClassVar[str] = "Limit"
    description: ClassVar[str] = "Keep the first or last items of a list."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = LimitParams
    produces = {"main": {"type": "array", "description": "What is kept, in its order."}}
    faults = FAULTS
    examples = (
        Example(name="The second and third", config={"count": 2, "offset": 1}, input=[1, 2, 3, 4], output=[2, 3]),
        Example(name="The last", config={"items": "rows", "keep": "last"}, input={"rows": [1, 2, 3]}, output=[3]),
    )
    refuses = (Refusal({"count": -1}, "/count", "invalid_value"),)

    def run(self, params: LimitParams, context: Context) -> Outcome:
        items = items_of(params, context)
        if params.keep == "first":
            return Completed(output=items[params.offset : params.offset + params.count])
        end = max(0, len(items) - params.offset)
        return Completed(output=items[max(0, end - params.count) : end])


node = Limit()
