"""How long runs are kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field
from starlette.responses import Response

from linkflow.services.retention import MOST_DAYS, Kept
from linkflow.services.workspaces import Membership

from .guard import can
from .replying import reply
from .routing import router as new_router
from .shapes import Json
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/retention", tags=["Executions"])


class Days(BaseModel):
    """`days` is for all workflows (null: nothing is set), `workflows` by workflow id. What is left out goes."""

    days: Annotated[int, Field(ge=1, le=MOST_DAYS)] | None = None
    workflows: Annotated[dict[str, int], Field(max_length=1000)] = {}


@router.get("")
async def show(services: Given, who: Annotated[Membership, can("workspace.view")]) -> Response:
    """What the workspace has set, and what holds where it says nothing (`unset_days`; 0: for ever)."""
    return reply({"retention": _shape(await services.retention.show(who))})


@router.put("")
async def update(form: Days, services: Given, who: Annotated[Membership, can("workspace.update")]) -> Response:
    """Set it. Upkeep goes by it from its next pass on, within the hour."""
    kept = await services.retention.set(who, form.days or 0, form.workflows)
    return reply({"message": "Retention set.", "retention": _shape(kept)})


def _shape(kept: Kept) -> Json:
    return {"days": kept.days or None, "workflows": kept.workflows, "unset_days": kept.unset}
