"""Take items that are there twice out of a list. The output is the list without them."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.items import FAULTS, ListParams, Paths, identity_at, items_of


class DeduplicateParams(ListParams):
    by: Paths = Field(
        default_factory=list,
        validation_alias=AliasChoices("by", "fields", "key"),
        description="Dot paths: items with the same values there are the same. Left out: the whole items.",
    )
    keep: Literal["first", "last"] = Field("first", description="Which one of them stays, in its place.")


class Deduplicate(Base):
    type: ClassVar[str] = "deduplicate"
    aliases: ClassVar[tuple[str, ...]] = ("remove_duplicates", "transform_unique")
    name: ClassVar[str] = "Deduplicate"
    description: ClassVar[str] = "Remove items that are there already."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = DeduplicateParams
    help = 'Values are the same if their JSON is: 1, `"1"` and true are three. A missing field is null.'
    produces = {"main": {"type": "array", "description": "What stays, in its order."}}
    faults = FAULTS
    examples = (
        Example(
            name="One of each customer",
            config={"by": "email", "keep": "last"},
            input=[{"email": "a@b.c", "n": 1}, {"email": "d@e.f", "n": 2}, {"email": "a@b.c", "n": 3}],
            output=[{"email": "d@e.f", "n": 2}, {"email": "a@b.c", "n": 3}],
        ),
    )
    refuses = (Refusal({"keep": "both"}, "/keep", "invalid_value"),)

    def run(self, params: DeduplicateParams, context: Context) -> Outcome:
        items = items_of(params, context)
        ordered = items if params.keep == "first" else items[::-1]
        kept: dict[bytes, Any] = {}
        for item in ordered:
            kept.setdefault(identity_at(item, params.by), item)
        values = list(kept.values())
        return Completed(output=values if params.keep == "first" else values[::-1])


node = Deduplicate()
