"""Fork, reset and rerun on real Postgres: one transaction, self-contained histories, crashes in between, tenants."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.controlling import ForkReply, ForkRequest
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.errors import Forbidden, InvalidInput, LimitExceeded, NoSlot, NotFound
from linkflow.domain.ids import derived_id, shard_of_execution
from linkflow.domain.outcomes import Completed, Failed, Iterate, NodeError, WaitEvent
from linkflow.domain.state import decode
from linkflow.services.history import History
from tests.integration.test_history import World, world

__all__ = ["world"]


async def fork(world: World, id: str, verb: str = "fork", node: str = "", **more: Any) -> ForkReply:
    reply = await world.history.fork(ForkRequest(id, world.workspace, verb, node, actor="user:ada", **more))
    await world.history.close()
    return reply


async def failed(world: World) -> tuple[str, str]:
    """A workflow of three nodes, and a run of it whose second failed."""
    workflow = await world.chain(3)
    id = await world.start(workflow, trigger={"order": 7})
    await world.report(id, "n0", Completed("kept"))
    await world.report(id, "n1", Failed(NodeError("boom", "It broke.", False)))
    assert await world.status(id) == "failed"
    return workflow, id


async def newer(world: World, workflow: str, *nodes: str) -> None:
    """Version 2 of a chain."""
    edges = tuple(d.Edge(f"e{i}", a, b) for i, (a, b) in enumerate(zip(["t", *nodes], nodes, strict=False)))
    definition = d.Definition("t", (d.Node("t", "trigger_manual"), *(d.Node(n, "noop") for n in nodes)), edges)
    async with world.database.connection() as c:
        await c.execute(
            "INSERT INTO workflow_versions (workflow_id, version, definition, created_at) VALUES (%s, 2, %s, 0)",
            (workflow, d.encode(definition)),
        )
        await c.execute("UPDATE workflows SET version = 2 WHERE id = %s", (workflow,))


async def test_a_fork_of_a_failed_run_goes_on_by_itself(world: World):
    workflow, source = await failed(world)
    made = await fork(world, source, node="n1", edited=True, input={"order": 8})
    assert (made.created, made.mode, made.workflow_id, made.workflow_version) == (True, "fork", workflow, 1)
    assert made.plan is not None
    assert (made.plan.kept, made.plan.runs) == (("n0",), ("n1", "n2"))
    assert shard_of_execution(made.execution_id) == shard_of_execution(source)
    assert [task.node_key for task in world.matching.tasks if task.execution_id == made.execution_id] == ["n1"]
    await world.sql("DELETE FROM history WHERE execution_id = %s", source)  # nothing of it is needed any more
    await world.sql("DELETE FROM executions WHERE id = %s", source)
    await world.report(made.execution_id, "n1", Completed("mended"))
    await world.report(made.execution_id, "n2", Completed("over"))
    assert await world.status(made.execution_id) == "completed"
    assert await world.sound(made.execution_id)
    reply = await world.history.history(h.HistoryRequest(made.execution_id, world.workspace))
    started, forked, *_ = events = e.decode(reply.events)
    assert isinstance(started, e.ExecutionStarted)
    assert isinstance(forked, e.ExecutionForked)
    assert (started.trigger, started.source_id, started.actor) == ({"order": 7}, source, "user:ada")
    assert (forked.source_id, forked.node, forked.actor, forked.kept) == (source, "n1", "user:ada", 2)
    assert [event.node for event in events if isinstance(event, e.NodeCompleted) and event.kept_at] == ["n0"]


async def test_a_dry_run_starts_nothing(world: World):
    workflow, source = await failed(world)
    await newer(world, workflow, "n0", "new", "n1", "n2")
    made = await fork(world, source, node="n1", version=-1, dry_run=True)
    assert (made.execution_id, made.created, made.workflow_version) == ("", False, 2)
    assert made.plan is not None
    assert made.plan.report is not None
    assert (made.plan.report.added, made.plan.runs) == (("new",), ("new", "n1", "n2"))
    runs = await world.history.list(h.ListRequest(world.workspace))
    assert [run.id for run in runs.executions] == [source]


async def test_versions(world: World):
    workflow, source = await failed(world)
    await newer(world, workflow, "n0", "n1", "n2", "n3")
    made = await fork(world, source, node="n1", version=2)
    assert (await _state(world, made.execution_id)).workflow_version == 2
    assert (await fork(world, source, node="n1")).workflow_version == 1
    again = await fork(world, made.execution_id, node="n1")  # a fork's own version is its default
    assert again.workflow_version == 2
    with pytest.raises(InvalidInput, match="no version 9"):
        await fork(world, source, node="n1", version=9)
    async with world.database.connection() as c:
        await c.execute("UPDATE workflows SET deleted_at = 1 WHERE id = %s", (workflow,))
    assert (await fork(world, source, node="n1")).created  # what it is pinned to is still there
    with pytest.raises(InvalidInput, match="was deleted"):
        await fork(world, source, node="n1", version=-1)


async def _state(world: World, id: str) -> Any:
    return decode((await world.store.load([id]))[id].state)


async def test_forks_are_found_from_their_source(world: World):
    _, source = await failed(world)
    first = await fork(world, source, node="n1")
    second = await fork(world, source, "rerun")
    found = await world.history.list(h.ListRequest(world.workspace, source_id=source))
    assert [(run.id, run.mode) for run in found.executions] == [
        (second.execution_id, "rerun"),
        (first.execution_id, "fork"),
    ]
    other = await world.history.list(h.ListRequest(str(uuid.uuid4()), source_id=source))
    assert other.executions == ()
    only = await world.history.list(h.ListRequest(world.workspace, source_id=source, mode="fork", limit=1))
    assert [run.id for run in only.executions] == [first.execution_id]


async def test_a_call_that_comes_twice_is_one_fork(world: World):
    _, source = await failed(world)
    first = await fork(world, source, node="n1", idempotency_key="api:fork:1")
    second = await fork(world, source, node="n1", idempotency_key="api:fork:1")
    assert (second.execution_id, second.created) == (first.execution_id, False)
    id = derived_id("x", 1_764_000_000_000, shard_of_execution(source))
    assert (await fork(world, source, node="n1", new_id=id)).execution_id == id
    assert not (await fork(world, source, node="n1", new_id=id)).created


async def test_a_rerun_takes_the_trigger_data_or_another(world: World):
    workflow, source = await failed(world)
    same = await fork(world, source, "rerun")
    state = await _state(world, same.execution_id)
    assert (state.mode, state.trigger, state.source_id, state.status) == ("rerun", {"order": 7}, source, "running")
    edited = await fork(world, source, "rerun", edited=True, input=[1])
    assert (await _state(world, edited.execution_id)).trigger == [1]
    await newer(world, workflow, "n0", "other")
    latest = await fork(world, source, "rerun", version=-1, dry_run=True)
    assert latest.plan is not None
    assert latest.plan.report is not None
    assert (latest.plan.runs, latest.plan.report.added) == (("n0", "other"), ("other",))


async def test_a_reset_ends_its_source_and_says_who_goes_on(world: World):
    workflow = await world.chain(2)
    source = await world.start(workflow)
    await world.report(source, "n0", Completed(1))
    made = await fork(world, source, "reset", "n1", reason="Wrong price.")
    assert await world.status(source) == "terminated"
    reply = await world.history.history(h.HistoryRequest(source, world.workspace))
    end = e.decode(reply.events)[-1]
    assert isinstance(end, e.ExecutionTerminated)
    assert end.actor == "user:ada"
    assert made.execution_id in end.reason
    assert end.reason.endswith("Wrong price.")
    assert await world.count("messages", made.execution_id) == 0
    again = await fork(world, source, "reset", "n1")  # one that is over stays as it is
    assert (again.created, await world.status(source)) == (True, "terminated")


async def test_a_crash_between_fork_and_end_is_made_good_by_the_sweep(world: World):
    source = await world.start(await world.chain(2))
    await world.report(source, "n0", Completed(1))

    class Dead(Exception):
        pass

    async def dies(*_: object) -> None:
        raise Dead

    falling = world.another()
    falling._messenger.end_source = dies  # type: ignore[method-assign]
    with pytest.raises(Dead):
        await falling.fork(ForkRequest(source, world.workspace, "reset", "n1"))
    await falling.close()
    assert await world.status(source) == "running"  # the new run is there, the old one not told yet
    await world.sql("UPDATE messages SET offer_at = 0")
    await world.history.sweep(h.SweepRequest())
    await world.history.close()
    assert await world.status(source) == "terminated"
    found = await world.history.list(h.ListRequest(world.workspace, source_id=source))
    assert [run.status for run in found.executions] == ["running"]


async def test_kept_signals_and_running_sources(world: World):
    workflow = await world.chain(2)
    source = await world.start(workflow)
    await world.history.signal(h.SignalRequest(source, world.workspace, "s1", "paid", payload=5))
    await world.report(source, "n0", Completed(1))
    made = await fork(world, source, node="n1")
    await world.report(made.execution_id, "n1", WaitEvent("paid"))
    assert await world.status(made.execution_id) == "completed"
    assert await world.status(source) == "running"


async def test_refused(world: World):
    _, source = await failed(world)
    for verb, node in (("fork", "n2"), ("fork", "nope"), ("fork", ""), ("spoon", "n1")):
        with pytest.raises(InvalidInput):
            await fork(world, source, verb, node)
    with pytest.raises(InvalidInput):
        await fork(world, source, node="n1", new_id="x")
    for id in (str(uuid.uuid4()), "nonsense"):
        with pytest.raises(NotFound):
            await fork(world, id, node="n1")


async def test_another_workspace_sees_nothing(world: World):
    _, source = await failed(world)
    stranger = str(uuid.uuid4())
    with acting_as(Caller(stranger, frozenset({"workflow.execute", "execution.view"}))):
        for workspace in (stranger, world.workspace):
            with pytest.raises(NotFound):
                await world.history.fork(ForkRequest(source, workspace, "fork", "n1"))
    with acting_as(Caller(world.workspace, frozenset({"execution.view"}))), pytest.raises(Forbidden):
        await world.history.fork(ForkRequest(source, world.workspace, "fork", "n1"))


async def test_a_history_that_leaves_no_room(world: World):
    _, source = await failed(world)
    config = Config(max_events=100)
    small = History(world.store, world.matching, world.doorbell, world.clock, config)  # type: ignore[arg-type]
    with pytest.raises(LimitExceeded):
        await small.fork(ForkRequest(source, world.workspace, "fork", "n1"))
    await small.close()


async def test_what_a_fork_refers_to_is_its_own(world: World):
    """Large results of the source are kept outside, under its name: its fork has copies, and outlives them."""
    blobs = world.blobs()
    world.history = world.another(blobs=blobs)
    nodes = (d.Node("a", "noop"), d.Node("loop", "loop"), d.Node("b", "noop"), d.Node("z", "noop"))
    edges = (
        d.Edge("1", "t", "a"),
        d.Edge("2", "a", "loop"),
        d.Edge("3", "loop", "b", "each"),
        d.Edge("4", "loop", "z", "done"),
    )
    source = await world.start(await world.workflow(*nodes, edges=edges), trigger={"big": "t" * 50_000})
    await world.report(source, "a", Completed("x" * 50_000))
    await world.report(source, "loop", Iterate(("y" * 30_000, "z" * 30_000)))
    await world.report(source, "b[0]", Completed("w" * 40_000))
    await world.report(source, "b[1]", Completed(1))
    made = await fork(world, source, node="b[1]", edited=True, input="v" * 40_000)
    reply = await world.history.history(h.HistoryRequest(made.execution_id, world.workspace))
    keys = _keys(bytes(reply.events))
    assert len(keys) >= 5
    assert all(key.startswith(f"{world.workspace}/{made.execution_id}/") for key in keys)
    assert await world.sound(made.execution_id)
    await blobs.drop([(world.workspace, source)])
    await world.report(made.execution_id, "b[1]", Completed("new"))
    assert (await blobs.get(sorted(keys))).keys() == keys


def _keys(events: bytes) -> set[str]:
    return {key.decode() for key in re.findall(rb'"key":"([^"]+)"', events)}


async def test_limits_hold_back_reruns(world: World):
    workflow = await world.chain(2, concurrency=d.Concurrency(limit=1))
    source = await world.start(workflow)
    await world.report(source, "n0", Completed(1))
    again = await fork(world, source, "rerun", edited=True, input=5)
    assert await world.status(again.execution_id) == "queued"
    found = await world.history.list(h.ListRequest(world.workspace, source_id=source))
    assert [run.id for run in found.executions] == [again.execution_id]
    await world.history.control(h.ControlRequest(source, world.workspace, "terminate"))
    await world.history.close()
    state = await _state(world, again.execution_id)
    assert (state.status, state.source_id, state.trigger) == ("running", source, 5)
    assert await world.sound(again.execution_id)


async def test_a_rerun_is_not_collected_with_other_starts(world: World):
    workflow = await world.chain(1, batch=d.Batch(size=5, wait=60))
    source = await world.start(workflow, trigger={"n": 1})
    again = await fork(world, source, "rerun")
    assert again.execution_id != source
    assert await world.status(again.execution_id) == "running"


async def test_a_fork_takes_a_slot_or_is_refused(world: World):
    """A fork cannot wait for its turn, so it is let in like a retry by hand."""
    workflow = await world.chain(2, concurrency=d.Concurrency("{{ trigger.who }}", 1))
    source = await world.start(workflow, trigger={"who": "acme"})
    await world.report(source, "n0", Completed(1))
    with pytest.raises(NoSlot):
        await fork(world, source, "fork", "n1", new_id=(refused := world.request(workflow).execution_id))
    assert await world.count("history", refused) == 0
    await world.report(source, "n1", Completed(2))
    made = await fork(world, source, "fork", "n1", new_id=(id := world.request(workflow).execution_id))
    assert made.created
    again = await fork(world, source, "fork", "n1", new_id=id)  # the same call again is the same fork
    assert (again.execution_id, again.created) == (id, False)
    waiting = await world.start(workflow, trigger={"who": "acme"})
    assert await world.status(waiting) == "queued"
    await world.report(id, "n1", Completed(3))
    assert [await world.status(run) for run in (id, waiting)] == ["completed", "running"]


async def test_a_reset_goes_on_with_its_source_s_slot(world: World):
    workflow = await world.chain(2, concurrency=d.Concurrency("", 1))
    source = await world.start(workflow)
    await world.report(source, "n0", Completed(1))
    waiting = await world.start(workflow)
    made = await fork(world, source, "reset", "n1")
    await world.history.close()
    states = [await world.status(run) for run in (source, made.execution_id, waiting)]
    assert states == ["terminated", "running", "queued"]
    await world.report(made.execution_id, "n1", Completed(3))
    assert await world.status(waiting) == "running"
