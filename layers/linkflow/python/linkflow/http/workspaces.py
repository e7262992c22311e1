"""Workspaces and their members."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from linkflow.domain.errors import Forbidden
from linkflow.services import audit
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import MemberRole, NewMember, NewWorkspace
from .guard import InPerson, SignedIn, can
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces", tags=["Workspaces"])
gone = new_router(prefix="/api/v1/user/deleted-workspaces", tags=["Workspaces"])

Viewer = Annotated[Membership, can("workspace.view")]


@router.get("")
async def index(services: Given, who: SignedIn) -> Response:
    """The workspaces that one is a member of."""
    return reply({"data": [shapes.workspace(found) for found in await services.workspaces.of(who)]})


@router.post("", status_code=201)
async def create(form: NewWorkspace, services: Given, who: SignedIn) -> Response:
    """Make a workspace and own it."""
    if who.scope and (who.scope.permissions or who.scope.workspace_id):
        raise Forbidden("This API key is not for making workspaces.")
    made = await services.workspaces.create(who.user_id, form.name)
    return reply({"message": "Workspace created.", "workspace": shapes.workspace(made)}, 201)


@router.get("/{workspace_id}")
async def show(who: Viewer) -> Response:
    """One workspace."""
    return reply({"workspace": shapes.workspace(who.workspace)})


@router.put("/{workspace_id}")
async def update(form: NewWorkspace, services: Given, who: Annotated[Membership, can("workspace.update")]) -> Response:
    """Rename a workspace."""
    audit.changed({"name": who.workspace.name}, {"name": form.name})
    renamed = await services.workspaces.rename(who, form.name)
    return reply({"message": "Workspace updated.", "workspace": shapes.workspace(renamed)})


@router.delete("/{workspace_id}")
async def delete(services: Given, who: Annotated[Membership, can("workspace.delete")]) -> Response:
    """Delete a workspace with everything in it. Nothing in it starts any more, from now on; until `restore_until` an
    owner can restore it, then it is purged."""
    audit.changed({"name": who.workspace.name}, None)
    until = await services.workspaces.delete(who)
    return reply({"message": "Workspace deleted.", "restore_until": shapes.at(until)})


@gone.get("")
async def deleted(services: Given, who: InPerson) -> Response:
    """Workspaces that one has owned, and can restore; the last one first."""
    return reply({"data": [shapes.deleted_workspace(one) for one in await services.workspaces.deleted(who.user_id)]})


@gone.post("/{deleted_id}/restore")
async def restore(deleted_id: str, services: Given, who: InPerson) -> Response:
    """Bring back a workspace with everything that was in it, switched off: activate workflows as you need them."""
    came = await services.workspaces.restore(who.user_id, deleted_id)
    found = await services.workspaces.membership(who.user_id, deleted_id)
    told = {"message": "Workspace restored. Its workflows are switched off.", "workflows": came}
    return reply({**told, "workspace": shapes.workspace(found.workspace)})


@router.post("/{workspace_id}/leave")
async def leave(services: Given, who: Annotated[Membership, can("workspace.view", in_person=True)]) -> Response:
    """Stop being a member. The last owner cannot."""
    await services.workspaces.leave(who)
    return reply({"message": "You have left the workspace."})


@router.get("/{workspace_id}/members")
async def members(services: Given, who: Annotated[Membership, can("member.view")]) -> Response:
    """Who is in."""
    return reply({"data": [shapes.member(found) for found in await services.workspaces.members(who)]})


@router.post("/{workspace_id}/members", status_code=201)
async def add_member(form: NewMember, services: Given, who: Annotated[Membership, can("member.invite")]) -> Response:
    """Take in somebody who has an account, with a role up to one's own."""
    await services.people.gate.lookup(who.user_id)
    added = await services.workspaces.add_member(who, form.email, form.role)
    return reply({"message": "Member added.", "member": shapes.member(added)}, 201)


@router.put("/{workspace_id}/members/{user_id}")
async def set_role(
    user_id: str, form: MemberRole, services: Given, who: Annotated[Membership, can("member.update")]
) -> Response:
    """Change a member's role."""
    changed = await services.workspaces.set_role(who, user_id, form.role)
    return reply({"message": "Member updated.", "member": shapes.member(changed)})


@router.delete("/{workspace_id}/members/{user_id}")
async def remove_member(user_id: str, services: Given, who: Annotated[Membership, can("member.remove")]) -> Response:
    """Remove a member."""
    await services.workspaces.remove_member(who, user_id)
    return reply({"message": "Member removed."})
