"""Workflows: writing, versions, switching on and off, starting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import Depends, Path, Query
from pydantic import StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.environments import PRODUCTION
from linkflow.services.shelf import Wanted
from linkflow.services.workflows import Shown
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Cursor, Document, Duplicate, Execute, Page
from .defaults import own_key
from .guard import can
from .idempotency import key_of, once
from .paging import id_cursor, number_cursor, page, pair_cursor, paired
from .replying import etag, expected, reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/workflows", tags=["Workflows"])

Viewer = Annotated[Membership, can("workflow.view")]
Creator = Annotated[Membership, can("workflow.create")]
Editor = Annotated[Membership, can("workflow.update")]
Operator = Annotated[Membership, can("workflow.activate")]
Summary = Annotated[str, Query(max_length=1000)]
Where = Annotated[str, Query(min_length=1, max_length=40)]


Label = Annotated[str, StringConstraints(max_length=64)]
NodeName = Annotated[str, StringConstraints(max_length=100)]


async def _wanted(
    active: bool | None = None,
    locked: bool | None = None,
    q: Annotated[str, Query(max_length=300)] = "",
    tag: Annotated[Sequence[Label], Query(max_length=20)] = (),
    folder: Annotated[str, Query(max_length=64)] = "",
    below: bool = False,
    node_type: Annotated[Sequence[NodeName], Query(max_length=20)] = (),
    sort: Literal["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name"] = "-created_at",
) -> Wanted:
    return Wanted(q.strip(), tuple(tag), folder, below, tuple(node_type), active, locked, sort)


@router.get("")
async def index(
    services: Given, who: Viewer, wanted: Annotated[Wanted, Depends(_wanted)],
    cursor: Annotated[str, Query(max_length=4000)] = "", per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of workflows without their definitions, newest first where `sort` says nothing else.

    `q`: beginnings of words in name and description. `tag`: name or id, all of them where there are several. `folder`:
    an id, or `none`; with `below` also the folders in it. `node_type`: that it has.
    """
    if msgspec.structs.replace(wanted, active=None) == Wanted():
        found = await services.workflows.page(who, wanted.active, id_cursor(cursor), per_page + 1)
        return reply(page([shapes.workflow(*one, services.public_url) for one in found], per_page, "id"))
    asked = msgspec.structs.replace(wanted, after=pair_cursor(cursor), limit=per_page + 1)
    hits = await services.shelf.search(who, asked)
    rows = [shapes.workflow(hit.workflow, hit.triggers, hit.tags, services.public_url) for hit in hits]
    return reply(paired(rows, per_page, [(hit.key, hit.workflow.id) for hit in hits]))


@router.post("", status_code=201)
async def create(request: Request, document: Document, services: Given, who: Creator) -> Response:
    """Make a workflow. Every problem of the document is answered at once. Takes an Idempotency-Key."""

    async def act() -> Response:
        return _one(await services.workflows.create(who, document), services, "Workflow created.", 201)

    return await once(request, services, who, act)


@router.get("/{workflow_id}")
async def show(workflow_id: str, services: Given, who: Viewer) -> Response:
    """A workflow with its current definition. The ETag goes into If-Match."""
    return _one(await services.workflows.show(who, workflow_id), services)


@router.put("/{workflow_id}")
async def replace(
    request: Request, workflow_id: str, document: Document, services: Given, who: Editor, summary: Summary = ""
) -> Response:
    """Replace the definition: a new version, if it differs, which runs in production from now on. Runs under way keep
    theirs. With If-Match, 412 if stale. `summary` says what the change is about."""
    found = await services.workflows.replace(who, workflow_id, document, expected(request), summary)
    return _one(found, services, "Workflow updated.")


@router.patch("/{workflow_id}")
async def amend(
    request: Request, workflow_id: str, document: Document, services: Given, who: Editor, summary: Summary = ""
) -> Response:
    """Like PUT, but top-level fields that are not sent stay as they are."""
    found = await services.workflows.amend(who, workflow_id, document, expected(request), summary)
    return _one(found, services, "Workflow updated.")


@router.delete("/{workflow_id}")
async def delete(
    request: Request, workflow_id: str, services: Given, who: Annotated[Membership, can("workflow.delete")]
) -> Response:
    """Delete a workflow and switch off what starts it."""
    await services.workflows.delete(who, workflow_id, expected(request))
    return reply({"message": "Workflow deleted."})


@router.post("/{workflow_id}/activate")
async def activate(workflow_id: str, services: Given, who: Operator, environment: Where = PRODUCTION) -> Response:
    """Switch its webhooks and schedules on, in production or another environment."""
    return _one(await services.releases.activate(who, workflow_id, environment, True), services, "Workflow activated.")


@router.post("/{workflow_id}/deactivate")
async def deactivate(workflow_id: str, services: Given, who: Operator, environment: Where = PRODUCTION) -> Response:
    """Switch its webhooks and schedules off there. Their addresses stay its own."""
    return _one(
        await services.releases.activate(who, workflow_id, environment, False), services, "Workflow deactivated."
    )


@router.post("/{workflow_id}/duplicate", status_code=201)
async def duplicate(
    request: Request, workflow_id: str, services: Given, who: Creator, form: Duplicate | None = None
) -> Response:
    """Make a copy in the same folder and with the same tags, switched off. Takes an Idempotency-Key."""
    name = (form.name if form else None) or ""

    async def act() -> Response:
        return _one(await services.workflows.duplicate(who, workflow_id, name), services, "Workflow duplicated.", 201)

    return await once(request, services, who, act)


@router.get("/{workflow_id}/versions")
async def versions(
    workflow_id: str, services: Given, who: Viewer, cursor: Cursor = "", per_page: Page = 20
) -> Response:
    """A page of its versions, newest first."""
    found = await services.workflows.versions(who, workflow_id, number_cursor(cursor), per_page + 1)
    rows = [
        {
            "version": v.version,
            "created_at": shapes.at(v.created_at),
            "created_by": v.created_by or None,
            "author": v.author or None,
            "summary": v.summary,
        }
        for v in found
    ]
    return reply(page(rows, per_page, "version"))


@router.get("/{workflow_id}/versions/{version}")
async def version(
    workflow_id: str, version: Annotated[int, Path(ge=1, le=2**31 - 1)], services: Given, who: Viewer
) -> Response:
    """One version's definition."""
    found = await services.workflows.show(who, workflow_id, version)
    return reply({"version": {"version": version, "definition": shapes.definition(found.definition)}})


@router.post("/{workflow_id}/execute", status_code=201)
@own_key
async def execute(
    request: Request,
    workflow_id: str,
    services: Given,
    who: Annotated[Membership, can("workflow.execute")],
    form: Execute | None = None,
    wait: Annotated[float, Query(ge=0, le=28)] = 0.0,
) -> Response:
    """Start a run; with `wait`, answer when it ended or after so many seconds.

    A repeated Idempotency-Key finds the run that it started: 200 instead of 201 (or what `on_conflict` says). A run
    that the workflow's limits do not let in yet is 202, with its status and place.
    """
    form = form or Execute()
    workflow, run = await services.workflows.execute(
        who, workflow_id, form.input, trigger_node=form.trigger_node, key=key_of(request), wait=wait,
        on_conflict=form.on_conflict, environment=form.environment,
    )  # fmt: skip
    body = {"message": "Execution started.", "execution": shapes.started(run, workflow, form.environment)}
    location = f"/api/v1/workspaces/{who.workspace_id}/executions/{run.execution_id}"
    if run.created and run.status in ("queued", "collecting"):
        return reply({**body, "message": f"Execution {run.status}."}, 202, {"Location": location})
    if run.created:
        return reply(body, 201, {"Location": location})
    return reply({**body, "message": "Execution found."}, 200, {"Location": location, "Idempotency-Replayed": "true"})


def _one(found: Shown, services: Services, message: str = "", status: int = 200) -> Response:
    body = {"workflow": shapes.shown(found, services.public_url)}
    headers = etag(found.workflow.lock_version)
    if status == 201:
        workflow = found.workflow
        headers["Location"] = f"/api/v1/workspaces/{workflow.workspace_id}/workflows/{workflow.id}"
    return reply({"message": message, **body} if message else body, status, headers)
