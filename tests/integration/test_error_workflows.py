"""Error workflows on real Postgres: started exactly once a failure, with what happened, never in a loop."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.domain import events as e
from linkflow.domain.errors import NotFound
from linkflow.domain.outcomes import CallWorkflow, Completed, Failed, NodeError
from tests.integration.test_history import World, world

__all__ = ["world"]

BROKE = Failed(NodeError("boom", "it broke", False))


async def _answers(world: World, id: str) -> tuple[str, ...]:
    await world.history.close()
    reply = await world.history.describe(h.DescribeRequest((id,), world.workspace, in_full=True))
    return reply.executions[0].error_runs


async def _failed(world: World, error_workflow: str, **more: Any) -> str:
    id = await world.start(await world.chain(1, error_workflow=error_workflow), **more)
    await world.report(id, "n0", BROKE)
    return id


async def _started(world: World, id: str) -> e.ExecutionStarted:
    reply = await world.history.history(h.HistoryRequest(id, world.workspace))
    event = e.decode(reply.events)[0]
    assert isinstance(event, e.ExecutionStarted)
    return event


async def test_a_failure_starts_it_and_both_know_each_other(world: World) -> None:
    answering = await world.chain(1)
    id = await _failed(world, answering, trigger={"order": 7}, mode="api")
    [answer] = await _answers(world, id)
    shown = (await world.history.describe(h.DescribeRequest((answer,), world.workspace))).executions[0]
    assert (shown.mode, shown.parent_id, shown.workflow_id, shown.status) == ("error", id, answering, "running")
    event = await _started(world, answer)
    assert (event.caused_by, event.actor) == (id, f"execution:{id}")
    told = event.trigger["execution"]
    assert (told["id"], told["status"], told["failed_node"], told["trigger"]) == (id, "failed", "n0", {"order": 7})
    assert event.trigger["workflow"]["name"] == "t"
    await world.report(answer, "n0", Completed("told somebody"))
    assert await world.status(answer) == "completed"
    assert await world.count("messages", id) == 0
    assert await world.sound(id)
    assert await world.sound(answer)
    listed = await world.history.list(h.ListRequest(world.workspace, mode="error"))
    assert [run.id for run in listed.executions] == [answer]


async def test_the_run_s_timeout_starts_it(world: World) -> None:
    id = await world.start(await world.chain(1, error_workflow=await world.chain(1), timeout=60))
    [row] = await world.sql("SELECT timer_id, due_at FROM timers WHERE execution_id = %s", id)
    await world.history.fire(h.FireBatch((h.DueTimer(id, row[0], row[1]),)))
    [answer] = await _answers(world, id)
    assert (await _started(world, answer)).trigger["execution"]["status"] == "timed_out"


async def test_each_failure_after_a_retry_by_hand_starts_another(world: World) -> None:
    id = await _failed(world, await world.chain(1))
    await world.history.control(h.ControlRequest(id, world.workspace, "retry", "ada"))
    await world.report(id, "n0", BROKE, attempt=2)
    first, second = await _answers(world, id)
    assert (await _started(world, first)).trigger == (await _started(world, second)).trigger | {
        "execution": (await _started(world, first)).trigger["execution"]
    }
    await world.history.control(h.ControlRequest(id, world.workspace, "retry", "ada"))
    await world.report(id, "n0", Completed(), attempt=3)
    assert await _answers(world, id) == (first, second), "a good end calls nobody"


async def test_a_message_that_was_lost_or_told_twice_starts_it_once(world: World) -> None:
    """The outbox is written with the failure; whoever tells it, from whichever process, tells of the same run."""
    answering = await world.chain(1)
    lost = world.another()
    id = await world.start(await world.chain(1, error_workflow=answering))
    lost._messenger.tell_new = _forget  # type: ignore[method-assign]
    await lost.complete(h.CompleteBatch((h.Report(id, "n0", 1, BROKE),)))
    await lost.close()
    assert await world.count("messages", id) == 1
    assert await _answers(world, id) == ()
    messages = await world.store.lost_messages(world.clock.now_ms() + 3_600_000, 0, 100)
    tellers = [world.another() for _ in range(4)]
    await asyncio.gather(*(teller._messenger.tell(message) for message in messages for teller in tellers * 2))
    assert len(await _answers(world, id)) == 1
    assert await world.count("messages", id) == 0
    for teller in tellers:
        await teller.close()


async def _forget(*_: object) -> None:
    """The process was killed between the commit and the telling."""


async def test_the_sweep_tells_what_was_lost(world: World) -> None:
    lost = world.another()
    id = await world.start(await world.chain(1, error_workflow=await world.chain(1)))
    lost._messenger.tell_new = _forget  # type: ignore[method-assign]
    await lost.complete(h.CompleteBatch((h.Report(id, "n0", 1, BROKE),)))
    await world.sql("UPDATE messages SET offer_at = 0")
    assert (await world.history.sweep(h.SweepRequest())).messages == 1
    assert len(await _answers(world, id)) == 1


async def test_an_error_workflow_that_fails_starts_none(world: World) -> None:
    """Neither its own, nor by way of a sub-workflow: there are no loops."""
    workflow = await world.chain(1)
    async with world.database.connection() as c:  # its error workflow is itself
        await c.execute(
            "UPDATE workflow_versions SET definition = convert_to(jsonb_set(convert_from(definition, 'UTF8')::jsonb,"
            " '{settings}', jsonb_build_object('error_workflow', %s::text))::text, 'UTF8') WHERE workflow_id = %s",
            (workflow, workflow),
        )
    id = await world.start(workflow)
    await world.report(id, "n0", BROKE)
    [answer] = await _answers(world, id)
    world.matching.tasks.clear()
    await world.report(answer, "n0", CallWorkflow(workflow))
    [task] = world.matching.tasks
    await world.report(task.execution_id, "n0", BROKE)
    assert await world.status(answer) == "failed"
    assert await _answers(world, answer) == ()
    assert await _answers(world, task.execution_id) == ()
    assert len((await world.history.list(h.ListRequest(world.workspace))).executions) == 3


@pytest.mark.parametrize("kind", ["unknown", "no id", "foreign", "deleted", "no trigger"])
async def test_one_that_cannot_be_started_is_said_so_in_the_history(world: World, kind: str) -> None:
    answering = await world.chain(1)
    async with world.database.connection() as c:
        if kind == "foreign":
            other = str(uuid.uuid4())
            await c.execute("INSERT INTO workspaces VALUES (%s, 'x', 0, 0, 0)", (other,))
            await c.execute("UPDATE workflows SET workspace_id = %s WHERE id = %s", (other, answering))
        elif kind == "deleted":
            await c.execute("UPDATE workflows SET deleted_at = 1 WHERE id = %s", (answering,))
        elif kind == "no trigger":
            empty = b'{"name": "x", "nodes": []}'
            await c.execute("UPDATE workflow_versions SET definition = %s WHERE workflow_id = %s", (empty, answering))
    named = {"unknown": str(uuid.uuid4()), "no id": "me"}.get(kind, answering)
    id = await _failed(world, named)
    assert await _answers(world, id) == ()
    assert (await world.events(id))[-2:] == ["ExecutionFailed", "ErrorWorkflowRefused"]
    reply = await world.history.history(h.HistoryRequest(id, world.workspace))
    refused = msgspec.json.decode(reply.events)[-1]
    assert (refused["workflow_id"], refused["failure"]) == (named, refused["event_id"] - 1)
    assert refused["error"]["code"] == ("invalid_input" if kind == "no trigger" else "not_found")
    assert await world.status(id) == "failed"
    assert await world.count("messages", id) == 0
    assert await world.sound(id)


async def test_another_workspace_sees_neither(world: World) -> None:
    id = await _failed(world, await world.chain(1))
    [answer] = await _answers(world, id)
    theirs = Caller(str(uuid.uuid4()), frozenset({"execution.view"}))
    with acting_as(theirs):
        request = h.DescribeRequest((id, answer), theirs.workspace_id, in_full=True)
        assert (await world.history.describe(request)).executions == ()
        with pytest.raises(NotFound):
            await world.history.history(h.HistoryRequest(answer, theirs.workspace_id))
