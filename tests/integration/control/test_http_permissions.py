"""Every route, for every role, for a stranger and for nobody."""

from __future__ import annotations

import re

import pytest

from linkflow.domain.ids import uuid7
from linkflow.http.app import routes
from linkflow.http.guard import PUBLIC, SIGNED_IN, permission_of
from linkflow.services.permissions import OWNER, ROLES, permissions_of
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
INSIDE = [case for case in GUARDED if case[2] != SIGNED_IN]

PUBLIC_PATHS = {
    "/health/live",
    "/health/ready",
    "/api/v1/health",
    "/api/v1/auth/register",
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/webhook-runs/{token}",
    "/webhook-test/{webhook_id}",
    "/webhook-test/{webhook_id}/{path:path}",
    "/webhooks/{webhook_id}",
    "/webhooks/{webhook_id}/{path:path}",
}


def test_what_is_public_is_meant_to_be():
    assert {route.path for route in routes() if permission_of(route) == PUBLIC} == PUBLIC_PATHS


def test_every_permission_exists_and_routes_below_a_workspace_ask_for_one():
    assert {permission for _, _, permission in INSIDE} <= OWNER
    assert {path for _, path, permission in GUARDED if permission == SIGNED_IN} == {
        "/api/v1/auth/logout",
        "/api/v1/user",
        "/api/v1/workspaces",
        "/api/v1/nodes",
        "/api/v1/nodes/{type}",
    }


def _path(template: str, workspace: str) -> str:
    path = template.replace("{workspace_id}", workspace).replace("{version}", "1").replace("{type}", "loop")
    return re.sub(r"\{[^}]*\}", lambda _: uuid7(1_764_000_000_000, 1, 1), path)


async def _workspace_with(plane: Plane, owner: Person, member: Person, role: str) -> str:
    """A workspace of the owner's in which the member has this role."""
    made = await plane.services.workspaces.create(owner.user_id, "W")
    who = await plane.services.workspaces.membership(owner.user_id, made.id)
    await plane.services.workspaces.add_member(who, member.email, role)
    return made.id


@pytest.mark.parametrize(("method", "template", "permission"), INSIDE, ids=lambda value: str(value))
async def test_roles_strangers_and_nobody(plane: Plane, method: str, template: str, permission: str):
    ada, bob = await plane.somebody(), await plane.somebody()
    for role in ROLES:
        path = _path(template, await _workspace_with(plane, ada, bob, role))
        response = await plane.client.request(method, path, headers=bob.auth)
        if permission in permissions_of(role):
            assert response.status_code not in (401, 403, 405, 500), (role, response.text)
        else:
            check_problem(response, 403, "forbidden")
    path = _path(template, ada.workspace_id)
    check_problem(await plane.client.request(method, path, headers=bob.auth), 404, "not_found")
    check_problem(await plane.client.request(method, _path(template, "nonsense"), headers=bob.auth), 404, "not_found")
    check_problem(await plane.client.request(method, path), 401, "unauthenticated")


@pytest.mark.parametrize(("method", "template", "permission"), GUARDED, ids=lambda value: str(value))
async def test_a_broken_token_opens_nothing(plane: Plane, method: str, template: str, permission: str):
    for header in ("Bearer x.y.z", "Bearer ", "Basic YTpi", "x"):
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
