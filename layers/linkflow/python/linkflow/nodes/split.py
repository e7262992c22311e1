"""Split: a list inside of items into items, a list into batches, or a text into parts. The output is a list."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text, ui
from linkflow.nodes.items import FAULTS, MAX_BYTES, MAX_ITEMS, ListParams, identity, items_of, too_large, too_many
from linkflow.nodes.paths import MISSING, drop, get


class SplitParams(ListParams):
    """`out`: each item, or the input, once for each value of its list at `field`. `batches`: lists of `size` items.
    `text`: the parts of a text."""

    mode: Literal["out", "batches", "text"] = "out"
    field: Text = Field("", description="Modes out and text: dot path to the list, or to the text.")
    into: Text = Field("", description="Mode out: where the value goes. Left out: as the path's last part.")
    keep: bool = Field(True, description="Mode out: each keeps the other fields of its item.")
    size: int = Field(100, ge=1, validation_alias=AliasChoices("size", "batch_size"), description="Mode batches.")
    separator: Text = Field("\n", description="Mode text. Empty: at white space.")
    trim: bool = Field(True, description="Mode text: without the blanks around.", json_schema_extra=ui(group="More"))
    drop_empty: bool = Field(True, description="Mode text: without empty parts.", json_schema_extra=ui(group="More"))

    @model_validator(mode="after")
    def _has_a_field(self) -> SplitParams:
        if self.mode == "out" and not self.field:
            raise ValueError("mode out needs a `field`: the path to the list")
        return self


class Split(Base):
    type: ClassVar[str] = "split"
    aliases: ClassVar[tuple[str, ...]] = ("split_out", "transform_split")
    name: ClassVar[str] = "Split"
    description: ClassVar[str] = "Split a list inside of items, a list into batches, or a text into parts."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = SplitParams
    help = """
    In mode `out` an item whose list is empty or missing gives nothing; a single value there counts as a list of one.
    The input may be one object in place of a list of them.
    """
    produces = {"main": {"type": "array"}}
    faults = (*FAULTS, Fault("not_a_text", "There is no text to split."))
    examples = (
        Example(
            name="An order's lines",
            config={"field": "lines", "into": "line"},
            input={"order": 7, "lines": [{"sku": "a"}, {"sku": "b"}]},
            output=[{"order": 7, "line": {"sku": "a"}}, {"order": 7, "line": {"sku": "b"}}],
        ),
        Example(name="In batches", config={"mode": "batches", "size": 2}, input=[1, 2, 3], output=[[1, 2], [3]]),
        Example(
            name="A text at commas",
            config={"mode": "text", "field": "tags", "separator": ","},
            input={"tags": "red, green,"},
            output=["red", "green"],
        ),
    )
    refuses = (
        Refusal({"mode": "out"}, "", "invalid_value"),
        Refusal({"mode": "batches", "size": 0}, "/size", "invalid_value"),
    )

    def run(self, params: SplitParams, context: Context) -> Outcome:
        if params.mode == "text":
            return Completed(output=_texts(params, context))
        if params.mode == "batches":
            items = items_of(params, context)
            return Completed(output=[items[at : at + params.size] for at in range(0, len(items), params.size)])
        single = isinstance(context.input, dict) and "items" not in params.model_fields_set
        return Completed(output=_out([context.input] if single else items_of(params, context), params))


def _out(items: list[Any], params: SplitParams) -> list[Any]:
    name, size, rows = params.into or params.field.rpartition(".")[2], 0, list[Any]()
    for item in items:
        found = get(item, params.field)
        if found is None or found is MISSING:
            continue
        values = found if isinstance(found, list) else [found]
        if len(rows) + len(values) > MAX_ITEMS:
            raise too_many(len(rows) + len(values))
        rest = drop(item, params.field) if params.keep and isinstance(item, dict) else None
        size += len(identity(rest)) * len(values) if rest else 0  # the rest is written once for each value
        if size > MAX_BYTES:
            raise too_large()
        rows += [value if rest is None else {**rest, name: value} for value in values]
    return rows


def _texts(params: SplitParams, context: Context) -> list[str]:
    value = context.input if not params.field else get(context.input, params.field)
    if "items" in params.model_fields_set:
        value = params.items
    if not isinstance(value, str):
        where = f"`{params.field}`" if params.field else "the input"
        raise NodeFailure("not_a_text", f"There is no text to split: {where} is none.", retryable=False)
    parts = value.split(params.separator, MAX_ITEMS) if params.separator else value.split(None, MAX_ITEMS)
    if len(parts) > MAX_ITEMS:
        raise too_many(len(parts))
    if params.trim:
        parts = [part.strip() for part in parts]
    return [part for part in parts if part] if params.drop_empty else parts


node = Split()
