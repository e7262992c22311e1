"""What a deployment is for, from the outside: every way of starting and waiting once."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.smoke.stages import ENDING, Stage

MINUTE = 150.0
"""Seconds within which a schedule of every minute has to have started a run."""


class Story:
    """`person` is registered already. Each step raises `AssertionError`, naming what was not as it should be."""

    def __init__(self, person: Person, stage: Stage) -> None:
        self._person, self._stage, self._web = person, stage, stage.web
        self._scheduled = ""
        self._since = 0.0

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """In the order in which they are to be made; each says what it saw."""
        return [
            ("a schedule of every minute, switched on", self.schedule),
            ("the console", self.console),
            ("create and execute", self.execute),
            ("a webhook that waits for the answer", self.webhook),
            ("a delay of 3 s", self.delay),
            ("a node that fails twice", self.retries),
            ("an approval", self.approval),
            ("a run that waits, cancelled", self.cancel),
            ("a run forked half-way, and run again", self.fork),
            ("a credential", self.credential),
            ("a payload of 300 KB", self.large),
            ("an API key, used and revoked", self.key),
            ("another workspace sees nothing", self.stranger),
            ("a dead letter, redriven", self.dead_letter),
            ("health and numbers", self.health),
        ]

    def ending(self) -> list[tuple[str, Callable[[], str]]]:
        """What has to be waited for, so that something else may be done meanwhile."""
        return [("the schedule's run", self.scheduled)]

    def schedule(self) -> str:
        cron = node("every", "trigger_schedule", {"cron": "* * * * *"})
        saved = self._person.save(workflow(cron, node("out", "noop")))
        self._scheduled, self._since = saved["id"], time.monotonic()
        self._person.activate(saved["id"])
        return "switched on"

    def console(self) -> str:
        page = self._person.send("GET", "/console/", headers={"Authorization": ""})
        assert page.status_code == 200, (page.status_code, page.headers, page.text)
        (script,) = re.findall(r'<script [^>]*src="(/console/assets/[^"]+)"', page.text)
        found = self._person.send("GET", script, headers={"Accept-Encoding": "gzip"})
        assert (found.status_code, found.headers.get("content-encoding")) == (200, "gzip"), (
            found.headers,
            found.text[:300],
        )
        assert "immutable" in found.headers["cache-control"], found.headers
        tag = {"If-None-Match": found.headers["etag"], "Accept-Encoding": "gzip"}
        again = self._person.send("GET", script, headers=tag)
        assert again.status_code == 304, (again.status_code, again.headers)
        return f"a page, and a script of {len(found.content) // 1024} KB"

    def execute(self) -> str:
        fields = {"sum": "{{ trigger.a + trigger.b }}"}
        run = self._person.run(workflow(node("add", "transform", {"keep": False, "fields": fields})), {"a": 40, "b": 2})
        assert run.check().result == {"sum": 42}, run.result
        return "42"

    def webhook(self) -> str:
        self._web.place("/double", lambda call: {"twice": call.body["n"] * 2})
        hook = node("in", "trigger_webhook", {"path": "double", "method": "POST", "response_mode": "wait"})
        double = http("double", self._web.url("/double"), method="POST", body={"n": "{{ trigger.body.n }}"})
        shape = node("out", "transform", {"keep": False, "fields": {"twice": "{{ double.data.twice }}"}})
        answer = self._person.knock(self._person.hook(workflow(hook, double, shape)), {"n": 21})
        assert (answer.status_code, answer.json()) == (200, {"twice": 42}), answer.text
        self._person.end(answer.headers["x-execution-id"]).check()
        return "200, through a worker that calls out"

    def delay(self) -> str:
        run = self._person.run(workflow(node("rest", "delay", {"seconds": 3}), node("out", "noop"))).check()
        took = run.shown["duration_ms"]
        assert 3000 <= took < 30_000, took
        return f"{took / 1000:.1f} s, woken by the timer"

    def retries(self) -> str:
        place = self._web.place("/flaky", statuses=[503, 503])
        retry = {"max_attempts": 3, "initial_interval": 0.2, "jitter": 0}
        run = self._person.run(workflow(http("call", self._web.url("/flaky"), retry=retry))).check()
        assert len(place.calls) == run.nodes["call"]["attempt"] == 3, len(place.calls)
        return "three attempts"

    def approval(self) -> str:
        saved = self._person.save(workflow(node("ask", "action_approval", {"title": "Ship it?"}), node("out", "noop")))
        execution = self._person.start(saved["id"])
        self._person.wait_event(execution, "ApprovalRequested", "ask")
        (asked,) = [
            row for row in self._person.get(f"{self._person.base}/approvals")["data"]
            if row["execution_id"] == execution
        ]  # fmt: skip
        self._person.post(f"{self._person.base}/approvals/{asked['id']}/decision", {"decision": "approved"})
        self._person.end(execution).check()
        return "asked, decided, went on"

    def cancel(self) -> str:
        saved = self._person.save(workflow(node("wait", "wait_for_event", {"event": "never"}), node("out", "noop")))
        execution = self._person.start(saved["id"])
        self._person.wait_event(execution, "WaitStarted", "wait")
        self._person.post(f"{self._person.base}/executions/{execution}/cancel", {"reason": "the smoke"})
        assert self._person.end(execution).check("cancelled").nodes["wait"]["status"] == "cancelled"
        return "cancelled, with the node that waited"

    def fork(self) -> str:
        place = self._web.place("/once", {"n": 20})
        add = node("add", "transform", {"keep": False, "fields": {"sum": "{{ ask.data.n + 1 }}"}})
        first = self._person.run(workflow(http("ask", self._web.url("/once")), add)).check()
        assert first.result == {"sum": 21}, first.result
        runs = f"{self._person.base}/executions/{first.id}"
        forked = self._person.end(self._person.post(f"{runs}/fork", {"node": "add"})["execution"]["id"]).check()
        assert (forked.result, len(place.calls)) == ({"sum": 21}, 1), "what was done before the fork is kept"
        again = self._person.end(self._person.post(f"{runs}/rerun")["execution"]["id"]).check()
        assert (again.result, len(place.calls)) == ({"sum": 21}, 2), "a run that begins anew calls anew"
        return "one call kept, one made again"

    def credential(self) -> str:
        place = self._web.place("/secret")
        body = {"name": "token", "type": "http_bearer", "data": {"token": "s3cret-of-the-smoke"}}
        made = self._person.post(f"{self._person.base}/credentials", body)["credential"]
        call = {**http("call", self._web.url("/secret")), "credentials": {"http": made["id"]}}
        run = self._person.run(workflow(call)).check()
        assert place.calls[-1].headers["authorization"] == "Bearer s3cret-of-the-smoke", place.calls[-1].headers
        assert "s3cret" not in str(run.events)
        return "opened by the worker alone"

    def large(self) -> str:
        text = "x" * 300_000
        run = self._person.run(workflow(node("copy", "transform", {"keep": False, "fields": {"t": "{{ trigger.t }}"}})),
                               {"t": text}).check()  # fmt: skip
        assert run.result == {"t": text}, str(run.result)[:200]
        return "as it was"

    def key(self) -> str:
        flow = self._person.save(workflow(node("out", "noop")))
        asked = {"name": "smoke", "workspace_id": self._person.workspace, "permissions": ["workflow.execute"]}
        made = self._person.post("/api/v1/user/keys", asked)
        by_key = {"Authorization": f"Bearer {made['secret']}"}

        def call(path: str, body: Any) -> int:
            return self._person.send("POST", f"{self._person.base}{path}", json=body, headers=by_key).status_code

        execute = f"/workflows/{flow['id']}/execute"
        assert call(execute, {"input": {}}) in (200, 201, 202), "it may what it was made for"
        assert (more := call("/workflows", workflow(node("out", "noop")))) == 403, more
        gone = self._person.send("DELETE", f"/api/v1/user/keys/{made['key']['id']}")
        assert gone.status_code == 200, gone.text
        assert (after := call(execute, {"input": {}})) == 401, after
        return "may what it was made for, nothing else, and nothing once revoked"

    def stranger(self) -> str:
        run = self._person.run(workflow(node("out", "noop"))).check()
        other = self._stage.somebody()
        try:
            for base in (self._person.base, other.base):
                for path in (f"executions/{run.id}", f"workflows/{run.shown['workflow_id']}"):
                    answer = other.send("GET", f"{base}/{path}")
                    assert answer.status_code == 404, f"{base}/{path}: {answer.status_code}"
                    assert "application/problem+json" in answer.headers["content-type"]
            assert other.get(f"{other.base}/executions")["data"] == []
        finally:
            other.close()
        return "404"

    def dead_letter(self) -> str:
        """Given out once, to a worker that is killed over it; with no more deliveries allowed that is the end of it."""
        place = self._web.place("/grave")
        place.hold()
        self._stage.left_to("doomed")
        short = {"LINKFLOW_LEASE": "1", "LINKFLOW_MAX_DELIVERIES": "1"}
        document = workflow({**http("call", self._web.url("/grave")), "queue": "doomed"})
        letters = f"{self._person.base}/dead-letters"
        with self._stage.worker("doomed", "doomed", **short) as first:
            execution = self._person.start(self._person.save(document)["id"])
            place.wait_for_calls(1)
            first.kill()
            with self._stage.worker("undertaker", "doomed", **short):
                run = self._person.end(execution).check("failed")
                assert run.error["code"] == "task_dead_lettered", run.error
                (letter,) = self._person.get(letters, execution_id=execution)["data"]
                place.let_go()
                self._person.post(f"{letters}/{letter['id']}/redrive")
                self._person.follow(execution, lambda found: bool(found) and found[-1]["type"] == "ExecutionCompleted")
        assert self._person.get(letters, execution_id=execution)["data"] == []
        return "its worker was killed; it went on"

    def health(self) -> str:
        ready = self._person.get("/health/ready")
        assert {ready["status"], *ready["checks"].values()} == {"ok"}, ready
        version = self._person.get("/api/v1/health")["version"]
        total = self._person.get(f"{self._person.base}/executions/stats")["stats"]["total"]
        assert total["completed"] >= 10, total
        assert total["failed"] >= 1, total
        until = time.monotonic() + ENDING
        wanted = {"linkflow_events_total", "ExecutionCompleted", "linkflow_http_seconds", "linkflow_task_wait_seconds"}
        while missing := {name for name in wanted if name not in (text := self._stage.numbers())}:
            assert time.monotonic() < until, f"{missing} are not counted in {text[-500:]}"
            time.sleep(0.5)
        return f"version {version}; {total['completed']} completed, {total['failed']} failed"

    def scheduled(self) -> str:
        while True:
            rows: list[dict[str, Any]] = self._person.get(
                f"{self._person.base}/executions", workflow_id=self._scheduled, per_page=5
            )["data"]
            if rows:
                break
            assert time.monotonic() - self._since < MINUTE, "no run was started"
            time.sleep(1.0)
        run = self._person.end(rows[0]["id"]).check()
        assert run.shown["mode"] == "schedule", run.shown["mode"]
        self._person.activate(self._scheduled, active=False)
        late = datetime.fromisoformat(run.shown["started_at"])
        return f"started {late.second + late.microsecond / 1e6:.1f} s after the full minute"
