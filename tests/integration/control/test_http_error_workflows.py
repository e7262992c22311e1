"""Naming an error workflow, and the links between a failed run and what it started."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from linkflow.domain.ids import uuid7
from tests.integration.control.plane import Plane, check_problem
from tests.integration.control.test_http_executions import AT, _finished, _run


def _document(error_workflow: Any, **more: Any) -> dict[str, Any]:
    nodes = [{"id": "start", "type": "trigger_manual"}]
    return {"name": "Orders", "nodes": nodes, "edges": [], "settings": {"error_workflow": error_workflow}, **more}


async def test_it_is_saved_where_it_is_there(plane: Plane):
    ada = await plane.person()
    other = await plane.workflow(ada)
    made = await plane.client.post(f"{ada.base}/workflows", json=_document(other["id"]), headers=ada.auth)
    assert made.status_code == 201, made.text
    workflow = made.json()["workflow"]
    assert workflow["settings"]["error_workflow"] == other["id"]
    path = f"{ada.base}/workflows/{workflow['id']}"
    itself = await plane.client.put(path, json=_document(workflow["id"]), headers=ada.auth)
    assert itself.json()["workflow"]["settings"]["error_workflow"] == workflow["id"]


@pytest.mark.parametrize("kind", ["unknown", "no id", "foreign", "deleted"])
async def test_it_is_refused_where_it_is_not(plane: Plane, kind: str):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    named = {"unknown": uuid7(AT, 1, 1), "no id": "elsewhere"}.get(kind)
    if named is None:
        owner = bob if kind == "foreign" else ada
        named = (await plane.workflow(owner))["id"]
        if kind == "deleted":
            await plane.client.delete(f"{ada.base}/workflows/{named}", headers=ada.auth)
    mine = await plane.workflow(ada)
    path = f"{ada.base}/workflows/{mine['id']}"
    for method, address, body in [
        ("POST", f"{ada.base}/workflows", _document(named)),
        ("PUT", path, _document(named)),
        ("PATCH", path, {"settings": {"error_workflow": named}}),
    ]:
        refused = await plane.client.request(method, address, json=body, headers=ada.auth)
        check_problem(refused, 422, "invalid_definition")
        assert [(e["pointer"], e["code"]) for e in refused.json()["errors"]] == [
            ("/settings/error_workflow", "unknown_workflow")
        ]


async def test_it_is_one_of_all_problems(plane: Plane):
    ada = await plane.person()
    document = _document(uuid7(AT, 1, 1), name="")
    refused = await plane.client.post(f"{ada.base}/workflows", json=document, headers=ada.auth)
    check_problem(refused, 422, "invalid_definition")
    assert {e["pointer"] for e in refused.json()["errors"]} == {"/name", "/settings/error_workflow"}


async def test_a_failed_run_and_its_answer_name_each_other(plane: Plane):
    ada = await plane.person()
    workflow = (await plane.workflow(ada))["id"]
    failed, answer = (_run(plane, ada, workflow, *_finished(), status="completed") for _ in range(2))
    runs = plane.frontend.executions
    runs[failed] = replace(runs[failed], error_runs=(answer,))
    runs[answer] = replace(runs[answer], mode="error", parent_id=failed)
    shown = (await plane.client.get(f"{ada.base}/executions/{failed}", headers=ada.auth)).json()["execution"]
    assert (shown["error_executions"], shown["caused_by"]) == ([answer], None)
    shown = (await plane.client.get(f"{ada.base}/executions/{answer}", headers=ada.auth)).json()["execution"]
    assert (shown["error_executions"], shown["caused_by"], shown["parent_execution_id"]) == ([], failed, None)
    listed = await plane.client.get(f"{ada.base}/executions?mode=error", headers=ada.auth)
    assert listed.status_code == 200
    assert plane.frontend.last.mode == "error"
