"""A workspace's webhooks: their addresses, what came in, and the test address."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Path, Query
from starlette.responses import Response

from linkflow.domain.environments import shown as shown_environment
from linkflow.domain.environments import trigger_of
from linkflow.services.control_ports import Webhook
from linkflow.services.hook_admin import Delivery, delivery_cursor
from linkflow.services.hook_ports import Capture
from linkflow.services.workspaces import Membership

from .bodies import Cursor, Page
from .guard import can
from .paging import page
from .replying import reply
from .routing import router as new_router
from .shapes import at, execution
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/webhooks", tags=["Webhooks"])

Viewer = Annotated[Membership, can("webhook.view")]
Editor = Annotated[Membership, can("webhook.update")]
Id = Annotated[str, Path(min_length=1, max_length=64)]


@router.get("")
async def index(
    services: Given, who: Viewer, workflow_id: str = "", cursor: Cursor = "", per_page: Page = 20
) -> Response:
    """A page of the workspace's webhooks. They are made with the workflows that have them."""
    found = await services.hook_desk.page(who, workflow_id, cursor, per_page + 1)
    return reply(page([_shape(one, services.public_url) for one in found], per_page, "id"))


@router.get("/{webhook_id}")
async def show(webhook_id: Id, services: Given, who: Viewer) -> Response:
    """One webhook: its address and its rules, without secrets."""
    return reply({"webhook": _shape(await services.hook_desk.show(who, webhook_id), services.public_url)})


@router.post("/{webhook_id}/activate")
async def activate(webhook_id: Id, services: Given, who: Editor) -> Response:
    """Let calls in again, as far as the workflow is active."""
    found = await services.hook_desk.switch(who, webhook_id, True)
    return reply({"message": "Webhook activated.", "webhook": _shape(found, services.public_url)})


@router.post("/{webhook_id}/deactivate")
async def deactivate(webhook_id: Id, services: Given, who: Editor) -> Response:
    """Hold calls back: the address is not found until it is activated, whatever becomes of the workflow."""
    found = await services.hook_desk.switch(who, webhook_id, False)
    return reply({"message": "Webhook deactivated.", "webhook": _shape(found, services.public_url)})


@router.post("/{webhook_id}/rotate")
async def rotate(webhook_id: Id, services: Given, who: Editor) -> Response:
    """A new address. The old one is gone at once."""
    found = await services.hook_desk.rotate(who, webhook_id)
    return reply({"message": "Webhook moved.", "webhook": _shape(found, services.public_url)})


@router.post("/{webhook_id}/regenerate-uuid", include_in_schema=False)
async def regenerate(webhook_id: Id, services: Given, who: Editor) -> Response:
    """The original's name of `rotate`."""
    return await rotate(webhook_id, services, who)


@router.get("/{webhook_id}/deliveries")
async def deliveries(
    webhook_id: Id, services: Given, who: Viewer, cursor: Cursor = "", per_page: Page = 20
) -> Response:
    """What came in, newest first: calls that started a run, with it, and those that were refused, with the reason."""
    found = await services.hook_desk.deliveries(who, webhook_id, delivery_cursor(cursor), per_page + 1)
    return reply(page([_delivery(one) for one in found], per_page, "id"))


@router.post("/{webhook_id}/deliveries/{execution_id}/redeliver", status_code=201)
async def redeliver(
    webhook_id: Id, execution_id: str, services: Given, who: Annotated[Membership, can("workflow.execute")]
) -> Response:
    """Start another run with what this call brought."""
    await services.hook_desk.show(who, webhook_id)
    made = await services.forks.again(who, execution_id, "Redelivered.")
    location = f"/api/v1/workspaces/{who.workspace_id}/executions/{made}"
    return reply({"message": "Delivered again.", "execution": {"id": made}}, 201, {"Location": location})


@router.post("/{webhook_id}/listen", status_code=202)
async def listen(webhook_id: Id, services: Given, who: Editor) -> Response:
    """Keep the next ten calls of the test address, for ten minutes, instead of starting runs."""
    until = await services.hook_desk.listen(who, webhook_id)
    url = f"{services.public_url}/webhook-test/{webhook_id}"
    return reply({"message": "Listening.", "url": url, "until": at(until)}, 202)


@router.get("/{webhook_id}/captures")
async def captures(
    webhook_id: Id, services: Given, who: Viewer, wait: Annotated[float, Query(ge=0, le=28)] = 0.0
) -> Response:
    """What came to the test address, newest first. `trigger` is what a run would be given: pin it, or start a run with
    it. With `wait`, so many seconds for the first one."""
    found = await services.hook_desk.captures(who, webhook_id, wait)
    return reply({"data": [_capture(one) for one in found]})


def _shape(found: Webhook, public_url: str) -> dict[str, Any]:
    rules, (node_id, environment) = found.rules, trigger_of(found.node_id)
    url = f"{public_url}/webhooks/{found.id}{f'/{rules.path}' if rules.path else ''}"
    return {
        "id": found.id,
        "workflow_id": found.workflow_id,
        "node_id": node_id,
        "environment": shown_environment(environment),
        "url": url,
        "is_active": found.active,
        "path": rules.path,
        "methods": list(rules.methods),
        "auth": rules.auth,
        "credential_id": rules.credential or None,
        "response_mode": rules.mode,
        "rate_limit": rules.rate_limit or None,
        "cors_origins": list(rules.origins),
        "max_body": rules.max_body or None,
    }


def _delivery(found: Delivery) -> dict[str, Any]:
    if found.run is not None:
        run = execution(found.run)
        return {"id": found.id, "at": run["started_at"], "accepted": True, "status": 202, "execution": run}
    refusal = found.refusal
    if refusal is None:
        return {"id": found.id}
    return {
        "id": found.id,
        "at": at(refusal.at),
        "accepted": False,
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.detail,
        "method": refusal.method,
        "path": refusal.path,
        "ip": refusal.ip,
        "headers": msgspec.json.decode(refusal.headers),
        "size": refusal.size,
    }


def _capture(found: Capture) -> dict[str, Any]:
    return {"id": found.id, "at": at(found.at), "trigger": msgspec.Raw(found.trigger)}
