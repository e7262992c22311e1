"""What clients send: the models of request bodies. Workflow documents are read by `domain.importing`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Body, Query
from pydantic import AliasChoices, BaseModel, Field, StringConstraints

from linkflow.domain.environments import PRODUCTION
from linkflow.domain.waiting import MAX_NAME

from .emails import Email

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Role = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
"""The name of a role: owner, admin, member, viewer, or one of the workspace's own."""

Document = Annotated[dict[str, Any], Body()]
"""A workflow document, in our form or the original's."""

Page = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str, Query(max_length=200)]


class Register(BaseModel):
    first_name: Name
    last_name: Name
    email: Email
    password: Secret
    password_confirmation: Secret


class Login(BaseModel):
    email: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=254)]
    password: Secret
    code: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""


class Refresh(BaseModel):
    refresh_token: Secret


class NewWorkspace(BaseModel):
    name: Name


class NewMember(BaseModel):
    email: Email
    role: Role = "member"


class MemberRole(BaseModel):
    role: Role


class Execute(BaseModel):
    """`input` is the trigger data. `trigger_node` is needed only where a workflow has several triggers. `on_conflict`
    says what happens where the Idempotency-Key is another run's. `environment`: the version that runs there."""

    input: dict[str, Any] = Field(default_factory=dict)
    on_conflict: Literal["return_existing", "reject", "terminate_existing"] = "return_existing"
    trigger_node: Annotated[str, StringConstraints(max_length=100)] = ""
    environment: Annotated[str, StringConstraints(min_length=1, max_length=40)] = PRODUCTION


class Duplicate(BaseModel):
    name: Name | None = None


class Control(BaseModel):
    reason: Annotated[str, StringConstraints(max_length=1000)] = ""


EventKey = Annotated[str, StringConstraints(max_length=MAX_NAME)]


class Signal(BaseModel):
    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
    key: EventKey = ""
    payload: Any = None
    signal_id: EventKey = ""


class Event(BaseModel):
    """`keep` is how long (seconds) it waits for a run that will take it."""

    key: EventKey = ""
    data: Any = None
    id: EventKey = ""
    keep: Annotated[int, Field(ge=1, le=30 * 86_400)] = 86_400


class NewLink(BaseModel):
    """`note`: whom the link is for."""

    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = ""


class Decision(BaseModel):
    """`payload` and `comment` go on with the decision; the original called the first `decision_payload`."""

    decision: Literal["approved", "rejected"]
    payload: Any = Field(None, validation_alias=AliasChoices("payload", "decision_payload"))
    comment: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)] = ""
