"""Set the run's answer: what a waiting webhook call is told. The output is the body."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Headers


class RespondParams(Params):
    status: int = Field(200, ge=200, le=599, validation_alias=AliasChoices("status", "status_code", "response_status"))
    headers: Headers = Field(default_factory=dict)
    body: Any = Field(
        None, validation_alias=AliasChoices("body", "response_body", "data"), description="Left out: the node's input."
    )


class Respond(Base):
    type: ClassVar[str] = "respond"
    aliases: ClassVar[tuple[str, ...]] = ("output", "output_respond")
    name: ClassVar[str] = "Respond"
    description: ClassVar[str] = "Answer the call that started the run."
    category: ClassVar[str] = "output"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = RespondParams
    help = """
    A waiting webhook call (`response_mode: wait`) is answered with `status`, `headers` and `body`; so is whoever waits
    for the run by the API. The first answer of a run counts. The run goes on behind the node.
    """
    produces = {"main": {"description": "The body."}}
    examples = (
        Example(
            name="Say what was made",
            config={"status": 201, "body": {"id": "{{ input.id }}"}},
            input={"id": 7},
            output={"id": 7},
        ),
    )
    refuses = (Refusal({"status": 99}, "/status", "invalid_value"),)

    def run(self, params: RespondParams, context: Context) -> Outcome:
        body = params.body if "body" in params.model_fields_set else context.input
        answer = {"status": params.status, "headers": params.headers, "body": body}
        return Completed(output=body, answers=True, respond=answer)


node = Respond()
