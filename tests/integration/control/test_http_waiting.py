"""Events from outside, approvals, pause and resume."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from linkflow.contracts.history import Approval, Execution
from linkflow.domain import events as e
from linkflow.domain.errors import Conflict
from linkflow.domain.evolve import fold
from linkflow.domain.ids import uuid7
from linkflow.domain.outcomes import NodeError
from linkflow.domain.state import encode
from linkflow.services.world import approval_id
from tests.integration.control.plane import Person, Plane, check_problem

AT = 1_764_000_000_000
LATE = NodeError("timeout", "The attempt passed its wait timeout.", False)
ASKED = [
    e.NodeScheduled(event_id=2, at=AT + 1, node="ask"),
    e.ApprovalRequested(
        event_id=3, at=AT + 2, node="ask", attempt=1, title="Ship it?", payload={"n": 1}, assignees=("ada",),
        due_at=AT + 60_000, escalate_at=AT + 30_000, escalate_to=("eve",),
    ),
]  # fmt: skip


@pytest.fixture
async def ada(plane: Plane) -> Person:
    return await plane.somebody()


async def _run(plane: Plane, who: Person, *more: e.Event, status: str = "running") -> str:
    id = uuid7(AT + len(plane.frontend.executions), 0, random.getrandbits(62))
    workflow_id = (await plane.workflow(who))["id"]
    started = e.ExecutionStarted(
        event_id=1, at=AT, workspace_id=who.workspace_id, workflow_id=workflow_id, workflow_version=1,
        trigger_node="start",
    )  # fmt: skip
    history = [started, *more]
    state = msgspec.Raw(encode(fold(id, history)))
    plane.frontend.executions[id] = Execution(
        id, who.workspace_id, workflow_id, 1, status, "manual", len(history), AT, state=state
    )
    plane.frontend.events[id] = msgspec.json.decode(e.encode(history))
    return id


def _ask(plane: Plane, who: Person, execution: str, node: str = "ask") -> str:
    """An open approval; its id."""
    workflow = plane.frontend.executions[execution].workflow_id
    found = Approval(execution, workflow, node, 1, AT, "Ship it?", assignees=("ada",), due_at=AT + 60_000)
    plane.frontend.approvals_open.append((who.workspace_id, found))
    return approval_id(execution, node)


@pytest.mark.parametrize(("verb", "status"), [("pause", "paused"), ("resume", "running")])
async def test_pause_and_resume(plane: Plane, ada: Person, verb: str, status: str):
    id = await _run(plane, ada)
    url = f"{ada.base}/executions/{id}/{verb}"
    response = await plane.client.post(url, json={"reason": "look"}, headers=ada.auth)
    assert response.json()["execution"] == {"id": id, "status": status}
    request: Any = plane.frontend.last
    assert (request.verb, request.reason, request.actor) == (verb, "look", f"user:{ada.user_id}")
    plane.frontend.error = Conflict("A run that is completed cannot take it.")
    check_problem(await plane.client.post(url, headers=ada.auth), 409, "conflict")
    check_problem(await plane.client.post(f"{ada.base}/executions/x/{verb}", headers=ada.auth), 404)


async def test_a_paused_run_is_listed_as_such_and_still_waited_for(plane: Plane, ada: Person):
    id = await _run(plane, ada, e.ExecutionPaused(event_id=2, at=AT + 1), status="paused")
    await _run(plane, ada)
    listed = (await plane.client.get(f"{ada.base}/executions?status=paused", headers=ada.auth)).json()
    assert [run["id"] for run in listed["data"]] == [id]
    shown = (await plane.client.get(f"{ada.base}/executions/{id}", headers=ada.auth)).json()["execution"]
    assert (shown["status"], shown["completed_at"]) == ("paused", None)
    await plane.client.get(f"{ada.base}/executions/{id}/history?after=2&wait=3", headers=ada.auth)
    assert plane.clock.ahead_ms > 2000  # the clock is real otherwise


async def test_nodes_that_wait_say_so(plane: Plane, ada: Person):
    wait = e.WaitStarted(event_id=3, at=AT + 2, node="wait", attempt=1, name="paid")
    for events in (ASKED, [e.NodeScheduled(event_id=2, at=AT + 1, node="wait"), wait]):
        id = await _run(plane, ada, *events)
        rows = (await plane.client.get(f"{ada.base}/executions/{id}/nodes", headers=ada.auth)).json()["data"]
        assert rows[1]["status"] == "waiting"


async def test_signal(plane: Plane, ada: Person):
    id = await _run(plane, ada)
    url = f"{ada.base}/executions/{id}/signal"
    form = {"name": "paid", "key": "42", "payload": {"sum": 3}, "signal_id": "s1"}
    response = await plane.client.post(url, json=form, headers=ada.auth)
    assert response.status_code == 202
    assert response.json()["execution"] == {"id": id, "status": "running"}
    request: Any = plane.frontend.last
    assert (request.signal_id, request.name, request.key, request.payload) == ("s1", "paid", "42", {"sum": 3})
    assert (request.execution_id, request.actor) == (id, f"user:{ada.user_id}")
    await plane.client.post(url, json={"name": "paid"}, headers={**ada.auth, "Idempotency-Key": "key"})
    assert plane.frontend.last.signal_id == "key"
    given = (await plane.client.post(url, json={"name": "paid"}, headers=ada.auth)).json()["signal_id"]
    assert plane.frontend.last.signal_id == given != ""
    for wrong in ({}, {"name": ""}, {"name": "x" * 201}, {"name": "x", "key": "x" * 201}, {"name": 1}):
        check_problem(await plane.client.post(url, json=wrong, headers=ada.auth), 422)
    for other in (uuid7(AT, 0, 1), "x"):
        check_problem(
            await plane.client.post(f"{ada.base}/executions/{other}/signal", json=form, headers=ada.auth), 404
        )
    plane.frontend.error = Conflict("The run is completed.")
    check_problem(await plane.client.post(url, json=form, headers=ada.auth), 409, "conflict")


async def test_an_event_is_delivered_or_kept(plane: Plane, ada: Person):
    url = f"{ada.base}/events/order/paid"
    kept = await plane.client.post(url, json={"key": "42", "data": {"sum": 3}, "keep": 60}, headers=ada.auth)
    assert (kept.status_code, kept.json()["execution_ids"]) == (202, [])
    request: Any = plane.frontend.last
    assert (request.name, request.key, request.payload, request.keep) == ("order/paid", "42", {"sum": 3}, 60)
    assert (request.workspace_id, request.actor) == (ada.workspace_id, f"user:{ada.user_id}")
    assert kept.json()["event"] == {"id": request.event_id, "name": "order/paid", "key": "42"}
    plane.frontend.took = (uuid7(AT, 0, 1),)
    taken = (await plane.client.post(url, json={}, headers=ada.auth)).json()
    assert (taken["message"], taken["execution_ids"]) == ("Event delivered.", list(plane.frontend.took))
    for wrong in ({"keep": 0}, {"keep": 10**9}, {"key": 5}, {"id": "x" * 201}):
        check_problem(await plane.client.post(url, json=wrong, headers=ada.auth), 422)
    check_problem(await plane.client.post(f"{ada.base}/events/{'x' * 201}", json={}, headers=ada.auth), 422)


async def test_an_event_that_is_sent_twice_is_sent_once(plane: Plane, ada: Person):
    url = f"{ada.base}/events/paid"
    for form, headers in (({"id": "e1", "data": 1}, {}), ({"data": 1}, {"Idempotency-Key": "e2"})):
        count = len(plane.frontend.calls)
        first = await plane.client.post(url, json=form, headers={**ada.auth, **headers})
        second = await plane.client.post(url, json=form, headers={**ada.auth, **headers})
        assert first.json() == second.json()
        assert second.headers["idempotency-replayed"] == "true"
        assert len(plane.frontend.calls) == count + 1
        assert plane.frontend.last.event_id in ("e1", "e2")
        other = await plane.client.post(url, json={**form, "data": 2}, headers={**ada.auth, **headers})
        check_problem(other, 422)


async def test_the_inbox_in_pages(plane: Plane, ada: Person):
    bob = await plane.somebody()
    _ask(plane, bob, await _run(plane, bob))
    run = await _run(plane, ada)
    ids = sorted(_ask(plane, ada, run, node) for node in ("a", "b", "c", "d e/f[0]", "~%ü"))
    found, cursor = [], ""
    while True:
        page = (await plane.client.get(f"{ada.base}/approvals?per_page=2&cursor={cursor}", headers=ada.auth)).json()
        found += [row["id"] for row in page["data"]]
        cursor = page["meta"]["next_cursor"]
        if cursor is None:
            break
    assert sorted(found) == ids
    (row,) = [row for row in page["data"] if row["node_key"] == "~%ü"]
    assert (row["status"], row["title"], row["assignees"]) == ("pending", "Ship it?", ["ada"])
    assert (row["requested_at"], row["due_at"]) == ("2025-11-24T16:00:00.000Z", "2025-11-24T16:01:00.000Z")
    workflow = plane.frontend.executions[run].workflow_id
    await plane.client.get(f"{ada.base}/approvals?workflow_id={workflow}", headers=ada.auth)
    assert plane.frontend.last.workflow_id == workflow
    check_problem(await plane.client.get(f"{ada.base}/approvals?workflow_id=odd", headers=ada.auth), 422)
    for odd in ("odd", f"{run}:~zz", f"{run}:a b"):
        check_problem(await plane.client.get(f"{ada.base}/approvals?cursor={odd}", headers=ada.auth), 404)


@pytest.mark.parametrize("node", ["ask", "ask[3,0]", "a/b", "a:b", "50% ~ü?#", "%2F"])
def test_ids_of_approvals_need_no_quoting_in_addresses(node: str):
    id = approval_id(uuid7(AT, 0, 1), node)
    assert quote(id, safe=":") == id


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ([], "pending"),
        (
            [e.ApprovalDecided(event_id=4, at=AT + 9, node="ask", attempt=1, decision="approved", actor="user:eve"),
             e.NodeCompleted(event_id=5, at=AT + 9, node="ask", attempt=1)],
            "approved",
        ),
        ([e.NodeTimedOut(event_id=4, at=AT + 9, node="ask", attempt=1, timeout="wait", error=LATE)], "expired"),
        ([e.NodeCancelled(event_id=4, at=AT + 9, node="ask", attempt=1)], "cancelled"),
    ],
)  # fmt: skip
async def test_one_approval_and_what_became_of_it(plane: Plane, ada: Person, last: list[e.Event], status: str):
    id = approval_id(await _run(plane, ada, *ASKED, *last), "ask")
    found = (await plane.client.get(f"{ada.base}/approvals/{id}", headers=ada.auth)).json()["approval"]
    assert (found["id"], found["status"], found["title"], found["payload"]) == (id, status, "Ship it?", {"n": 1})
    decided = (found["decided_by"], found["decided_at"])
    assert decided == (("user:eve", "2025-11-24T16:00:00.009Z") if status == "approved" else (None, None))


async def test_an_escalation_is_shown(plane: Plane, ada: Person):
    escalated = e.ApprovalEscalated(event_id=4, at=AT + 9, node="ask", attempt=1, assignees=("ada", "eve"))
    id = approval_id(await _run(plane, ada, *ASKED, escalated), "ask")
    found = (await plane.client.get(f"{ada.base}/approvals/{id}", headers=ada.auth)).json()["approval"]
    assert found["assignees"] == ["ada", "eve"]


async def test_approvals_that_are_not_there(plane: Plane, ada: Person):
    bob = await plane.somebody()
    foreign = approval_id(await _run(plane, bob, *ASKED), "ask")
    mine = await _run(plane, ada)
    for id in (foreign, mine, f"{mine}:", f"{mine}:ask", f"{mine.upper()}:ask", "x", "x:y", f"{mine}:%C3%A4"):
        url = f"{ada.base}/approvals/{id}"
        check_problem(await plane.client.get(url, headers=ada.auth), 404)
        check_problem(await plane.client.post(f"{url}/decision", json={"decision": "approved"}, headers=ada.auth), 404)


@pytest.mark.parametrize("field", ["payload", "decision_payload"])
async def test_the_first_decision_counts(plane: Plane, ada: Person, field: str):
    run = await _run(plane, ada, *ASKED)
    id = _ask(plane, ada, run)
    url = f"{ada.base}/approvals/{id}/decision"
    for wrong in ({}, {"decision": "maybe"}, {"decision": None}):
        check_problem(await plane.client.post(url, json=wrong, headers=ada.auth), 422)
    form = {"decision": "rejected", field: {"why": "too dear"}}
    headers = {**ada.auth, "Idempotency-Key": "one"}
    answer = (await plane.client.post(url, json=form, headers=headers)).json()
    assert answer["approval"] == {"id": id, "status": "rejected"}
    assert (answer["execution"]["id"], answer["resumed_execution_id"]) == (run, run)
    request: Any = plane.frontend.last
    assert (request.node_key, request.decision, request.payload) == ("ask", "rejected", {"why": "too dear"})
    assert request.actor == f"user:{ada.user_id}"
    check_problem(await plane.client.post(url, json={"decision": "approved"}, headers=ada.auth), 409, "conflict")
    again = await plane.client.post(url, json=form, headers=headers)
    assert (again.json(), again.headers["idempotency-replayed"]) == (answer, "true")
