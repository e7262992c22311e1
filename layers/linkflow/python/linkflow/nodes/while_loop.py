"""While: run the body, which output `each` leads, as long as a condition holds; `done` goes on."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.definition import DONE, EACH, WHILE
from linkflow.domain.outcomes import Outcome, Repeat
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.compare import truthy
from linkflow.nodes.condition import evaluate


class WhileParams(Params):
    """The condition is evaluated before each iteration."""

    condition: Any = Field(
        validation_alias=AliasChoices("condition", "expression"),
        description="True or false by JavaScript's rule. loop.index, loop.item and loop.output say how far it is.",
    )
    max_iterations: int = Field(
        1000, ge=1, le=100_000, description="If the condition still holds after so many, the node fails."
    )
    on_item_error: Literal["stop", "collect"] = Field(
        "stop",
        validation_alias=AliasChoices("on_item_error", "onItemError"),
        description="collect: keep the error as the iteration's result.",
    )


class While(Base):
    type: ClassVar[str] = WHILE
    aliases: ClassVar[tuple[str, ...]] = ("loop_while", "logic_while")
    name: ClassVar[str] = "While"
    description: ClassVar[str] = "Run the nodes behind `each` as long as a condition holds."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = WhileParams
    expression_fields: ClassVar[tuple[str, ...]] = ("condition", "expression")

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        return (EACH, DONE)

    def run(self, params: WhileParams, context: Context) -> Outcome:
        value = params.condition
        holds = truthy(evaluate(value, context) if isinstance(value, str) else value)
        return Repeat(holds, params.max_iterations, params.on_item_error)


node = While()
