"""What a workflow says that its runs are started with: a JSON Schema at its trigger. Others do not begin."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from linkflow.domain.definition import Definition
from linkflow.domain.errors import InvalidInput, Problem

SCHEMA = "input_schema"
WEBHOOK = "trigger_webhook"


class Agreement(Struct, frozen=True):
    """`part` is what of the trigger's data is held against the schema: a webhook's body, else all."""

    schema: dict[str, Any]
    part: str = ""

    def check(self, trigger: Any) -> None:
        """Raises `InvalidInput` with every fault, up to ten. Pointers are of what the caller sent."""
        from linkflow.nodes.models.schemas import faults  # only who has a schema waits for that

        value = trigger.get(self.part) if self.part and isinstance(trigger, dict) else trigger
        place = f"/{self.part or 'input'}"
        if found := faults(self.schema, value):
            problems = [Problem(place + one["path"], "input_schema", one["message"]) for one in found]
            problems.sort(key=lambda one: one.path)
            raise InvalidInput("The input is not what this workflow takes.", problems=problems)


def agreement_of(definition: Definition, trigger_node: str) -> Agreement | None:
    """None where it takes anything."""
    for node in definition.nodes:
        if node.id == trigger_node and isinstance(schema := node.config.get(SCHEMA), dict) and schema:
            return Agreement(schema, "body" if node.type == WEBHOOK else "")
    return None
