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
        assert_sound(database_url, expect=3)


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
