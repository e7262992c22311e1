"""Stop with an error of one's own."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text


class StopParams(Params):
    message: Annotated[Text, Field(min_length=1, max_length=2000)] = Field(
        validation_alias=AliasChoices("message", "error", "error_message"), description="What went wrong, for people."
    )
    code: Annotated[Text, Field(pattern=r"^[a-z][a-z0-9_]{0,99}$")] = Field(
        "stopped", description="Small letters, digits and _: what `retry.non_retryable` and error branches see."
    )
    details: dict[str, Any] = Field(default_factory=dict, description="Values that go with the error.")
    retryable: bool = Field(False, description="The node's retry policy may try again.")


class Stop(Base):
    type: ClassVar[str] = "stop"
    aliases: ClassVar[tuple[str, ...]] = ("stop_error", "stop_with_error", "stop_and_error", "logic_stop")
    name: ClassVar[str] = "Stop with an error"
    description: ClassVar[str] = "Fail with a message of one's own."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = StopParams
    help = """
    With `on_error: stop`, which is the default, the run fails with this error, what is still active is cancelled, and
    the error workflow starts. With `continue` or `branch` it is an error like that of any other node.
    """
    faults = (Fault("stopped", "As the config says; `code` may say another."),)
    examples = (
        Example(
            name="An order without lines",
            config={
                "message": "Order {{ input.id }} is empty",
                "code": "empty_order",
                "details": {"id": "{{ input.id }}"},
            },
            input={"id": 7},
            outcome={
                "type": "failed",
                "error": {
                    "code": "empty_order",
                    "message": "Order 7 is empty",
                    "retryable": False,
                    "details": {"id": 7},
                },
            },
        ),
    )
    refuses = (
        Refusal({}, "/message", "missing_field"),
        Refusal({"message": "x", "code": "Not Good"}, "/code", "invalid_value"),
    )

    def run(self, params: StopParams, context: Context) -> Outcome:
        raise NodeFailure(params.code, params.message, retryable=params.retryable, details=params.details)


node = Stop()
