"""Who may call a route. Every route says it with one of these, and `create_app` refuses a route that does not:

``who: Annotated[Membership, can("workflow.view")]``   a member of the path's workspace whose role has the permission
``who: SignedIn``                                      anybody who is signed in
``_: Anybody``                                         no token needed
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from linkflow.domain.errors import Unauthenticated
from linkflow.services.tokens import Identity
from linkflow.services.workspaces import Membership

from . import defaults
from .wiring import services_of

PUBLIC, SIGNED_IN = "public", "signed-in"


class _Bearer(SecurityBase):
    """Puts the scheme into the OpenAPI document."""

    def __init__(self, permission: str) -> None:
        self.permission = permission
        self.model = BearerModel(bearerFormat="JWT")
        self.scheme_name = "bearer"


class _SignedIn(_Bearer):
    async def __call__(self, request: Request) -> Identity:
        return await _known(request)


class _Needs(_Bearer):
    """Another tenant's workspace is not there (404); one's own may be forbidden (403)."""

    async def __call__(self, request: Request) -> Membership:
        identity = await _known(request)
        workspaces = services_of(request).workspaces
        member = await workspaces.membership(identity.user_id, request.path_params["workspace_id"])
        member.require(self.permission)
        defaults.inside(request, member.user_id, member.workspace_id)
        return member


class _Anybody:
    permission = PUBLIC

    async def __call__(self) -> None:
        return None


async def _known(request: Request) -> Identity:
    identity = _identity(request)
    await defaults.entered(request, identity.user_id, identity.user_id)
    return identity


def _identity(request: Request) -> Identity:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Sign in, and send the access token as Authorization: Bearer.")
    return services_of(request).auth.identify(token.strip())


def can(permission: str) -> Any:
    """The dependency that asks for a permission and gives the `Membership`."""
    return Depends(_Needs(permission))


SignedIn = Annotated[Identity, Depends(_SignedIn(SIGNED_IN))]
Anybody = Annotated[None, Depends(_Anybody())]


def permission_of(route: APIRoute) -> str:
    """What a route needs. Raises `LookupError` where it does not say."""
    for dependant in route.dependant.dependencies:
        if isinstance(dependant.call, _Bearer | _Anybody):
            return dependant.call.permission
    raise LookupError(f"The route {route.path} does not say who may call it.")
