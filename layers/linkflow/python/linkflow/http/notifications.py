"""Who is told when something happens to runs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.notices import Channel
from linkflow.services.notifications import Saved, Wanted
from linkflow.services.workspaces import Membership

from .bodies import Name
from .guard import can
from .idempotency import once
from .replying import etag, expected, reply
from .routing import router as new_router
from .shapes import Json, at
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/notifications", tags=["Notifications"])

Viewer = Annotated[Membership, can("workspace.view")]
Keeper = Annotated[Membership, can("workspace.update")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2000)]
Event = Literal["failed", "timed_out", "dead_letter", "approval", "long_running"]


class Told(BaseModel):
    """`webhook`: `url`, and a credential that signs. `email`: addresses in `to`, and a mail server's credential, where
    workers have none of their own. `slack`: a credential, and a channel in `to` where it is a token. A `credential` is
    an id or a name."""

    type: Literal["webhook", "email", "slack"]
    url: Text = ""
    to: Annotated[list[Text], Field(max_length=50)] = []
    credential: Text = ""


class Rule(BaseModel):
    """`workflow_ids`: none are all. The same failure of a workflow is told once in `every_seconds` (0: each time).
    `after_seconds` is how long a run is open before it is `long_running`."""

    name: Name
    events: Annotated[list[Event], Field(max_length=10)]
    channel: Told
    workflow_ids: Annotated[list[str], Field(max_length=1000)] = []
    every_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 300
    after_seconds: Annotated[int, Field(ge=0, le=2_592_000)] = 0
    is_enabled: bool = True

    def wanted(self) -> Wanted:
        to = self.channel
        channel = Channel(to.type, to.url, tuple(to.to), to.credential)
        return Wanted(
            self.name, tuple(self.events), channel, tuple(self.workflow_ids), self.every_seconds, self.after_seconds,
            self.is_enabled,
        )  # fmt: skip


@router.get("")
async def index(services: Given, who: Viewer) -> Response:
    """All rules of the workspace, the oldest first."""
    found = await services.notifications.all(who)
    return reply({"data": [_rule(one, who) for one in found]})


@router.post("", status_code=201)
async def create(request: Request, form: Rule, services: Given, who: Keeper) -> Response:
    """Make a rule. It holds everywhere within five seconds. Takes an Idempotency-Key."""

    async def act() -> Response:
        made = await services.notifications.create(who, form.wanted())
        body = {"message": "Rule created.", "notification": _rule(made, who)}
        return reply(body, 201, {**etag(made.version), "Location": f"{request.url.path}/{made.id}"})

    return await once(request, services, who, act)


@router.get("/{notification_id}")
async def show(notification_id: str, services: Given, who: Viewer) -> Response:
    """One rule."""
    found = await services.notifications.show(who, notification_id)
    return reply({"notification": _rule(found, who)}, 200, etag(found.version))


@router.put("/{notification_id}")
async def update(request: Request, notification_id: str, form: Rule, services: Given, who: Keeper) -> Response:
    """Replace a rule. With If-Match, 412 if stale."""
    made = await services.notifications.replace(who, notification_id, form.wanted(), expected(request))
    return reply({"message": "Rule changed.", "notification": _rule(made, who)}, 200, etag(made.version))


@router.delete("/{notification_id}")
async def delete(notification_id: str, services: Given, who: Keeper) -> Response:
    """Delete a rule. What is on its way arrives."""
    await services.notifications.delete(who, notification_id)
    return reply({"message": "Rule deleted."})


@router.post("/{notification_id}/test")
async def test(notification_id: str, services: Given, who: Keeper) -> Response:
    """Tell now that it is a test, and how that went. What takes longer than some seconds goes on: `execution` is the
    delivery."""
    run = await services.notifications.test(who, notification_id)
    href = f"/api/v1/workspaces/{who.workspace_id}/executions/{run.execution_id}"
    delivery = {"id": run.execution_id, "status": run.status, "error": run.error, "href": href}
    text = {"completed": "Delivered.", "running": "On its way."}.get(run.status, "Not delivered.")
    return reply({"message": text, "execution": delivery})


def _rule(one: Saved, who: Membership) -> Json:
    channel = one.channel
    return {
        "id": one.id,
        "name": one.name,
        "events": list(one.kinds),
        "channel": {
            "type": channel.type,
            "url": channel.url or None,
            "to": list(channel.to),
            "credential": channel.credential or None,
        },
        "workflow_ids": list(one.workflows),
        "every_seconds": one.every // 1000,
        "after_seconds": one.after // 1000,
        "is_enabled": one.enabled,
        "deliveries_href": f"/api/v1/workspaces/{who.workspace_id}/executions?workflow_id={one.id}",
        "version": one.version,
        "created_at": at(one.created_at),
        "updated_at": at(one.updated_at),
    }
