"""Events from outside."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.waiting import MAX_NAME
from linkflow.services.workspaces import Membership

from .bodies import Event, Signal
from .guard import can
from .idempotency import key_of, once
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Events"])

Runner = Annotated[Membership, can("workflow.execute")]
EventName = Annotated[str, Path(min_length=1, max_length=MAX_NAME)]


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
