"""Variables over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.control.plane import Person, Plane, check_problem


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


async def make(plane: Plane, who: Person, key: str, value: str = "v", **more: Any) -> dict[str, Any]:
    response = await plane.client.post(
        f"{who.base}/variables", json={"key": key, "value": value, **more}, headers=who.auth
    )
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["variable"]
    return made


async def test_plain_and_secret(plane: Plane):
    ada = await plane.somebody()
    plain = await make(plane, ada, "API_URL", "https://a.example")
    secret = await make(plane, ada, "API_KEY", "a-secret-value-1", is_secret=True)
    assert (plain["value"], secret["value"]) == ("https://a.example", "••••••••")
    listed = await plane.client.get(f"{ada.base}/variables", headers=ada.auth)
    assert [one["key"] for one in listed.json()["data"]] == ["API_KEY", "API_URL"]
    assert "a-secret-value-1" not in listed.text
    path = f"{ada.base}/variables/{secret['id']}"
    body = check_problem(await plane.client.patch(path, json={"secret": False}, headers=ada.auth), 422)
    assert body["errors"][0]["pointer"] == "/value"
    renamed = (await plane.client.patch(path, json={"key": "KEY_2"}, headers=ada.auth)).json()["variable"]
    assert (renamed["key"], renamed["secret"]) == ("KEY_2", True)
    shown = await plane.client.patch(path, json={"secret": False, "value": "open"}, headers=ada.auth)
    assert shown.json()["variable"]["value"] == "open"
    hidden = await plane.client.patch(path, json={"secret": True}, headers=ada.auth)
    assert hidden.json()["variable"]["value"] == "••••••••"
    async with plane.database.connection() as connection:
        rows = await (await connection.execute("SELECT value FROM variables WHERE secret")).fetchall()
    assert {value for (value,) in rows} == {""}


async def test_one_a_key_and_environment(plane: Plane):
    ada = await plane.somebody()
    made = await make(plane, ada, "URL")
    other = await make(plane, ada, "URL", environment="staging")
    for form in ({"key": "URL"}, {"key": "URL", "environment": "staging"}):
        again = await plane.client.post(f"{ada.base}/variables", json={**form, "value": ""}, headers=ada.auth)
        check_problem(again, 409, "conflict")
    path = f"{ada.base}/variables/{other['id']}"
    check_problem(await plane.client.patch(path, json={"environment": ""}, headers=ada.auth), 409, "conflict")
    page = await plane.client.get(f"{ada.base}/variables?environment=staging", headers=ada.auth)
    assert [one["id"] for one in page.json()["data"]] == [other["id"]]
    page = await plane.client.get(f"{ada.base}/variables?environment=", headers=ada.auth)
    assert [one["id"] for one in page.json()["data"]] == [made["id"]]


async def test_faults_and_conflicts(plane: Plane):
    ada = await plane.somebody()
    form = {"key": "lower", "value": "x", "environment": " x"}
    body = check_problem(await plane.client.post(f"{ada.base}/variables", json=form, headers=ada.auth), 422)
    assert {one["pointer"] for one in body["errors"]} == {"/key", "/environment"}
    made = await make(plane, ada, "A")
    path = f"{ada.base}/variables/{made['id']}"
    fresh = await plane.client.put(path, json={"key": "A", "value": "2"}, headers={**ada.auth, "If-Match": '"1"'})
    assert fresh.json()["variable"]["value"] == "2"
    stale = await plane.client.put(path, json={"key": "A", "value": "3"}, headers={**ada.auth, "If-Match": '"1"'})
    check_problem(stale, 412, "version_conflict")
    assert (await plane.client.delete(path, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(path, headers=ada.auth), 404, "not_found")


async def test_another_workspace_has_none_of_it(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    made = await make(plane, ada, "HERS")
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        body = {"key": "HIS", "value": "x"} if method == "PUT" else {}
        response = await plane.client.request(method, f"{bob.base}/variables/{made['id']}", json=body, headers=bob.auth)
        check_problem(response, 404, "not_found")
    assert (await plane.client.get(f"{bob.base}/variables", headers=bob.auth)).json()["data"] == []


async def test_a_secret_one_is_not_for_nodes_that_would_hand_it_on(plane: Plane):
    ada = await plane.somebody()
    await make(plane, ada, "SECRET_KEY", "a-secret-value-1", secret=True)
    nodes = [
        {"id": "start", "type": "trigger_manual"},
        {"id": "set", "type": "transform", "config": {"fields": {"a": "{{ vars.SECRET_KEY }}"}}},
    ]
    document = {"name": "x", "nodes": nodes, "edges": [{"source": "start", "target": "set"}]}
    body = check_problem(await plane.client.post(f"{ada.base}/workflows", json=document, headers=ada.auth), 422)
    assert [one["code"] for one in body["errors"]] == ["secret_not_allowed"]
