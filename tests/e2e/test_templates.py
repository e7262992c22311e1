"""Every template of the gallery, run against loopback; and the command line about workflows, as somebody types it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from linkflow.cli import main
from linkflow.services.gallery import templates
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import node, workflow
from tests.e2e.person import Json, Person, Run
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Call, Place, Web
from tests.e2e.topologies import Topology


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("templates")
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "templates"), folder) as made:
            yield made
        assert_sound(database_url, expect=0)


@dataclass
class Scene:
    """A run of a template: what was posted in Slack, and who else was called."""

    person: Person
    web: Web
    slack: Place
    flow: Json
    run: Run

    @property
    def posts(self) -> list[tuple[str, str]]:
        return [(call.body["channel"], call.body["text"]) for call in self.slack.calls]

    def again(self, input: Any) -> Run:
        return self.person.end(self.person.start(self.flow["id"], input))


def answered(text: str) -> Json:
    message = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "model": "gpt-4o-mini"}
    return {**message, "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def rows(call: Call) -> Json:
    number = int(call.path.partition("page=")[2].partition("&")[0])
    return {"items": [{"id": number * 2 - 1}, {"id": number * 2}] if number < 3 else [{"id": 5}]}


class Stage:
    """The world that templates speak to."""

    def __init__(self, person: Person, web: Web) -> None:
        self.person, self.web = person, web
        self.slack = web.place("/chat.postMessage", {"ok": True, "ts": "1", "channel": "C"})
        self.model = web.place("/v1/chat/completions")
        self.health = web.place("/health", status=503)
        self.list = web.place("/list", rows)
        self.records = {n: web.place(f"/records/{n}") for n in range(1, 6)}
        self.rows = web.place("/rows", status=201)
        self.action = web.place("/action")
        self.reserved = web.place("/shop/reservations", {"id": "r7"}, status=201)
        self.released = web.place("/shop/reservations/r7")
        self.charged = web.place("/shop/charges", {"id": "ch1"}, status=201)
        web.place("/report", {"rows": [{"name": "orders", "value": 7}, {"name": "refunds", "value": 1}]})
        places = {
            "HEALTH_URL": "/health", "SOURCE_URL": "/list", "ACTION_URL": "/action", "SHOP_URL": "/shop",
            "REPORT_URL": "/report",
        }  # fmt: skip
        for key, path in places.items():
            person.post(f"{person.base}/variables", {"key": key, "value": web.url(path)})
        for name, data in (
            ("Slack", {"token": "xoxb-1", "base_url": web.url()}),
            ("AI", {"api_key": "k", "base_url": web.url("/v1"), "model": "gpt-4o-mini"}),
        ):
            person.post(f"{person.base}/credentials", {"name": name, "type": name.lower(), "data": data})
        self.target = person.post(f"{person.base}/variables", {"key": "TARGET_URL", "value": web.url("/records")})[
            "variable"
        ]

    def use(self, slug: str) -> Json:
        made: Json = self.person.post(f"{self.person.base}/templates/{slug}/use")["workflow"]
        assert made["warnings"] == []
        return made

    def play(self, slug: str, before: Callable[[str], None] | None = None) -> Scene:
        """Use a template, and run it with its own example."""
        (found,) = (one for one in templates() if one.slug == slug)
        flow = self.use(slug)
        self.slack.calls.clear()
        id = self.person.start(flow["id"], found.input)
        if before is not None:
            before(id)
        return Scene(self.person, self.web, self.slack, flow, self.person.end(id).check())


@pytest.fixture(scope="module")
def stage(person: Person, web: Web) -> Stage:
    return Stage(person, web)


def order_intake(stage: Stage) -> None:
    scene = stage.play("order-intake")
    assert scene.run.nodes["accept"]["output"] == {"order": "A-1", "total": 17}
    assert scene.again({"body": {}}).check().nodes["refuse"]["status"] == "completed"


def webhook_to_slack(stage: Stage) -> None:
    scene = stage.play("webhook-to-slack")
    assert scene.posts == [("#alerts", "*critical*: Disk full on db-1")]
    scene.again({"body": {"severity": "low", "title": "x"}}).check()
    assert len(scene.posts) == 1


def api_monitor(stage: Stage) -> None:
    scene = stage.play("api-monitor")
    assert [text.rpartition(" ")[2] for _, text in scene.posts] == ["503."]
    stage.health.status = 200
    scene.again({}).check()
    assert len(scene.posts) == 1


def sync_pages(stage: Stage) -> None:
    scene = stage.play("sync-pages")
    assert scene.run.result == {"copied": 5, "pages": 3}
    assert [[call.body for call in place.calls] for place in stage.records.values()] == [
        [{"id": n}] for n in range(1, 6)
    ]


def csv_import(stage: Stage) -> None:
    path = f"{stage.person.base}/variables/{stage.target['id']}"
    assert stage.person.send("PATCH", path, json={"value": stage.web.url("/rows")}).status_code == 200
    scene = stage.play("csv-import")
    assert scene.run.nodes["answer"]["output"] == {"imported": 2}
    assert sorted((call.body["sku"], call.body["stock"]) for call in stage.rows.calls) == [("ink", 3), ("pen", 12)]


def approval_gate(stage: Stage) -> None:
    def decide(id: str) -> None:
        stage.person.wait_event(id, "ApprovalRequested")
        (asked,) = (a for a in stage.person.get(f"{stage.person.base}/approvals")["data"] if a["execution_id"] == id)
        stage.person.post(f"{stage.person.base}/approvals/{asked['id']}/decision", {"decision": "approved"})

    stage.play("approval-gate", decide)
    (call,) = stage.action.calls
    assert call.body["request"]["title"] == "Refund order A-1?"
    assert call.body["approved_by"].startswith("user:")


def ticket_triage(stage: Stage) -> None:
    stage.model.body = answered('{"class": "billing", "reason": "a payment"}')
    assert stage.play("ticket-triage").posts == [("#billing", "Charged twice (a payment)")]


def summarize(stage: Stage) -> None:
    stage.model.body = answered('{"title": "Meeting", "points": ["Ship on Friday", "Ada writes"]}')
    assert stage.play("summarize").posts == [("#news", "*Meeting*\n- Ship on Friday\n- Ada writes\n")]


def checkout_saga(stage: Stage) -> None:
    scene = stage.play("checkout-saga")
    assert scene.run.nodes["paid"]["output"] == {"order": "A-1", "charge": "ch1"}
    stage.charged.status = 402
    undone = scene.again({"body": {"id": "A-2", "amount": 1}}).check()
    assert [call.method for call in stage.released.calls] == ["DELETE"]
    assert undone.nodes["failed"]["output"] == {"error": "The card was not charged."}


def daily_report(stage: Stage) -> None:
    assert stage.play("daily-report").posts == [("#reports", "Figures\n- orders: 7\n- refunds: 1\n")]


def error_reporter(stage: Stage) -> None:
    scene = stage.play("error-reporter")
    assert scene.posts == [("#alerts", "Orders failed at charge: Status 500 (run r)")]
    fails = workflow(node("t", "trigger_manual"), node("stop", "stop", {"message": "On purpose"}))
    fails["settings"] = {"error_workflow": scene.flow["id"]}
    failed = stage.person.run({**fails, "name": "Doomed"})
    (own,) = stage.person.end(failed.shown["error_executions"][0]).check().of("ExecutionCompleted")
    assert own
    assert scene.posts[-1][1].startswith("Doomed failed at stop: On purpose")


PLAYS: dict[str, Callable[[Stage], None]] = {
    play.__name__.replace("_", "-"): play
    for play in (
        order_intake, webhook_to_slack, api_monitor, sync_pages, csv_import, approval_gate, ticket_triage, summarize,
        checkout_saga, daily_report, error_reporter,
    )
}  # fmt: skip


@pytest.mark.parametrize("slug", [one.slug for one in templates()])
def test_a_template_works(stage: Stage, slug: str):
    PLAYS[slug](stage)


def test_the_gallery_is_searched(person: Person):
    def found(**asked: str) -> list[str]:
        return [one["slug"] for one in person.get("/api/v1/templates", **asked)["data"]]

    assert found(category="ai") == ["ticket-triage", "summarize"]
    assert found(q="csv WEBHOOK") == ["csv-import"]
    counted = {one["name"]: one["templates"] for one in person.get("/api/v1/templates/categories")["data"]}
    assert (sum(counted.values()), counted["operations"]) == (len(templates()), 2)
    shown = person.get("/api/v1/templates/checkout-saga")["template"]
    assert (shown["variables"][0]["key"], shown["workflow"]["name"]) == ("SHOP_URL", shown["name"])
    assert person.send("GET", "/api/v1/templates/none").status_code == 404
    assert person.send("POST", f"{person.base}/templates/none/use", json={}).status_code == 404
    named = person.post(f"{person.base}/templates/api-monitor/use", {"name": "Mine"})["workflow"]
    assert (named["name"], named["is_active"]) == ("Mine", False)


class Terminal:
    def __init__(self, topology: Topology, folder: Path) -> None:
        self._env = {"LINKFLOW_URL": topology.url, "LINKFLOW_HOME": str(folder), "LINKFLOW_CONFIG": str(folder / "c")}

    def tried(self, *words: str) -> Result:
        return CliRunner(env=self._env).invoke(main, words)

    def types(self, *words: str, code: int = 0) -> str:
        done = self.tried(*words)
        assert done.exit_code == code, (words, done.output, done.exception)
        return done.stdout

    def asks(self, *words: str) -> Any:
        return json.loads(self.types(*words, "--json"))


def _file(folder: Path, name: str, message: str) -> str:
    made = {**workflow(node("t", "trigger_manual"), node("say", "output_log", {"message": message})), "name": name}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(made))
    return str(path)


def test_workflows_from_the_command_line(topology: Topology, tmp_path: Path):
    at = Terminal(topology, tmp_path / "home")
    one, two = _file(tmp_path, "One", "a"), _file(tmp_path, "Two", "b")
    assert "created" in at.types("workflow", "import", one, two, "--folder", "Shop/Orders")
    assert "unchanged" in at.types("workflow", "import", one)
    at.types("workflow", "tag", "One", "billing")
    at.types("workflow", "move", "Two", "/")
    assert [flow["name"] for flow in at.asks("workflow", "list", "--folder", "shop")] == ["One"]
    assert [flow["name"] for flow in at.asks("workflow", "list", "--tag", "billing", "on")] == ["One"]
    assert "Shop/Orders" in at.types("workflow", "folders")
    at.types("workflow", "draft", "One", _file(tmp_path, "One", "c"))
    assert at.types("workflow", "diff", "One") == '~ node Say\n    ~ config/message: "a" → "c"\n'
    at.types("workflow", "publish", "One", "--summary", "Say c")
    assert "Say c" in at.types("workflow", "versions", "One")
    at.types("environment", "add", "staging")
    at.types("workflow", "publish", "One", "--environment", "staging", "--version", "1")
    assert "staging              v2" in at.types("workflow", "promote", "One", "production", "staging")
    assert "staging              v1" in at.types("workflow", "rollback", "One", "--environment", "staging")
    assert [one["verb"] for one in at.asks("workflow", "releases", "One", "--environment", "staging")] == [
        "rollback", "promote", "publish",
    ]  # fmt: skip
    at.types("workflow", "lock", "One", "--reason", "Year end")
    refused = at.tried("workflow", "restore", "One", "1")
    assert (refused.exit_code, "Year end" in refused.stderr) == (2, True)
    at.types("workflow", "unlock", "One")
    at.types("policy", "set", "denied_nodes=action_code", "max_nodes=50")
    assert at.asks("policy", "show")["max_nodes"] == 50
    at.types("workflow", "export", "--all", "-o", str(tmp_path / "all.zip"))
    results = at.asks("workflow", "import", str(tmp_path / "all.zip"), "--on-conflict", "new", "--dry-run")
    assert [one["status"] for one in results] == ["created", "created"]
    assert at.types("template", "use", "order-intake", "--as", "Orders").endswith("Orders\n")
    assert "Shop" in at.types("workflow", "export", "One")


def test_files_are_validated_without_a_server(tmp_path: Path):
    def types(*words: str) -> Result:
        env = {"LINKFLOW_HOME": str(tmp_path / "none")}
        return CliRunner(env=env).invoke(main, ["workflow", "validate", *words])

    assert types(_file(tmp_path, "Fine", "x")).exit_code == 0
    (tmp_path / "bad.json").write_text(
        json.dumps({"workflows": [{"name": "B", "nodes": [{"id": "x", "type": "no"}]}, 5]})
    )
    (tmp_path / "broken.json").write_text("{")
    done = types(str(tmp_path / "bad.json"), str(tmp_path / "broken.json"), "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, [one["valid"] for one in found]) == (1, [False, False, False])
    told = {(one["source"].rpartition("/")[2], problem["code"]) for one in found for problem in one["problems"]}
    assert {("0", "unknown_type"), ("1", "invalid_type"), ("broken.json", "malformed")} <= told
    assert not (tmp_path / "none").exists()


ORDER = {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "integer"}}, "required": ["id"]}


def test_what_a_run_is_started_with_is_held_against_its_schema(person: Person):
    say = node("say", "output_log", {"message": "x"})
    flow = person.save({**workflow(node("t", "trigger_manual", {"input_schema": ORDER}), say), "name": "Strict"})
    person.end(person.start(flow["id"], {"id": "A", "n": 1})).check()
    path = f"{person.base}/workflows/{flow['id']}/execute"
    for input, pointers in (({"n": "x"}, ["/input", "/input/n"]), ({"id": 7}, ["/input/id"])):
        refused = person.send("POST", path, json={"input": input})
        assert (refused.status_code, [one["pointer"] for one in refused.json()["errors"]]) == (422, pointers), (
            refused.text
        )
    caller = workflow(
        node("t", "trigger_manual"), node("call", "sub_workflow", {"workflow_id": flow["id"], "input": {}})
    )
    failed = person.run({**caller, "name": "Caller"}).check("failed")
    assert failed.shown["failed_node"] == "call"
    hook = person.hook({**workflow(node("in", "trigger_webhook", {"input_schema": ORDER}), say), "name": "Hook"})
    assert person.knock(hook, {"id": "A"}).status_code == 202
    refused = person.knock(hook, {"id": None})
    assert (refused.status_code, [one["pointer"] for one in refused.json()["errors"]]) == (422, ["/body/id"]), (
        refused.text
    )
    wrong = workflow(node("t", "trigger_manual", {"input_schema": {"type": "objekt"}}), say)
    assert "/nodes/0/config/input_schema" in person.send("POST", f"{person.base}/workflows", json=wrong).text
