"""What a workspace may reach, over HTTP: its own rules, within what the operator has granted."""

from __future__ import annotations

import pytest

from linkflow.postgres.reach import PostgresReach
from linkflow.services.reach import grant
from tests.integration.control.plane import Plane, check_problem


async def test_look_and_set(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    url = f"{ada.base}/egress"
    empty = {"allow": [], "only": [], "changed_at": None, "changed_by": None}
    assert (await plane.client.get(url, headers=ada.auth)).json()["egress"] == empty
    form = {"allow": ["10.1.2.0/24", "db.intra.example:5432", "10.1.2.0/24"], "only": ["API.example", "10.1.0.0/16"]}
    answer = await plane.client.put(url, json=form, headers=ada.auth)
    assert answer.status_code == 200, answer.text
    shown = (await plane.client.get(url, headers=ada.auth)).json()["egress"]
    assert shown == answer.json()["egress"]
    assert shown["allow"] == ["10.1.2.0/24", "db.intra.example:5432"]
    assert shown["only"] == ["api.example", "10.1.0.0/16"]
    assert shown["changed_by"] == f"user:{ada.user_id}"
    assert (await plane.client.get(f"{bob.base}/egress", headers=bob.auth)).json()["egress"] == empty
    check_problem(await plane.client.get(url, headers=bob.auth), 404, "not_found")
    check_problem(await plane.client.put(url, json=form, headers=bob.auth), 404, "not_found")
    assert (await plane.client.put(url, json={}, headers=ada.auth)).json()["egress"]["allow"] == []


async def test_only_an_operator_opens_what_he_has_not_granted(plane: Plane):
    ada = await plane.person()
    url = f"{ada.base}/egress"
    form = {"allow": ["10.1.0.1", "10.2.0.1", "169.254.169.254", "nonsense!"], "only": ["http://x"]}
    body = check_problem(await plane.client.put(url, json=form, headers=ada.auth), 422)
    assert {(fault["pointer"], fault["code"]) for fault in body["errors"]} == {
        ("/allow/1", "not_granted"), ("/allow/2", "not_granted"), ("/allow/3", "invalid_value"), ("/only/0", "invalid_value"),
    }  # fmt: skip
    assert (await plane.client.get(url, headers=ada.auth)).json()["egress"]["changed_at"] is None
    book = PostgresReach(plane.database)
    await grant(book, plane.clock, ada.workspace_id, ["10.2.0.0/16"], [])
    kept = await plane.client.put(url, json={"allow": ["10.2.3.0/24"]}, headers=ada.auth)
    assert kept.status_code == 200  # part of what he opened
    check_problem(await plane.client.put(url, json={"allow": ["10.2.0.0/16"]}, headers=ada.auth), 422)  # given away


@pytest.mark.parametrize("form", [{"allow": "x"}, {"allow": ["x"] * 101}, {"only": [""]}, {"allow": [5]}])
async def test_wrong_forms(plane: Plane, form: dict[str, object]):
    ada = await plane.person()
    check_problem(await plane.client.put(f"{ada.base}/egress", json=form, headers=ada.auth), 422)


async def test_who_may(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    who = await plane.services.workspaces.membership(ada.user_id, ada.workspace_id)
    await plane.services.workspaces.add_member(who, bob.email, "member")
    url = f"{ada.base}/egress"
    assert (await plane.client.get(url, headers=bob.auth)).status_code == 200
    check_problem(await plane.client.put(url, json={}, headers=bob.auth), 403, "forbidden")
