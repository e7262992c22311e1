"""Write a line to the run's log, and pass the input on as ``{logged, logged_at, label, input}``."""

from __future__ import annotations

import builtins
import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import INPUT, Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text

Level = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(lambda value: {"warn": "warning"}.get(str(value).lower(), str(value).lower())),
]


class LogParams(Params):
    label: Text = ""
    level: Level = "info"
    message: Text = ""
    fields: dict[str, Any] = Field(default_factory=dict, description="Values to log beside the message.")


class Log(Base):
    type: ClassVar[str] = "output_log"
    aliases: ClassVar[tuple[str, ...]] = ("log",)
    name: ClassVar[str] = "Log"
    description: ClassVar[str] = "Write a line to the run's log."
    category: ClassVar[str] = "output"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = LogParams
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "logged": {"const": True},
                "logged_at": {"type": "string", "format": "date-time"},
                "label": {"type": "string"},
                "input": INPUT,
            },
            "required": ["logged", "logged_at", "label", "input"],
        }
    }
    examples = (
        Example(
            name="Note what came",
            config={"label": "Order", "message": "Got {{ input.id }}", "fields": {"id": "{{ input.id }}"}},
            input={"id": 7},
            output={"logged": True, "logged_at": "2027-01-15T08:00:00.000Z", "label": "Order", "input": {"id": 7}},
        ),
    )
    refuses = (Refusal({"level": "loud"}, "/level", "invalid_value"),)

    def run(self, params: LogParams, context: Context) -> Outcome:
        label = params.label or context.node_name
        line = f"{params.level.upper()} {label}" + (f": {params.message}" if params.message else "")
        if params.fields:
            line += " " + json.dumps(params.fields, ensure_ascii=False, default=str)
        # One call is one line, whatever the message holds: nobody forges a second entry.
        context.log(line.replace("\r", "\\r").replace("\n", "\\n"))
        at = datetime.fromtimestamp(context.now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return Completed(
            output={"logged": True, "logged_at": at.replace("+00:00", "Z"), "label": label, "input": context.input}
        )


node = Log()
