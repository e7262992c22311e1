"""Start by an HTTP call. The output is ``{method, headers, query, body, ip, path}``."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, BeforeValidator, Field, StringConstraints, model_validator

from linkflow.nodes.about import ANY, Example, Refusal
from linkflow.nodes.auth import Auth, gather
from linkflow.nodes.base import Params
from linkflow.nodes.fields import to_list
from linkflow.nodes.trigger_manual import Trigger

Method = Annotated[
    Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
    BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value),
]
Path = Annotated[
    str,
    BeforeValidator(lambda value: value.strip("/") if isinstance(value, str) else value),
    StringConstraints(max_length=100, pattern=r"^([A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*)?$"),
]


class WebhookAuth(Auth):
    """What a call must bring. The secret is hashed before the workflow is stored."""

    type: Literal["none", "basic", "bearer", "header"] = "none"

    @model_validator(mode="after")
    def _has_a_password(self) -> WebhookAuth:
        if self.type == "basic" and not self.password:
            raise ValueError("auth basic needs `password`")
        return self


class WebhookParams(Params):
    """What the receiver asks of a call, and how it answers."""

    path: Path = Field("", description="Letters, digits, - and _; / between parts.")
    methods: Annotated[list[Method], BeforeValidator(to_list), Field(min_length=1)] = Field(
        default=["POST"], validation_alias=AliasChoices("methods", "method")
    )
    auth: WebhookAuth = Field(default_factory=WebhookAuth)
    response_mode: Literal["immediate", "wait"] = Field(
        "immediate",
        validation_alias=AliasChoices("response_mode", "mode"),
        description="wait: answer when the run has one.",
    )
    wait_timeout: float = Field(25, gt=0, le=28, description="Seconds; mode wait.")
    response_status: int = Field(200, ge=200, le=599)
    response_body: Any = None
    rate_limit: int | None = Field(None, ge=1, le=10_000, description="Calls a minute from one address.")

    _gather = model_validator(mode="before")(gather)


class WebhookTrigger(Trigger):
    type: ClassVar[str] = "trigger_webhook"
    name: ClassVar[str] = "Webhook"
    description: ClassVar[str] = "Start by an HTTP call."
    params: ClassVar[builtins.type[Params]] = WebhookParams
    help = """
    The call is answered at once with `response_status` and `response_body`, or with `response_mode: wait` by the run's
    `respond` node, within `wait_timeout` seconds. The original's flat `auth_type` with its fields is read too. A secret
    is hashed before the workflow is stored.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "method": {"type": "string"},
                "headers": {"type": "object"},
                "query": {"type": "object"},
                "body": ANY,
                "ip": {"type": "string"},
                "path": {"type": "string"},
            },
        }
    }
    examples = (
        Example(
            name="An order comes in",
            config={"path": "my-hook", "method": "POST"},
            input={"method": "POST", "path": "my-hook", "headers": {}, "query": {}, "body": {"order": "A7"}, "ip": ""},
            output={"method": "POST", "path": "my-hook", "headers": {}, "query": {}, "body": {"order": "A7"}, "ip": ""},
        ),
    )
    refuses = (Refusal({"path": "a b"}, "/path", "invalid_value"),)


node = WebhookTrigger()
