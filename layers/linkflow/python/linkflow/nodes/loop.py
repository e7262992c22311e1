"""For each: run the body, which output `each` leads, once for every item; `done` carries the ordered results."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.definition import DONE, EACH
from linkflow.domain.outcomes import Iterate, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text
from linkflow.nodes.paths import MISSING, get


class LoopParams(Params):
    """Items come from `items`, or from `items_field` of the input, or are the input itself."""

    items: Any = Field(None, description="A list, or an expression that gives one; an object gives {key, value} items.")
    items_field: Text = Field("", description="Dot path into the input.")
    concurrency: int = Field(1, ge=0, description="Iterations at once; 0 is all of them.")
    batch_size: int = Field(1, ge=1, description="More than 1: the body gets lists of so many items.")
    max_items: int = Field(10_000, ge=1, le=1_000_000, description="More items than this fail the node.")
    on_item_error: Literal["stop", "collect"] = Field(
        "stop",
        validation_alias=AliasChoices("on_item_error", "onItemError"),
        description="collect: keep the error as the result.",
    )
    item_alias: Text = Field("", deprecated="The item is {{ loop.item }} in the body.")
    index_alias: Text = Field("", deprecated="The index is {{ loop.index }} in the body.")


class Loop(Base):
    type: ClassVar[str] = "loop"
    aliases: ClassVar[tuple[str, ...]] = ("logic_loop",)
    name: ClassVar[str] = "Loop"
    description: ClassVar[str] = "Run the nodes behind `each` once for every item."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = LoopParams
    help = """
    An object gives `{key, value}` items. A list that is missing fails the node; one that is there and null is empty. In
    the body `{{ loop.item }}` is the item, `{{ loop.index }}` its number, `{{ loop.output }}` the result of the one
    before.
    """
    produces = {
        "each": {"description": "The item, or with `batch_size` a list of items."},
        "done": {
            "type": "object",
            "properties": {
                "results": {"type": "array", "description": "In the order of the items."},
                "count": {"type": "integer"},
            },
            "required": ["results", "count"],
        },
    }
    faults = (
        Fault("loop_not_a_list", "There is nothing to loop over."),
        Fault("loop_too_many_items", "There are more items than `max_items`."),
    )
    examples = (
        Example(
            name="Double each number",
            config={"items_field": "numbers", "concurrency": 10},
            input={"numbers": [1, 2, 3]},
            nodes=(
                {
                    "id": "double",
                    "type": "transform",
                    "config": {"fields": {"twice": "{{ loop.item * 2 }}"}, "keep": False},
                },
            ),
            edges=({"source": "it", "source_output": "each", "target": "double"},),
            output={"results": [{"twice": 2}, {"twice": 4}, {"twice": 6}], "count": 3},
        ),
    )
    refuses = (Refusal({"batch_size": 0}, "/batch_size", "invalid_value"),)

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        return (EACH, DONE)

    def run(self, params: LoopParams, context: Context) -> Outcome:
        items = _items(params, context)
        if len(items) > params.max_items:
            raise NodeFailure(
                "loop_too_many_items",
                f"The loop got {len(items)} items, more than {params.max_items}; raise `max_items` or split the work.",
                retryable=False,
            )
        size = params.batch_size
        if size > 1:
            items = [items[at : at + size] for at in range(0, len(items), size)]
        return Iterate(items=tuple(items), concurrency=params.concurrency, on_item_error=params.on_item_error)


def _items(params: LoopParams, context: Context) -> list[Any]:
    if "items" in params.model_fields_set:
        value, where = params.items, "`items`"
    elif params.items_field:
        value, where = get(context.input, params.items_field), f"`{params.items_field}` of the input"
        if value is None:
            return []  # it is there, and says that there is nothing
    else:
        value, where = context.input, "the input"
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, dict):
        return [{"key": key, "value": item} for key, item in value.items()]
    # A missing list is an error rather than an empty loop: it is a misspelt name more often than not.
    what = "missing" if value is MISSING or value is None else "not a list"
    raise NodeFailure("loop_not_a_list", f"Nothing to loop over: {where} is {what}.", retryable=False)


node = Loop()
