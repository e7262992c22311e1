"""Start by hand, by the API, or from another workflow. The output is what the run was started with."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params


class Trigger(Base):
    """What all triggers do when the run is there: hand on the trigger's data."""

    category: ClassVar[str] = "trigger"
    pure: ClassVar[bool] = True

    def run(self, params: Any, context: Context) -> Outcome:
        return Completed(output=context.input if context.trigger is None else context.trigger)


def checked_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Raises `ValueError` for what is no JSON Schema."""
    if schema:
        from linkflow.nodes.models.schemas import fault  # here, because few triggers have one

        if text := fault(schema):
            raise ValueError(f"this is no JSON Schema: {text}")
    return schema


InputSchema = Annotated[dict[str, Any], AfterValidator(checked_schema)]


class ManualParams(Params):
    input_schema: InputSchema = Field(
        default_factory=dict, description="JSON Schema of what a run is started with. Anything else is refused: 422."
    )


class ManualTrigger(Trigger):
    type: ClassVar[str] = "trigger_manual"
    name: ClassVar[str] = "Manual start"
    description: ClassVar[str] = "Start by hand, by the API or from another workflow."
    params: ClassVar[builtins.type[Params]] = ManualParams
    produces = {"main": {"description": "What the run was started with."}}
    examples = (Example(name="Start with an order", input={"order": "A7"}, output={"order": "A7"}),)
    refuses = (
        Refusal({"cron": "* * * * *"}, "/cron", "unknown_field"),
        Refusal({"input_schema": {"type": "objekt"}}, "/input_schema", "invalid_value"),
    )


node = ManualTrigger()
