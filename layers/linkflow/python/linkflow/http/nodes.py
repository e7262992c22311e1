"""The catalogue of node types: what a console needs to offer each and draw its form."""

from __future__ import annotations

from starlette.responses import Response

from linkflow.domain.errors import NotFound

from .guard import SignedIn
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/nodes", tags=["Node types"])


@router.get("")
async def index(services: Given, _: SignedIn) -> Response:
    """Every node type, with its parameters as JSON Schema."""
    return reply({"data": list(services.node_types(False))})


@router.get("/{type}")
async def show(type: str, services: Given, _: SignedIn, version: int = 0) -> Response:
    """One node type, by its name or an alias; the newest version, unless one is asked for."""
    for found in services.node_types(version > 0):
        if version in (0, found["version"]) and (type == found["type"] or type in found["aliases"]):
            return reply({"node": found})
    raise NotFound("There is no such node type.")
