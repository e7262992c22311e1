"""Drafts, publishing, environments and releases: what of a workflow runs where."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Path, Query
from pydantic import AliasChoices, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.environments import PRODUCTION, shown
from linkflow.domain.revisions import Revision, lines
from linkflow.services.release_ports import Environment, Release, Running
from linkflow.services.releases import CURRENT, Draft, errors_of
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Cursor, Document, Page
from .guard import can
from .idempotency import once
from .paging import number_cursor, page
from .replying import etag, expected, reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Releases"])

Viewer = Annotated[Membership, can("workflow.view")]
Editor = Annotated[Membership, can("workflow.update")]
Looker = Annotated[Membership, can("environment.view")]
Maker = Annotated[Membership, can("environment.create")]
Deployer = Annotated[Membership, can("environment.deploy")]

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Place = Annotated[str, StringConstraints(min_length=1, max_length=40)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)]
Reference = Annotated[str, Query(max_length=40)]


class Publish(BaseModel):
    """`version`: an earlier one; left out, the draft, or where there is none the newest version."""

    summary: Annotated[Text, Field(validation_alias=AliasChoices("summary", "change_summary"))] = ""
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    environment: Place = PRODUCTION


class PublishVersion(BaseModel):
    summary: Annotated[Text, Field(validation_alias=AliasChoices("summary", "change_summary"))] = ""
    environment: Place = PRODUCTION


class NewVersion(BaseModel):
    """`definition`: a workflow document; left out, the draft."""

    summary: Annotated[Text, Field(validation_alias=AliasChoices("summary", "change_summary"))] = ""
    definition: dict[str, Any] | None = None


class NewEnvironment(BaseModel):
    name: Place
    description: Text = ""
    is_active: bool = True


class ChangedEnvironment(BaseModel):
    description: Text | None = None
    is_active: bool | None = None


class Promote(BaseModel):
    """`activate` switches webhooks and schedules there on or off; left out, they stay as they are (off at first)."""

    source: Place = Field(validation_alias=AliasChoices("from", "from_environment_id"), serialization_alias="from")
    target: Place = Field(validation_alias=AliasChoices("to", "to_environment_id"), serialization_alias="to")
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        None, validation_alias=AliasChoices("version", "workflow_version_id")
    )
    note: Text = ""
    activate: bool | None = None


class Rollback(BaseModel):
    """`release`: the number of one to go back to; left out, the one before."""

    environment: Annotated[Place, Field(validation_alias=AliasChoices("environment", "environment_id"))] = PRODUCTION
    release: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    note: Text = ""


@router.get("/workflows/{workflow_id}/draft")
async def draft(workflow_id: str, services: Given, who: Viewer) -> Response:
    """Work on it that runs nowhere yet, with all that keeps it from running. The ETag goes into If-Match."""
    found = await services.releases.draft(who, workflow_id)
    return reply({"draft": _draft(found)}, headers=etag(found.revision))


@router.put("/workflows/{workflow_id}/draft")
async def save_draft(request: Request, workflow_id: str, document: Document, services: Given, who: Editor) -> Response:
    """Keep work without touching what runs. It may have problems, which come back. If-Match "0": there is none yet."""
    found = await services.releases.save_draft(who, workflow_id, document, expected(request))
    return reply({"message": "Draft saved.", "draft": _draft(found)}, headers=etag(found.revision))


@router.delete("/workflows/{workflow_id}/draft")
async def drop_draft(workflow_id: str, services: Given, who: Editor) -> Response:
    """Drop it."""
    await services.releases.drop_draft(who, workflow_id)
    return reply({"message": "Draft dropped."})


@router.post("/workflows/{workflow_id}/publish")
async def publish(
    request: Request, workflow_id: str, services: Given, who: Editor, form: Publish | None = None
) -> Response:
    """Let the draft, the newest or an earlier version run in an environment, from now on and all at once."""
    form = form or Publish()
    found = await services.releases.publish(
        who, workflow_id, version=form.version or 0, environment=form.environment, summary=form.summary,
        expected=expected(request),
    )  # fmt: skip
    body = {"message": f"Published to {form.environment}.", "workflow": shapes.shown(found, services.public_url)}
    return reply(body, headers=etag(found.workflow.lock_version))


@router.post("/workflows/{workflow_id}/versions", status_code=201)
async def add_version(
    request: Request, workflow_id: str, services: Given, who: Editor, form: NewVersion | None = None
) -> Response:
    """Make a version of the draft, or of a document, that runs nowhere yet. Takes an Idempotency-Key."""
    form = form or NewVersion()

    async def act() -> Response:
        workflow, number = await services.releases.add_version(who, workflow_id, form.definition, form.summary)
        place = f"/api/v1/workspaces/{who.workspace_id}/workflows/{workflow.id}/versions/{number}"
        return reply({"message": "Version made.", "version": {"version": number}}, 201, {"Location": place})

    return await once(request, services, who, act)


@router.get("/workflows/{workflow_id}/versions/compare")
async def compare(
    workflow_id: str, services: Given, who: Viewer, from_version: Reference, to_version: Reference = CURRENT
) -> Response:
    """What is different from one version to another: by field, and as text. Each is a number, `current` (what runs in
    production), `latest`, `draft`, or an environment's name."""
    found = await services.releases.diff(who, workflow_id, from_version, to_version)
    return reply({"from": from_version, "to": to_version, "diff": _revision(found)})


@router.post("/workflows/{workflow_id}/versions/{version}/publish")
async def publish_version(
    workflow_id: str, version: Number, services: Given, who: Editor, form: PublishVersion | None = None
) -> Response:
    """Let this version run in an environment."""
    form = form or PublishVersion()
    found = await services.releases.publish(
        who, workflow_id, version=version, environment=form.environment, summary=form.summary
    )
    body = {"message": f"Published to {form.environment}.", "workflow": shapes.shown(found, services.public_url)}
    return reply(body, headers=etag(found.workflow.lock_version))


@router.post("/workflows/{workflow_id}/versions/{version}/restore")
async def restore(workflow_id: str, version: Number, services: Given, who: Editor) -> Response:
    """Bring an earlier version back into production, as a new one. A draft is kept as a version first."""
    found = await services.releases.restore(who, workflow_id, version)
    body = {"message": f"Version {version} restored.", "workflow": shapes.shown(found, services.public_url)}
    return reply(body, headers=etag(found.workflow.lock_version))


@router.get("/workflows/{workflow_id}/environments")
async def running(workflow_id: str, services: Given, who: Viewer) -> Response:
    """What of it runs in which environment, and since which release."""
    found = await services.releases.running(who, workflow_id)
    return reply({"data": [_running(one) for one in found]})


@router.post("/workflows/{workflow_id}/environments/promote", status_code=201)
async def promote(request: Request, workflow_id: str, services: Given, who: Deployer, form: Promote) -> Response:
    """Let what runs in one environment run in another one, its webhooks and schedules included, all at once. Runs under
    way keep their version. Takes an Idempotency-Key."""

    async def act() -> Response:
        found = await services.releases.promote(
            who, workflow_id, form.source, form.target, version=form.version or 0, note=form.note,
            activate=form.activate,
        )  # fmt: skip
        return reply({"message": f"Promoted to {form.target}.", "environment": _running(found)}, 201)

    return await once(request, services, who, act)


@router.post("/workflows/{workflow_id}/environments/rollback", status_code=201)
async def rollback(
    request: Request, workflow_id: str, services: Given, who: Deployer, form: Rollback | None = None
) -> Response:
    """Let the version of the release before run again, or that of a given release. Takes an Idempotency-Key."""
    form = form or Rollback()

    async def act() -> Response:
        found = await services.releases.rollback(
            who, workflow_id, form.environment, release=form.release or 0, note=form.note
        )
        return reply({"message": f"Rolled back in {form.environment}.", "environment": _running(found)}, 201)

    return await once(request, services, who, act)


@router.get("/workflows/{workflow_id}/environments/releases")
@router.get("/workflows/{workflow_id}/releases", include_in_schema=False)
async def releases(
    workflow_id: str, services: Given, who: Viewer, environment: Reference = "", cursor: Cursor = "",
    per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of its releases, newest first, in one environment or in all."""
    found = await services.releases.releases(who, workflow_id, environment, number_cursor(cursor), per_page + 1)
    return reply(page([_release(one) for one in found], per_page, "number"))


@router.get("/environments")
async def environments(services: Given, who: Looker) -> Response:
    """The workspace's environments, production first."""
    return reply({"data": [_environment(one) for one in await services.releases.environments(who)]})


@router.post("/environments", status_code=201)
async def add_environment(request: Request, services: Given, who: Maker, form: NewEnvironment) -> Response:
    """Make one. Takes an Idempotency-Key."""

    async def act() -> Response:
        made = await services.releases.add_environment(who, form.name, form.description, form.is_active)
        place = f"/api/v1/workspaces/{who.workspace_id}/environments/{made.name}"
        return reply({"message": "Environment made.", "environment": _environment(made)}, 201, {"Location": place})

    return await once(request, services, who, act)


@router.get("/environments/{environment}")
async def environment(environment: str, services: Given, who: Looker) -> Response:
    """One of them."""
    return reply({"environment": _environment(await services.releases.environment(who, environment))})


@router.patch("/environments/{environment}")
async def change_environment(environment: str, services: Given, who: Maker, form: ChangedEnvironment) -> Response:
    """Describe it anew, or switch it off: then nothing starts in it, and its triggers stay off until each workflow is
    activated there again."""
    found = await services.releases.change_environment(who, environment, form.description, form.is_active)
    return reply({"message": "Environment changed.", "environment": _environment(found)})


@router.delete("/environments/{environment}")
async def drop_environment(environment: str, services: Given, who: Maker) -> Response:
    """Drop it, with its webhooks and schedules. Runs under way go on."""
    await services.releases.drop_environment(who, environment)
    return reply({"message": "Environment dropped."})


def _draft(found: Draft) -> dict[str, Any]:
    return {
        **shapes.definition(found.definition),
        "base_version": found.base_version,
        "revision": found.revision,
        "saved_at": shapes.at(found.saved_at),
        "saved_by": found.saved_by or None,
        "publishable": not errors_of(found.problems),
        "problems": msgspec.to_builtins(found.problems),
    }


def _revision(found: Revision) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return {**plain, "is_empty": found.is_empty, "text": lines(found)}


def _environment(found: Environment) -> dict[str, Any]:
    return {
        "id": found.name,
        "name": found.name,
        "description": found.description,
        "is_default": found.name == PRODUCTION,
        "is_active": found.active,
        "created_at": shapes.at(found.created_at),
        "updated_at": shapes.at(found.updated_at),
    }


def _running(found: Running) -> dict[str, Any]:
    return {
        "environment": shown(found.environment),
        "version": found.version,
        "is_active": found.active,
        "release": _release(found.release) if found.release else None,
    }


def _release(found: Release) -> dict[str, Any]:
    return {
        "number": found.number,
        "environment": shown(found.environment),
        "version": found.version,
        "verb": found.verb,
        "from": None if found.source is None else shown(found.source),
        "note": found.note,
        "released_at": shapes.at(found.at),
        "released_by": found.actor or None,
    }
