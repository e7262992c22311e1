"""What a workspace's nodes may reach."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from linkflow.domain.events import iso
from linkflow.domain.reach import Reach
from linkflow.services.workspaces import Membership

from .guard import can
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/egress", tags=["Egress"])

Places = Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=100)]


class Rules(BaseModel):
    """`allow`: private hosts, addresses and networks to reach all the same, as far as the operator lets workspaces open
    them. `only`: where it is not empty, nothing else is reached. What is left out goes."""

    allow: Places = []
    only: Places = []


@router.get("")
async def show(services: Given, who: Annotated[Membership, can("workspace.view")]) -> Response:
    """What the workspace has set."""
    return reply({"egress": _shape(await services.reach.show(who))})


@router.put("")
async def update(form: Rules, services: Given, who: Annotated[Membership, can("egress.update")]) -> Response:
    """Set it. Workers hold to it within five seconds."""
    return reply(
        {"message": "Egress rules set.", "egress": _shape(await services.reach.set(who, form.allow, form.only))}
    )


def _shape(reach: Reach) -> dict[str, Any]:
    return {
        "allow": list(reach.allow),
        "only": list(reach.only),
        "changed_at": iso(reach.changed_at) if reach.changed_at else None,
        "changed_by": reach.changed_by or None,
    }
