"""Fork, reset, rerun and bulk operations over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.contracts.controlling import BulkFilter, BulkOptions
from linkflow.domain.ids import uuid7
from tests.integration.control.plane import Plane, check_problem
from tests.integration.control.test_http_executions import AT, _finished, _run


async def test_fork_and_reset(plane: Plane):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"], *_finished(), status="completed")
    for verb in ("fork", "reset"):
        body = {"node": "log", "input": None, "version": "latest", "reason": "wrong"}
        response = await plane.client.post(f"{ada.base}/executions/{id}/{verb}", json=body, headers=ada.auth)
        assert response.status_code == 201, response.text
        made = response.json()
        assert made["execution"]["source"] == {"execution_id": id}
        assert response.headers["location"].endswith(made["execution"]["id"])
        assert made["plan"] == {"kept": ["a"], "runs": ["b"], "skipped": [], "loops": []}
        assert made["report"] == {"added": ["n"]}
        asked: Any = plane.frontend.last
        assert (asked.verb, asked.node, asked.edited, asked.input, asked.version) == (verb, "log", True, None, -1)
        assert (asked.reason, asked.actor) == ("wrong", f"user:{ada.user_id}")
    await plane.client.post(f"{ada.base}/executions/{id}/fork", json={"node": "x", "version": 3}, headers=ada.auth)
    assert (plane.frontend.last.edited, plane.frontend.last.version) == (False, 3)


async def test_a_dry_run(plane: Plane):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"])
    body = {"node": "log", "dry_run": True}
    response = await plane.client.post(f"{ada.base}/executions/{id}/fork", json=body, headers=ada.auth)
    assert response.status_code == 200
    assert response.json().keys() == {"message", "workflow_version", "plan", "report"}


async def test_rerun_and_the_originals_name_for_it(plane: Plane):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"])
    url = f"{ada.base}/executions/{id}"
    assert (await plane.client.post(f"{url}/rerun", headers=ada.auth)).status_code == 201
    assert (plane.frontend.last.verb, plane.frontend.last.edited, plane.frontend.last.version) == ("rerun", False, 0)
    body = {"use_latest_workflow": True, "override_trigger_data": {"n": 2}}
    response = await plane.client.post(f"{url}/rerun-deterministic", json=body, headers=ada.auth)
    assert response.json()["execution"]["mode"] == "rerun"
    assert (plane.frontend.last.input, plane.frontend.last.version) == ({"n": 2}, -1)


async def test_a_repeated_fork_is_one(plane: Plane):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"])
    headers = {**ada.auth, "Idempotency-Key": "k1"}
    url = f"{ada.base}/executions/{id}/fork"
    first = await plane.client.post(url, json={"node": "log"}, headers=headers)
    count = len(plane.frontend.calls)
    second = await plane.client.post(url, json={"node": "log"}, headers=headers)
    assert (first.json(), len(plane.frontend.calls)) == (second.json(), count)
    assert second.headers["idempotency-replayed"] == "true"
    check_problem(await plane.client.post(url, json={"node": "other"}, headers=headers), 422)


@pytest.mark.parametrize(
    "body", [{}, {"node": ""}, {"node": 5}, {"node": "a", "version": 0}, {"node": "a", "version": "newest"}]
)
async def test_bodies_that_cannot_be(plane: Plane, body: dict[str, Any]):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"])
    check_problem(await plane.client.post(f"{ada.base}/executions/{id}/fork", json=body, headers=ada.auth), 422)


async def test_the_view_of_a_run_names_its_forks(plane: Plane):
    ada = await plane.person()
    workflow = await plane.workflow(ada)
    source, other = (_run(plane, ada, workflow["id"]) for _ in range(2))
    plane.frontend.sources[other] = source
    shown = (await plane.client.get(f"{ada.base}/executions/{source}", headers=ada.auth)).json()["execution"]
    assert (shown["source"], shown["forks"]) == (None, [{"id": other, "mode": "manual", "status": "running"}])
    listed = (await plane.client.get(f"{ada.base}/executions?source_id={source}", headers=ada.auth)).json()
    assert [run["id"] for run in listed["data"]] == [other]


async def test_bulk(plane: Plane):
    ada = await plane.person()
    url = f"{ada.base}/executions/bulk"
    body = {
        "verb": "fork", "node": "log", "input": {"a": 1}, "version": "latest", "reason": "all of them", "limit": 50,
        "filter": {"status": "failed", "started_after": "2026-01-01T00:00:00Z", "mode": "webhook"},
    }  # fmt: skip
    response = await plane.client.post(url, json=body, headers={**ada.auth, "Idempotency-Key": "b1"})
    assert response.status_code == 202, response.text
    made = response.json()["bulk"]
    asked: Any = plane.frontend.last
    assert asked.filter == BulkFilter(status=("failed",), mode="webhook", started_after=1_767_225_600_000)
    assert asked.options == BulkOptions("all of them", "log", True, {"a": 1}, -1)
    assert (asked.limit, asked.actor) == (50, f"user:{ada.user_id}")
    assert (made["status"], made["progress"], made["done"], made["node"]) == ("running", 0.75, 1, "log")
    assert made["filter"]["started_after"] == "2026-01-01T00:00:00.000Z"
    again = await plane.client.post(url, json=body, headers={**ada.auth, "Idempotency-Key": "b1"})
    assert again.json()["bulk"]["id"] == made["id"]
    assert response.headers["location"] == f"{url}/{made['id']}"
    shown = (await plane.client.get(f"{url}/{made['id']}", headers=ada.auth)).json()["bulk"]
    assert shown == made
    stopped = await plane.client.post(f"{url}/{made['id']}/cancel", headers=ada.auth)
    assert stopped.json()["bulk"]["status"] == "cancelled"
    listed = (await plane.client.get(url, headers=ada.auth)).json()
    assert ([one["id"] for one in listed["data"]], listed["meta"]["next_cursor"]) == ([made["id"]], None)


async def test_a_dry_run_of_many_counts(plane: Plane):
    ada = await plane.person()
    body = {"verb": "cancel", "filter": {"status": ["running", "paused"], "ids": []}, "dry_run": True}
    response = await plane.client.post(f"{ada.base}/executions/bulk", json=body, headers=ada.auth)
    assert (response.status_code, response.json()["total"], response.json()["more"]) == (200, 3, True)
    assert plane.frontend.last.filter.status == ("running", "paused")


async def test_bulk_bodies_that_cannot_be(plane: Plane):
    ada = await plane.person()
    for body in ({}, {"verb": 1}, {"verb": "cancel", "filter": {"started_after": "yesterday"}}):
        check_problem(await plane.client.post(f"{ada.base}/executions/bulk", json=body, headers=ada.auth), 422)
    for id in ("nonsense", uuid7(AT, 0, 9)):
        check_problem(await plane.client.get(f"{ada.base}/executions/bulk/{id}", headers=ada.auth), 404)
    check_problem(await plane.client.get(f"{ada.base}/executions/bulk?cursor=x", headers=ada.auth), 422)


async def test_another_workspace_is_not_there(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    id = _run(plane, bob, (await plane.workflow(bob))["id"])
    for verb in ("fork", "reset", "rerun", "rerun-deterministic"):
        url = f"{ada.base}/executions/{id}/{verb}"
        check_problem(await plane.client.post(url, json={"node": "log"}, headers=ada.auth), 404)
    made = await plane.client.post(f"{bob.base}/executions/bulk", json={"verb": "cancel"}, headers=bob.auth)
    url = f"{ada.base}/executions/bulk/{made.json()['bulk']['id']}"
    check_problem(await plane.client.get(url, headers=ada.auth), 404)
    check_problem(await plane.client.post(f"{url}/cancel", headers=ada.auth), 404)
    assert (await plane.client.get(f"{ada.base}/executions/bulk", headers=ada.auth)).json()["data"] == []
