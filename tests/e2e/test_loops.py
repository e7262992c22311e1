"""Loops of all kinds, and how much one run can take: the whole product in this process, driven over HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Call, Web
from tests.e2e.topologies import Topology


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("loops")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "loops"), folder) as made:
            yield made
        assert_sound(database_url, expect=12)


@pytest.fixture(scope="module")
def patient(topology: Topology) -> Iterator[Person]:
    """Somebody who asks again where a machine that is this busy did not answer in time."""
    made = Person(topology.url, patience=60.0)
    yield made
    made.close()


def _counting(most: int, **config: object) -> Json:
    """Counts to `most` in pure nodes, and says so at the end."""
    return workflow(
        node("begin", "trigger_manual"),
        node("again", "while", {"condition": f"loop.index == 0 || loop.output.n < {most}", **config}),
        node("add", "transform", {"keep": False, "fields": {"n": "{{ loop.index + 1 }}", "had": "{{ loop.item }}"}}),
        node("out", "transform", {"keep": False, "fields": {"last": "{{ input.output.n }}", "turns": "{{ again.count }}"}}),
        edges=[edge("begin", "again"), edge("again", "add", "each"), edge("add", "again"), edge("again", "out", "done")],
    )  # fmt: skip


def test_a_while_loop_of_pure_nodes_ends_when_its_condition_does(person: Person) -> None:
    run = person.run(_counting(250), {"from": "the trigger"}).check()
    assert run.result == {"last": 250, "turns": 250}
    loop = run.nodes["again"]["output"]
    assert [row["n"] for row in loop["results"]] == list(range(151, 251))
    assert run.nodes["add[0]"]["input"] == {"from": "the trigger"}
    assert run.nodes["add[1]"]["input"] == {"n": 1, "had": {"from": "the trigger"}}
    assert run.nodes["again"]["attempt"] == 251


def test_a_while_loop_that_would_go_on_fails_at_its_bound(person: Person) -> None:
    run = person.run(_counting(99, max_iterations=7)).check("failed")
    assert (run.error["code"], run.error["details"]) == ("while_too_many_iterations", {"max_iterations": 7})
    assert len(run.of("LoopItemCompleted")) == 7


def test_a_while_loop_reads_page_after_page(person: Person, web: Web) -> None:
    def page(call: Call) -> Json:
        first = call.body["after"] or 0
        return {"rows": [first, first + 1], "next": first + 2 if first < 6 else None}

    service = web.place("/pages", page)
    document = workflow(
        node("begin", "trigger_manual"),
        node("more", "loop_while", {"condition": "{{ loop.index == 0 || loop.output.next != null }}"}),
        http("read", web.url("/pages"), method="POST", body={"after": "{{ loop.output.next }}"}),
        node("pick", "transform", {"keep": False, "fields": {"rows": "{{ input.data.rows }}", "next": "{{ input.data.next }}"}}),
        edges=[edge("begin", "more"), edge("more", "read", "each"), edge("read", "pick")],
    )  # fmt: skip
    run = person.run(document).check()
    assert [row for result in run.result["results"] for row in result["rows"]] == list(range(8))
    assert [call.body["after"] for call in service.calls] == [None, 2, 4, 6]
    assert run.nodes["more"]["type"] == "while"


def test_a_condition_that_cannot_be_saved_is_refused_with_its_place(person: Person) -> None:
    document = _counting(1)
    document["nodes"][1]["config"] = {"condition": "loop.index <", "max_iterations": 0}
    refused = person.send("POST", f"{person.base}/workflows", json=document)
    assert refused.status_code == 422
    places = {problem["pointer"] for problem in refused.json()["errors"]}
    assert {"/nodes/1/config/condition", "/nodes/1/config/max_iterations"} <= places


# How much one run can take


@pytest.mark.parametrize("concurrency", [0, 100])
def test_2000_items_fan_out_and_join(patient: Person, concurrency: int) -> None:
    document = workflow(
        node("begin", "trigger_manual"),
        node("each", "loop", {"items": "{{ trigger.items }}", "concurrency": concurrency}),
        node("cond", "condition", {"expression": "loop.item % 2 == 0"}),
        node("even", "transform", {"keep": False, "fields": {"n": "{{ loop.item }}"}}),
        node("odd", "output_log", {"label": "odd"}), node("both", "merge", {"mode": "combine"}),
        node("out", "transform", {"keep": False, "fields": {"count": "{{ input.count }}", "last": "{{ input.results[1999] }}"}}),
        edges=[edge("begin", "each"), edge("each", "cond", "each"), edge("cond", "even", "true"),
               edge("cond", "odd", "false"), edge("even", "both"), edge("odd", "both"), edge("each", "out", "done")],
    )  # fmt: skip
    execution = patient.start(patient.save(document)["id"], {"items": list(range(2000))})
    patient.follow(execution, lambda found: bool(found) and found[-1]["type"] == "ExecutionCompleted", 120)
    shown = patient.get(f"{patient.base}/executions/{execution}")["execution"]
    assert (shown["status"], shown["result"]["count"]) == ("completed", 2000)
    assert shown["result"]["last"]["input"]["input"] == 1999
    assert set(shown["nodes"]) == {"begin", "each", "out"}, "ended iterations leave their results alone"


def test_2000_calls_in_flight_at_most_100_at_once(patient: Person, web: Web) -> None:
    service = web.place("/echo", lambda call: {"n": call.body["n"]})
    document = workflow(
        node("begin", "trigger_manual"),
        node("each", "loop", {"items": "{{ trigger.items }}", "concurrency": 100}),
        http("call", web.url("/echo"), method="POST", body={"n": "{{ loop.item }}"}),
        node("pick", "transform", {"keep": False, "fields": {"n": "{{ input.data.n }}"}}),
        edges=[edge("begin", "each"), edge("each", "call", "each"), edge("call", "pick")],
    )  # fmt: skip
    execution = patient.start(patient.save(document)["id"], {"items": list(range(2000))})
    patient.follow(execution, lambda found: bool(found) and found[-1]["type"] == "ExecutionCompleted", 180)
    shown = patient.get(f"{patient.base}/executions/{execution}")["execution"]
    assert [row["n"] for row in shown["result"]["results"]] == list(range(2000))
    assert len(service.calls) == 2000
    assert service.most_at_once <= 100


def test_nested_loops_in_batches_that_collect_what_fails(person: Person) -> None:
    document = workflow(
        node("begin", "trigger_manual"),
        node("batches", "loop", {"items": "{{ trigger.items }}", "batch_size": 30, "concurrency": 3}),
        node("each", "loop", {"items": "{{ loop.item }}", "concurrency": 10, "on_item_error": "collect"}),
        node("check", "transform", {"keep": False, "fields": {"n": "{{ loop.item }}"}}),
        node("fail", "loop", {"items": "{{ input.n % 10 == 0 ? null : [] }}"}),
        node("n", "transform", {"keep": False, "fields": {"n": "{{ check.n }}"}}),
        edges=[edge("begin", "batches"), edge("batches", "each", "each"), edge("each", "check", "each"),
               edge("check", "fail"), edge("fail", "n", "done")],
    )  # fmt: skip
    run = person.run(document, {"items": list(range(100))}, timeout=60).check()
    batches = run.result["results"]
    assert [(batch["count"], batch["errors"]) for batch in batches] == [(30, 3), (30, 3), (30, 3), (10, 1)]
    rows = [row for batch in batches for row in batch["results"]]
    assert [at for at, row in enumerate(rows) if "error" in row] == list(range(0, 100, 10))
    assert {row["error"]["code"] for row in rows if "error" in row} == {"loop_not_a_list"}
    assert [row["n"] for row in rows if "n" in row] == [n for n in range(100) if n % 10]


# Clean-up on cancel


def _trip(web: Web) -> Json:
    for path in ("/book", "/pay", "/unbook", "/refund"):
        web.place(path, {"at": path})
    return workflow(
        node("begin", "trigger_manual"), http("book", web.url("/book")), http("pay", web.url("/pay")),
        node("out", "noop"), http("unbook", web.url("/unbook"), method="POST", body={"was": "{{ input.data.at }}"}),
        http("refund", web.url("/refund"), method="POST", body={"was": "{{ input }}"}),
        edges=[edge("begin", "book"), edge("book", "pay"), edge("pay", "out"), edge("book", "unbook", "cancelled"),
               edge("pay", "refund", "cancelled"), edge("out", "unbook", "cancelled")],
    )  # fmt: skip


def test_a_cancelled_run_cleans_up_what_had_started(person: Person, web: Web) -> None:
    saved = person.save(_trip(web))
    pay, unbook = web.place("/pay"), web.place("/unbook")
    pay.hold()
    unbook.hold()
    execution = person.start(saved["id"])
    pay.wait_for_calls(1)
    url = f"{person.base}/executions/{execution}"
    told = person.post(f"{url}/cancel", {"reason": "no more"})
    assert (told["execution"]["status"], told["message"]) == ("cancelling", "Execution cancelling.")
    unbook.wait_for_calls(1)
    assert [row["id"] for row in person.get(f"{person.base}/executions", status="cancelling")["data"]] == [execution]
    for verb in ("cancel", "pause", "retry"):
        assert person.send("POST", f"{url}/{verb}", json={}).status_code == 409
    pay.let_go()
    unbook.let_go()
    run = person.end(execution).check("cancelled")
    assert run.statuses() == {
        "begin": "completed", "book": "completed", "pay": "cancelled", "unbook": "completed", "refund": "completed",
    }  # fmt: skip
    assert [call.body for call in unbook.calls] == [{"was": "/book"}]
    assert run.of("ExecutionCancelled")[0]["attributes"]["reason"] == "no more"
    assert run.error is None


def test_a_clean_up_that_fails_shows_in_the_run_and_terminate_stops_one(person: Person, web: Web) -> None:
    saved = person.save(_trip(web))
    pay, unbook = web.place("/pay"), web.place("/unbook", status=404)
    pay.hold()
    execution = person.start(saved["id"])
    pay.wait_for_calls(1)
    person.post(f"{person.base}/executions/{execution}/cancel")
    run = person.end(execution).check("cancelled")
    assert (run.error["code"], run.shown["failed_node"]) == ("http_status", "unbook")
    assert run.statuses()["refund"] == "completed"
    other = person.start(saved["id"])
    pay.wait_for_calls(2)
    unbook.hold()
    person.post(f"{person.base}/executions/{other}/cancel")
    unbook.wait_for_calls(2)
    person.post(f"{person.base}/executions/{other}/terminate")
    person.end(other).check("terminated")
    pay.let_go()
    unbook.let_go()


def test_a_cancelled_parent_has_its_child_clean_up(person: Person, web: Web) -> None:
    child = person.save(_trip(web))
    pay, refund = web.place("/pay"), web.place("/refund")
    pay.hold()
    call = node("sub", "sub_workflow", {"workflow_id": child["id"], "parent_close_policy": "cancel"})
    execution = person.start(person.save(workflow(call))["id"])
    pay.wait_for_calls(1)
    person.post(f"{person.base}/executions/{execution}/cancel")
    run = person.end(execution).check("cancelled")
    below = person.end(run.nodes["sub"]["child_execution_id"]).check("cancelled")
    pay.let_go()
    assert below.of("ExecutionCancelRequested")
    assert len(refund.calls) == 1
