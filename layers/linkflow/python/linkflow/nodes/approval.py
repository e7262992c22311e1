"""Ask people, and go on when somebody has decided. The request stands in the workspace's inbox until then."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.definition import MAIN
from linkflow.domain.outcomes import Outcome, RequestApproval
from linkflow.domain.passing import APPROVED, REJECTED
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.durations import LONGEST_MS, Due, Span, due_ms, span_ms
from linkflow.nodes.fields import Text, TextList

DECISION = {
    "type": "object",
    "properties": {
        "decision": {"enum": [APPROVED, REJECTED]},
        "payload": {"description": "What was said with the decision."},
        "decided_by": {"type": "string"},
        "comment": {"type": "string", "description": "Where there was one."},
    },
}


class ApprovalParams(Params):
    title: Annotated[Text, Field(max_length=500)] = Field("", description="Left out: the node's name.")
    description: Text = Field("", validation_alias=AliasChoices("description", "message"))
    payload: Any = Field(None, description="What there is to decide on.")
    assignees: TextList = Field([], description="Who is asked: e-mail addresses, user ids, role:NAME; or any names.")
    only_assignees: bool = Field(False, description="Nobody else may decide, besides who has a link.")
    due: Due = Field("", description="1h30m, seconds or RFC 3339; then the node fails. Left out: no due date.")
    escalate_after: Span = Field("", description="After so long, `escalate_to` are asked as well.")
    escalate_to: TextList = Field([])

    @model_validator(mode="before")
    @classmethod
    def _escalates_to_somebody(cls, data: Any) -> Any:
        if isinstance(data, dict) and bool(data.get("escalate_after")) != bool(data.get("escalate_to")):
            raise ValueError("say both `escalate_after` and `escalate_to`, or none of them")
        if isinstance(data, dict) and data.get("only_assignees") is True and not data.get("assignees"):
            raise ValueError("say who they are, in `assignees`")
        return data


class Approval(Base):
    type: ClassVar[str] = "approval"
    aliases: ClassVar[tuple[str, ...]] = ("action_approval", "logic_approval")
    name: ClassVar[str] = "Approval"
    description: ClassVar[str] = "Ask people, and go one way or the other."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    acts: ClassVar[bool | None] = True
    params: ClassVar[builtins.type[Params]] = ApprovalParams
    help = """
    Outputs: `approved`, `rejected`, and `main`, which goes on only if it was approved. At `due` the node fails with
    `timeout`.

    Open requests stand in the workspace's inbox, `GET …/approvals`; `POST …/approvals/{id}/decision` `{decision:
    approved | rejected, payload, comment}` decides. The first decision counts, a later one is a conflict (409).
    Assignees say who is asked; any member who may execute workflows may decide, unless `only_assignees` is set, and the
    history says who did. `{{ $approval.NODE.url }}` in a message is a link that needs no sign-in:
    [approvals.md](../approvals.md).
    """
    produces = dict.fromkeys((APPROVED, REJECTED, MAIN), DECISION)
    faults = (Fault("due_too_late", "The due date is more than 366 days away."),)
    examples = (
        Example(
            name="Ask before it is shipped",
            config={"title": "Ship {{ trigger.order }}?", "assignees": "ada, bob", "due": "2d"},
            input={"order": "A7"},
            outcome={
                "type": "approval",
                "title": "Ship A7?",
                "assignees": ["ada", "bob"],
                "until": 1_800_172_800_000,
            },
        ),
    )
    refuses = (
        Refusal({"escalate_after": "1h"}, "", "invalid_value"),
        Refusal({"only_assignees": True}, "", "invalid_value"),
    )

    def outputs(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        return (APPROVED, REJECTED, MAIN)

    def run(self, params: ApprovalParams, context: Context) -> Outcome:
        escalate = span_ms(params.escalate_after)
        due = due_ms(params.due, context.now_ms)
        if due - context.now_ms > LONGEST_MS:
            raise NodeFailure("due_too_late", "An approval may be due in 366 days at most.", retryable=False)
        return RequestApproval(
            title=params.title or context.node_name,
            description=params.description,
            payload=params.payload,
            assignees=tuple(params.assignees),
            until=due,
            escalate_at=context.now_ms + escalate if escalate and params.escalate_to else 0,
            escalate_to=tuple(params.escalate_to),
            only_assignees=params.only_assignees,
        )


node = Approval()
