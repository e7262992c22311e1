"""A closer look at runs: node runs by size, logs, timelines, states, differences; statistics and usage."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from linkflow.contracts.usage import UsageSpan
from linkflow.domain import events as e
from linkflow.domain.outcomes import NodeError
from linkflow.ports import Words
from tests.integration.control.plane import Person, Plane, check_problem
from tests.integration.control.test_http_executions import AT, _run

ROWS = [{"row": number, "text": "x" * 200} for number in range(400)]


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


def _worked(output: Any, *, logs: tuple[str, ...] = ()) -> list[e.Event]:
    error = NodeError("http_500", "The server said 500.", True)
    return [
        e.NodeScheduled(event_id=2, at=AT + 1, node="log", sources=("start",)),
        e.NodeFailed(event_id=3, at=AT + 9, node="log", attempt=1, error=error, final=False, started_at=AT + 4),
        e.NodeRetryScheduled(event_id=4, at=AT + 9, node="log", attempt=2, due_at=AT + 20),
        e.NodeScheduled(event_id=5, at=AT + 20, node="log", attempt=2, sources=("start",)),
        e.NodeCompleted(
            event_id=6, at=AT + 50, node="log", attempt=2, output=output, started_at=AT + 30, duration_us=20_000,
            logs=logs,
        ),
        e.ExecutionCompleted(event_id=7, at=AT + 50, result=output),
    ]  # fmt: skip


async def _get(plane: Plane, who: Person, path: str, **params: Any) -> Any:
    response = await plane.client.get(f"{who.base}{path}", params=params, headers=who.auth)
    assert response.status_code == 200, response.text
    return response.json()


async def test_a_large_output_comes_as_a_preview_and_by_page(plane: Plane):
    ada = await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_worked(ROWS), status="completed")
    rows = (await _get(plane, ada, f"/executions/{id}/nodes"))["data"]
    seen = rows[1]["output"]["$preview"]
    assert (rows[1]["input"], seen["type"], seen["count"]) == ({"n": 1}, "array", 400)
    assert seen["size"] == len(msgspec.json.encode(ROWS))
    assert len(seen["head"]) == 500
    page = (await plane.client.get(seen["href"], params={"offset": 398}, headers=ada.auth)).json()
    assert page["data"] == ROWS[398:]
    assert page["meta"] == {"type": "array", "total": 400, "offset": 398, "next_offset": None}
    deep = (await plane.client.get(seen["href"], params={"pointer": "/7/text", "limit": 5}, headers=ada.auth)).json()
    assert (deep["data"], deep["meta"]["next_offset"]) == ("xxxxx", 5)
    whole = (await _get(plane, ada, f"/executions/{id}/nodes/log"))["node"]
    assert whole["output"] == ROWS
    asked = (await _get(plane, ada, f"/executions/{id}/nodes", inline=1_000_000))["data"]
    assert asked[1]["output"] == ROWS
    for tail in ("/nodes/nobody", "/nodes/log/sideways", "/nodes/log/output?pointer=/9999"):
        check_problem(await plane.client.get(f"{ada.base}/executions/{id}{tail}", headers=ada.auth), 404, "not_found")
    wrong = await plane.client.get(f"{ada.base}/executions/{id}/nodes/log/output?pointer=x", headers=ada.auth)
    assert check_problem(wrong, 422)["errors"][0]["code"] == "bad_pointer"


async def test_the_log_by_level_node_and_cursor(plane: Plane):
    ada = await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(
        plane, ada, workflow["id"], *_worked({}, logs=("INFO a: one", "DEBUG a: two", "three")), status="completed"
    )
    path = f"/executions/{id}/logs"
    page = await _get(plane, ada, path)
    assert [(line["level"], line["source"], line["message"]) for line in page["data"]] == [
        ("error", "engine", "http_500: The server said 500."), ("info", "node", "a: one"), ("debug", "node", "a: two"),
        ("info", "node", "three"),
    ]  # fmt: skip
    assert page["meta"] == {"cursor": "7", "more": False, "closed": True}
    assert len((await _get(plane, ada, path, level="error"))["data"]) == 1
    assert (await _get(plane, ada, path, node="other"))["data"] == []
    seen, cursor, more = [], "", True
    while more:
        page = await _get(plane, ada, path, limit=1, cursor=cursor)
        seen += [line["message"] for line in page["data"]]
        cursor, more = page["meta"]["cursor"], page["meta"]["more"]
    assert seen == ["http_500: The server said 500.", "a: one", "a: two", "three"]
    for cursor in ("x", "1.x", "99999999999"):
        wrong = await plane.client.get(f"{ada.base}{path}?cursor={cursor}", headers=ada.auth)
        assert check_problem(wrong, 422)["errors"][0]["code"] == "bad_cursor"


async def test_the_timeline(plane: Plane):
    ada = await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_worked({}), status="completed")
    found = (await _get(plane, ada, f"/executions/{id}/timeline"))["timeline"]
    assert found["ended_at"] == "2025-11-24T16:00:00.050Z"
    track = found["nodes"][1]
    assert (track["key"], track["type"], track["attempt"]) == ("log", "output_log", 2)
    assert [span["phase"] for span in track["spans"]] == ["queued", "ran", "backoff", "queued", "ran"]
    assert (track["queued_ms"], track["ran_ms"], track["backoff_ms"], track["waited_ms"]) == (13, 25, 11, 0)


async def test_the_state_at_any_event(plane: Plane):
    ada = await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_worked(ROWS), status="completed")
    path = f"/executions/{id}/state"
    then = (await _get(plane, ada, path, at=3))["state"]
    assert (then["status"], then["version"], then["runs"]["log"]["error"]["code"]) == ("running", 3, "http_500")
    now = (await _get(plane, ada, path))["state"]
    assert (now["status"], now["version"]) == ("completed", 7)
    assert now["runs"]["log"]["output"]["$preview"]["count"] == 400
    wrong = await plane.client.get(f"{ada.base}{path}?at=99", headers=ada.auth)
    assert check_problem(wrong, 422)["errors"][0]["pointer"] == "/at"


async def test_what_another_run_did_otherwise(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    workflow = await plane.workflow(ada)
    first = _run(plane, ada, workflow["id"], *_worked({"n": 1}), status="completed")
    second = _run(plane, ada, workflow["id"], *_worked({"n": 2}), status="completed")
    found = (await _get(plane, ada, f"/executions/{first}/diff", **{"with": second}))["diff"]
    assert (found["nodes"]["same"], found["execution"], found["path"]) == (["start"], {}, None)
    assert found["nodes"]["changed"][0]["output"] == [{"path": "/n", "before": 1, "after": 2}]
    assert found["result"] == [{"path": "/n", "before": 1, "after": 2}]
    same = (await _get(plane, ada, f"/executions/{first}/diff", **{"with": first}))["diff"]
    assert same["nodes"]["changed"] == []
    theirs = _run(plane, bob, workflow["id"], *_worked({}), status="completed")
    for other in (theirs, "x"):
        response = await plane.client.get(f"{ada.base}/executions/{first}/diff?with={other}", headers=ada.auth)
        check_problem(response, 404 if other == theirs else 422)


async def test_nothing_of_another_workspace_is_shown(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_worked({}), status="completed")
    for tail in ("/nodes/log", "/nodes/log/output", "/logs", "/timeline", "/state", f"/diff?with={id}"):
        response = await plane.client.get(f"{bob.base}/executions/{id}{tail}", headers=bob.auth)
        check_problem(response, 404, "not_found")


async def test_filters_reach_the_search(plane: Plane):
    ada = await plane.somebody()
    asked = {
        "error_code": "http_500", "text": "late order", "version": 3, "min_duration": 1.5, "status": "failed",
        "attribute": ["customer=acme", "amount>=100", "note=a>=b"], "started_after": "2026-11-01T00:00:00Z",
    }  # fmt: skip
    page = await _get(plane, ada, "/executions", **asked)
    assert page == {"data": [], "meta": {"next_cursor": None, "per_page": 20}}
    given = plane.frontend.last
    assert (given.status, given.limit, given.filter.version, given.filter.min_ms) == ("failed", 20, 3, 1500)
    assert [(one.name, one.operator, one.value) for one in given.filter.attributes] == [
        ("customer", "=", "acme"), ("amount", ">=", "100"), ("note", "=", "a>=b")
    ]  # fmt: skip
    await _get(plane, ada, "/executions", status="failed")
    assert plane.frontend.last.filter is None
    wrong = await plane.client.get(f"{ada.base}/executions", params={"attribute": ["a=1", "b"]}, headers=ada.auth)
    assert check_problem(wrong, 422)["errors"][0]["pointer"] == "/attribute/1"
    body = {"verb": "retry", "filter": {"text": "late", "attributes": ["x>1"]}}
    begun = await plane.client.post(f"{ada.base}/executions/bulk", json=body, headers=ada.auth)
    assert begun.status_code == 202
    assert plane.frontend.last.filter.more.text == "late"


async def test_a_run_streams_its_events_and_a_client_comes_back_where_it_was(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_worked({}), status="completed")
    path = f"{ada.base}/executions/{id}/stream"
    answer = await plane.client.get(path, headers=ada.auth)
    assert answer.headers["content-type"].startswith("text/event-stream")
    parts = [part for part in answer.text.split("\n\n") if part.startswith("id:")]
    assert [part.split("\n")[0] for part in parts] == [*(f"id: {n}" for n in range(1, 8)), "id: 7"]
    assert parts[0].split("\n")[1] == "event: ExecutionStarted"
    assert msgspec.json.decode(parts[-1].partition("data: ")[2]) == {"execution_id": id, "status": "completed"}
    again = await plane.client.get(path, headers={**ada.auth, "Last-Event-ID": "5"})
    assert [part.split("\n")[0] for part in again.text.split("\n\n")[1:4]] == ["id: 6", "id: 7", "id: 7"]
    check_problem(await plane.client.get(f"{bob.base}/executions/{id}/stream", headers=bob.auth), 404)


async def test_what_a_model_writes_comes_between_the_events(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    workflow = await plane.workflow(ada)
    id = _run(plane, ada, workflow["id"], *_worked({})[:1], status="running")
    live = plane.services.following._live
    await live.publish(id, [Words("ask", 1, "text", "Once ", AT), Words("ask", 1, "text", "upon", AT)])
    page = await _get(plane, ada, f"/executions/{id}/words")
    assert [(one["node"], one["text"], one["kind"]) for one in page["data"]] == [
        ("ask", "Once ", "text"), ("ask", "upon", "text"),
    ]  # fmt: skip
    rest = await _get(plane, ada, f"/executions/{id}/words", cursor=page["data"][0]["cursor"])
    assert rest == {"data": page["data"][1:], "meta": page["meta"]}
    path = f"{ada.base}/executions/{id}/stream"
    seen: list[tuple[str, str]] = []
    place = ""
    for _ in range(2):  # a host that gives answers out whole: the client comes back
        answer = await plane.client.get(
            f"{path}?words=true", headers={**ada.auth, **({"Last-Event-ID": place} if place else {})}
        )
        for part in answer.text.split("\n\n"):
            if part.startswith("id:"):
                place, kind = (line.partition(": ")[2] for line in part.split("\n")[:2])
                seen.append((place, kind))
    assert seen[:2] == [("1", "ExecutionStarted"), ("2", "NodeScheduled")]
    assert seen[2:] == [(f"2.{one['cursor']}", "words") for one in page["data"]]
    for tail in ("words", "stream"):
        check_problem(await plane.client.get(f"{bob.base}/executions/{id}/{tail}", headers=bob.auth), 404)
    check_problem(await plane.client.get(f"{ada.base}/executions/{id}/words?cursor=x", headers=ada.auth), 422)


async def test_changes_of_the_workspace(plane: Plane):
    ada = await plane.somebody()
    first = await _get(plane, ada, "/executions/changes")
    assert (first["data"], first["meta"]["reset"]) == ([], True)
    told = {
        "id": "e",
        "workflow_id": "w",
        "workflow_version": 1,
        "status": "running",
        "mode": "api",
        "version": 2,
        "at": AT,
    }
    await plane.services.following._audience.tell("space", [msgspec.json.encode(told)])
    page = await _get(plane, ada, "/executions/changes", cursor=first["meta"]["cursor"], wait=1)
    assert page["data"][0]["status"] == "running"
    assert page["data"][0]["completed_at"] is None
    assert not page["meta"]["reset"]
    stream = await plane.client.get(
        f"{ada.base}/executions/stream", headers={**ada.auth, "Last-Event-ID": first["meta"]["cursor"]}
    )
    assert f"id: {page['meta']['cursor']}\nevent: change\n" in stream.text
    check_problem(await plane.client.get(f"{ada.base}/executions/changes?cursor=x", headers=ada.auth), 422)


async def test_how_long_runs_are_kept(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    workflow, theirs = await plane.workflow(ada), await plane.workflow(bob)
    assert (await _get(plane, ada, "/retention"))["retention"] == {"days": None, "workflows": {}, "unset_days": 90}
    body = {"days": 30, "workflows": {workflow["id"]: 7}}
    put = await plane.client.put(f"{ada.base}/retention", json=body, headers=ada.auth)
    assert put.json()["retention"] == {**body, "unset_days": 90}
    assert (await _get(plane, ada, "/retention"))["retention"]["days"] == 30
    assert (await _get(plane, bob, "/retention"))["retention"]["days"] is None
    wrong = {"workflows": {theirs["id"]: 7, "x": 1, workflow["id"]: 0}}
    refused = check_problem(await plane.client.put(f"{ada.base}/retention", json=wrong, headers=ada.auth), 422)
    assert {fault["code"] for fault in refused["errors"]} == {"unknown_workflow", "bad_days"}
    assert (await _get(plane, ada, "/retention"))["retention"]["workflows"] == {workflow["id"]: 7}
    cleared = await plane.client.put(f"{ada.base}/retention", json={}, headers=ada.auth)
    assert cleared.json()["retention"] == {"days": None, "workflows": {}, "unset_days": 90}


HOUR = 3_600_000


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


async def test_statistics_and_usage(plane: Plane):
    ada = await plane.somebody()
    now = plane.clock.now_ms()
    hour = now - now % HOUR
    ended = {"completed": 3, "failed": 1}
    plane.frontend.spans = [
        UsageSpan(hour - HOUR, 4, ended, 40, 9_000, 1000, (0, 0, 4)), UsageSpan(hour, 1, {}, 2, 500, 10, (), 7, 3, 12_000)
    ]  # fmt: skip
    found = (await _get(plane, ada, "/executions/stats"))["stats"]
    assert len(found["series"]) == 24
    last, current = found["series"][-2:]
    assert (last["started"], last["ended"], last["failed"], last["error_rate"]) == (4, 4, 1, 0.25)
    assert 1 <= last["p50_ms"] <= last["p95_ms"] <= 1.5
    assert (current["started"], current["error_rate"], current["p50_ms"]) == (1, None, None)
    assert (found["total"]["started"], found["open"]) == (5, {"running": {"count": 2, "more": False}})
    used = (await _get(plane, ada, "/usage"))["usage"]
    assert len(used["days"]) == 30
    assert used["total"] == {
        "executions": 5, "executions_ended": 4, "node_runs": 42, "compute_ms": 9.5, "payload_bytes": 1010,
        "ai": {"input_tokens": 7, "output_tokens": 3, "cost_usd": 0.012},
    }  # fmt: skip
    ranged = await _get(plane, ada, "/executions/stats", **{"from": _iso(hour - 2 * HOUR), "to": _iso(hour)})
    assert [one["started"] for one in ranged["stats"]["series"]] == [0, 4]
    for wrong in ({"from": _iso(hour), "to": _iso(hour - HOUR)}, {"from": "2020-01-01T00:00:00Z"}, {"bucket": "week"}):
        response = await plane.client.get(f"{ada.base}/executions/stats", params=wrong, headers=ada.auth)
        check_problem(response, 422)
