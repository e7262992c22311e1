"""Executions: looking at runs, following them, and the control verbs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query
from starlette.responses import Response

from linkflow.contracts.searching import RunFilter
from linkflow.domain.events import public
from linkflow.services.executions import MAX_WAIT
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Control, Cursor, Page
from .filters import Filtered
from .guard import can
from .paging import id_cursor, number_cursor
from .payloads import INLINE, Shelf, shown
from .replying import reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Executions"])

Viewer = Annotated[Membership, can("execution.view")]
Runner = Annotated[Membership, can("workflow.execute")]
Remover = Annotated[Membership, can("execution.delete")]
Status = Literal[
    "", "queued", "collecting", "running", "cancelling", "paused", "completed", "failed", "cancelled", "timed_out",
    "terminated",
]  # fmt: skip
Mode = Literal[
    "", "manual", "api", "webhook", "schedule", "retry", "sub_workflow", "error", "fork", "rerun", "test",
    "notification",
]  # fmt: skip
EventId = Annotated[int, Query(ge=0, le=2_000_000_000)]


@router.get("/executions")
async def index(
    services: Given,
    who: Viewer,
    filter: Filtered,
    status: Status = "",
    workflow_id: str = "",
    mode: Mode = "",
    source_id: str = "",
    cursor: Cursor = "",
    per_page: Page = 20,
) -> Response:
    """A page of runs, newest first; with `source_id` only what was made from that one.

    `text` finds words of the error and of attributes, `attribute` compares one: ``customer=acme``, ``amount>=100``; all
    have to fit. A page that filters further than by status, workflow and mode may have fewer runs than there are: as
    long as there is a `next_cursor`, there may be more.
    """
    found = id_cursor(workflow_id)
    return await _page(services, who, found, status, mode, cursor, per_page, id_cursor(source_id), filter)


@router.get("/workflows/{workflow_id}/executions")
async def of_workflow(
    workflow_id: str,
    services: Given,
    who: Viewer,
    filter: Filtered,
    status: Status = "",
    mode: Mode = "",
    cursor: Cursor = "",
    per_page: Page = 20,
) -> Response:
    """A page of one workflow's runs, newest first. Filters are those of all runs."""
    shown = await services.workflows.show(who, workflow_id)
    return await _page(services, who, shown.workflow.id, status, mode, cursor, per_page, filter=filter)


@router.get("/executions/{execution_id}")
async def show(execution_id: str, services: Given, who: Viewer) -> Response:
    """A run with its trigger data, result or error, and where its nodes stand."""
    execution, state = await services.executions.show(who, execution_id)
    made = await services.executions.made_from(who, execution_id)
    return reply({"execution": shapes.execution_in_full(execution, state) | {"forks": made}})


@router.get("/executions/{execution_id}/history")
async def history(
    execution_id: str,
    services: Given,
    who: Viewer,
    after: EventId = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    wait: Annotated[float, Query(ge=0, le=MAX_WAIT)] = 0.0,
) -> Response:
    """Events after an id. With `wait`, a run that goes on is waited for: so many seconds, until there is one."""
    found = await services.following.events(who, execution_id, after=after, limit=limit, wait=wait)
    meta = {"last_event_id": found.last or after, "more": found.more}
    events = [shown(public(event), who.workspace_id) for event in found.events]
    return reply({"data": events, "meta": meta})


@router.get("/executions/{execution_id}/nodes")
async def nodes(
    execution_id: str,
    services: Given,
    who: Viewer,
    cursor: Cursor = "",
    per_page: Annotated[int, Query(ge=1, le=1000)] = 1000,
    inline: Annotated[int, Query(ge=0, le=1024 * 1024)] = INLINE,
) -> Response:
    """Its node runs in the order in which they came up: input, output, error, times. Loops have one an iteration.

    Values of up to `inline` bytes come along, as far as a megabyte in all goes; for others there are links and
    previews.
    """
    first = number_cursor(cursor)
    found = await services.executions.nodes(who, execution_id)
    page = await services.executions.filled(who, found[first : first + per_page])
    shelf = Shelf(who.workspace_id, inline)
    rows = [shapes.node_run(run, who.workspace_id, execution_id, shelf) for run in page]
    following = str(first + per_page) if len(found) > first + per_page else None
    return reply({"data": rows, "meta": {"next_cursor": following, "per_page": per_page, "total": len(found)}})


@router.get("/executions/{execution_id}/blobs/{name}")
async def blob(
    execution_id: str, name: str, services: Given, who: Viewer, at: Annotated[int, Query(ge=0)] | None = None
) -> Response:
    """A payload that was too large to come along where it is linked; with `at`, one item of the list that it is. It
    never changes."""
    value = await services.executions.payload(who, execution_id, name, -1 if at is None else at)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return reply(shown(value, who.workspace_id), headers=headers)


@router.post("/executions/{execution_id}/cancel")
async def cancel(execution_id: str, services: Given, who: Runner, form: Control | None = None) -> Response:
    """End a run: what is under way is cancelled. With clean-up branches it is `cancelling` until they have ended."""
    return await _control(services, who, execution_id, "cancel", form, "Execution {status}.")


@router.post("/executions/{execution_id}/terminate")
async def terminate(execution_id: str, services: Given, who: Runner, form: Control | None = None) -> Response:
    """End a run at once, whatever it is doing."""
    return await _control(services, who, execution_id, "terminate", form, "Execution terminated.")


@router.post("/executions/{execution_id}/retry")
async def retry(execution_id: str, services: Given, who: Runner, form: Control | None = None) -> Response:
    """Go on with a failed run: its failed nodes get another attempt."""
    return await _control(services, who, execution_id, "retry", form, "Execution retried.")


@router.post("/executions/{execution_id}/pause")
async def pause(execution_id: str, services: Given, who: Runner, form: Control | None = None) -> Response:
    """Let what runs end, and start nothing further until the run is resumed."""
    return await _control(services, who, execution_id, "pause", form, "Execution paused.")


@router.post("/executions/{execution_id}/resume")
async def resume(execution_id: str, services: Given, who: Runner, form: Control | None = None) -> Response:
    """Go on with a paused run."""
    return await _control(services, who, execution_id, "resume", form, "Execution resumed.")


@router.delete("/executions/{execution_id}")
async def delete(execution_id: str, services: Given, who: Remover) -> Response:
    """Delete a run that is over, for good: its row, its events, its payloads."""
    await services.executions.control(who, execution_id, "delete")
    return reply({"message": "Execution deleted."})


async def _page(
    services: Services, who: Membership, workflow_id: str, status: str, mode: str, cursor: str, per_page: int,
    source_id: str = "", filter: RunFilter | None = None,
) -> Response:  # fmt: skip
    found = await services.executions.page(
        who, workflow_id=workflow_id, status=status, mode=mode, before=id_cursor(cursor), limit=per_page,
        source_id=source_id, filter=filter,
    )  # fmt: skip
    rows = [shapes.execution(execution) for execution in found.runs]
    return reply({"data": rows, "meta": {"next_cursor": found.next or None, "per_page": per_page}})


async def _control(
    services: Services, who: Membership, execution_id: str, verb: str, form: Control | None, message: str
) -> Response:
    reason = form.reason if form else ""
    status = await services.executions.control(who, execution_id, verb, reason)
    return reply({"message": message.format(status=status), "execution": {"id": execution_id, "status": status}})
