"""The inbox, and links by which people decide without signing in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from linkflow.contracts.history import DecideRequest
from linkflow.domain import events as e
from linkflow.domain.ids import uuid7
from linkflow.postgres.approval_links import PostgresApprovalLinks
from linkflow.services.approval_links import GOOD_MS, ApprovalLinks
from linkflow.services.world import approval_id
from tests.integration.control.plane import SECRET, Person, Plane, check_problem
from tests.integration.control.test_http_credentials import with_role
from tests.integration.control.test_http_waiting import ASKED, AT, _ask, _run

HTML = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


@pytest.fixture
async def ada(plane: Plane) -> Person:
    return await plane.somebody()


async def test_who_is_looked_for_and_who_decides(plane: Plane, ada: Person):
    bob = await with_role(plane, ada, "member")
    found = await plane.client.get(
        f"{ada.base}/approvals?assignee=ops&mine=true&q=ship&due_before=2030-01-01T00:00:00Z", headers=ada.auth
    )
    assert found.status_code == 200
    asked: Any = plane.frontend.last
    mine = ("ops", ada.email, ada.user_id, f"user:{ada.user_id}", "role:owner")
    assert (asked.assignees, asked.text, asked.due_before) == (mine, "ship", 1_893_456_000_000)
    id = _ask(plane, ada, await _run(plane, ada, *ASKED))
    form = {"decision": "approved", "comment": " Looks good. "}
    decided = await plane.client.post(f"{ada.base}/approvals/{id}/decision", json=form, headers=bob.auth)
    assert decided.status_code == 200
    asked = plane.frontend.last
    assert (asked.comment, asked.names) == (
        "Looks good.", (bob.email, bob.user_id, f"user:{bob.user_id}", "role:member")
    )  # fmt: skip
    long = {"decision": "approved", "comment": "x" * 2001}
    check_problem(await plane.client.post(f"{ada.base}/approvals/{id}/decision", json=long, headers=ada.auth), 422)


async def test_what_was_said_is_shown(plane: Plane, ada: Person):
    decided = e.ApprovalDecided(
        event_id=4, at=AT + 9, node="ask", attempt=1, decision="rejected", actor="link:Eve", comment="Too dear."
    )
    id = approval_id(await _run(plane, ada, *ASKED, decided), "ask")
    found = (await plane.client.get(f"{ada.base}/approvals/{id}", headers=ada.auth)).json()["approval"]
    assert (found["status"], found["decided_by"], found["comment"]) == ("rejected", "link:Eve", "Too dear.")


async def linked(plane: Plane, who: Person, *more: e.Event) -> tuple[str, str]:
    """An open approval: its id, and its link."""
    id = _ask(plane, who, await _run(plane, who, *(more or ASKED)))
    made = await plane.client.post(f"{who.base}/approvals/{id}/link", headers=who.auth)
    assert made.status_code == 200, made.text
    return id, made.json()["link"]["url"].removeprefix("http://linkflow.test")


async def test_to_follow_a_link_decides_nothing_and_to_answer_does(plane: Plane, ada: Person):
    id, url = await linked(plane, ada)
    calls = len(plane.frontend.calls)
    for _ in range(2):
        page = await plane.client.get(f"{url}?decision=approved", headers=HTML)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "Ship it?" in page.text
        assert 'value="approved" class="chosen"' in page.text
    assert (await plane.client.head(url)).status_code in (200, 405)
    assert not [call for _, call in plane.frontend.calls[calls:] if isinstance(call, DecideRequest)]
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    for wrong in ({}, {"decision": "maybe"}, {"decision": ["approved", "rejected"]}):
        refused = await plane.client.post(url, data=wrong, headers=HTML)
        assert (refused.status_code, "<form" in refused.text) == (422, False)
    form = {"decision": "rejected", "comment": "No.", "name": "Eve\n <b>"}
    assert (await plane.client.post(url, data=form, headers=HTML)).status_code == 200
    asked: Any = next(call for _, call in reversed(plane.frontend.calls) if isinstance(call, DecideRequest))
    assert (asked.workspace_id, asked.node_key, asked.decision) == (ada.workspace_id, "ask", "rejected")
    assert (asked.actor, asked.comment, asked.names) == ("link:Eve <b>", "No.", ("*",))
    log = (await plane.client.get(f"{ada.base}/audit?action=approvals.answer", headers=ada.auth)).json()["data"]
    assert [one["request_id"] for one in log] != []
    again = await plane.client.post(url, data=form, headers=HTML)
    assert (again.status_code, "not open" in again.text) == (409, True)
    assert approval_id(asked.execution_id, asked.node_key) == id


async def test_by_json_with_a_payload(plane: Plane, ada: Person):
    _, url = await linked(plane, ada)
    told = (await plane.client.get(url, headers={"Accept": "application/json"})).json()["approval"]
    assert told == {
        "status": "pending", "title": "Ship it?", "description": "", "payload": {"n": 1},
        "due_at": "2025-11-24T16:01:00.000Z", "decided_at": None,
    }  # fmt: skip
    form = {"decision": "approved", "payload": {"until": 7}}
    done = await plane.client.post(url, json=form, headers={"Accept": "application/json"})
    assert done.status_code == 200
    asked: Any = next(call for _, call in reversed(plane.frontend.calls) if isinstance(call, DecideRequest))
    assert (asked.payload, asked.actor) == ({"until": 7}, "link")
    check_problem(await plane.client.post(url, json=form, headers={"Accept": "application/json"}), 409)


async def test_nothing_of_a_workflow_becomes_html(plane: Plane, ada: Person):
    asked = msgspec.structs.replace(ASKED[1], title="<script>1", description="<i>a\nb", payload="</pre><script>2")
    _, url = await linked(plane, ada, ASKED[0], asked)
    page = (await plane.client.get(url, headers=HTML)).text
    assert "<script" not in page
    assert "&lt;i&gt;a<br>b" in page


async def test_links_that_are_not_good(plane: Plane, ada: Person):
    id, url = await linked(plane, ada)
    run = id.partition(":")[0]
    bob = await plane.somebody()
    links = ApprovalLinks(SECRET, "http://linkflow.test")
    now = plane.clock.now_ms()
    foreign = links.token(bob.workspace_id, run, "ask", now)
    other = ApprovalLinks("x" * 40, "").token(ada.workspace_id, run, "ask", now)
    nothing = links.token(ada.workspace_id, run, "nothing", now)
    nowhere = links.token(ada.workspace_id, uuid7(AT, 1, 1), "ask", now)
    old = links.token(ada.workspace_id, run, "ask", now - GOOD_MS)
    for token in (foreign, other, nothing, nowhere, old, url.rpartition("/")[2][:-1], "x", "a.b.c"):
        for answer in (
            await plane.client.get(f"/approve/{token}", headers=HTML),
            await plane.client.post(f"/approve/{token}", data={"decision": "approved"}, headers=HTML),
        ):
            assert (answer.status_code, "<form" in answer.text) == (404, False)
    check_problem(await plane.client.get("/approve/x", headers={"Accept": "application/json"}), 404)
    check_problem(await plane.client.post(f"{bob.base}/approvals/{id}/link", headers=bob.auth), 404)


async def test_a_link_is_made_by_who_may_decide(plane: Plane, ada: Person):
    bob = await with_role(plane, ada, "member")
    only = msgspec.structs.replace(ASKED[1], only_assignees=True, assignees=(bob.email.upper(),))
    id = approval_id(await _run(plane, ada, ASKED[0], only), "ask")
    check_problem(await plane.client.post(f"{ada.base}/approvals/{id}/link", headers=ada.auth), 403)
    assert (await plane.client.post(f"{ada.base}/approvals/{id}/link", headers=bob.auth)).status_code == 200
    over = e.NodeTimedOut(event_id=4, at=AT + 9, node="ask", attempt=1, timeout="wait", error=None)
    id = approval_id(await _run(plane, ada, *ASKED, over), "ask")
    check_problem(await plane.client.post(f"{ada.base}/approvals/{id}/link", headers=ada.auth), 409)


async def test_links_are_listed_and_revoked_one_by_one(plane: Plane, ada: Person):
    bob, eve = await with_role(plane, ada, "viewer"), await plane.somebody()
    id, _ = await linked(plane, ada)
    base = f"{ada.base}/approvals/{id}"
    made = [
        (await plane.client.post(f"{base}/link", json={"note": note}, headers=ada.auth)).json()["link"]
        for note in ("For Carol", "For Dan")
    ]
    sent = ApprovalLinks(SECRET, "").token(ada.workspace_id, id.partition(":")[0], "ask", plane.clock.now_ms())
    urls = [one["url"].removeprefix("http://linkflow.test") for one in made] + [f"/approve/{sent}"]

    async def good() -> list[int]:
        return [(await plane.client.get(url, headers=HTML)).status_code for url in urls]

    async def listed(who: Person) -> dict[str, tuple[str, str | None]]:
        response = await plane.client.get(f"{base}/links", headers=who.auth)
        assert (response.status_code, "approve/" in response.text) == (200, False)
        return {one["id"]: (one["note"], one["revoked_by"]) for one in response.json()["data"]}

    assert await good() == [200, 200, 200]
    assert list((await listed(bob)).items())[:2] == [(one["id"], (note, None)) for one, note in
                                                     zip(reversed(made), ("For Dan", "For Carol"), strict=True)]  # fmt: skip
    carols = f"{base}/links/{made[0]['id']}"
    check_problem(await plane.client.delete(carols, headers=bob.auth), 403)
    for other in (eve.base, ada.base):
        check_problem(await plane.client.delete(f"{other}/approvals/{id}/links/x", headers=eve.auth), 404)
    check_problem(await plane.client.get(f"{eve.base}/approvals/{id}/links", headers=eve.auth), 404)
    assert (await plane.client.delete(carols, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.delete(carols, headers=ada.auth), 404)
    assert await good() == [404, 200, 200]
    refused = await plane.client.post(urls[0], json={"decision": "approved"}, headers={"Accept": "application/json"})
    check_problem(refused, 404)
    assert (await plane.client.delete(f"{base}/links/messages", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.delete(f"{base}/links/messages", headers=ada.auth), 404)
    assert await good() == [404, 200, 404]
    found = await listed(ada)
    assert (found[made[0]["id"]], found["messages"]) == (
        ("For Carol", f"user:{ada.user_id}"), ("", f"user:{ada.user_id}")
    )  # fmt: skip
    log = (await plane.client.get(f"{ada.base}/audit?action=approvals.revoke_link", headers=ada.auth)).json()["data"]
    assert [one["changes"][0]["from"] for one in log] == ["messages", made[0]["id"]]
    assert await PostgresApprovalLinks(plane.database).forget(plane.clock.now_ms() + GOOD_MS) >= 3
    assert list(await listed(ada)) == ["messages"]


async def test_a_link_into_a_workspace_that_is_deleted_decides_nothing(plane: Plane, ada: Person):
    _, url = await linked(plane, ada)
    assert (await plane.client.delete(ada.base, headers=ada.auth)).status_code == 200
    assert (await plane.client.get(url, headers=HTML)).status_code == 404
    answer = await plane.client.post(url, json={"decision": "approved"}, headers={"Accept": "application/json"})
    check_problem(answer, 404)


async def test_a_link_is_no_result(plane: Plane, ada: Person):
    """Whoever may look at a run must not come by a link in it: nodes that only compute are given none."""
    nodes = [
        {"id": "start", "type": "trigger_manual"},
        {"id": "ask", "type": "approval"},
        {"id": "keep", "type": "transform", "config": {"fields": {"x": "{{ $approval.ask.url }}"}}},
        {"id": "tell", "type": "action_http_request", "config": {"url": "https://x.example/{{ $approval.ask.url }}"}},
    ]
    edges = [{"source": "start", "target": one} for one in ("ask", "keep", "tell")]
    document = {"name": "Links", "nodes": nodes, "edges": edges}
    refused = await plane.client.post(f"{ada.base}/workflows", json=document, headers=ada.auth)
    faults = [(one["pointer"], one["code"]) for one in check_problem(refused, 422)["errors"]]
    assert faults == [("/nodes/2/config", "secret_not_allowed")]
