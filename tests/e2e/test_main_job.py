"""What the product is for, from the outside: the same tests over all three topologies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from linkflow.local.sample import SampleShop
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Topology


@pytest.fixture(scope="module")
def web(topology: Topology) -> Iterator[Web]:
    """Where this way of running the product reaches it."""
    made = Web(host=topology.here)
    yield made
    made.close()


@pytest.fixture(scope="module", autouse=True)
def sound(topology: Topology) -> Iterator[None]:
    """After all tests of a topology its database is looked through as a whole."""
    yield
    assert_sound(topology.database_url)


def test_an_order_goes_through(person: Person, topology: Topology, tmp_path: Any) -> None:
    shop = SampleShop(tmp_path, topology.here)
    answer = person.knock(person.hook(shop.workflow()), shop.order)
    assert answer.status_code == 202
    run = person.end(answer.json()["execution_id"]).check()
    assert run.result["order"] == "A-1042"
    assert run.result["message"] == "Thank you, Ada Lovelace! Order A-1042 comes to 377.1."
    assert run.result["reservation"].startswith("R-")
    assert run.shown["mode"] == "webhook"
    assert run.shown["trigger_data"]["body"] == shop.order
    statuses = dict.fromkeys(
        ("total", "large", "discount", "reserve", "settle", "greet", "join", "result"), "completed"
    )
    assert {"order": "completed", **run.statuses()} == {"order": "completed", "standard": "skipped", **statuses}
    assert {row["attempt"] for row in run.nodes.values()} == {1}
    assert run.nodes["reserve"]["output"]["status"] == 201
    (waited,) = run.of("TimerFired", "settle")
    assert waited["event_id"] > run.of("TimerStarted", "settle")[0]["event_id"]
    assert 2000 <= run.shown["duration_ms"] < 10_000


def test_a_webhook_that_waits_answers_with_the_result(person: Person, web: Web) -> None:
    web.place("/double", lambda call: {"twice": call.body["n"] * 2})
    hook = node("in", "trigger_webhook", {"path": "double", "method": "POST", "response_mode": "wait"})
    double = http("double", web.url("/double"), method="POST", body={"n": "{{ trigger.body.n }}"})
    shape = node("out", "transform", {"keep": False, "fields": {"twice": "{{ double.data.twice }}"}})
    answer = person.knock(person.hook(workflow(hook, double, shape)), {"n": 21})
    assert (answer.status_code, answer.json()) == (200, {"twice": 42})
    person.end(answer.headers["x-execution-id"]).check()


def test_a_respond_node_answers_and_the_run_goes_on(person: Person, web: Web) -> None:
    after = web.place("/after")
    after.hold()
    hook = node("in", "trigger_webhook", {"path": "answer", "response_mode": "wait"})
    say = {"status": 418, "headers": {"X-Kind": "teapot"}, "body": {"hello": "{{ trigger.body.name }}"}}
    url = person.hook(workflow(hook, node("say", "respond", say), http("after", web.url("/after"))))
    answer = person.knock(url, {"name": "Ada"})
    assert (answer.status_code, answer.json(), answer.headers["x-kind"]) == (418, {"hello": "Ada"}, "teapot")
    after.wait_for_calls(1)
    after.let_go()
    (listed,) = person.get(f"{person.base}/executions", per_page=1)["data"]
    person.end(listed["id"]).check()


def test_a_key_that_comes_twice_starts_one_run(person: Person) -> None:
    saved = person.save(workflow(node("out", "noop")))
    path = f"{person.base}/workflows/{saved['id']}/execute"
    first = person.send("POST", path, json={"input": {"n": 1}}, headers={"Idempotency-Key": "one"})
    second = person.send("POST", path, json={"input": {"n": 1}}, headers={"Idempotency-Key": "one"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["execution"]["id"] == second.json()["execution"]["id"]
    assert second.headers["idempotency-replayed"] == "true"
    person.end(first.json()["execution"]["id"]).check()
    assert len(person.get(f"{person.base}/workflows/{saved['id']}/executions")["data"]) == 1


def test_a_run_is_cancelled_while_it_waits(person: Person, topology: Topology) -> None:
    saved = person.save(workflow(node("wait", "delay", {"minutes": 10}), node("never", "noop")))
    execution = person.start(saved["id"])
    person.wait_event(execution, "TimerStarted", "wait")
    person.post(f"{person.base}/executions/{execution}/cancel", {"reason": "no longer wanted"})
    run = person.end(execution).check("cancelled")
    (closing,) = run.of("ExecutionCancelled")
    assert closing["attributes"]["reason"] == "no longer wanted"
    assert closing["attributes"]["actor"].startswith("user:")
    assert run.statuses()["wait"] == "cancelled"
    assert "never" not in run.nodes
    assert person.send("POST", f"{person.base}/executions/{execution}/cancel", json={}).status_code == 409
    with psycopg.connect(topology.database_url) as connection:
        assert connection.execute("SELECT * FROM timers WHERE execution_id = %s", [execution]).fetchall() == []


def test_a_failed_run_goes_on_when_its_service_is_back(person: Person, web: Web) -> None:
    service = web.place("/recovers", {"fine": True}, status=500)
    once = web.place("/before")
    document = workflow(http("before", web.url("/before")), http("call", web.url("/recovers")), node("out", "noop"))
    failed = person.run(document).check("failed")
    assert failed.error["code"] == "http_status"
    assert failed.shown["failed_node"] == "call"
    assert "out" not in failed.nodes
    service.status = 200
    person.post(f"{person.base}/executions/{failed.id}/retry")
    run = person.follow(failed.id, lambda events: bool(events) and events[-1]["type"] == "ExecutionCompleted")
    assert [e["event_id"] for e in run] == list(range(1, len(run) + 1))
    rows = person.end(failed.id).check().nodes
    assert (rows["call"]["attempt"], rows["before"]["attempt"]) == (2, 1)
    assert (len(once.calls), len(service.calls)) == (1, 2)


def test_a_node_is_tried_again_until_it_works(person: Person, web: Web) -> None:
    service = web.place("/flaky", {"at": "last"}, statuses=[503, 503])
    retry = {"max_attempts": 5, "initial_interval": 0.05}
    run = person.run(workflow(http("call", web.url("/flaky"), method="POST", body={"n": 1}, retry=retry))).check()
    assert run.nodes["call"]["attempt"] == 3
    assert run.nodes["call"]["output"]["data"] == {"at": "last"}
    assert [e["attributes"]["attempt"] for e in run.of("NodeFailed", "call")] == [1, 2]
    assert [e["attributes"]["attempt"] for e in run.of("NodeRetryScheduled", "call")] == [2, 3]
    assert len(run.of("NodeCompleted", "call")) == 1
    keys = {call.headers["idempotency-key"] for call in service.calls}
    assert len(service.calls) == 3
    assert len(keys) == 1


def test_an_error_takes_the_branch_for_it(person: Person, web: Web) -> None:
    web.place("/broken", status=404)
    document = workflow(
        node("begin", "trigger_manual"), http("call", web.url("/broken"), on_error="branch"), node("well", "noop"),
        node("sorry", "transform", {"keep": False, "fields": {"code": "{{ call.error.code }}"}}),
        node("end", "merge", {"mode": "combine"}),
        edges=[edge("begin", "call"), edge("call", "well"), edge("call", "sorry", "error"), edge("well", "end"),
               edge("sorry", "end")],
    )  # fmt: skip
    run = person.run(document).check()
    assert run.result == {"code": "http_status"}
    assert run.statuses()["well"] == "skipped"
    assert len(run.of("NodeCompleted", "end")) == 1


def test_a_loop_keeps_the_order_and_the_bound(person: Person, web: Web) -> None:
    service = web.place("/square", lambda call: {"square": call.body["n"] ** 2}, seconds=0.05)
    document = workflow(
        node("begin", "trigger_manual"),
        node("each", "loop", {"items": "{{ trigger.numbers }}", "concurrency": 5}),
        http("square", web.url("/square"), method="POST", body={"n": "{{ loop.item }}"}),
        node("pick", "transform", {"keep": False, "fields": {"n": "{{ loop.item }}", "square": "{{ input.data.square }}"}}),
        node("out", "noop"),
        edges=[edge("begin", "each"), edge("each", "square", "each"), edge("square", "pick"), edge("each", "out", "done")],
    )  # fmt: skip
    run = person.run(document, {"numbers": list(range(20))}).check()
    results = run.result["results"]
    assert [row["square"] for row in results] == [n * n for n in range(20)]
    assert [row["n"] for row in results] == list(range(20))
    assert len(service.calls) == 20
    assert 1 <= service.most_at_once <= 5


def test_a_sub_workflow_is_waited_for(person: Person, web: Web) -> None:
    web.place("/child", {"from": "below"})
    child = person.save(workflow(http("call", web.url("/child")), node("give", "transform", {
        "keep": False, "fields": {"got": "{{ trigger.name }}", "from": "{{ call.data.from }}"}})))  # fmt: skip
    call = node("sub", "sub_workflow", {"workflow_id": child["id"], "input": {"name": "{{ trigger.name }}"}})
    run = person.run(workflow(call, node("out", "noop")), {"name": "Ada"}).check()
    assert run.result == {"got": "Ada", "from": "below"}
    below = person.end(run.nodes["sub"]["child_execution_id"]).check()
    assert (below.shown["mode"], below.shown["parent_execution_id"]) == ("sub_workflow", run.id)


def test_a_failing_sub_workflow_fails_its_parent(person: Person, web: Web) -> None:
    web.place("/child-breaks", status=500)
    child = person.save(workflow(http("call", web.url("/child-breaks"))))
    run = person.run(workflow(node("sub", "sub_workflow", {"workflow_id": child["id"]}))).check("failed")
    assert run.error["code"] == "child_failed"


def test_a_schedule_starts_runs(person: Person) -> None:
    document = workflow(node("clock", "trigger_schedule", {"cron": "* * * * * *"}), node("out", "noop"))
    saved = person.save(document)
    person.activate(saved["id"])
    deadline = time.monotonic() + 20
    found: list[Any] = []
    while not found and time.monotonic() < deadline:
        found = person.get(f"{person.base}/workflows/{saved['id']}/executions")["data"]
        time.sleep(0.1)
    person.activate(saved["id"], False)
    assert found
    for listed in person.get(f"{person.base}/workflows/{saved['id']}/executions")["data"]:
        run = person.end(listed["id"]).check()
        assert run.shown["mode"] == "schedule"
        assert run.shown["trigger_node"] == "clock"


@pytest.mark.parametrize(
    ("auth", "right", "wrong"),
    [
        ({"type": "header", "header_name": "X-Shop-Key", "header_value": "s3same"}, {"X-Shop-Key": "s3same"},
         {"X-Shop-Key": "other"}),
        ({"type": "bearer", "token": "s3same"}, {"Authorization": "Bearer s3same"}, {"Authorization": "Bearer other"}),
    ],
    ids=["header", "bearer"],
)  # fmt: skip
def test_a_webhook_asks_for_its_secret(person: Person, auth: Any, right: Any, wrong: Any) -> None:
    url = person.hook(workflow(node("in", "trigger_webhook", {"path": "guarded", "auth": auth}), node("out", "noop")))
    assert person.knock(url).status_code == 401
    assert person.knock(url, None, **wrong).status_code == 401
    admitted = person.knock(url, {"n": 1}, **right)
    assert admitted.status_code == 202
    run = person.end(admitted.json()["execution_id"]).check()
    assert "s3same" not in str(run.events) + str(run.shown)
    assert len(person.get(f"{person.base}/workflows/{run.shown['workflow_id']}/executions")["data"]) == 1


def test_tenants_do_not_see_each_other(person: Person, topology: Topology) -> None:
    saved = person.save(workflow(node("wait", "delay", {"minutes": 10})))
    execution = person.start(saved["id"])
    stranger = Person(topology.url)
    try:
        for base in (stranger.base, person.base):
            for path in ("", "/history", "/nodes"):
                assert stranger.send("GET", f"{base}/executions/{execution}{path}").status_code in (403, 404)
            for verb in ("cancel", "terminate", "retry"):
                answer = stranger.send("POST", f"{base}/executions/{execution}/{verb}", json={})
                assert answer.status_code in (403, 404)
            assert stranger.send("GET", f"{base}/workflows/{saved['id']}").status_code in (403, 404)
            answer = stranger.send("POST", f"{base}/workflows/{saved['id']}/execute", json={})
            assert answer.status_code in (403, 404)
        assert stranger.get(f"{stranger.base}/executions")["data"] == []
        assert stranger.get(f"{stranger.base}/workflows")["data"] == []
        call = node("sub", "sub_workflow", {"workflow_id": saved["id"]})
        refused = stranger.run(workflow(call)).check("failed")
        assert refused.error["code"] == "child_rejected"
    finally:
        stranger.close()
    assert person.get(f"{person.base}/executions/{execution}")["execution"]["status"] == "running"
    person.post(f"{person.base}/executions/{execution}/terminate")
    person.end(execution).check("terminated")


def test_twenty_five_nodes_at_once(person: Person, web: Web) -> None:
    service = web.place("/wide", lambda call: call.body, seconds=0.2)
    calls = [http(f"n{i}", web.url("/wide"), method="POST", body={"i": i}) for i in range(25)]
    edges = [e for c in calls for e in (edge("begin", c["id"]), edge(c["id"], "all"))]
    document = workflow(node("begin", "trigger_manual"), *calls, node("all", "merge", {"mode": "append"}), edges=edges)
    run = person.run(document).check()
    assert [row["data"]["i"] for row in run.result] == list(range(25))
    assert len(run.of("NodeCompleted", "all")) == 1
    assert service.most_at_once > 5


def test_an_attempt_that_takes_too_long_is_ended(person: Person, web: Web) -> None:
    service = web.place("/slow", seconds=3.0)
    document = workflow(http("call", web.url("/slow"), timeout={"start_to_close": 0.5}))
    run = person.run(document).check("failed")
    assert run.error["code"] == "timeout"
    assert run.of("NodeTimedOut", "call")[0]["attributes"]["timeout"] == "start_to_close"
    assert run.shown["duration_ms"] < 3000
    assert len(service.calls) == 1


def test_a_timeout_counts_as_an_attempt(person: Person, web: Web) -> None:
    service = web.place("/slow-once")
    service.hold()
    retry = {"max_attempts": 10, "initial_interval": 0.05}  # on a busy machine a second one may be late, too
    saved = person.save(workflow(http("call", web.url("/slow-once"), timeout={"start_to_close": 0.5}, retry=retry)))
    execution = person.start(saved["id"])
    person.wait_event(execution, "NodeTimedOut", "call")
    service.let_go()
    run = person.end(execution).check()
    late = sum(event["type"] == "NodeTimedOut" for event in run.events)
    assert run.nodes["call"]["attempt"] == late + 1 >= 2


def test_a_long_call_beats_and_the_api_shows_it(person: Person, web: Web) -> None:
    slow = web.place("/slow", {"done": True})
    slow.hold()
    beating = {"timeout": {"heartbeat": 3, "start_to_close": 60}, "retry": {"max_attempts": 5, "initial_interval": 0.1}}
    execution = person.start(person.save(workflow(http("call", web.url("/slow"), **beating)))["id"])
    slow.wait_for_calls(1)
    seen: dict[int, set[str]] = {1: set()}
    deadline = time.monotonic() + 30
    while max(map(len, seen.values())) < 4:
        assert time.monotonic() < deadline, seen
        rows = {row["key"]: row for row in person.get(f"{person.base}/executions/{execution}/nodes")["data"]}
        if beat := rows["call"]["heartbeat"]:
            seen.setdefault(beat["attempt"], set()).add(beat["at"])
        time.sleep(0.1)
    slow.let_go()  # one attempt has lived longer than its heartbeat timeout
    run = person.end(execution).check()
    assert run.nodes["call"]["attempt"] == max(seen)
