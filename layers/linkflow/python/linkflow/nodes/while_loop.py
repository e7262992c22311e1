"""While: run the body, which output `each` leads, as long as a condition holds; `done` goes on."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.definition import DONE, EACH, WHILE
from linkflow.domain.outcomes import Outcome, Repeat
from linkflow.nodes.about import ANY, Example, Fault, Refusal
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
    help = """
    The condition is asked before each iteration. It sees `loop.index` (iterations done), `loop.output` (the last one's
    result, null at first) and `loop.item` (what the next one would be given), besides `input` and every node.

    - An iteration is given what the one before came to, the first one the loop's own input: `input` of the body's first
      nodes and `loop.item` everywhere in it. One result is the output of the node that ends the body; several are by
      node id.
    - `results` holds the latest 100 results, `count` counts them all, `output` is the last one (without any, the
      input).
    - Where the condition still holds after `max_iterations` the node fails. A run fails also at its history's limit of
      events: an iteration takes three, and two for each node in its body.
    - A condition that could not be evaluated is tried again by the node's retry policy, each time it is asked.
    """
    produces = {
        "each": {"description": "The result so far."},
        "done": {
            "type": "object",
            "properties": {"results": {"type": "array"}, "count": {"type": "integer"}, "output": ANY},
            "required": ["results", "count", "output"],
        },
    }
    faults = (Fault("while_too_many_iterations", "The condition holds after `max_iterations`."),)
    examples = (
        Example(
            name="Double until it is over a hundred",
            config={"condition": "loop.item.n <= 100"},
            input={"n": 30},
            nodes=(
                {"id": "double", "type": "transform", "config": {"fields": {"n": "{{ input.n * 2 }}"}, "keep": False}},
            ),
            edges=({"source": "it", "source_output": "each", "target": "double"},),
            output={"results": [{"n": 60}, {"n": 120}], "count": 2, "output": {"n": 120}},
        ),
    )
    refuses = (Refusal({}, "/condition", "missing_field"),)

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        return (EACH, DONE)

    def run(self, params: WhileParams, context: Context) -> Outcome:
        value = params.condition
        holds = truthy(evaluate(value, context) if isinstance(value, str) else value)
        return Repeat(holds, params.max_iterations, params.on_item_error)


node = While()
