"""Registering, signing in and out, refresh tokens, members."""

from __future__ import annotations

import asyncio

import jwt
import pytest

from linkflow.postgres.purging import PostgresPurge
from tests.integration.control.plane import PASSWORD, SECRET, Plane, check_problem, cron_document


async def test_registering_gives_tokens_and_a_workspace(plane: Plane):
    ada = await plane.person()
    me = (await plane.client.get("/api/v1/user", headers=ada.auth)).json()["user"]
    assert me["email"] == "ada@example.com"
    spaces = (await plane.client.get("/api/v1/workspaces", headers=ada.auth)).json()["data"]
    assert [(space["id"], space["role"]) for space in spaces] == [(ada.workspace_id, "owner")]


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("Ab1", {"too_short"}),
        ("abcdefgh1", {"no_mixed_case"}),
        ("ABCDEFGH1", {"no_mixed_case"}),
        ("Abcdefghi", {"no_digit"}),
        ("abc", {"too_short", "no_mixed_case", "no_digit"}),
        ("Aa1" + "x" * 300, {"too_long"}),
    ],
)
async def test_weak_passwords_are_refused_with_every_reason(plane: Plane, password: str, codes: set[str]):
    form = {"first_name": "A", "last_name": "L", "email": "a@example.com", "password": password}
    response = await plane.client.post("/api/v1/auth/register", json={**form, "password_confirmation": password})
    assert {fault["code"] for fault in check_problem(response, 422)["errors"]} == codes


async def test_an_address_is_taken_in_whatever_case_and_by_one_of_many(plane: Plane):
    form = {"first_name": "A", "last_name": "L", "password": PASSWORD, "password_confirmation": PASSWORD}
    emails = ["a@example.com", "A@example.com", "a@EXAMPLE.com"]
    responses = await asyncio.gather(
        *(plane.client.post("/api/v1/auth/register", json={**form, "email": email}) for email in emails)
    )
    assert sorted(response.status_code for response in responses) == [201, 422, 422]


async def test_signing_in(plane: Plane):
    await plane.person()
    good = {"email": "ADA@example.com", "password": PASSWORD}
    assert (await plane.client.post("/api/v1/auth/login", json=good)).status_code == 200
    wrong = await plane.client.post("/api/v1/auth/login", json={**good, "password": "Wrong1horse"})
    unknown = await plane.client.post("/api/v1/auth/login", json={**good, "email": "bob@example.com"})
    assert check_problem(wrong, 401)["detail"] == check_problem(unknown, 401)["detail"]
    plane.limiter.free = 0
    assert check_problem(await plane.client.post("/api/v1/auth/login", json=good), 429)
    assert (await plane.client.post("/api/v1/auth/login", json=good)).headers["retry-after"] == "3"


async def test_a_refresh_token_works_once_and_its_reuse_ends_the_family(plane: Plane):
    ada = await plane.person()
    first = await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": ada.refresh_token})
    second = first.json()["refresh_token"]
    assert first.status_code == 200
    assert second != ada.refresh_token
    check_problem(await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": ada.refresh_token}), 401)
    check_problem(await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": second}), 401)


async def test_of_two_refreshes_at_once_one_wins_and_the_family_ends(plane: Plane):
    ada = await plane.person()
    body = {"refresh_token": ada.refresh_token}
    both = await asyncio.gather(*(plane.client.post("/api/v1/auth/refresh", json=body) for _ in range(4)))
    assert sorted(response.status_code for response in both) == [200, 401, 401, 401]


async def test_refresh_tokens_expire_and_logout_revokes_them(plane: Plane):
    ada = await plane.person()
    assert (await plane.client.post("/api/v1/auth/logout", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": ada.refresh_token}), 401)
    bob = await plane.person("bob@example.com")
    plane.clock.ahead_ms += 31 * 24 * 3600 * 1000
    check_problem(await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": bob.refresh_token}), 401)


async def test_access_tokens_expire(plane: Plane):
    ada = await plane.person()
    plane.clock.ahead_ms += 16 * 60 * 1000
    check_problem(await plane.client.get("/api/v1/user", headers=ada.auth), 401, "unauthenticated")


async def test_no_other_token_is_an_access_token(plane: Plane):
    ada = await plane.person()
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    forged = [
        jwt.encode(claims, SECRET, algorithm="HS256"),  # the installation's secret itself signs other tokens
        jwt.encode(claims, "x" * 32, algorithm="HS256"),
        jwt.encode(claims, None, algorithm="none"),
        ada.token[:-2],
        "x",
        "é",
    ]
    for token in forged:
        header = {"Authorization": f"Bearer {token}".encode()}
        response = await plane.client.get("/api/v1/user", headers=header)
        check_problem(response, 401)
        assert response.headers["www-authenticate"] == "Bearer"


async def test_members_come_in_change_roles_and_go(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    members = f"{ada.base}/members"
    check_problem(await plane.client.get(members, headers=bob.auth), 404)
    added = await plane.client.post(members, json={"email": "BOB@example.com", "role": "admin"}, headers=ada.auth)
    assert added.status_code == 201
    again = await plane.client.post(members, json={"email": "bob@example.com"}, headers=ada.auth)
    check_problem(again, 409)
    unknown = await plane.client.post(members, json={"email": "eve@example.com"}, headers=ada.auth)
    check_problem(unknown, 422)
    bobs = f"{members}/{bob.user_id}"
    check_problem(await plane.client.put(bobs, json={"role": "owner"}, headers=bob.auth), 403)
    check_problem(await plane.client.delete(f"{members}/{ada.user_id}", headers=bob.auth), 403)
    check_problem(await plane.client.delete(f"{members}/nobody", headers=bob.auth), 404)
    assert (await plane.client.put(bobs, json={"role": "viewer"}, headers=ada.auth)).json()["member"][
        "role"
    ] == "viewer"
    assert (await plane.client.delete(bobs, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(members, headers=bob.auth), 404)


async def test_a_workspace_keeps_an_owner(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    members = f"{ada.base}/members"
    check_problem(await plane.client.post(f"{ada.base}/leave", headers=ada.auth), 409)
    check_problem(await plane.client.put(f"{members}/{ada.user_id}", json={"role": "admin"}, headers=ada.auth), 409)
    await plane.client.post(members, json={"email": bob.email, "role": "owner"}, headers=ada.auth)
    both = await asyncio.gather(
        plane.client.post(f"{ada.base}/leave", headers=ada.auth),
        plane.client.post(f"{ada.base}/leave", headers=bob.auth),
    )
    assert sorted(response.status_code for response in both) == [200, 409]


async def test_a_deleted_workspace_is_gone_with_what_starts_its_workflows(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada)
    renamed = await plane.client.put(ada.base, json={"name": " Shop "}, headers=ada.auth)
    assert renamed.json()["workspace"]["name"] == "Shop"
    assert (await plane.client.post(hook)).status_code == 202
    assert (await plane.client.delete(ada.base, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(ada.base, headers=ada.auth), 404)
    check_problem(await plane.client.post(hook), 404)


async def test_a_deleted_workspace_is_restored_by_its_owner_switched_off(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    await plane.client.post(f"{ada.base}/members", json={"email": bob.email, "role": "admin"}, headers=ada.auth)
    hook = await plane.webhook(ada)
    daily = await plane.workflow(ada, **cron_document())
    turned = await plane.client.post(f"{ada.base}/workflows/{daily['id']}/activate", headers=ada.auth)
    assert turned.status_code == 200, turned.text
    earlier = await plane.workflow(ada, name="Earlier")
    await plane.client.delete(f"{ada.base}/workflows/{earlier['id']}", headers=ada.auth)
    key = await plane.client.post("/api/v1/user/keys", json={"name": "k"}, headers=ada.auth)
    gone, restore = "/api/v1/user/deleted-workspaces", f"/api/v1/user/deleted-workspaces/{ada.workspace_id}/restore"
    check_problem(await plane.client.post(restore, headers=ada.auth), 404)  # it is not deleted
    deleted = (await plane.client.delete(ada.base, headers=ada.auth)).json()
    due = "SELECT count(*) FROM schedules WHERE NOT paused OR look_at IS NOT NULL"
    live = "SELECT count(*) FROM webhooks WHERE active"
    async with plane.database.connection() as connection:
        for statement in (due, live):
            assert await (await connection.execute(statement)).fetchone() == (0,)
    [shown] = (await plane.client.get(gone, headers=ada.auth)).json()["data"]
    assert (shown["id"], shown["restore_until"]) == (ada.workspace_id, deleted["restore_until"])
    assert (await plane.client.get(gone, headers=bob.auth)).json()["data"] == []
    check_problem(await plane.client.post(restore, headers=bob.auth), 404)
    check_problem(await plane.client.post(restore.replace("-", "x", 9), headers=ada.auth), 404)
    secret = {"Authorization": f"Bearer {key.json()['secret']}"}
    check_problem(await plane.client.post(restore, headers=secret), 403)
    back = (await plane.client.post(restore, headers=ada.auth)).json()
    assert (back["workflows"], back["workspace"]["role"]) == (2, "owner")
    listed = (await plane.client.get(f"{ada.base}/workflows", headers=bob.auth)).json()["data"]
    assert {one["name"]: one["is_active"] for one in listed} == {"Hooked": False, "Daily": False}
    check_problem(await plane.client.post(hook), 404)
    on = await plane.client.post(f"{ada.base}/workflows/{daily['id']}/activate", headers=ada.auth)
    assert on.status_code == 200, on.text
    async with plane.database.connection() as connection:
        assert await (await connection.execute(due)).fetchone() == (1,)
    assert (await plane.client.get(gone, headers=ada.auth)).json()["data"] == []
    check_problem(await plane.client.post(restore, headers=ada.auth), 404)


async def test_what_is_being_purged_is_not_restored(plane: Plane):
    ada = await plane.person()
    await plane.client.delete(ada.base, headers=ada.auth)
    now, store = plane.clock.now_ms(), PostgresPurge(plane.database)
    assert await store.take(now, now - 1000, now + 600_000, 10) == []
    assert await store.take(now + 1, now + 1, now + 600_000, 10) == [ada.workspace_id]
    assert await store.take(now + 1, now + 1, now + 600_000, 10) == []  # somebody is at it
    gone = "/api/v1/user/deleted-workspaces"
    assert (await plane.client.get(gone, headers=ada.auth)).json()["data"] == []
    check_problem(await plane.client.post(f"{gone}/{ada.workspace_id}/restore", headers=ada.auth), 404)
