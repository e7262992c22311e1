"""How runs are let in, as somebody sees it who starts them: over HTTP, by webhook, and as a sub-workflow."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.test_signing_in import PASSWORD, Terminal, register
from tests.e2e.topologies import Topology

BIG = "x" * 100_000


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("starting")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "starting"), folder) as made:
            yield made
        assert_sound(database_url, expect=5)


def _waits(**settings: object) -> Json:
    """Runs until its event comes."""
    return workflow(node("go", "wait_for_event", {"event": "go", "key": "{{ trigger.name }}"}), settings=settings)


def _execute(person: Person, saved: Json, **data: object):
    return person.send("POST", f"{person.base}/workflows/{saved['id']}/execute", json={"input": data})


def _go(person: Person, name: str) -> None:
    person.post(f"{person.base}/events/go", {"key": name, "data": {}})


def _queued(person: Person, saved: Json, timeout: float = 30.0) -> str:
    """The run of this workflow that waits, as soon as there is one."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        rows = person.get(f"{person.base}/executions", workflow_id=saved["id"], status="queued")["data"]
        if rows:
            return str(rows[0]["id"])
        time.sleep(0.05)
    raise AssertionError("nobody waits")


def test_runs_of_one_customer_follow_each_other(person: Person) -> None:
    saved = person.save(_waits(concurrency={"key": "{{ trigger.who }}", "limit": 1}))
    first, second, other = [
        _execute(person, saved, who=who, name=name) for who, name in [("a", "1"), ("a", "2"), ("b", "3")]
    ]
    assert [answer.status_code for answer in (first, second, other)] == [201, 202, 201]
    waiting = second.json()["execution"]
    assert (waiting["status"], waiting["position"]) == ("queued", 1)
    shown = person.get(f"{person.base}/executions/{waiting['id']}")["execution"]
    assert (shown["waiting"]["for"], shown["waiting"]["key"], shown["started_at"]) == ("concurrency", "a", None)
    listed = person.get(f"{person.base}/executions", status="queued")["data"]
    assert [row["id"] for row in listed] == [waiting["id"]]
    for name, answer in (("1", first), ("2", second), ("3", other)):
        person.wait_event(answer.json()["execution"]["id"], "WaitStarted")
        _go(person, name)
        person.end(answer.json()["execution"]["id"]).check()


def test_limits_refuse_and_say_why(person: Person) -> None:
    saved = person.save(_waits(concurrency={"key": "{{ trigger.who }}", "limit": 1, "policy": "reject"}))
    begun = _execute(person, saved, who="a", name="r").json()["execution"]["id"]
    refused = _execute(person, saved, who="a", name="r")
    body = refused.json()
    assert (refused.status_code, body["code"], body["key"], body["limit"]) == (409, "concurrency_limit", "a", 1)
    person.wait_event(begun, "WaitStarted")
    _go(person, "r")
    person.end(begun).check()
    saved = person.save(workflow(node("a", "noop"), settings={"rate_limit": {"limit": 1, "per": 600}}))
    assert _execute(person, saved).status_code == 201
    refused = _execute(person, saved)
    assert (refused.status_code, refused.json()["code"]) == (429, "start_rate_limited")
    assert 500 < int(refused.headers["retry-after"]) <= 600


def test_webhook_calls_become_one_run(person: Person) -> None:
    hook = person.hook(
        workflow(node("in", "trigger_webhook"), node("a", "noop"), settings={"batch": {"size": 3, "wait": 600}})
    )
    answers = [person.knock(hook, {"n": n}) for n in range(3)]
    again = person.knock(hook, {"n": 9})
    bodies = [answer.json() for answer in answers]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({body["execution_id"] for body in bodies}) == 1
    assert again.json()["execution_id"] != bodies[0]["execution_id"]
    run = person.end(bodies[0]["execution_id"]).check()
    assert [item["body"]["n"] for item in run.shown["trigger_data"]["items"]] == [0, 1, 2]
    person.post(f"{person.base}/executions/{again.json()['execution_id']}/cancel")


def test_a_sub_workflow_with_a_large_input_waits_for_its_slot(person: Person) -> None:
    child = person.save(_waits(concurrency={"key": "{{ trigger.text.length }}", "limit": 1}))
    first = _execute(person, child, text=BIG, name="c1").json()["execution"]["id"]
    call = {"workflow_id": child["id"], "input": {"text": "{{ trigger.text }}", "name": "c2"}}
    parent = person.start(person.save(workflow(node("call", "sub_workflow", call)))["id"], {"text": BIG})
    inner = _queued(person, child)
    person.wait_event(first, "WaitStarted")
    _go(person, "c1")
    person.wait_event(inner, "WaitStarted")
    assert person.end(first).check().shown["trigger_data"]["text"] == BIG
    _go(person, "c2")
    person.end(parent).check()
    assert person.end(inner).check().shown["trigger_data"]["text"] == BIG


def test_schedules_approvals_and_webhooks_on_the_command_line(topology: Topology, tmp_path: Path) -> None:
    ada = Terminal(tmp_path, topology.url)
    ada.types("login", "--email", register(topology.url, "operator"), typed=f"{PASSWORD}\n")
    file = tmp_path / "ask.json"
    ask = node("ask", "approval", {"title": "Ship it?", "assignees": "role:owner"})
    file.write_text(json.dumps({**workflow(node("in", "trigger_webhook"), ask, ask | {"id": "too"}), "name": "Asking"}))
    ada.types("workflow", "import", str(file))
    other = workflow(node("in", "trigger_webhook"), node("a", "noop"))
    file.write_text(json.dumps({**other, "name": "Other"}))
    ada.types("workflow", "import", str(file))
    id = next(one["workflow_id"] for one in ada.asks("webhook", "list"))
    assert {one["workflow_id"] for one in ada.asks("webhook", "list", "--workflow", id)} == {id}

    made = ada.asks("schedule", "add", "Asking", "--cron", "0 9 * * 1", "--timezone", "Europe/Berlin")
    assert [one["id"] for one in ada.asks("schedule", "list", "--workflow", "Asking")] == [made["id"]]
    assert ada.asks("schedule", "list", "--workflow", "Other") == []
    changed = ada.asks("schedule", "set", made["id"], "--every", "2h", "--timezone", "")
    assert (changed["every_seconds"], changed["cron"], changed["timezone"]) == (7200, None, "UTC")
    ada.types("schedule", "pause", made["id"], "--note", "holidays")
    shown = ada.asks("schedule", "show", made["id"], "--count", "2")
    assert (shown["pause"]["note"], len(shown["next"])) == ("holidays", 2)
    assert "switched off" in ada.tried("schedule", "run", made["id"]).stderr
    ada.types("workflow", "activate", "Asking")
    assert ada.asks("schedule", "run", made["id"])["firing"]["cause"] == "trigger"
    assert len(ada.types("schedule", "preview", "--every", "1h", "--count", "3").splitlines()) == 3

    until = time.monotonic() + 30
    while not (found := ada.asks("approval", "list", "--mine")) and time.monotonic() < until:
        time.sleep(0.1)
    [one] = found
    assert ada.asks("approval", "list", "--assignee", "nobody") == []
    link = ada.asks("approval", "link", one["id"])["url"]
    assert "Ship it?" in httpx.get(link, trust_env=False).text
    answer = ada.asks("approval", "approve", one["id"], "--comment", "Fine.", "--payload", '{"n": 1}')
    assert answer["approval"]["status"] == "approved"
    shown = ada.asks("approval", "show", one["id"])
    assert (shown["comment"], shown["decision_payload"]) == ("Fine.", {"n": 1})
    assert "not open" in ada.tried("approval", "reject", one["id"]).stderr
    ada.types("execution", "cancel", one["execution_id"])
    ada.types("schedule", "rm", made["id"], "--yes")
    assert ada.asks("schedule", "list") == []
