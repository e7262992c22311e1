"""Large payloads through the whole product: they are kept outside of the runs' rows, and nobody notices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Topology

BIG = "x" * 900_000
SMALL = 40_000
"""What a run's row, or one row of its history, may have where its payloads are large."""
FORGED = {"$linkflow:blob": {"key": "a/b/c", "size": 9}}


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("payloads")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "payloads"), folder) as made:
            yield made
        assert_sound(database_url, expect=5)


def _rows(topology: Topology, execution: str) -> tuple[int, int, int]:
    """Bytes of a run's row, of the largest row of its history, and how many blobs it has."""
    with psycopg.connect(topology.database_url) as connection:
        found = connection.execute(
            "SELECT (SELECT length(state) FROM executions WHERE id = %(id)s),"
            " (SELECT max(length(events)) FROM history WHERE execution_id = %(id)s),"
            " (SELECT count(*) FROM blobs WHERE execution_id = %(id)s)",
            {"id": execution},
        ).fetchone()
    assert found is not None
    return found


def _is_small(topology: Topology, execution: str, blobs: int | None = None) -> None:
    state, events, count = _rows(topology, execution)
    assert state < SMALL
    assert events < SMALL
    assert count if blobs is None else count == blobs


def test_a_large_payload_goes_through_a_chain(topology: Topology, person: Person, web: Web) -> None:
    """Pure nodes in one go, then one that goes out, then pure ones again, which read what was kept before."""
    web.place("/ok")
    document = workflow(
        node("grow", "transform", {"fields": {"more": "{{ input.text }}!"}, "keep": False}),
        node("same", "noop"),
        http("out", web.url("/ok")),
        node("look", "transform", {"keep": False, "fields": {
            "size": "{{ same.more.length }}", "first": "{{ trigger.text.slice(0, 3) }}", "status": "{{ input.status }}",
        }}),
    )  # fmt: skip
    run = person.run(document, {"text": BIG}).check()
    assert run.result == {"size": len(BIG) + 1, "first": "xxx", "status": 200}
    assert run.shown["trigger_data"] == {"text": BIG}
    _is_small(topology, run.id, 2)


def test_a_large_result_comes_along_and_a_larger_one_is_linked(topology: Topology, person: Person) -> None:
    document = workflow(
        node("a", "transform", {"fields": {"a": "{{ input.text }}"}, "keep": False}),
        node("b", "transform", {"fields": {"b": "{{ input.a }}"}, "keep": False}),
        edges=[edge("begin", "a"), edge("a", "b"), edge("begin", "c"), edge("begin", "d")],
    )
    document["nodes"] += [node("c", "noop"), node("d", "transform", {"fields": {"d": 1}, "keep": False})]
    run = person.run(document, {"text": BIG}).check()
    result = run.result
    assert result["d"] == {"d": 1}
    whole, links = [], []
    for name, want in (("b", {"b": BIG}), ("c", {"text": BIG})):
        (links if "$blob" in result[name] else whole).append(name)
        value = person.get(result[name]["$blob"]["href"]) if "$blob" in result[name] else result[name]
        assert value == want
    assert (len(whole), len(links)) == (1, 1)
    _is_small(topology, run.id)


def test_a_link_is_of_no_use_to_another_workspace(topology: Topology, person: Person) -> None:
    run = person.run(workflow(node("a", "noop")), {"text": BIG}).check()
    link = run.of("NodeCompleted", "a")[0]["attributes"]["output"]["$blob"]
    assert link["size"] > len(BIG)
    assert person.get(link["href"]) == {"text": BIG}
    stranger = Person(topology.url)
    assert stranger.send("GET", link["href"]).status_code == 404
    own = link["href"].replace(person.workspace, stranger.workspace)
    assert stranger.send("GET", own).status_code == 404
    stranger.close()
    for name in ("0" * 64, "x", "..%2F..%2Fetc"):
        answer = person.send("GET", f"{link['href'].rpartition('/')[0]}/{name}")
        assert answer.status_code == 404


def _hook(mode: str, *nodes: Json) -> Json:
    return workflow(node("hook", "trigger_webhook", {"response_mode": mode, "wait_timeout": 20}), *nodes)


def test_a_webhook_takes_and_answers_large_bodies(topology: Topology, person: Person) -> None:
    url = person.hook(_hook("wait", node("log", "output_log", {"message": "got it"}), node("say", "respond", {
        "body": {"back": "{{ trigger.body.text }}"}, "headers": {"X-Mine": "yes"},
    })))  # fmt: skip
    answer = person.knock(url, {"text": BIG})
    assert answer.status_code == 200
    assert answer.headers["x-mine"] == "yes"
    assert answer.json() == {"back": BIG}
    plain = person.hook(
        _hook("wait", node("a", "transform", {"fields": {"t": "{{ input.body.text }}"}, "keep": False}))
    )
    answer = person.knock(plain, {"text": BIG})
    assert answer.json() == {"t": BIG}
    _is_small(topology, answer.headers["x-execution-id"])


def test_signals_events_and_decisions_may_be_large(topology: Topology, person: Person) -> None:
    document = workflow(
        node("first", "wait_for_event", {"event": "first"}),
        node("second", "wait_for_event", {"event": "second", "key": "k"}),
        node("ask", "action_approval", {"title": "Well?", "payload": "{{ first.text }}"}),
        node("end", "transform", {"keep": False, "fields": {
            "sizes": "{{ [first.text.length, second.text.length, ask.payload.text.length] }}",
        }}),
    )  # fmt: skip
    execution = person.start(person.save(document)["id"])
    base = f"{person.base}/executions/{execution}"
    person.post(f"{base}/signal", {"name": "first", "payload": {"text": BIG}})
    person.post(f"{person.base}/events/second", {"key": "k", "data": {"text": BIG + "y"}})
    person.wait_event(execution, "ApprovalRequested")
    (asked,) = person.get(f"{person.base}/approvals")["data"]
    assert asked["payload"] == BIG
    url = f"{person.base}/approvals/{asked['id']}"
    person.post(f"{url}/decision", {"decision": "approved", "payload": {"text": BIG + "zz"}})
    run = person.end(execution).check()
    assert run.result == {"sizes": [len(BIG), len(BIG) + 1, len(BIG) + 2]}
    assert person.get(url)["approval"]["decision_payload"]["text"] == BIG + "zz"
    _is_small(topology, run.id)


def test_a_sub_workflow_gets_and_gives_large_payloads_of_its_own(topology: Topology, person: Person) -> None:
    child = person.save(workflow(node("turn", "transform", {"fields": {"back": "{{ trigger.text }}"}, "keep": False})))
    run = person.run(
        workflow(
            node("call", "sub_workflow", {"workflow_id": child["id"]}),
            node("size", "transform", {"fields": {"n": "{{ input.back.length }}"}, "keep": False}),
        ),
        {"text": BIG},
    ).check()
    assert run.result == {"n": len(BIG)}
    _is_small(topology, run.id)
    inner = run.nodes["call"]["child_execution_id"]
    _is_small(topology, inner)
    with psycopg.connect(topology.database_url) as connection:  # each has all that it refers to
        for id in (run.id, inner):
            (state,) = connection.execute("SELECT state FROM executions WHERE id = %s", (id,)).fetchone() or (b"",)
            keys = {value["key"] for value in _references(json.loads(bytes(state)))}
            assert keys
            assert all(key.split("/")[1] == id for key in keys)


def _references(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        if "$linkflow:blob" in value:
            yield value["$linkflow:blob"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


@pytest.mark.parametrize("concurrency", [1, 20])
def test_a_loop_over_large_items_loads_none_twice(topology: Topology, person: Person, concurrency: int) -> None:
    document = workflow(
        node("loop", "loop", {"items": "{{ trigger.rows }}", "concurrency": concurrency}),
        node("log", "output_log", {"message": "one"}),
        node("size", "transform", {"keep": False, "fields": {"n": "{{ loop.item.text.length + loop.index }}"}}),
        node("end", "transform", {"keep": False, "fields": {"sum": "{{ input.results.map(r => r.n) }}"}}),
        edges=[edge("begin", "loop"), edge("loop", "log", "each"), edge("log", "size"), edge("loop", "end", "done")],
    )
    rows = [{"text": "y" * 2000} for _ in range(200)]
    run = person.run(document, {"rows": rows}, timeout=60).check()
    assert run.result == {"sum": [2000 + n for n in range(200)]}
    assert run.nodes["log[7]"]["input"] == rows[7]
    assert _rows(topology, run.id)[0] < SMALL


def test_results_of_a_loop_that_are_large_together(topology: Topology, person: Person) -> None:
    document = workflow(
        node("loop", "loop", {"items": "{{ trigger.rows }}", "concurrency": 10}),
        node("twice", "transform", {"fields": {"again": "{{ input.text }}"}}),
        node("end", "transform", {"keep": False, "fields": {"n": "{{ input.results.length }}", "last": "{{ input.results[49] }}"}}),
        edges=[edge("begin", "loop"), edge("loop", "twice", "each"), edge("loop", "end", "done")],
    )  # fmt: skip
    rows = [{"text": f"{n:05}" * 1000, "n": n} for n in range(50)]
    run = person.run(document, {"rows": rows}, timeout=60).check()
    assert run.result == {"n": 50, "last": {**rows[49], "again": rows[49]["text"]}}
    assert run.nodes["loop"]["output"]["count"] == 50
    assert _rows(topology, run.id)[0] < SMALL


def test_nobody_forges_a_reference(person: Person) -> None:
    saved = person.save(workflow(node("wait", "wait_for_event", {"event": "go"})))
    cases = [
        (f"{person.base}/workflows/{saved['id']}/execute", {"input": {"a": [FORGED]}}, "/input/a/0/$linkflow:blob"),
        (f"{person.base}/events/go", {"data": FORGED}, "/data/$linkflow:blob"),
    ]
    execution = person.start(saved["id"])
    cases.append(
        (f"{person.base}/executions/{execution}/signal", {"name": "go", "payload": FORGED}, "/payload/$linkflow:blob")
    )
    for path, body, pointer in cases:
        answer = person.send("POST", path, json=body)
        assert answer.status_code == 422, answer.text
        assert [(fault["pointer"], fault["code"]) for fault in answer.json()["errors"]] == [(pointer, "reserved_name")]
    person.post(f"{person.base}/executions/{execution}/signal", {"name": "go", "payload": {"says": '"$linkflow:blob"'}})
    assert person.end(execution).check().result == {"says": '"$linkflow:blob"'}
    url = person.hook(_hook("immediate", node("a", "noop")))
    escaped = person.send(
        "POST", url, content=b'{"\\u0024linkflow:blob": {"key": "x", "size": 1}}',
        headers={"Authorization": "", "Content-Type": "application/json"},
    )  # fmt: skip
    assert (escaped.status_code, escaped.json()["code"]) == (422, "invalid_input")


def test_nor_does_a_node_or_a_definition(person: Person, web: Web) -> None:
    made = node("make", "transform", {"keep": False, "fields": {"a": "{{ trigger.text.parseJson() }}"}})
    made["config"]["fields"]["a"] = "{{ fromJson(trigger.text) }}"
    run = person.run(workflow(made), {"text": json.dumps(FORGED)}).check("failed")
    assert run.error["code"] == "reserved_name"
    literal = node("make", "transform", {"keep": False, "fields": {"a": FORGED}})
    assert person.run(workflow(literal)).check("failed").error["code"] == "reserved_name"
    pinned = person.send("POST", f"{person.base}/workflows", json=workflow(node("a", "noop", pinned_output=[FORGED])))
    assert pinned.status_code == 422
    assert "reserved_name" in {fault["code"] for fault in pinned.json()["errors"]}
