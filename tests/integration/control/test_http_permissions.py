"""Every route, for every role, for API keys, for strangers and for nobody. What is expected follows from the permission
that the route declares, so a new one is in the walk by being there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

import pytest
from fastapi.routing import APIRoute

from linkflow import http
from linkflow.domain.ids import uuid7
from linkflow.http.app import routes
from linkflow.http.auditing import READS, action_of, is_audited
from linkflow.http.guard import IN_PERSON, PUBLIC, SIGNED_IN, is_in_person, permission_of
from linkflow.services.permissions import KEPT, OWNER, permissions_of
from linkflow.services.tokens import Identity
from tests.integration.control.plane import Person, Plane, check_problem


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


GUARDED = [
    (method, route.path, permission_of(route))
    for route in routes()
    for method in sorted(route.methods or ())
    if permission_of(route) != PUBLIC
]
OUTSIDE = [case for case in GUARDED if case[2] in (SIGNED_IN, IN_PERSON)]
INSIDE = [case for case in GUARDED if case[2] not in (SIGNED_IN, IN_PERSON)]
NOT_FOR_KEYS = {(method, route.path) for route in routes() for method in route.methods or () if is_in_person(route)}

PUBLIC_PATHS = {
    "/health/live",
    "/health/ready",
    "/api/v1/health",
    "/api/v1/auth/register",
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/webhook-runs/{token}",
    "/approve/{token}",
    "/webhook-test/{webhook_id}",
    "/webhook-test/{webhook_id}/{path:path}",
    "/account/{page}",
    "/",
    "/console",
    "/console/",
    "/console/assets/{name}",
    "/api/v1/auth/providers",
    "/api/v1/auth/oidc/{provider}/start",
    "/api/v1/auth/oidc/{provider}/callback",
    "/api/v1/auth/oidc/exchange",
    "/api/v1/auth/verify-email",
    "/api/v1/auth/resend-verification-email",
    "/api/v1/auth/forgot-password",
    "/api/v1/auth/reset-password",
    "/api/v1/invitations/{token}",
    "/api/v1/invitations/{token}/decline",
    "/api/v1/oauth/callback",
    "/webhooks/{webhook_id}",
    "/webhooks/{webhook_id}/{path:path}",
}


def test_what_is_public_is_meant_to_be():
    assert {route.path for route in routes() if permission_of(route) == PUBLIC} == PUBLIC_PATHS


HARMLESS = {"exchange.validate", "schedules.preview_draft"}
"""What is read by POST."""

OWN_WORDS = {"workspaces.leave"}
"""What asks for no more than seeing, and changes something: it says itself what it does."""


def test_every_permission_exists_and_routes_below_a_workspace_ask_for_one():
    assert {permission for _, _, permission in INSIDE} <= OWNER
    assert [path for _, path, _ in OUTSIDE if "/workspaces/{" in path] == []
    assert {path for _, path, permission in GUARDED if permission == SIGNED_IN} == {
        "/api/v1/user",
        "/api/v1/user/whoami",
        "/api/v1/permissions",
        "/api/v1/workspaces",
        "/api/v1/nodes",
        "/api/v1/templates",
        "/api/v1/templates/categories",
        "/api/v1/templates/{slug}",
        "/api/v1/nodes/{type}",
        "/api/v1/credential-types",
        "/api/v1/credential-types/{type}",
    }


def test_no_route_is_outside_of_this_walk(plane: Plane):
    served = {route.path for route in plane.client._transport.app.routes if isinstance(route, APIRoute)}
    assert served == {route.path for route in routes()}
    for module in iter_modules(http.__path__):
        router = getattr(import_module(f"linkflow.http.{module.name}"), "router", None)
        mine = {route.path for route in router.routes} if hasattr(router, "routes") else set()
        assert mine <= served, f"{module.name} has routes that nobody serves"


def test_whatever_changes_something_is_put_on_record():
    """What asks for no more than seeing is not, unless it says so itself; each of those is named here."""
    changing = [route for route in routes() if not (route.methods or set()) <= READS and route.path.startswith("/api/")]
    silent = {
        action_of(route)
        for route in changing
        if permission_of(route) != PUBLIC and not is_audited(route, permission_of(route))
    }
    assert silent == HARMLESS | OWN_WORDS
    names = [action_of(route) for route in changing]
    assert sorted(names) == sorted(set(names)), "two routes have one name in the log"


def _path(template: str, workspace: str) -> str:
    path = template.replace("{workspace_id}", workspace).replace("{version}", "1").replace("{type}", "loop")
    return re.sub(r"\{[^}]*\}", lambda _: uuid7(1_764_000_000_000, 1, 1), path)


@dataclass(frozen=True)
class Cast:
    """People who are in each workspace of the walk, and one who is in none."""

    owner: Person
    admin: Person
    member: Person
    viewer: Person
    exact: Person
    lacking: Person
    stranger: Person

    @property
    def built_in(self) -> dict[str, Person]:
        return {"owner": self.owner, "admin": self.admin, "member": self.member, "viewer": self.viewer}


@pytest.fixture(scope="module")
async def cast(plane: Plane) -> Cast:
    return Cast(*[await plane.somebody() for _ in range(7)])


async def _callers(plane: Plane, cast: Cast, permission: str) -> tuple[str, list[tuple[str, dict[str, str], bool]]]:
    """A new workspace, and everybody who may come there: a name, how he proves it, and whether he has the permission.
    One role of the workspace's own has just this permission, one all but this; so have its keys."""
    spaces, teams, keys = plane.services.workspaces, plane.services.people.teams, plane.services.people.keys
    made = await spaces.create(cast.owner.user_id, "W")
    owner = await spaces.membership(cast.owner.user_id, made.id)
    exact, others = {permission} - KEPT, OWNER - KEPT - {permission}
    await teams.add_role(owner, "exact", exact)
    await teams.add_role(owner, "lacking", others)
    found = []
    for role, person in {**cast.built_in, "exact": cast.exact, "lacking": cast.lacking}.items():
        if role != "owner":
            await spaces.add_member(owner, person.email, role)
        own = {"exact": {*exact, "workspace.view"}, "lacking": {*others, "workspace.view"}}.get(role)
        found.append((role, person.auth, permission in (permissions_of(role) if own is None else own)))
    async with plane.database.connection() as connection:  # of the routes before: nobody has as many as he likes
        await connection.execute("DELETE FROM api_keys WHERE name = 'a key'")
    for name, scope in (("a key for just this", {permission}), ("a key for all but this", OWNER - {permission})):
        _, secret = await keys.create_service(owner, name, scope, 0)
        found.append((name, _bearer(secret), permission in scope))
    for whose, workspace, has in ((cast.owner, made.id, OWNER), (cast.viewer, "", permissions_of("viewer"))):
        _, secret = await keys.create_personal(whose.user_id, "a key", workspace, {permission}, 0)
        found.append((f"a person's key, {whose is cast.owner}", _bearer(secret), permission in has))
    return made.id, found


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
async def foreign(plane: Plane, cast: Cast) -> list[dict[str, str]]:
    """Those who are somewhere else, with every right there."""
    stranger = cast.stranger
    there = await plane.services.workspaces.membership(stranger.user_id, stranger.workspace_id)
    _, service = await plane.services.people.keys.create_service(there, "k", OWNER, 0)
    _, personal = await plane.services.people.keys.create_personal(stranger.user_id, "k", "", [], 0)
    here = cast.owner
    _, elsewhere = await plane.services.people.keys.create_personal(here.user_id, "k", here.workspace_id, [], 0)
    return [stranger.auth, _bearer(service), _bearer(personal), _bearer(elsewhere)]


@pytest.mark.parametrize(("method", "template", "permission"), INSIDE, ids=lambda value: str(value))
async def test_roles_keys_strangers_and_nobody(
    plane: Plane, cast: Cast, foreign: list[dict[str, str]], method: str, template: str, permission: str
):
    workspace, callers = await _callers(plane, cast, permission)
    path = _path(template, workspace)
    check_problem(await plane.client.request(method, path), 401, "unauthenticated")
    for headers in foreign:
        theirs = check_problem(await plane.client.request(method, path, headers=headers), 404, "not_found")
    for no_workspace in (uuid7(1, 1, 1), "nonsense"):
        nowhere = await plane.client.request(method, _path(template, no_workspace), headers=cast.owner.auth)
        assert check_problem(nowhere, 404)["detail"] == theirs["detail"], "nothing tells that there is something"
    if (method, template) in NOT_FOR_KEYS:
        callers = [(name, headers, may and "key" not in name) for name, headers, may in callers]
    for name, headers, may in sorted(callers, key=lambda caller: caller[2]):  # who may delete it, may
        response = await plane.client.request(method, path, headers=headers)
        if may:
            assert response.status_code not in (401, 403, 405, 500), (name, response.text)
        else:
            assert check_problem(response, 403, "forbidden"), name


@pytest.mark.parametrize(("method", "template", "permission"), OUTSIDE, ids=lambda value: str(value))
async def test_what_keys_and_ended_sessions_may_outside_of_workspaces(
    plane: Plane, cast: Cast, foreign: list[dict[str, str]], method: str, template: str, permission: str
):
    path = _path(template, "")
    check_problem(await plane.client.request(method, path), 401, "unauthenticated")
    over = plane.services.auth._tokens.issue(Identity(cast.owner.user_id, uuid7(1, 1, 1)), plane.clock.now_ms())
    check_problem(await plane.client.request(method, path, headers=_bearer(over)), 401, "unauthenticated")
    for headers in foreign[1:]:
        response = await plane.client.request(method, path, headers=headers)
        if permission == IN_PERSON:
            check_problem(response, 403, "forbidden")
        elif path != "/api/v1/user":  # a workspace's own key is nobody
            assert response.status_code in (200, 404, 422) or method == "POST", response.text


@pytest.mark.parametrize(("method", "template", "permission"), GUARDED, ids=lambda value: str(value))
async def test_a_broken_token_opens_nothing(plane: Plane, method: str, template: str, permission: str):
    for header in ("Bearer x.y.z", "Bearer ", "Basic YTpi", "x", "Bearer lf_wrong"):
        response = await plane.client.request(
            method, _path(template, uuid7(1, 1, 1)), headers={"Authorization": header}
        )
        check_problem(response, 401, "unauthenticated")


async def test_runs_and_workflows_of_another_workspace_are_not_there(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    workflow = await plane.workflow(ada)
    plane.frontend.calls.clear()
    for method, tail in [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/execute"), ("POST", "/activate")]:
        body = {"json": {"name": "x", "nodes": []}} if method == "PUT" else {}
        path = f"{bob.base}/workflows/{workflow['id']}{tail}"
        response = await plane.client.request(method, path, headers=bob.auth, **body)
        assert response.status_code in (404, 422), response.text
        assert "Orders" not in response.text
    assert plane.frontend.calls == []
