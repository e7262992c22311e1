"""Invitations, roles of a workspace's own, its keys, handing it over, and what the audit log says of all that."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.integration.control.plane import Person, Plane, check_problem


@pytest.fixture
async def plane(shared_plane: Plane) -> Plane:
    return shared_plane


async def post(plane: Plane, who: Person, path: str, body: Any = None) -> httpx.Response:
    return await plane.client.post(path, json={} if body is None else body, headers=who.auth)


async def log(plane: Plane, who: Person, **asked: Any) -> list[dict[str, Any]]:
    found = await plane.client.get(f"{who.base}/audit", params=asked, headers=who.auth)
    assert found.status_code == 200, found.text
    data: list[dict[str, Any]] = found.json()["data"]
    return data


async def invite(plane: Plane, by: Person, email: str, role: str = "member") -> str:
    made = await post(plane, by, f"{by.base}/invitations", {"email": email, "role": role})
    assert made.status_code == 201, made.text
    return str(made.json()["url"].partition("#")[2])


async def test_an_invitation_is_accepted_once_by_who_was_invited(plane: Plane):
    ada, bob, eve = [await plane.somebody() for _ in range(3)]
    old = await invite(plane, ada, bob.email.upper(), "viewer")
    token = await invite(plane, ada, bob.email, "admin")
    assert (await plane.link(bob.email)) == token, "it also came by mail"
    check_problem(await plane.client.get(f"/api/v1/invitations/{old}"), 404)
    seen = (await plane.client.get(f"/api/v1/invitations/{token}")).json()["invitation"]
    assert (seen["role"], seen["invited_by"]) == ("admin", ada.email)
    check_problem(await post(plane, eve, f"/api/v1/invitations/{token}/accept"), 403)
    both = [post(plane, bob, f"/api/v1/invitations/{token}/accept") for _ in range(2)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*both)) == [200, 404]
    spaces = (await plane.client.get("/api/v1/workspaces", headers=bob.auth)).json()["data"]
    assert {one["id"]: one["role"] for one in spaces}[ada.workspace_id] == "admin"
    check_problem(await post(plane, ada, f"{ada.base}/invitations", {"email": bob.email}), 409)
    async with plane.database.connection() as connection:
        rows = await (await connection.execute("SELECT * FROM audit_log")).fetchall()
    assert token not in str(rows)


async def test_an_invitation_is_declined_withdrawn_or_too_old(plane: Plane):
    ada = await plane.somebody()
    for ends in ("decline", "withdraw", "age"):
        token = await invite(plane, ada, "carl@example.com")
        [open_one] = (await plane.client.get(f"{ada.base}/invitations", headers=ada.auth)).json()["data"]
        if ends == "decline":
            await plane.client.post(f"/api/v1/invitations/{token}/decline")
        elif ends == "withdraw":
            await plane.client.delete(f"{ada.base}/invitations/{open_one['id']}", headers=ada.auth)
        else:
            ada = await plane.later(ada, 8 * 24)
        check_problem(await plane.client.get(f"/api/v1/invitations/{token}"), 404)
        assert (await plane.client.get(f"{ada.base}/invitations", headers=ada.auth)).json()["data"] == []
    plane.clock.ahead_ms -= 8 * 24 * 3600 * 1000


async def test_nobody_gives_what_he_has_not_got(plane: Plane):
    ada, bob, carl = [await plane.somebody() for _ in range(3)]
    inviters = {"name": "Inviters", "permissions": ["member.view", "member.invite", "role.manage", "member.update"]}
    role = (await post(plane, ada, f"{ada.base}/roles", inviters)).json()["role"]
    added = await post(plane, ada, f"{ada.base}/members", {"email": bob.email, "role": "inviters"})
    assert added.json()["member"]["role"] == "Inviters"
    for given in ("owner", "admin", "member", "viewer"):
        check_problem(await post(plane, bob, f"{ada.base}/invitations", {"email": "x@example.com", "role": given}), 403)
        check_problem(await post(plane, bob, f"{ada.base}/members", {"email": carl.email, "role": given}), 403)
    own = await post(plane, bob, f"{ada.base}/invitations", {"email": "x@example.com", "role": "Inviters"})
    assert own.status_code == 201
    more = {"name": "More", "permissions": ["workflow.view"]}
    check_problem(await post(plane, bob, f"{ada.base}/roles", more), 403)
    grown = {"name": "Inviters", "permissions": [*inviters["permissions"], "workflow.view"]}
    path = f"{ada.base}/roles/{role['id']}"
    check_problem(await plane.client.put(path, json=grown, headers=bob.auth), 403)
    check_problem(await plane.client.delete(f"{ada.base}/members/{ada.user_id}", headers=bob.auth), 403)
    kept = {"name": "Owners", "permissions": ["workspace.delete"]}
    check_problem(await post(plane, ada, f"{ada.base}/roles", kept), 422)
    check_problem(await post(plane, ada, f"{ada.base}/roles", {"name": "Admin", "permissions": []}), 422)
    check_problem(await post(plane, ada, f"{ada.base}/roles", inviters), 422)


async def test_a_role_of_ones_own_holds_from_the_next_call_on(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    form = {"name": "Readers", "permissions": ["workflow.view"]}
    role = (await post(plane, ada, f"{ada.base}/roles", form)).json()["role"]
    await post(plane, ada, f"{ada.base}/members", {"email": bob.email, "role": "Readers"})
    path = f"{ada.base}/roles/{role['id']}"
    assert (await plane.client.get(f"{ada.base}/workflows", headers=bob.auth)).status_code == 200
    check_problem(await plane.client.get(f"{ada.base}/executions", headers=bob.auth), 403)
    await plane.client.put(path, json={"name": "Lookers", "permissions": ["execution.view"]}, headers=ada.auth)
    check_problem(await plane.client.get(f"{ada.base}/workflows", headers=bob.auth), 403)
    assert (await plane.client.get(f"{ada.base}/executions", headers=bob.auth)).status_code == 200
    listed = (await plane.client.get(f"{ada.base}/roles", headers=ada.auth)).json()["data"]
    assert [(one["name"], one["is_built_in"]) for one in listed][-1] == ("Lookers", False)
    assert listed[-1]["members"] == 1
    check_problem(await plane.client.delete(path, headers=ada.auth), 409)
    await plane.client.put(f"{ada.base}/members/{bob.user_id}", json={"role": "viewer"}, headers=ada.auth)
    assert (await plane.client.delete(path, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.put(path, json=form, headers=ada.auth), 404)
    [change] = (await log(plane, ada, action="teams.update_role"))[0:1]
    assert {one["path"]: (one["from"], one["to"]) for one in change["changes"]} == {
        "/name": ("Readers", "Lookers"),
        "/permissions/execution.view": (None, True),
        "/permissions/workflow.view": (True, None),
    }


async def test_a_workspace_is_handed_over_by_an_owner_in_person(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    handed = f"{ada.base}/transfer"
    check_problem(await post(plane, ada, handed, {"user_id": bob.user_id}), 404)
    await post(plane, ada, f"{ada.base}/members", {"email": bob.email, "role": "viewer"})
    check_problem(await post(plane, ada, handed, {"user_id": ada.user_id}), 409)
    check_problem(await post(plane, bob, handed, {"user_id": bob.user_id}), 403)
    secret = (await post(plane, ada, "/api/v1/user/keys", {"name": "k"})).json()["secret"]
    key = {"Authorization": f"Bearer {secret}"}
    check_problem(await plane.client.post(handed, json={"user_id": bob.user_id}, headers=key), 403)
    assert (await post(plane, ada, handed, {"user_id": bob.user_id})).status_code == 200
    members = (await plane.client.get(f"{ada.base}/members", headers=bob.auth)).json()["data"]
    assert {one["user_id"]: one["role"] for one in members} == {ada.user_id: "admin", bob.user_id: "owner"}
    check_problem(await post(plane, ada, handed, {"user_id": ada.user_id}), 403)


async def test_a_workspaces_own_key_outlives_who_made_it(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    await post(plane, ada, f"{ada.base}/members", {"email": bob.email, "role": "admin"})
    keys = f"{ada.base}/keys"
    check_problem(await post(plane, bob, keys, {"name": "k", "permissions": []}), 422)
    check_problem(await post(plane, bob, keys, {"name": "k", "permissions": ["workspace.delete"]}), 403)
    made = (await post(plane, bob, keys, {"name": "CI", "permissions": ["workflow.create", "workflow.view"]})).json()
    await plane.client.delete(f"{ada.base}/members/{bob.user_id}", headers=ada.auth)
    service = Person("", "", made["secret"], "", ada.workspace_id)
    workflow = await plane.workflow(service)
    [entry] = await log(plane, ada, target_id=workflow["id"])
    assert (entry["actor"], entry["actor_name"], entry["via"]) == (f"key:{made['key']['id']}", "CI", "key")
    check_problem(await plane.client.get("/api/v1/user", headers=service.auth), 403)
    check_problem(await post(plane, service, f"{ada.base}/leave"), 403)
    assert (await plane.client.delete(f"{keys}/{made['key']['id']}", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(f"{ada.base}/workflows", headers=service.auth), 401)


async def test_the_log_says_who_what_from_where_and_what_it_was(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    await post(plane, ada, f"{ada.base}/members", {"email": bob.email, "role": "viewer"})
    path = f"{ada.base}/members/{bob.user_id}"
    headers = {**ada.auth, "User-Agent": "linkflow-cli/1", "X-Request-Id": "r-1"}
    await plane.client.put(path, json={"role": "admin"}, headers=headers)
    [found] = await log(plane, ada, target_id=bob.user_id, action="workspaces.set_role")
    assert found["changes"] == [{"path": "/role", "from": "viewer", "to": "admin"}]
    assert found["target"] == {"type": "member", "id": bob.user_id}
    told = {name: found[name] for name in ("actor", "actor_name", "via", "ip", "user_agent", "request_id")}
    assert told == {
        "actor": f"user:{ada.user_id}", "actor_name": ada.email, "via": "cli", "ip": "127.0.0.1",
        "user_agent": "linkflow-cli/1", "request_id": "r-1",
    }  # fmt: skip
    check_problem(await plane.client.put(path, json={"role": "nothing"}, headers=ada.auth), 422)
    assert len(await log(plane, ada, target_id=bob.user_id, action="workspaces.set_role")) == 1, "nothing was changed"


async def test_the_log_by_page_by_filter_and_whole(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    for n in range(5):
        await plane.client.put(ada.base, json={"name": f"W{n}"}, headers=ada.auth)
    pages, cursor = [], ""
    while True:
        answer = await plane.client.get(f"{ada.base}/audit?per_page=2&cursor={cursor}", headers=ada.auth)
        pages += answer.json()["data"]
        cursor = answer.json()["meta"]["next_cursor"] or ""
        if not cursor:
            break
    assert [one["changes"][0]["to"] for one in pages[:5]] == ["W4", "W3", "W2", "W1", "W0"]
    lines = await plane.client.get(f"{ada.base}/audit/export", headers=ada.auth)
    assert [json.loads(line) for line in lines.text.splitlines()] == pages
    assert lines.headers["content-type"] == "application/x-ndjson"
    middle = pages[2]["at"]
    since = await log(plane, ada, after=middle, per_page=100)
    until = await log(plane, ada, before=middle, per_page=100)
    assert [*since, *until] == pages
    assert await log(plane, ada, actor=f"user:{bob.user_id}") == []
    assert len(await log(plane, ada, actor=f"user:{ada.user_id}", action="workspaces.update")) == 5
    check_problem(await plane.client.get(f"{ada.base}/audit?cursor=x", headers=ada.auth), 422)
    check_problem(await plane.client.get(f"{ada.base}/audit/export?actor={'x' * 101}", headers=ada.auth), 422)


async def test_the_log_is_cut_off_by_age(plane: Plane):
    from linkflow.postgres.audit_log import PostgresAudit

    ada = await plane.somebody()
    await plane.client.put(ada.base, json={"name": "W"}, headers=ada.auth)
    store, now = PostgresAudit(plane.database), plane.clock.now_ms()
    assert await store.forget(now, 1) == 0
    assert await store.forget(now + 2 * 86_400_000, 0) == 0, "0 is for ever"
    assert await store.forget(now + 2 * 86_400_000, 1) > 0
    plane.changes.clear()
    assert await log(plane, ada) == []


async def test_a_change_that_is_undone_leaves_no_line(plane: Plane):
    ada = await plane.somebody()
    check_problem(await post(plane, ada, f"{ada.base}/leave"), 409)
    assert await log(plane, ada, action="workspaces.leave") == []


async def test_what_the_log_cannot_write_is_no_failure_of_the_call(plane: Plane, caplog: pytest.LogCaptureFixture):
    ada = await plane.somebody()
    made = await plane.workflow(ada)
    async with plane.database.connection() as connection:
        await connection.execute("ALTER TABLE audit_log RENAME TO away")
    answer = await post(plane, ada, f"{ada.base}/dead-letters/purge")
    async with plane.database.connection() as connection:
        await connection.execute("ALTER TABLE away RENAME TO audit_log")
    assert answer.status_code == 200
    assert "Not in the audit log" in caplog.text
    assert ada.workspace_id in caplog.text
    assert made["id"]
    plane.changes.popitem()
