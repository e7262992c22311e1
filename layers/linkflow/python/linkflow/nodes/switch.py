"""Choose one of several outputs by a value. The output is ``{matched, output, matched_rule, value, input}``."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Outcome
from linkflow.nodes.about import NAMED, Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.condition import DEFAULT, SWITCHED, Case, subject, switch, switch_outputs
from linkflow.nodes.fields import Text


class SwitchParams(Params):
    value: Any = Field(
        None, validation_alias=AliasChoices("value", "switch_value"), description="The value to look up."
    )
    field: Any = Field(None, description="Or a dot path into the input.")
    cases: list[Case] = Field(min_length=1)
    default_output: Text = Field(DEFAULT, validation_alias=AliasChoices("default_output", "default"))

    @model_validator(mode="after")
    def _has_a_subject(self) -> SwitchParams:
        if not {"value", "field"} & self.model_fields_set:
            raise ValueError("say what to look up: `value` or `field` (a path into the input)")
        return self


class Switch(Base):
    type: ClassVar[str] = "switch"
    aliases: ClassVar[tuple[str, ...]] = ("logic_switch",)
    name: ClassVar[str] = "Switch"
    description: ClassVar[str] = "Choose one of several ways by a value."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = SwitchParams
    expression_fields: ClassVar[tuple[str, ...]] = ("field",)
    path_fields: ClassVar[tuple[str, ...]] = ("field",)
    help = """
    Values compare as `eq` does in a condition: a number equals text that spells it. A case without `output` is named
    after its value. No case fits: the output `default_output`.
    """
    produces = {NAMED: SWITCHED}
    examples = (
        Example(
            name="By the kind of an order",
            config={"field": "kind", "cases": [{"value": "a", "output": "first"}, {"value": "b", "output": "second"}]},
            input={"kind": "b"},
            port="second",
            output={"matched": True, "output": "second", "matched_rule": 1, "value": "b", "input": {"kind": "b"}},
        ),
    )
    refuses = (Refusal({"value": 1, "cases": [{"output": "x"}]}, "/cases/0/value", "missing_field"),)

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        default = config.get("default_output") or config.get("default")
        return switch_outputs({"cases": config.get("cases"), "default_output": default})

    def run(self, params: SwitchParams, context: Context) -> Outcome:
        value = subject(params.field, context) if "field" in params.model_fields_set else params.value
        return switch(value, params.cases, params.default_output, context)


node = Switch()
