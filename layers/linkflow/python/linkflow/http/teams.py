"""Roles of a workspace's own, invitations, API keys of the workspace, and handing it over."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.people_ports import Invitation, Role
from linkflow.services.permissions import OWNER, ROLES
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import NewMember
from .defaults import shown_once
from .guard import Anybody, InPerson, SignedIn, can
from .moments import Moment
from .origin import origin
from .replying import reply
from .routing import router as new_router
from .shapes import at
from .user import Permissions, key, ms
from .wiring import Given

router = new_router(prefix="/api/v1", tags=["Teams"])

BASE = "/workspaces/{workspace_id}"
Viewer = Annotated[Membership, can("member.view")]
Inviter = Annotated[Membership, can("member.invite")]
RoleMaker = Annotated[Membership, can("role.manage")]
KeyViewer = Annotated[Membership, can("key.view")]
KeyMaker = Annotated[Membership, can("key.manage")]
RoleName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[\w][\w .-]{0,63}$")]


class RoleForm(BaseModel):
    """A role with just these permissions; ``workspace.view`` is in each."""

    name: RoleName
    permissions: Permissions


class NewServiceKey(BaseModel):
    """A key of the workspace's own."""

    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
    permissions: Permissions
    expires_at: Moment | None = None


class Heir(BaseModel):
    user_id: Annotated[str, StringConstraints(max_length=36)]


@router.get("/permissions")
async def permissions(_: SignedIn) -> Response:
    """Every permission, and which of the built-in roles have it."""
    table = [{"name": name, "roles": [role for role, has in ROLES.items() if name in has]} for name in sorted(OWNER)]
    return reply({"data": table})


@router.get(f"{BASE}/roles")
async def roles(services: Given, who: Viewer) -> Response:
    """The built-in roles, the most powerful first, and the workspace's own."""
    built_in = [
        {"id": None, "name": name, "is_built_in": True, "permissions": sorted(has)} for name, has in ROLES.items()
    ]
    own = [_role(role) for role in await services.people.teams.roles(who)]
    return reply({"data": [*built_in, *own]})


@router.post(f"{BASE}/roles", status_code=201)
async def create_role(form: RoleForm, services: Given, who: RoleMaker) -> Response:
    """Make a role. Nobody gives what he has not got himself."""
    made = await services.people.teams.add_role(who, form.name, form.permissions)
    return reply({"message": "Role created.", "role": _role(made)}, 201)


@router.put(f"{BASE}/roles/{{role_id}}")
async def update_role(role_id: str, form: RoleForm, services: Given, who: RoleMaker) -> Response:
    """Change a role, for everybody who has it, at once."""
    changed = await services.people.teams.update_role(who, role_id, form.name, form.permissions)
    return reply({"message": "Role updated.", "role": _role(changed)})


@router.delete(f"{BASE}/roles/{{role_id}}")
async def delete_role(role_id: str, services: Given, who: RoleMaker) -> Response:
    """Delete a role that no member has. Open invitations with it are withdrawn."""
    await services.people.teams.delete_role(who, role_id)
    return reply({"message": "Role deleted."})


@router.get(f"{BASE}/invitations")
async def invitations(services: Given, who: Viewer) -> Response:
    """Open invitations, newest first."""
    return reply({"data": [_invitation(one) for one in await services.people.teams.invitations(who)]})


@router.post(f"{BASE}/invitations", status_code=201)
@shown_once
async def invite(request: Request, form: NewMember, services: Given, who: Inviter) -> Response:
    """Invite an address, with a role up to one's own. An earlier invitation of it is replaced. `url` is null unless
    mails are only kept in a file: then hand it over yourself."""
    made, link = await services.people.teams.invite(who, form.email, form.role, origin(request))
    return reply({"message": "Invitation sent.", "invitation": _invitation(made), "url": link or None}, 201)


@router.delete(f"{BASE}/invitations/{{invitation_id}}")
async def withdraw(invitation_id: str, services: Given, who: Inviter) -> Response:
    """Withdraw an invitation."""
    await services.people.teams.withdraw(who, invitation_id)
    return reply({"message": "Invitation withdrawn."})


@router.get("/invitations/{token}")
async def show_invitation(request: Request, token: str, services: Given, _: Anybody) -> Response:
    """What whoever has the link may see."""
    return reply({"invitation": _invitation(await services.people.teams.invitation(token, origin(request)))})


@router.post("/invitations/{token}/accept")
async def accept(request: Request, token: str, services: Given, who: InPerson) -> Response:
    """Become a member, with the address that was invited."""
    user = await services.auth.user(who)
    found = await services.people.teams.accept(user, token, origin(request))
    member = await services.workspaces.membership(who.user_id, found.workspace_id)
    return reply({"message": "You are in.", "workspace": shapes.workspace(member.workspace)})


@router.post("/invitations/{token}/decline")
async def decline(request: Request, token: str, services: Given, _: Anybody) -> Response:
    """Do without. No account is needed for that."""
    await services.people.teams.decline(token, origin(request))
    return reply({"message": "Invitation declined."})


@router.get(f"{BASE}/keys")
async def keys(services: Given, who: KeyViewer) -> Response:
    """The workspace's own API keys, newest first."""
    return reply({"data": [key(one) for one in await services.people.keys.of_workspace(who)]})


@router.post(f"{BASE}/keys", status_code=201)
@shown_once
async def create_service_key(form: NewServiceKey, services: Given, who: KeyMaker) -> Response:
    """A key that stands for itself, with just these permissions. It is shown this once."""
    made, secret = await services.people.keys.create_service(who, form.name, form.permissions, ms(form.expires_at))
    return reply({"message": "Keep the key: it is not shown again.", "key": key(made), "secret": secret}, 201)


@router.delete(f"{BASE}/keys/{{key_id}}")
async def delete_service_key(key_id: str, services: Given, who: KeyMaker) -> Response:
    """Revoke a key, at once."""
    await services.people.keys.end_service(who, key_id)
    return reply({"message": "Key revoked."})


@router.post(f"{BASE}/transfer")
async def transfer(
    form: Heir, services: Given, who: Annotated[Membership, can("workspace.delete", in_person=True)]
) -> Response:
    """Make another member the owner, and oneself an admin."""
    await services.people.teams.transfer(who, form.user_id)
    return reply({"message": "The workspace is handed over."})


def _role(found: Role) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "is_built_in": False,
        "permissions": list(found.permissions),
        "members": found.members,
        "created_at": at(found.created_at),
        "updated_at": at(found.updated_at),
    }


def _invitation(found: Invitation) -> dict[str, Any]:
    return {
        "id": found.id,
        "workspace_id": found.workspace_id,
        "workspace_name": found.workspace_name,
        "email": found.email,
        "role": found.role,
        "invited_by": found.inviter or found.invited_by,
        "created_at": at(found.created_at),
        "expires_at": at(found.expires_at),
    }
