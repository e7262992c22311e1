"""Templates: workflows to begin with."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.gallery import Template
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Name
from .guard import SignedIn, can
from .idempotency import once
from .replying import etag, reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1", tags=["Templates"])

Creator = Annotated[Membership, can("workflow.create")]
Text = Annotated[str, Query(max_length=200)]


class Use(BaseModel):
    name: Name | None = None


@router.get("/templates")
async def index(services: Given, _: SignedIn, q: Text = "", category: Text = "") -> Response:
    """All templates, or those of a category, or with these words; without their workflows."""
    return reply({"data": [_brief(one) for one in services.gallery.find(q, category)]})


@router.get("/templates/categories")
async def categories(services: Given, _: SignedIn) -> Response:
    """The categories, and how many templates are in each."""
    counted = Counter(one.category for one in services.gallery.find())
    return reply({"data": [{"name": name, "templates": count} for name, count in sorted(counted.items())]})


@router.get("/templates/{slug}")
async def show(slug: str, services: Given, _: SignedIn) -> Response:
    """A template with its workflow, and an example of what it is started with."""
    found = services.gallery.get(slug)
    return reply({"template": {**_brief(found), "input": found.input, "workflow": found.workflow}})


@router.post("/workspaces/{workspace_id}/templates/{slug}/use", status_code=201)
async def use(request: Request, slug: str, services: Given, who: Creator, form: Use | None = None) -> Response:
    """Make a workflow of it, switched off. Takes an Idempotency-Key."""

    async def act() -> Response:
        found = await services.gallery.use(who, slug, (form.name if form else None) or "")
        place = f"/api/v1/workspaces/{who.workspace_id}/workflows/{found.workflow.id}"
        body = {"message": "Workflow made.", "workflow": shapes.shown(found, services.public_url)}
        return reply(body, 201, {"Location": place, **etag(found.workflow.lock_version)})

    return await once(request, services, who, act)


def _brief(found: Template) -> dict[str, Any]:
    return {
        "slug": found.slug,
        "name": found.name,
        "category": found.category,
        "description": found.description,
        "variables": [{"key": key, "description": text} for key, text in found.variables.items()],
        "needs": [{"name": name, "type": type} for name, type in found.credentials.items()],
        "node_types": sorted({node["type"] for node in found.workflow["nodes"]}),
    }
