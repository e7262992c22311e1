"""Test runs and pins over HTTP: the whole product in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from linkflow.cli import main
from linkflow.cli.keeping import SignIns
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Topology


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("trials")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "trials"), folder) as made:
            yield made
        assert_sound(database_url)


def order(web: Web, **settings: object) -> Json:
    """fetch (HTTP) → check → big: pay (HTTP) → thank; small: skip."""
    nodes = [
        node("start", "trigger_manual"),
        http("fetch", web.url("/fetch"), retry={"max_attempts": 3, "initial_interval": 30}),
        node("check", "condition", {"conditions": [{"field": "body.total", "operator": "gt", "value": 100}]}),
        http("pay", web.url("/pay")),
        node("thank", "transform", {"fields": {"text": "Paid {{ fetch.body.total }}"}, "keep": False}),
        node("small", "noop"),
    ]
    edges = [
        edge("start", "fetch"), edge("fetch", "check"), edge("check", "pay", "true"), edge("pay", "thank"),
        edge("check", "small", "false"),
    ]  # fmt: skip
    return workflow(*nodes, edges=edges, settings=settings)


def try_out(person: Person, saved: Json, wait: float = 10, **ask: object) -> Json:
    path = f"{person.base}/workflows/{saved['id']}/test?wait={wait}"
    found: Json = person.post(path, ask)["execution"]
    return found


def nodes_of(person: Person, execution: Json) -> dict[str, Json]:
    return {run["key"]: run for run in person.get(f"{person.base}/executions/{execution['id']}/nodes")["data"]}


MOCKS = {
    "fetch": {"error": "http_status", "fail_first": 2, "output": {"body": {"total": 150}}},
    "pay": {"output": {"status": 200}},
}


def test_a_run_with_mocks_calls_nobody_and_waits_for_nothing(person: Person, web: Web):
    saved = person.save(order(web))
    fetch, pay = web.place("/fetch"), web.place("/pay")
    run = try_out(person, saved, mocks=MOCKS, skip_delays=True, unmocked="fail")
    assert (run["status"], run["result"]) == ("completed", {"text": "Paid 150"})
    assert not fetch.calls
    assert not pay.calls
    found = nodes_of(person, run)
    assert (found["fetch"]["stood_in"], found["fetch"]["attempt"]) == ("mocked", 3)
    assert (found["thank"]["stood_in"], found["small"]["status"]) == (None, "skipped")
    shown = person.get(f"{person.base}/executions/{run['id']}")["execution"]
    assert shown["mode"] == "test"
    assert shown["test"]["mocked"] == ["fetch", "pay"]
    listed = person.get(f"{person.base}/executions", mode="test")["data"]
    assert run["id"] in {one["id"] for one in listed}


def test_what_acts_and_has_no_mock_fails_the_run_where_that_is_asked(person: Person, web: Web):
    saved = person.save(order(web))
    fetch, pay = web.place("/fetch"), web.place("/pay")
    run = try_out(person, saved, mocks={"fetch": MOCKS["fetch"]}, skip_delays=True, unmocked="fail")
    assert (run["status"], run["error"]["code"]) == ("failed", "not_mocked")
    assert not fetch.calls
    assert not pay.calls


def test_up_to_a_node_and_again_with_what_is_there(person: Person, web: Web):
    saved = person.save(order(web))
    first = try_out(person, saved, mocks={"fetch": {"output": {"body": {"total": 7}}}}, up_to="check")
    assert set(nodes_of(person, first)) == {"start", "fetch", "check"}
    again = try_out(person, saved, up_to="small", from_execution="last", unmocked="fail")
    found = nodes_of(person, again)
    assert again["status"] == "completed"
    assert [found[id]["kept"] for id in ("fetch", "check", "small")] == [True, True, False]
    assert "pay" not in found


def test_a_changed_node_is_run_again_where_results_are_reused(person: Person, web: Web):
    saved = person.save(order(web))
    first = try_out(person, saved, mocks={"fetch": {"output": {"body": {"total": 7}}}}, up_to="check")
    document = order(web)
    document["nodes"][2]["config"]["conditions"][0]["value"] = 5
    answer = person.send("PUT", f"{person.base}/workflows/{saved['id']}", json={**document, "name": saved["name"]})
    assert answer.status_code == 200, answer.text
    again = try_out(
        person, saved, up_to="thank", from_execution=first["id"], mocks={"pay": {"output": 1}}, unmocked="fail"
    )
    found = nodes_of(person, again)
    assert again["status"] == "completed", again
    assert [found[id]["kept"] for id in ("fetch", "check", "pay")] == [True, False, False]


def test_one_node_with_a_given_input_and_with_that_of_the_last_run(person: Person, web: Web):
    saved = person.save(order(web))
    alone = try_out(person, saved, node="check", input={"body": {"total": 101}})
    assert alone["result"]["output"] == "true"
    assert set(nodes_of(person, alone)) == {"start", "check"}
    mocked = {"fetch": {"output": {"body": {"total": 3}}}}
    assert try_out(person, saved, node="thank", input={}, mocks=mocked)["result"] == {"text": "Paid 3"}
    try_out(person, saved, mocks={"fetch": {"output": {"body": {"total": 500}}}, "pay": {"output": 1}})
    last = try_out(person, saved, node="thank")
    assert last["result"] == {"text": "Paid 500"}
    found = nodes_of(person, last)
    assert [found[id]["kept"] for id in ("fetch", "check", "pay", "thank")] == [True, True, True, False]


def test_pins_hold_for_manual_runs_and_never_for_webhooks(person: Person, web: Web):
    nodes = [node("hook", "trigger_webhook", {"response_mode": "wait"}), node("begin", "trigger_manual"),
             node("say", "transform", {"fields": {"real": True}, "keep": False})]  # fmt: skip
    document = workflow(*nodes, edges=[edge("hook", "say"), edge("begin", "say")])
    saved = person.save(document)
    pin = f"{person.base}/workflows/{saved['id']}/nodes/say/pin"
    pinned = person.send("PUT", pin, json={"output": {"real": False}})
    assert pinned.status_code == 200, pinned.text
    assert pinned.json()["workflow"]["version"] == 2
    active = person.activate(saved["id"])
    run = person.post(f"{person.base}/workflows/{saved['id']}/execute?wait=10")["execution"]
    assert run["result"] == {"real": False}
    url = next(str(t["url"]) for t in active["triggers"] if t["type"] == "webhook")
    assert person.knock(url, {}).json() == {"real": True}
    rerun = person.post(f"{person.base}/executions/{run['id']}/rerun")["execution"]
    assert person.end(rerun["id"]).result == {"real": False}
    assert person.send("DELETE", pin).status_code == 200
    run = person.post(f"{person.base}/workflows/{saved['id']}/execute?wait=10")["execution"]
    assert run["result"] == {"real": True}
    from_past = person.send("PUT", pin, json={"execution_id": run["id"]}).json()["workflow"]
    said = next(one for one in from_past["nodes"] if one["id"] == "say")
    assert said["pinned_output"] == {"real": True}


def test_every_fault_of_what_is_asked_is_told_at_once(person: Person, web: Web):
    saved = person.save(order(web))
    ask = {
        "mocks": {"fetsh": {"output": 1}, "pay": {"outputt": 1}, "check": {"iterations": [{"output": 1}]}},
        "up_to": "nowhere", "allow": ["nobody"],
    }  # fmt: skip
    answer = person.send("POST", f"{person.base}/workflows/{saved['id']}/test", json=ask)
    assert answer.status_code == 422
    told = sorted((fault["pointer"], fault["code"]) for fault in answer.json()["errors"])
    assert told == [
        ("/allow/0", "unknown_node"), ("/mocks/check/iterations", "invalid_value"), ("/mocks/fetsh", "unknown_node"),
        ("/mocks/pay", "invalid_value"), ("/mocks/pay/outputt", "unknown_field"), ("/up_to", "unknown_node"),
    ]  # fmt: skip
    answer = person.send("POST", f"{person.base}/workflows/{saved['id']}/test", json={"node": "fetsh"})
    assert answer.json()["detail"] == "The workflow has no node 'fetsh'. Did you mean 'fetch'?"


def test_limits_and_error_workflows_are_left_alone_unless_asked_for(person: Person, web: Web):
    mender = person.save(workflow(node("begin", "trigger_manual")))
    saved = person.save(order(web, concurrency={"limit": 1, "policy": "reject"}, error_workflow=mender["id"]))
    failing = {"fetch": {"error": {"code": "gone", "retryable": False}}}
    run = try_out(person, saved, mocks=failing)
    assert run["status"] == "failed"
    assert person.get(f"{person.base}/executions", workflow_id=mender["id"])["data"] == []
    failed = try_out(person, saved, mocks=failing, error_workflow=True, limits=True)
    shown = person.get(f"{person.base}/executions/{failed['id']}")["execution"]
    assert len(shown["error_executions"]) == 1
    person.end(shown["error_executions"][0])


@pytest.fixture(scope="module")
def where(topology: Topology, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    """The command line's own account."""
    return ("--home", tmp_path_factory.mktemp("home"), "--url", topology.url)


def linkflow(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)


def test_a_run_is_saved_as_a_test_that_passes_here_and_on_the_server(
    where: tuple[object, ...], web: Web, tmp_path: Path
):
    web.place("/fetch", {"total": 150})
    web.place("/pay", {"ok": True})
    document = order(web)
    document["nodes"][4]["config"]["fields"]["run"] = "{{ execution.id }}"
    (tmp_path / "order.json").write_text(json.dumps(document))
    ran = linkflow("run", tmp_path / "order.json", "--json", *where)
    run = json.loads(ran.stdout[ran.stdout.index("{") :])["execution"]
    file, other = tmp_path / "tests" / "large.yaml", tmp_path / "tests" / "by-id.json"
    saved = linkflow("test", "save", run["id"], "--to", file, "--node", "check", *where)
    assert saved.exit_code == 0, saved.output
    assert "mocks: fetch, pay" in saved.stderr
    assert linkflow("test", "save", run["id"], "--to", file, *where).exit_code == 2  # it is there
    assert linkflow("test", "save", run["id"], "--to", other, "--by-id", *where).exit_code == 0
    calls = web.place("/fetch", {"total": 1})
    here = linkflow("test", file)
    assert here.exit_code == 0, here.output
    assert "on a server: add --server" in linkflow("test", other).output
    there = linkflow("test", tmp_path / "tests", "--server", *where)
    assert (there.exit_code, "2 passed" in there.output) == (0, True), there.output
    assert not calls.calls


def test_pins_and_test_runs_from_the_command_line(where: tuple[object, ...], web: Web, tmp_path: Path):
    web.place("/pay", {"ok": True})
    (tmp_path / "order.json").write_text(json.dumps(order(web)))
    imported = linkflow("import", tmp_path / "order.json", *where)
    assert imported.exit_code == 0, imported.output
    id = next(word for word in imported.output.split() if len(word.strip("().,")) == 36).strip("().,")
    pinned = linkflow("pin", id, "fetch", "--output", '{"body": {"total": 200}}', *where)
    assert pinned.exit_code == 0, pinned.output
    run = linkflow("test", "run", id, "--mock", 'pay={"output": 1}', "--strict", *where)
    assert (run.exit_code, json.loads(run.stdout)) == (0, {"text": "Paid 200"}), run.output
    assert "pinned" in run.stderr
    assert linkflow("unpin", id, "fetch", *where).exit_code == 0
    strict = linkflow("test", "run", id, "--up-to", "check", "--strict", *where)
    assert (strict.exit_code, "not_mocked" in strict.stderr, "not mocked" in strict.stderr) == (1, True, True)


def test_workflows_are_named_by_file_and_name_and_calls_share_a_session(
    where: tuple[object, ...], web: Web, tmp_path: Path
):
    file, mocks = tmp_path / "by-file.json", ("--mock", 'fetch={"output": {"body": {"total": 1}}}')
    file.write_text(json.dumps({**order(web), "name": "By file"}))
    kept = SignIns(Path(str(where[1])))
    linkflow("executions", *where)
    [url] = kept.urls()
    session = kept.of(url) or {}
    for named in (file, "By file", file):  # more calls in a minute than there may be sign-ins
        for part in (("--up-to", "check"), ("--node", "small", "--input", "1"), ()):
            ran = linkflow("test", "run", named, *mocks, *part, *where)
            assert ran.exit_code == 0, ran.output
    assert linkflow("pin", "By file", "fetch", "--output", "1", *where).exit_code == 0
    assert linkflow("unpin", file, "fetch", *where).exit_code == 0
    missing = linkflow("pin", "By file", "fetsh", "--output", "1", *where)
    assert (missing.exit_code, missing.stderr) == (2, "There is no such node. Did you mean 'fetch'?\n")
    assert kept.of(url) == session
    kept.put(url, {**session, "access_token": session["access_token"][:-4] + "AAAA"})
    assert linkflow("executions", *where).exit_code == 0
    assert (kept.of(url) or session)["access_token"] != session["access_token"]
