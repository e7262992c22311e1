"""The workspace's policy: what its workflows may do."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from linkflow.domain.policy import Policy
from linkflow.services.workspaces import Membership

from .guard import can
from .replying import reply
from .routing import router as new_router
from .shapes import at
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/policy", tags=["Policy"])

Names = Annotated[list[Annotated[str, Field(max_length=300)]], Field(max_length=200)]


class Rules(BaseModel):
    """Lists take patterns such as `action_*`; hosts are hosts, `*.domains`, networks and addresses, with a port or
    without. An empty list of allowed things allows all; a cap of 0 is none. What is left out is taken away."""

    model_config = ConfigDict(extra="forbid")

    allowed_nodes: Names = []
    denied_nodes: Names = []
    allowed_hosts: Names = []
    denied_hosts: Names = []
    allowed_models: Names = []
    denied_models: Names = []
    max_nodes: int = 0
    max_concurrent_runs: int = 0
    max_payload: int = Field(0, description="Bytes.")
    max_cost_per_run: float = Field(0.0, description="US dollars, of AI.", allow_inf_nan=False)


@router.get("")
async def show(services: Given, who: Annotated[Membership, can("workspace.view")]) -> Response:
    """What the workspace's workflows may do."""
    return reply({"policy": _shape(await services.policies.show(who))})


@router.put("")
async def update(form: Rules, services: Given, who: Annotated[Membership, can("workspace.update")]) -> Response:
    """Set it. It holds for what is saved and published from now on, and within five seconds for what runs."""
    given = msgspec.convert(form.model_dump(), Policy)
    return reply({"message": "Policy set.", "policy": _shape(await services.policies.set(who, given))})


def _shape(policy: Policy) -> dict[str, Any]:
    found = {name: getattr(policy, name) for name in policy.__struct_fields__}
    return {**found, "changed_at": at(policy.changed_at), "changed_by": policy.changed_by or None}
