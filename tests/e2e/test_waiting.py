"""A workflow that waits for an event and then for a person: the whole product in this process, driven over HTTP."""

from __future__ import annotations

import secrets
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from linkflow.nodes import registry
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import edge, node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.topologies import Topology


@pytest.fixture(scope="module")
def node_types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Node types of pyproject.toml that this environment's installation does not know yet (it may be of another
    checkout) are installed beside it."""
    project = tomllib.loads((topologies.ROOT / "pyproject.toml").read_text())["project"]
    installed = {entry.name for entry in entry_points(group=registry.GROUP)}
    missing = {name: at for name, at in project["entry-points"][registry.GROUP].items() if name not in installed}
    site = tmp_path_factory.mktemp("site")
    if missing:
        _install(site, missing)
        sys.path.insert(0, str(site))
        registry._loaded.cache_clear()
    yield
    if missing:
        sys.path.remove(str(site))
        registry._loaded.cache_clear()


def _install(site: Path, types: dict[str, str]) -> None:
    folder = site / "linkflow_more_nodes-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: linkflow-more-nodes\nVersion: 1\n")
    lines = [f"{name} = {at}" for name, at in types.items()]
    (folder / "entry_points.txt").write_text("\n".join([f"[{registry.GROUP}]", *lines, ""]))


@pytest.fixture(scope="module")
def topology(
    node_types: None, postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("waiting")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "waiting"), folder) as made:
            yield made
        assert_sound(database_url, expect=5)


def _document(**wait: object) -> Json:
    return workflow(
        node("begin", "trigger_manual"),
        node("paid", "wait_for_event", {"event": "paid", "key": "{{ trigger.order }}", **wait}),
        node("ask", "action_approval", {"title": "Ship {{ trigger.order }}?", "payload": {"sum": "{{ input.sum }}"}}),
        node("ship", "transform", {"keep": False, "fields": {"shipped": "{{ trigger.order }}"}}),
        node("refuse", "transform", {"keep": False, "fields": {"why": "{{ ask.payload.why }}"}}),
        edges=[edge("begin", "paid"), edge("paid", "ask"), edge("ask", "ship"), edge("ask", "refuse", "rejected")],
    )


def _order() -> str:
    return f"A-{secrets.token_hex(4)}"


def _inbox(person: Person, execution: str) -> Json:
    (found,) = [
        row for row in person.get(f"{person.base}/approvals")["data"] if row["execution_id"] == execution
    ]  # fmt: skip
    return dict(found)


def test_an_event_and_a_decision_bring_it_to_its_end(person: Person) -> None:
    saved, order = person.save(_document()), _order()
    execution = person.start(saved["id"], {"order": order})
    person.wait_event(execution, "WaitStarted", "paid")
    shown = person.get(f"{person.base}/executions/{execution}")["execution"]
    assert (shown["status"], shown["nodes"]["paid"]["status"]) == ("running", "waiting")
    kept = person.post(f"{person.base}/events/paid", {"key": "another", "data": {}})
    assert kept["execution_ids"] == []
    taken = person.post(f"{person.base}/events/paid", {"key": order, "data": {"sum": 3}})
    assert taken["execution_ids"] == [execution]
    person.wait_event(execution, "ApprovalRequested", "ask")
    approval = _inbox(person, execution)
    assert (approval["title"], approval["payload"], approval["status"]) == (f"Ship {order}?", {"sum": 3}, "pending")
    url = f"{person.base}/approvals/{approval['id']}"
    assert person.get(url)["approval"]["title"] == approval["title"]
    decided = person.post(f"{url}/decision", {"decision": "approved", "payload": {"by": "air"}})
    assert decided["resumed_execution_id"] == execution
    run = person.end(execution).check()
    assert run.result == {"shipped": order}
    assert run.statuses()["refuse"] == "skipped"
    assert run.nodes["ask"]["output"]["payload"] == {"by": "air"}
    assert run.of("ApprovalDecided")[0]["attributes"]["actor"].startswith("user:")
    late = person.send("POST", f"{url}/decision", json={"decision": "rejected"})
    assert (late.status_code, late.json()["code"]) == (409, "conflict")
    found = person.get(url)["approval"]
    assert (found["status"], found["decision_payload"]) == ("approved", {"by": "air"})
    assert execution not in {row["execution_id"] for row in person.get(f"{person.base}/approvals")["data"]}


def test_the_event_comes_first_and_the_person_says_no(person: Person) -> None:
    saved, order = person.save(_document()), _order()
    body = {"id": f"evt-{order}", "key": order, "data": {"sum": 5}}
    assert [person.post(f"{person.base}/events/paid", body)["execution_ids"] for _ in range(2)] == [[], []]
    execution = person.start(saved["id"], {"order": order})
    person.wait_event(execution, "ApprovalRequested", "ask")
    url = f"{person.base}/approvals/{_inbox(person, execution)['id']}/decision"
    person.post(url, {"decision": "rejected", "decision_payload": {"why": "too dear"}})
    run = person.end(execution).check()
    assert (run.result, run.statuses()["ship"]) == ({"why": "too dear"}, "skipped")


def test_a_paused_run_waits_with_what_it_has_and_goes_on(person: Person) -> None:
    saved, order = person.save(_document()), _order()
    execution = person.start(saved["id"], {"order": order})
    person.wait_event(execution, "WaitStarted", "paid")
    paused = person.post(f"{person.base}/executions/{execution}/pause", {"reason": "look"})
    assert paused["execution"]["status"] == "paused"
    refused = person.send("POST", f"{person.base}/executions/{execution}/pause", json={})
    assert refused.status_code == 409
    person.post(f"{person.base}/executions/{execution}/signal", {"name": "paid", "key": order, "payload": {"sum": 1}})
    listed = person.get(f"{person.base}/executions", status="paused")["data"]
    assert [run["id"] for run in listed] == [execution]
    names = [event["type"] for event in person.wait_event(execution, "NodeCompleted", "paid")]
    assert names[-1] == "NodeCompleted"
    person.post(f"{person.base}/executions/{execution}/resume")
    person.wait_event(execution, "ApprovalRequested", "ask")
    person.post(f"{person.base}/approvals/{_inbox(person, execution)['id']}/decision", {"decision": "approved"})
    person.end(execution).check()
    gone = person.send("POST", f"{person.base}/executions/{execution}/signal", json={"name": "paid"})
    assert gone.status_code == 409


def test_a_wait_times_out_and_a_cancelled_run_leaves_the_inbox(person: Person) -> None:
    late = person.start(person.save(_document(timeout=0.2))["id"], {"order": _order()})
    assert person.end(late).check("failed").error["code"] == "timeout"
    order = _order()
    person.post(f"{person.base}/events/paid", {"key": order, "data": {"sum": 1}})
    execution = person.start(person.save(_document())["id"], {"order": order})
    person.wait_event(execution, "ApprovalRequested", "ask")
    approval = _inbox(person, execution)["id"]
    person.post(f"{person.base}/executions/{execution}/cancel")
    person.end(execution).check("cancelled")
    assert person.get(f"{person.base}/approvals")["data"] == []
    assert person.get(f"{person.base}/approvals/{approval}")["approval"]["status"] == "cancelled"
