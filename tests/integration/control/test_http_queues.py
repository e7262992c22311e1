"""Task queues over HTTP: one's own tasks and limits, and nobody else's."""

from __future__ import annotations

import pytest

from linkflow.contracts.matching import QueueRule
from tests.integration.control.plane import Plane, check_problem


async def test_look_and_limit(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    url = f"{ada.base}/queues"
    [shown] = (await plane.client.get(url, headers=ada.auth)).json()["data"]
    assert (shown["name"], shown["open"], shown["oldest_seconds"], shown["workers"]) == ("default", 7, 1.5, 2)
    assert shown["limits"] == {"rate": 0.0, "burst": 0, "keys": {}}
    form = {"rate": 20, "burst": 5, "keys": {"gold": {"weight": 3}, "api.example": {"rate": 1.5}}}
    answer = await plane.client.put(f"{url}/gpu", json=form, headers=ada.auth)
    assert answer.status_code == 200, answer.text
    limits = answer.json()["queue"]["limits"]
    assert (limits["rate"], limits["burst"]) == (20.0, 5)
    assert limits["keys"]["gold"] == {"weight": 3.0, "rate": 0.0, "burst": 0}
    assert limits["keys"]["api.example"]["rate"] == 1.5
    change = next(request for _, request in reversed(plane.frontend.calls) if hasattr(request, "rules"))
    assert change.rules[0] == QueueRule(ada.workspace_id, rate=20.0, burst=5)
    assert {rule.workspace_id for rule in change.rules} == {ada.workspace_id}
    assert (change.workspace_id, change.actor) == (ada.workspace_id, f"user:{ada.user_id}")
    names = [queue["name"] for queue in (await plane.client.get(url, headers=ada.auth)).json()["data"]]
    assert names == ["default", "gpu"]
    others = (await plane.client.get(f"{bob.base}/queues", headers=bob.auth)).json()["data"]
    assert [queue["name"] for queue in others] == ["default"], "nobody sees another's queues"
    check_problem(await plane.client.put(f"{url}/gpu", json=form, headers=bob.auth), 404, "not_found")
    check_problem(await plane.client.get(f"{url}/gpu", headers=bob.auth), 404, "not_found")


@pytest.mark.parametrize(
    ("form", "pointers"),
    [
        ({"rate": -1, "burst": 2_000_000}, {"/rate", "/burst"}),
        ({"keys": {"a": {"weight": 0}, "b": {"rate": "fast"}}}, {"/keys/a/weight", "/keys/b/rate"}),
        ({"keys": []}, {"/keys"}),
    ],
)
async def test_wrong_limits_are_told_all_at_once(plane: Plane, form: dict[str, object], pointers: set[str]):
    ada = await plane.person()
    body = check_problem(await plane.client.put(f"{ada.base}/queues/gpu", json=form, headers=ada.auth), 422)
    assert {fault["pointer"] for fault in body["errors"]} == pointers
    assert plane.frontend.own_rules == {}


async def test_names_that_cannot_be(plane: Plane):
    ada = await plane.person()
    check_problem(await plane.client.get(f"{ada.base}/queues/{'x' * 101}", headers=ada.auth), 422)
