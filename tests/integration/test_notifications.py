"""Rules of who is told, on real Postgres: one delivery for each rule and occurrence, whatever falls in between."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.contracts.usage import HOUR, UsageRequest
from linkflow.domain import events as e
from linkflow.domain.definition import Definition, Edge, Node
from linkflow.domain.errors import Unavailable
from linkflow.domain.ids import time_of
from linkflow.domain.notices import MODE, SEND, TRIGGER, Channel
from linkflow.domain.outcomes import CallWorkflow, Completed, Failed, NodeError, RequestApproval
from linkflow.domain.trial import Trial
from linkflow.postgres.database import Database
from linkflow.postgres.notifications import PostgresRules
from linkflow.services.history.messages import Messenger
from linkflow.services.notifications import Saved
from tests.integration.test_history import SERVICE, World

BROKE = Failed(NodeError("boom", "it broke", False))
DEAD = Failed(NodeError("task_dead_lettered", "Nobody finished it.", False))
DEFINITION = Definition("On call", (Node(TRIGGER, "trigger_manual"), Node(SEND, "noop")), (Edge("e", TRIGGER, SEND),))


class Told(World):
    """A world with a clock that can be moved, and rules."""

    async def rule(self, *kinds: str, version: int = 1, id: str = "", **more: Any) -> str:
        own = {"workflows": (), "every": 0, "after": 0, "enabled": True, **more}
        saved = Saved(
            id or str(uuid.uuid4()), "On call", own["enabled"], kinds, own["workflows"], own["every"], own["after"],
            Channel("webhook", "http://x.example"), version, 0, self.clock.now_ms(),
        )  # fmt: skip
        assert await self.rules.save(self.workspace, saved, DEFINITION)
        return saved.id

    async def broken(self, workflow: str, outcome: Any = BROKE, **more: Any) -> str:
        id = await self.start(workflow, **more)
        await self.report(id, "n0", outcome)
        return id

    async def told(self, rule: str) -> list[dict[str, Any]]:
        """What its deliveries were given, the oldest first."""
        await self.history.close()
        runs = (await self.history.list(h.ListRequest(self.workspace, rule, limit=100))).executions
        assert {run.mode for run in runs} <= {MODE}
        found = []
        for run in reversed(runs):
            events = e.decode((await self.history.history(h.HistoryRequest(run.id, self.workspace))).events)
            assert isinstance(events[0], e.ExecutionStarted)
            found.append(events[0].trigger)
        return found


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Told]:
    database = Database(database_url, size=4)
    made = Told(database)
    made.rules = PostgresRules(database)  # type: ignore[attr-defined]
    made.history = made.another(rules=PostgresRules(database))
    with acting_as(SERVICE):
        await made.workflow(Node("x", "noop"))  # and with it the workspace
        yield made
    await made.history.close()
    await database.close()


async def test_a_failure_is_told_by_each_rule_that_wants_it(world: Told) -> None:
    workflow, other = await world.chain(1), await world.chain(1)
    every, own = await world.rule("failed"), await world.rule("failed", "timed_out", workflows=(workflow,))
    off, late = await world.rule("failed", enabled=False), await world.rule("timed_out", "approval")
    id, elsewhere = await world.broken(workflow), await world.broken(other)
    [first, second] = await world.told(every)
    assert await world.told(own) == [first]
    assert (await world.told(off), await world.told(late)) == ([], [])
    assert (first["type"], first["data"]["execution"]) == (
        "execution.failed", {"id": id, "status": "failed", "mode": "manual"}
    )  # fmt: skip
    assert first["data"]["error"] == {"code": "boom", "message": "it broke", "node": "n0"}
    assert first["data"]["workflow"] == {"id": workflow, "name": "t", "version": 1}
    assert first["text"] == "t failed at n0: it broke (boom)"
    assert first["url"].endswith(f"/api/v1/workspaces/{world.workspace}/executions/{id}")
    assert second["data"]["execution"]["id"] == elsewhere
    assert await world.sql("SELECT count(*) FROM messages") == [(0,)]
    assert await world.sound(id)


async def test_deliveries_are_in_no_statistics(world: Told) -> None:
    rule = await world.rule("failed")
    workflow = await world.chain(1)
    for _ in range(2):
        await world.broken(workflow)
    await world.told(rule)
    first, second = (await world.history.list(h.ListRequest(world.workspace, rule))).executions
    await world.report(first.id, SEND, Completed({"ok": True}))
    now = world.clock.now_ms()
    asked = UsageRequest(world.workspace, HOUR, now - 86_400_000, now + 86_400_000, "", True)
    reply = await world.history.usage(asked)
    [span] = reply.spans
    assert (span.started, span.ended, span.nodes, reply.open) == (2, {"failed": 2}, 2, {})
    assert await world.status(second.id) == "running"
    told = await world.sql("SELECT sum(octet_length(events)) FROM history NATURAL JOIN (SELECT id AS execution_id FROM"
                           " executions WHERE mode <> 'notification') e")  # fmt: skip
    assert told == [(span.bytes,)]
    assert await world.sql("SELECT count(*) FROM usage_sums WHERE workflow_id = %s", rule) == [(0,)]


async def test_what_is_no_news_is_not_told(world: Told) -> None:
    rule = await world.rule("failed", "timed_out", "dead_letter", "approval")
    done = await world.start(await world.chain(1))
    await world.report(done, "n0", Completed())
    trial = Trial()
    await world.broken(await world.chain(1), mode="test", trial=trial)
    child = await world.chain(1)
    parent = await world.start(await world.workflow(Node("n0", "sub_workflow"), edges=(Edge("e", "t", "n0"),)))
    await world.report(parent, "n0", CallWorkflow(child, {}))
    [run] = (await world.history.list(h.ListRequest(world.workspace, child))).executions
    await world.report(run.id, "n0", BROKE)
    await world.history.close()
    assert await world.status(parent) == "failed"
    [told] = await world.told(rule)
    assert told["data"]["execution"]["id"] == parent, "a sub-workflow's failure is its parent's to tell"
    [delivery] = (await world.history.list(h.ListRequest(world.workspace, rule))).executions
    await world.report(delivery.id, SEND, BROKE)
    assert await world.status(delivery.id) == "failed"
    assert len(await world.told(rule)) == 1, "nobody is told how telling fares"


async def test_approvals_and_dead_letters(world: Told) -> None:
    rule = await world.rule("approval", "dead_letter")
    asked = await world.broken(await world.chain(2), RequestApproval("Ship it?", assignees=("ada@example.com",)))
    lost = await world.broken(await world.chain(1), DEAD)
    approval, letter = sorted(await world.told(rule), key=lambda told: str(told["type"]))
    assert (approval["type"], approval["data"]["execution"]["id"]) == ("execution.approval", asked)
    assert approval["data"]["approval"]["title"] == "Ship it?"
    assert approval["data"]["approval"]["assignees"] == ["ada@example.com"]
    assert (letter["type"], letter["data"]["execution"]["id"]) == ("execution.dead_letter", lost)


async def test_the_same_is_told_once_in_a_while(world: Told) -> None:
    workflow, other = await world.chain(1), await world.chain(1)
    rule, each = await world.rule("failed", every=300_000), await world.rule("failed")
    for _ in range(3):
        await world.broken(workflow)
    await world.broken(workflow, Failed(NodeError("other", "it broke otherwise", False)))
    await world.broken(other)
    assert len(await world.told(each)) == 5
    told = [(one["data"]["workflow"]["id"], one["data"]["error"]["code"]) for one in await world.told(rule)]
    assert told == [(workflow, "boom"), (workflow, "other"), (other, "boom")]


async def test_a_message_that_was_lost_or_told_twice_is_one_delivery(
    world: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = await world.rule("failed")
    tell = Messenger.tell

    async def away(self: Messenger, message: Any) -> None:
        raise Unavailable("This process is gone.")

    monkeypatch.setattr(Messenger, "tell", away)
    id = await world.broken(await world.chain(1))
    assert await world.told(rule) == []
    monkeypatch.setattr(Messenger, "tell", tell)
    [message] = await world.store.lost_messages(2**60, 0, 10)
    await world.sql("UPDATE messages SET offer_at = 0")
    await world.another(rules=PostgresRules(world.database)).sweep(h.SweepRequest())
    assert [told["data"]["execution"]["id"] for told in await world.told(rule)] == [id]
    await world.history._messenger.tell(message)
    assert len(await world.told(rule)) == 1
    assert await world.count("messages", id) == 0


async def test_a_failure_while_rules_cannot_be_read_is_told_later(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = await world.rule("failed")
    of = PostgresRules.of

    async def away(self: PostgresRules, workspace_id: str) -> Any:
        raise Unavailable("The database does not answer now; try again.")

    monkeypatch.setattr(PostgresRules, "of", away)
    await world.broken(await world.chain(1))
    monkeypatch.setattr(PostgresRules, "of", of)
    assert await world.told(rule) == []
    await world.sql("UPDATE messages SET offer_at = 0")
    await world.history.sweep(h.SweepRequest())
    assert len(await world.told(rule)) == 1


async def test_long_running_runs_are_told_once(world: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = await world.chain(1)
    old = await world.start(workflow)
    now = [time_of(old)]
    monkeypatch.setattr(type(world.clock), "now_ms", lambda _: now[0])
    now[0] += 90_000
    rule = await world.rule("long_running", after=60_000)
    late, done = await world.start(workflow), await world.start(workflow)
    await world.report(done, "n0", Completed())

    async def sweep(seconds: float) -> list[str]:
        now[0] += round(seconds * 1000)
        await world.history.sweep(h.SweepRequest())
        return [told["data"]["execution"]["id"] for told in await world.told(rule)]

    assert await sweep(30) == [], "what was late before there was a rule is no news"
    assert await sweep(31) == [late]
    assert await sweep(60) == [late]
    [told] = await world.told(rule)
    assert (told["type"], told["text"]) == ("execution.long_running", "t is running for more than 1 min")
    await world.report(late, "n0", Completed())
    await world.report(old, "n0", Completed())
    [delivery] = (await world.history.list(h.ListRequest(world.workspace, rule))).executions
    await world.report(delivery.id, SEND, Completed())
    await sweep(15)
    [(look,)] = await world.sql("SELECT look_at FROM notification_rules")
    assert look == now[0] + 60_000, "nothing is open: nothing can be late before"
