"""Events from outside, and the approvals' inbox."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.waiting import MAX_NAME
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Decision, Event, Page, Signal
from .guard import can
from .idempotency import key_of, once
from .paging import id_cursor, page
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Events and approvals"])

Viewer = Annotated[Membership, can("execution.view")]
Runner = Annotated[Membership, can("workflow.execute")]
EventName = Annotated[str, Path(min_length=1, max_length=MAX_NAME)]
ApprovalCursor = Annotated[str, Query(max_length=4000)]


@router.post("/events/{name:path}", status_code=202)
async def publish(request: Request, name: EventName, services: Given, who: Runner, form: Event) -> Response:
    """An event for every run that waits for it; where none does, it is kept for the first that will. With an id of its
    own or an Idempotency-Key, sending it twice is sending it once."""
    id = form.id or key_of(request) or str(uuid.uuid4())

    async def act() -> Response:
        took = await services.world.publish(
            who, event_id=id, name=name, key=form.key, payload=form.data, keep=form.keep
        )
        message = "Event delivered." if took else "Event kept."
        event = {"id": id, "name": name, "key": form.key or None}
        return reply({"message": message, "event": event, "execution_ids": took}, 202)

    return await once(request, services, who, act, f"event:{form.id}" if form.id else "")


@router.post("/executions/{execution_id}/signal", status_code=202)
async def signal(request: Request, execution_id: str, services: Given, who: Runner, form: Signal) -> Response:
    """An event for one run, which takes it or keeps it for a later wait. With a signal_id or an Idempotency-Key,
    sending it twice is sending it once."""
    id = form.signal_id or key_of(request) or str(uuid.uuid4())
    status = await services.world.signal(
        who, execution_id, signal_id=id, name=form.name, key=form.key, payload=form.payload
    )
    told = {"message": "Signal received.", "signal_id": id, "execution": {"id": execution_id, "status": status}}
    return reply(told, 202)


@router.get("/approvals")
async def approvals(
    services: Given, who: Viewer, workflow_id: str = "", cursor: ApprovalCursor = "", per_page: Page = 20
) -> Response:
    """A page of the approvals that wait for somebody, the newest runs first."""
    found = await services.world.approvals(who, workflow_id=id_cursor(workflow_id), after=cursor, limit=per_page + 1)
    return reply(page([shapes.approval(view, who.workspace_id) for view in found], per_page, "id"))


@router.get("/approvals/{approval_id}")
async def approval(approval_id: str, services: Given, who: Viewer) -> Response:
    """One approval, and what became of it."""
    return reply({"approval": shapes.approval(await services.world.approval(who, approval_id), who.workspace_id)})


@router.post("/approvals/{approval_id}/decision")
async def decide(request: Request, approval_id: str, services: Given, who: Runner, form: Decision) -> Response:
    """Approve or reject. The first decision counts; a later one is a conflict. Takes an Idempotency-Key."""

    async def act() -> Response:
        status = await services.world.decide(who, approval_id, form.decision, form.payload)
        execution_id = approval_id.partition(":")[0]
        return reply(
            {
                "message": "Decision recorded.",
                "approval": {"id": approval_id, "status": form.decision},
                "execution": {"id": execution_id, "status": status},
                "resumed_execution_id": execution_id,
            }
        )

    return await once(request, services, who, act)
