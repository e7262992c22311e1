"""What a deployment is for, from the outside: every way of starting and waiting once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web

MINUTE = 150.0
"""Seconds within which a schedule of every minute has to have started a run."""


class Story:
    """`person` is registered already. Each step raises `AssertionError`, naming what was not as it should be."""

    def __init__(self, person: Person, web: Web) -> None:
        self._person, self._web = person, web
        self._scheduled = ""
        self._since = 0.0

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """In the order in which they are to be made; each says what it saw."""
        return [
            ("a schedule of every minute", self.schedule),
            ("create and execute", self.execute),
            ("a webhook that waits for the answer", self.webhook),
            ("a delay of 3 s", self.delay),
            ("a node that fails twice", self.retries),
            ("an approval", self.approval),
            ("a credential, sealed by KMS", self.credential),
            ("a payload of 300 KB, kept in S3", self.large),
            ("the schedule's run", self.scheduled),
        ]

    def schedule(self) -> str:
        cron = node("every", "trigger_schedule", {"cron": "* * * * *"})
        saved = self._person.save(workflow(cron, node("out", "noop")))
        self._scheduled, self._since = saved["id"], time.monotonic()
        self._person.activate(saved["id"])
        return "switched on"

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
        return f"{took / 1000:.1f} s, woken by the timer function"

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
        return "started by the clock"
