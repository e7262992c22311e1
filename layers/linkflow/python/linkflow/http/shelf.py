"""Tags, folders and locks of workflows."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.shelf_ports import Folder, Tag
from linkflow.services.workflows import Shown
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Name
from .guard import can
from .idempotency import once
from .replying import etag, reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Tags and folders"])

Viewer = Annotated[Membership, can("workflow.view")]
Editor = Annotated[Membership, can("workflow.update")]
TagName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Color = Annotated[str, StringConstraints(pattern=r"^(#[0-9A-Fa-f]{6})?$")]
Id = Annotated[str, StringConstraints(max_length=64)]


class NewTag(BaseModel):
    name: TagName
    color: Color = ""


class ChangedTag(BaseModel):
    name: TagName | None = None
    color: Color | None = None


class Tags(BaseModel):
    """All that the workflow is to have, by name or id. Names that are new become tags."""

    tags: Annotated[list[TagName], Field(max_length=50)]


class NewFolder(BaseModel):
    name: Name
    parent_id: Id | None = None


class ChangedFolder(BaseModel):
    """`parent_id` null: to the top."""

    name: Name | None = None
    parent_id: Id | None = None


class Place(BaseModel):
    """null: out of all folders."""

    folder_id: Id | None


class Lock(BaseModel):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""


@router.get("/tags")
async def tags(services: Given, who: Annotated[Membership, can("tag.view")]) -> Response:
    """All tags of the workspace, by name."""
    return reply({"data": [_tag(one) for one in await services.shelf.tags(who)]})


@router.post("/tags", status_code=201)
async def add_tag(
    request: Request, services: Given, who: Annotated[Membership, can("tag.create")], form: NewTag
) -> Response:
    """Make a tag. Takes an Idempotency-Key."""

    async def act() -> Response:
        made = await services.shelf.add_tag(who, form.name, form.color)
        return reply({"message": "Tag made.", "tag": _tag(made)}, 201)

    return await once(request, services, who, act)


@router.put("/tags/{tag_id}")
async def change_tag(
    tag_id: str, services: Given, who: Annotated[Membership, can("tag.update")], form: ChangedTag
) -> Response:
    """Give it another name or colour."""
    found = await services.shelf.change_tag(who, tag_id, form.name, form.color)
    return reply({"message": "Tag changed.", "tag": _tag(found)})


@router.delete("/tags/{tag_id}")
async def drop_tag(tag_id: str, services: Given, who: Annotated[Membership, can("tag.delete")]) -> Response:
    """Delete it; workflows that have it lose it."""
    await services.shelf.drop_tag(who, tag_id)
    return reply({"message": "Tag deleted."})


@router.get("/folders")
async def folders(services: Given, who: Viewer) -> Response:
    """The tree of folders: each before those in it."""
    found = await services.shelf.folders(who)
    paths: dict[str, str] = {}
    for one in found:
        paths[one.id] = f"{paths[one.parent]}/{one.name}" if one.parent else one.name
    return reply({"data": [{**_folder(one), "path": paths[one.id]} for one in found]})


@router.post("/folders", status_code=201)
async def add_folder(request: Request, services: Given, who: Editor, form: NewFolder) -> Response:
    """Make a folder. Takes an Idempotency-Key."""

    async def act() -> Response:
        made = await services.shelf.add_folder(who, form.name, form.parent_id or "")
        return reply({"message": "Folder made.", "folder": _folder(made)}, 201)

    return await once(request, services, who, act)


@router.patch("/folders/{folder_id}")
async def change_folder(folder_id: str, services: Given, who: Editor, form: ChangedFolder) -> Response:
    """Rename it, or move it with all that is in it."""
    parent = (form.parent_id or "") if "parent_id" in form.model_fields_set else UNSET
    found = await services.shelf.change_folder(who, folder_id, form.name, parent)
    return reply({"message": "Folder changed.", "folder": _folder(found)})


@router.delete("/folders/{folder_id}")
async def drop_folder(folder_id: str, services: Given, who: Annotated[Membership, can("workflow.delete")]) -> Response:
    """Delete it. Folders and workflows in it come into the one above."""
    await services.shelf.drop_folder(who, folder_id)
    return reply({"message": "Folder deleted."})


@router.put("/workflows/{workflow_id}/tags")
async def put_tags(workflow_id: str, services: Given, who: Editor, form: Tags) -> Response:
    """Say which tags a workflow has."""
    return _one(await services.shelf.put_tags(who, workflow_id, form.tags), services, "Tags set.")


@router.put("/workflows/{workflow_id}/folder")
async def move(workflow_id: str, services: Given, who: Editor, form: Place) -> Response:
    """Put a workflow into a folder, or out of all."""
    return _one(await services.shelf.move(who, workflow_id, form.folder_id or ""), services, "Workflow moved.")


@router.post("/workflows/{workflow_id}/lock")
async def lock(workflow_id: str, services: Given, who: Editor, form: Lock | None = None) -> Response:
    """Nobody changes it, or what of it runs where, until it is unlocked: 423, with who and why. It goes on running."""
    return _one(await services.shelf.lock(who, workflow_id, form.reason if form else ""), services, "Workflow locked.")


@router.post("/workflows/{workflow_id}/unlock")
async def unlock(workflow_id: str, services: Given, who: Editor) -> Response:
    """For whoever locked it, and those who may delete workflows."""
    return _one(await services.shelf.unlock(who, workflow_id), services, "Workflow unlocked.")


def _one(found: Shown, services: Services, message: str) -> Response:
    body = {"message": message, "workflow": shapes.shown(found, services.public_url)}
    return reply(body, headers=etag(found.workflow.lock_version))


def _tag(found: Tag) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "color": found.color or None,
        "workflows": found.workflows,
        "created_at": shapes.at(found.created_at),
        "updated_at": shapes.at(found.updated_at),
    }


def _folder(found: Folder) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "parent_id": found.parent or None,
        "workflows": found.workflows,
        "created_at": shapes.at(found.created_at),
        "updated_at": shapes.at(found.updated_at),
    }
