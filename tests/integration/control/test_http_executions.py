"""Looking at runs, following them, and the control verbs."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from linkflow.contracts.history import Execution
from linkflow.domain import events as e
from linkflow.domain.evolve import fold
from linkflow.domain.ids import uuid7
from linkflow.domain.outcomes import NodeError
from linkflow.domain.state import encode
from tests.integration.control.plane import Person, Plane, check_problem

AT = 1_764_000_000_000


def _run(plane: Plane, who: Person, workflow_id: str, *more: e.Event, status: str = "running") -> str:
    id = uuid7(AT + len(plane.frontend.executions), 0, random.getrandbits(62))
    started = e.ExecutionStarted(
        event_id=1, at=AT, workspace_id=who.workspace_id, workflow_id=workflow_id, workflow_version=1,
        trigger_node="start", trigger={"n": 1},
    )  # fmt: skip
    history = [started, *more]
    state = fold(id, history)
    closed_at = history[-1].at if status != "running" else 0
    plane.frontend.executions[id] = Execution(
        id, who.workspace_id, workflow_id, 1, status, "manual", len(history), AT, closed_at,
        state=msgspec.Raw(encode(state)),
    )  # fmt: skip
    plane.frontend.events[id] = msgspec.json.decode(e.encode(history))
    return id


def _finished() -> list[e.Event]:
    return [
        e.NodeScheduled(event_id=2, at=AT + 1, node="log", sources=("start",)),
        e.NodeCompleted(
            event_id=3, at=AT + 9, node="log", attempt=1, output={"logged": True}, started_at=AT + 4, duration_us=4500
        ),
        e.ExecutionCompleted(event_id=4, at=AT + 9, result={"logged": True}),
    ]


async def test_show_and_list(plane: Plane):
    ada = await plane.person()
    workflow = await plane.workflow(ada)
    ids = [_run(plane, ada, workflow["id"], *_finished(), status="completed") for _ in range(3)]
    shown = (await plane.client.get(f"{ada.base}/executions/{ids[0]}", headers=ada.auth)).json()["execution"]
    assert (shown["status"], shown["result"], shown["trigger_data"]) == ("completed", {"logged": True}, {"n": 1})
    assert (shown["started_at"], shown["duration_ms"]) == ("2025-11-24T16:00:00.000Z", 9)
    assert shown["nodes"]["log"] == {"status": "completed", "attempt": 1}
    first = (await plane.client.get(f"{ada.base}/executions?per_page=2", headers=ada.auth)).json()
    assert [run["id"] for run in first["data"]] == [ids[2], ids[1]]
    assert first["meta"]["next_cursor"] == ids[1]
    rest = await plane.client.get(f"{ada.base}/executions?cursor={ids[1]}&status=completed", headers=ada.auth)
    assert ([run["id"] for run in rest.json()["data"]], rest.json()["meta"]["next_cursor"]) == ([ids[0]], None)
    below = await plane.client.get(f"{ada.base}/workflows/{workflow['id']}/executions", headers=ada.auth)
    assert len(below.json()["data"]) == 3
    assert plane.frontend.last.workflow_id == workflow["id"]
    gone = await plane.client.delete(f"{ada.base}/executions/{ids[0]}", headers=ada.auth)
    assert (gone.status_code, plane.frontend.last.verb) == (200, "delete")
    bob = await plane.somebody()
    check_problem(await plane.client.delete(f"{bob.base}/executions/{ids[0]}", headers=bob.auth), 404)


async def test_a_run_that_waits_says_for_what(plane: Plane):
    ada = await plane.person()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], status="queued")
    queued = e.ExecutionQueued(
        event_id=1, at=AT, workspace_id=ada.workspace_id, workflow_id=workflow["id"], workflow_version=1,
        trigger_node="start", line="concurrency", key="acme", trigger={"n": 1},
    )  # fmt: skip
    state = fold(id, [queued])
    plane.frontend.executions[id] = Execution(
        id, ada.workspace_id, workflow["id"], 1, "queued", "manual", 1, 0, state=msgspec.Raw(encode(state)), position=2
    )
    shown = (await plane.client.get(f"{ada.base}/executions/{id}", headers=ada.auth)).json()["execution"]
    assert (shown["status"], shown["started_at"], shown["nodes"]) == ("queued", None, {})
    assert shown["waiting"] == {
        "for": "concurrency", "key": "acme", "since": "2025-11-24T16:00:00.000Z", "until": None, "position": 2,
        "collected": None,
    }  # fmt: skip
    for status in ("queued", "collecting"):
        response = await plane.client.get(f"{ada.base}/executions?status={status}", headers=ada.auth)
        assert (response.status_code, plane.frontend.last.status) == (200, status)


@pytest.mark.parametrize(
    "query", ["status=odd", "mode=odd", "cursor=odd", "workflow_id=odd", "per_page=1000", "per_page=-1", "status=%ff"]
)
async def test_filters_that_cannot_be(plane: Plane, query: str):
    ada = await plane.person()
    check_problem(await plane.client.get(f"{ada.base}/executions?{query}", headers=ada.auth), 422)


async def test_unknown_and_foreign_runs(plane: Plane):
    ada, bob = await plane.person(), await plane.person("bob@example.com", "Bob")
    foreign = _run(plane, bob, (await plane.workflow(bob))["id"])
    for id in (foreign, uuid7(AT, 0, 5), "nonsense", foreign.upper()):
        for tail in ("", "/history", "/events", "/nodes"):
            check_problem(await plane.client.get(f"{ada.base}/executions/{id}{tail}", headers=ada.auth), 404)


async def test_history_in_pages(plane: Plane):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"], *_finished(), status="completed")
    url = f"{ada.base}/executions/{id}/history"
    first = (await plane.client.get(f"{url}?limit=3", headers=ada.auth)).json()
    assert [event["event_id"] for event in first["data"]] == [1, 2, 3]
    assert first["meta"] == {"last_event_id": 3, "more": True}
    event = first["data"][2]
    assert {"event_id", "at", "type", "version", "attributes"} == event.keys()
    assert (event["type"], event["at"], event["version"]) == ("NodeCompleted", "2025-11-24T16:00:00.009Z", 1)
    assert event["attributes"]["output"] == {"logged": True}
    rest = (await plane.client.get(f"{url}?after=3", headers=ada.auth)).json()
    assert [event["event_id"] for event in rest["data"]] == [4]
    none = (await plane.client.get(f"{url}?after=4&wait=20", headers=ada.auth)).json()
    assert none == {"data": [], "meta": {"last_event_id": 4, "more": False}}  # a closed run is not waited for
    assert plane.clock.ahead_ms == 0
    for query in ("after=-1", "after=99999999999", "limit=0", "wait=21", "wait=x"):
        check_problem(await plane.client.get(f"{url}?{query}", headers=ada.auth), 422)


async def test_events_as_json_lines_of_any_length(plane: Plane):
    ada = await plane.person()
    more = [e.NodeSkipped(event_id=i, at=AT + i, node=f"n{i}\n") for i in range(2, 2502)]
    id = _run(plane, ada, (await plane.workflow(ada))["id"], *more)
    async with plane.client.stream("GET", f"{ada.base}/executions/{id}/events", headers=ada.auth) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
        assert answer.headers["cache-control"] == "no-store"
        lines = [msgspec.json.decode(line) async for line in answer.aiter_lines()]
    assert [line["event_id"] for line in lines] == list(range(1, 2502))
    assert {line["execution_id"] for line in lines} == {id}
    first = (await plane.client.get(f"{ada.base}/executions/{id}/history?limit=1", headers=ada.auth)).json()["data"][0]
    assert lines[0] == {"execution_id": id, **first}
    unknown = f"{ada.base}/executions/{uuid7(1, 1, 1)}/events"
    check_problem(await plane.client.get(unknown, headers=ada.auth), 404, "not_found")


async def test_history_waits_for_what_comes(plane: Plane):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"])
    url = f"{ada.base}/executions/{id}/history?after=1&wait=3"
    empty = (await plane.client.get(url, headers=ada.auth)).json()
    assert (empty["data"], plane.clock.ahead_ms >= 2000) == ([], True)
    plane.frontend.events[id] += msgspec.json.decode(e.encode(_finished()[:1]))
    assert len((await plane.client.get(url, headers=ada.auth)).json()["data"]) == 1


async def test_nodes(plane: Plane):
    ada = await plane.person()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_finished(), status="completed")
    body = (await plane.client.get(f"{ada.base}/executions/{id}/nodes", headers=ada.auth)).json()
    start, log = body["data"]
    assert (start["key"], start["status"], start["output"]) == ("start", "completed", {"n": 1})
    assert (log["node_id"], log["type"], log["name"]) == ("log", "output_log", "log")
    assert (log["input"], log["output"], log["duration_ms"]) == ({"n": 1}, {"logged": True}, 4.5)
    assert log["started_at"] == "2025-11-24T16:00:00.004Z"
    assert body["meta"] == {"next_cursor": None, "per_page": 1000, "total": 2}
    page = (await plane.client.get(f"{ada.base}/executions/{id}/nodes?per_page=1", headers=ada.auth)).json()
    assert (len(page["data"]), page["meta"]["next_cursor"]) == (1, "1")


async def test_a_failed_node(plane: Plane):
    ada = await plane.person()
    workflow = await plane.workflow(ada)
    error = NodeError("boom", "It broke.", False)
    id = _run(
        plane,
        ada,
        workflow["id"],
        e.NodeScheduled(event_id=2, at=AT + 1, node="log", sources=("start",)),
        e.NodeFailed(event_id=3, at=AT + 5, node="log", attempt=1, error=error),
        e.ExecutionFailed(event_id=4, at=AT + 5, error=error, node="log"),
        status="failed",
    )
    shown = (await plane.client.get(f"{ada.base}/executions/{id}", headers=ada.auth)).json()["execution"]
    assert (shown["error"]["code"], shown["failed_node"]) == ("boom", "log")
    body = (await plane.client.get(f"{ada.base}/executions/{id}/nodes", headers=ada.auth)).json()
    assert (body["data"][1]["status"], body["data"][1]["error"]["code"]) == ("failed", "boom")


@pytest.mark.parametrize(
    ("verb", "status"), [("cancel", "cancelled"), ("terminate", "terminated"), ("retry", "running")]
)
async def test_control(plane: Plane, verb: str, status: str):
    ada = await plane.person()
    id = _run(plane, ada, (await plane.workflow(ada))["id"])
    url = f"{ada.base}/executions/{id}/{verb}"
    response = await plane.client.post(url, json={"reason": "enough"}, headers=ada.auth)
    assert response.json()["execution"] == {"id": id, "status": status}
    request: Any = plane.frontend.last
    assert (request.verb, request.reason, request.actor) == (verb, "enough", f"user:{ada.user_id}")
    assert (await plane.client.post(url, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.post(url, json={"reason": 1}, headers=ada.auth), 422)
    check_problem(await plane.client.post(f"{ada.base}/executions/x/{verb}", headers=ada.auth), 404)


async def test_a_run_shows_what_it_is_near_to(plane: Plane):
    ada = await plane.person()
    workflow = await plane.workflow(ada)
    said = e.LimitApproached(event_id=2, at=AT + 5, limit="events", value=40_000, max=50_000)
    id = _run(plane, ada, workflow["id"], said)
    shown = (await plane.client.get(f"{ada.base}/executions/{id}", headers=ada.auth)).json()["execution"]
    assert shown["warnings"] == [{"limit": "events", "value": 40_000, "max": 50_000, "at": "2025-11-24T16:00:00.005Z"}]
    quiet = _run(plane, ada, workflow["id"])
    shown = (await plane.client.get(f"{ada.base}/executions/{quiet}", headers=ada.auth)).json()["execution"]
    assert shown["warnings"] == []
