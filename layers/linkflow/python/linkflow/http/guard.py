"""Who may call a route. Every route says it with one of these, and `create_app` refuses a route that does not:

``who: Annotated[Membership, can("workflow.view")]``   a member of the path's workspace whose role has the permission
``can("workspace.view", in_person=True)``              the same, but no API key
``who: SignedIn``                                      anybody who is signed in, or has an API key
``who: InPerson``                                      somebody who has signed in, himself
``_: Anybody``                                         no token needed
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.requests import Request

from linkflow.domain.errors import Forbidden, Unauthenticated
from linkflow.services.keys import PREFIX
from linkflow.services.tokens import Identity
from linkflow.services.workspaces import Membership

from . import defaults
from .auditing import named
from .origin import origin
from .wiring import services_of

PUBLIC, SIGNED_IN, IN_PERSON = "public", "signed-in", "in-person"


class _Bearer(SecurityBase):
    """Puts the scheme into the OpenAPI document."""

    def __init__(self, permission: str, *, in_person: bool = False) -> None:
        self.permission = permission
        self.in_person = in_person or permission == IN_PERSON
        self.model = BearerModel(bearerFormat="JWT")
        self.scheme_name = "bearer"


class _SignedIn(_Bearer):
    async def __call__(self, request: Request) -> Identity:
        identity = await _known(request)
        if identity.scope is None:
            await services_of(request).auth.alive(identity)
        elif self.in_person:
            raise _no_key()
        scope = identity.scope
        actor = f"user:{identity.user_id}" if identity.user_id else f"key:{scope.key_id if scope else ''}"
        named(
            actor=actor,
            user_id=identity.user_id,
            workspace_id=scope.workspace_id if scope and not identity.user_id else "",
            key_id=scope.key_id if scope else "",
            session=identity.family,
        )
        return identity


class _Needs(_Bearer):
    """Another tenant's workspace is not there (404); one's own may be forbidden (403)."""

    async def __call__(self, request: Request) -> Membership:
        identity = await _known(request)
        member = await services_of(request).workspaces.enter(identity, request.path_params["workspace_id"])
        member.require(self.permission)
        if self.in_person and member.scope:
            raise _no_key()
        defaults.inside(request, member.user_id, member.workspace_id)
        named(
            actor=member.actor,
            user_id=identity.user_id,
            workspace_id=member.workspace_id,
            key_id=member.scope.key_id if member.scope else "",
            session=identity.family,
        )
        return member


class _Anybody:
    permission = PUBLIC

    async def __call__(self) -> None:
        return None


async def _known(request: Request) -> Identity:
    identity = await _identity(request)
    await defaults.entered(request, identity.principal, identity.principal)
    return identity


async def _identity(request: Request) -> Identity:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Sign in, and send the access token (or an API key) as Authorization: Bearer.")
    services = services_of(request)
    if token.startswith(PREFIX):
        return await services.people.keys.identify(token, origin(request).ip)
    return services.auth.identify(token)


def _no_key() -> Forbidden:
    return Forbidden("This needs somebody who has signed in, not an API key.")


def can(permission: str, *, in_person: bool = False) -> Any:
    """The dependency that asks for a permission and gives the `Membership`."""
    return Depends(_Needs(permission, in_person=in_person))


SignedIn = Annotated[Identity, Depends(_SignedIn(SIGNED_IN))]
InPerson = Annotated[Identity, Depends(_SignedIn(IN_PERSON))]
Anybody = Annotated[None, Depends(_Anybody())]


def permission_of(route: APIRoute) -> str:
    """What a route needs. Raises `LookupError` where it does not say."""
    for dependant in route.dependant.dependencies:
        if isinstance(dependant.call, _Bearer | _Anybody):
            return dependant.call.permission
    raise LookupError(f"The route {route.path} does not say who may call it.")


def is_in_person(route: APIRoute) -> bool:
    """Is it closed to API keys?"""
    return any(isinstance(one.call, _Bearer) and one.call.in_person for one in route.dependant.dependencies)
