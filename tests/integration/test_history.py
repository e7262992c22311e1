"""History on real Postgres: one transaction a transition, the fence, the outbox, timers, idempotency, tenants."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from linkflow.clock import SystemClock
from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.matching import AddReply, AddRequest
from linkflow.domain import commands as c
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain import ids
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from linkflow.domain.outcomes import CallWorkflow, Completed, Failed, Iterate, NodeError, Sleep
from linkflow.domain.replay import replay
from linkflow.ports import Blobs
from linkflow.postgres.blobs import PostgresBlobs
from linkflow.postgres.database import Database
from linkflow.postgres.executions import PostgresEvents
from linkflow.postgres.sharded import ShardedEvents
from linkflow.postgres.sharded_blobs import ShardedBlobs
from linkflow.postgres.shards import Shards
from linkflow.services.history import History

SERVICE = Caller("*", frozenset({"*"}), "test")


class RecordingMatching:
    """Stands where Matching's client stands; remembers what was pushed."""

    def __init__(self) -> None:
        self.tasks: list[h.Task] = []

    async def add(self, request: AddRequest) -> AddReply:
        self.tasks += request.tasks
        return AddReply(len(request.tasks))


class SilentDoorbell:
    def __init__(self) -> None:
        self.rung: list[tuple[str, bytes]] = []

    async def ring(self, topic: str, message: bytes) -> None:
        self.rung.append((topic, message))


class World:
    """A History over one database or several, and a workflow to run on it. `database` is the main one."""

    def __init__(self, database: Database, shards: Shards | None = None) -> None:
        self.database = database
        self.shards = shards
        self.store: Any = PostgresEvents(database)
        if shards is not None:
            self.store = ShardedEvents(shards, {name: PostgresEvents(one) for name, one in shards.databases.items()})
        self.matching = RecordingMatching()
        self.doorbell = SilentDoorbell()
        self.clock = SystemClock()
        self.workspace = str(uuid.uuid4())
        self.history = self.another()

    def another(self, **more: Any) -> History:
        """One more History process over the same database, with a cache of its own."""
        lane = getattr(self.store, "lane", None) if self.shards else None
        return History(self.store, self.matching, self.doorbell, self.clock, Config(), lane=lane, **more)  # type: ignore[arg-type]

    def blobs(self) -> Blobs:
        if self.shards is None:
            return PostgresBlobs(self.database)
        return ShardedBlobs(self.shards, {name: PostgresBlobs(one) for name, one in self.shards.databases.items()})

    async def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a statement gives in every database."""
        found: list[tuple[Any, ...]] = []
        for database in self.shards.databases.values() if self.shards else [self.database]:
            async with database.connection() as c:
                cursor = await c.execute(statement, values)  # type: ignore[arg-type]
                found += await cursor.fetchall() if cursor.description else []
        return found

    async def workflow(self, *nodes: d.Node, edges: tuple[d.Edge, ...] = (), **settings: Any) -> str:
        id = str(uuid.uuid4())
        definition = d.Definition("t", (d.Node("t", "trigger_manual"), *nodes), edges, settings=d.Settings(**settings))
        async with self.database.connection() as c:
            await c.execute(
                "INSERT INTO workspaces VALUES (%s, 'w', 0, 0, 0) ON CONFLICT DO NOTHING", (self.workspace,)
            )
            await c.execute(
                "INSERT INTO workflows (id, workspace_id, name, description, version, created_at, updated_at)"
                " VALUES (%s, %s, 't', '', 1, 0, 0)",
                (id, self.workspace),
            )
            await c.execute(
                "INSERT INTO workflow_versions (workflow_id, version, definition, created_at) VALUES (%s, 1, %s, 0)",
                (id, d.encode(definition)),
            )
        return id

    async def chain(self, count: int = 2, **settings: Any) -> str:
        names = [f"n{i}" for i in range(count)]
        edges = tuple(d.Edge(f"e{i}", a, b) for i, (a, b) in enumerate(zip(["t", *names], names, strict=False)))
        return await self.workflow(*(d.Node(name, "noop") for name in names), edges=edges, **settings)

    def request(self, workflow: str, **more: Any) -> h.StartRequest:
        shard = ids.shard_of_workflow(workflow)
        id = ids.execution_id(self.clock.now_ms(), shard, self.clock.rand_bits(62))
        return h.StartRequest(id, self.workspace, workflow, 1, "t", **more)

    async def start(self, workflow: str, **more: Any) -> str:
        reply = await self.history.start(h.StartBatch((self.request(workflow, **more),)))
        assert reply.results[0].error is None
        await self.history.close()
        return reply.results[0].execution_id

    async def report(self, id: str, node: str, outcome: Any, attempt: int = 1, **more: Any) -> h.CompleteReply:
        reply = await self.history.complete(h.CompleteBatch((h.Report(id, node, attempt, outcome),), **more))
        await self.history.close()
        return reply

    async def events(self, id: str) -> list[str]:
        reply = await self.history.history(h.HistoryRequest(id, self.workspace))
        return [type(event).__name__ for event in e.decode(reply.events)]

    async def status(self, id: str) -> str:
        reply = await self.history.describe(h.DescribeRequest((id,), self.workspace))
        return reply.executions[0].status

    async def count(self, table: str, id: str) -> int:
        return sum(row[0] for row in await self.sql(f"SELECT count(*) FROM {table} WHERE execution_id = %s", id))

    async def sound(self, id: str) -> bool:
        stored = (await self.store.load([id]))[id].state
        reply = await self.store.history(id, 0, 10_000)
        return replay(id, bytes(reply.events), stored).matches


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    database = Database(database_url, size=4)
    made = World(database)
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def test_start_writes_row_events_and_task_then_pushes(world: World) -> None:
    id = await world.start(await world.chain())
    assert await world.events(id) == ["ExecutionStarted", "NodeScheduled"]
    assert await world.count("tasks", id) == 1
    assert [task.node_key for task in world.matching.tasks] == ["n0"]
    assert ids.shard_of_execution(id) == ids.shard_of_workflow(world.matching.tasks[0].workflow_id)
    assert await world.sound(id)


async def test_completion_moves_the_outbox_on_and_the_last_one_closes(world: World) -> None:
    id = await world.start(await world.chain())
    await world.report(id, "n0", Completed({"a": 1}))
    assert await world.count("tasks", id) == 1
    await world.report(id, "n1", Completed({"b": 2}))
    assert await world.status(id) == "completed"
    assert await world.count("tasks", id) == 0
    assert await world.sound(id)


async def test_a_fused_chain_is_one_transition_and_leaves_no_task_rows(world: World) -> None:
    id = await world.start(await world.chain(5))
    reports = tuple(h.Report(id, f"n{i}", 1, Completed({"i": i})) for i in range(5))
    reply = await world.history.complete(h.CompleteBatch(reports))
    assert all(result.recorded for result in reply.results)
    assert await world.status(id) == "completed"
    assert await world.count("history", id) == 2
    assert await world.count("tasks", id) == 0


async def test_a_doubled_or_stale_report_is_refused_and_is_no_error(world: World) -> None:
    id = await world.start(await world.chain())
    await world.report(id, "n0", Completed())
    for node, attempt in (("n0", 1), ("n1", 7), ("nowhere", 1)):
        reply = await world.report(id, node, Completed(), attempt)
        assert reply.results == (h.Recorded(False),)
    assert (await world.events(id)).count("NodeCompleted") == 1


async def test_one_unknown_run_in_a_batch_leaves_the_others_alone(world: World) -> None:
    id = await world.start(await world.chain(1))
    stranger = h.Report(str(uuid.uuid4()), "n0", 1, Completed())
    broken = h.Report("not-an-id", "n0", 1, Completed())
    reply = await world.history.complete(h.CompleteBatch((stranger, broken, h.Report(id, "n0", 1, Completed()))))
    assert [result.recorded for result in reply.results] == [False, False, True]
    assert [result.error.code if result.error else "" for result in reply.results] == ["not_found", "not_found", ""]


async def test_the_fence_makes_two_processes_agree(world: World) -> None:
    """Two History processes with caches of their own work on one run: every transition lands once."""
    workflow = await world.workflow(
        *(d.Node(f"p{i}", "noop") for i in range(20)), edges=tuple(d.Edge(f"e{i}", "t", f"p{i}") for i in range(20))
    )
    id = await world.start(workflow)
    other = world.another()

    async def both(i: int) -> None:
        batch = h.CompleteBatch((h.Report(id, f"p{i}", 1, Completed(i)),))
        await asyncio.gather(world.history.complete(batch), other.complete(batch))

    await asyncio.gather(*(both(i) for i in range(20)))
    names = await world.events(id)
    assert names.count("NodeCompleted") == 20
    assert names[-1] == "ExecutionCompleted"
    assert await world.sound(id)


async def test_starting_twice_with_one_id_is_starting_once(world: World) -> None:
    request = world.request(await world.chain())
    first = await world.history.start(h.StartBatch((request,)))
    again = await world.history.start(h.StartBatch((request,)))
    elsewhere = await world.another().start(h.StartBatch((request,)))
    assert {r.results[0].execution_id for r in (first, again, elsewhere)} == {request.execution_id}
    assert await world.count("history", request.execution_id) == 1


async def test_an_idempotency_key_finds_the_first_run(world: World) -> None:
    workflow = await world.chain()
    requests = [world.request(workflow, idempotency_key="order-1") for _ in range(10)]
    batches = [h.StartBatch((request,)) for request in requests]
    replies = await asyncio.gather(*(world.another().start(batch) for batch in batches))
    assert len({reply.results[0].execution_id for reply in replies}) == 1
    assert sum(reply.results[0].created for reply in replies) == 1
    refused = await world.history.start(
        h.StartBatch((world.request(workflow, idempotency_key="order-1", on_conflict="reject"),))
    )
    assert refused.results[0].error is not None
    assert refused.results[0].error.code == "conflict"


async def test_eager_continuation_hands_the_next_task_to_the_reporter(world: World) -> None:
    id = await world.start(await world.chain())
    world.matching.tasks.clear()
    reply = await world.report(id, "n0", Completed(), capacity=1)
    assert [task.node_key for task in reply.next] == ["n1"]
    assert world.matching.tasks == []
    assert await world.count("tasks", id) == 1, "the outbox still has it: the worker may die"


async def test_the_sweep_offers_a_task_whose_push_was_lost(world: World) -> None:
    id = await world.start(await world.chain())
    world.matching.tasks.clear()
    assert (await world.history.sweep(h.SweepRequest())).tasks == 0, "it was just pushed"
    await world.sql("UPDATE tasks SET offer_at = 0 WHERE execution_id = %s", id)
    assert (await world.history.sweep(h.SweepRequest())).tasks == 1
    assert [(task.execution_id, task.node_key) for task in world.matching.tasks] == [(id, "n0")]
    assert (await world.history.touch(h.TouchRequest((h.TaskRef(id, "n0", 1), h.TaskRef(id, "n0", 2)), "w"))).gone == (
        h.TaskRef(id, "n0", 2),
    )


async def test_a_delay_is_a_timer_row_and_firing_it_twice_is_firing_it_once(world: World) -> None:
    id = await world.start(await world.chain(1))
    due = world.clock.now_ms() + 60_000
    await world.report(id, "n0", Sleep(due))
    assert await world.count("timers", id) == 1
    timer = h.DueTimer(id, "delay/1/n0", due)
    assert (await world.history.fire(h.FireBatch((timer, timer)))).fired == 1
    assert (await world.history.fire(h.FireBatch((timer,)))).fired == 0
    assert await world.count("timers", id) == 0
    assert await world.status(id) == "completed"


async def test_the_clock_of_a_run_that_only_waits_stands(world: World) -> None:
    id = await world.start(await world.chain(2, timeout=60))

    async def timers() -> list[str]:
        rows = await world.sql("SELECT timer_id FROM timers WHERE execution_id = %s", id)
        return sorted(name for (name,) in rows)

    (clock,) = await timers()
    assert clock.startswith("execution/")
    due = world.clock.now_ms() + 3_600_000
    await world.report(id, "n0", Sleep(due))
    assert await timers() == ["delay/1/n0"]
    assert (await world.history.fire(h.FireBatch((h.DueTimer(id, clock, due),)))).fired == 0
    await world.history.fire(h.FireBatch((h.DueTimer(id, "delay/1/n0", due),)))
    (again,) = await timers()
    assert due + 50_000 < int(again.split("/")[1]) <= due + 60_000
    await world.report(id, "n1", Completed())
    assert (await world.status(id), await timers()) == ("completed", [])
    assert await world.sound(id)


async def test_retries_wait_in_a_timer_and_cancel_clears_everything(world: World) -> None:
    id = await world.start(await world.chain(1, retry=d.Retry(max_attempts=3)))
    await world.report(id, "n0", Failed(NodeError("boom", "it broke")))
    assert (await world.count("timers", id), await world.count("tasks", id)) == (1, 0)
    reply = await world.history.control(h.ControlRequest(id, world.workspace, "cancel", "ada", "no more"))
    assert reply.status == "cancelled"
    assert (await world.count("timers", id), await world.count("tasks", id)) == (0, 0)
    with pytest.raises(Conflict):
        await world.history.control(h.ControlRequest(id, world.workspace, "cancel"))
    assert await world.sound(id)


async def test_a_failed_run_can_be_retried(world: World) -> None:
    id = await world.start(await world.chain(1))
    await world.report(id, "n0", Failed(NodeError("boom", "it broke")))
    assert await world.status(id) == "failed"
    await world.history.control(h.ControlRequest(id, world.workspace, "retry", "ada"))
    await world.report(id, "n0", Completed("well"), attempt=2)
    assert await world.status(id) == "completed"
    assert await world.sound(id)


async def test_a_child_runs_and_reports_to_its_parent(world: World) -> None:
    child = await world.chain(1)
    id = await world.start(await world.chain(1))
    world.matching.tasks.clear()
    await world.report(id, "n0", CallWorkflow(child, {"x": 1}))
    (task,) = world.matching.tasks
    assert (task.workflow_id, task.node_key) == (child, "n0")
    await world.report(task.execution_id, "n0", Completed("from the child"))
    reply = await world.history.describe(h.DescribeRequest((id,), world.workspace, True))
    assert msgspec.json.decode(reply.executions[0].state)["result"] == "from the child"
    assert await world.count("messages", id) == 0
    assert await world.sound(id)


async def test_a_cancel_that_comes_just_before_its_child_s_start_does_not_undo_it(world: World) -> None:
    """A parent that closes while its child is being started: both messages reach the child's first transition."""
    request = world.request(await world.chain())
    committer = world.history._committer
    early = asyncio.create_task(committer.apply(request.execution_id, [c.Cancel("parent")]))
    await asyncio.sleep(0)
    reply = await world.history.start(h.StartBatch((request,)))
    await early
    assert reply.results[0].created
    assert await world.events(request.execution_id) == [
        "ExecutionStarted", "NodeScheduled", "NodeCancelled", "ExecutionCancelled",
    ]  # fmt: skip


async def test_a_child_that_an_iteration_left_behind_lives_as_long_as_its_parent(world: World) -> None:
    child = await world.chain(1)
    loop, call, after = d.Node("loop", "loop"), d.Node("call", "sub_workflow"), d.Node("after", "noop")
    edges = (d.Edge("1", "t", "loop"), d.Edge("2", "loop", "call", "each"), d.Edge("3", "loop", "after", "done"))
    id = await world.start(await world.workflow(loop, call, after, edges=edges))
    await world.report(id, "loop", Iterate((1,)))
    world.matching.tasks.clear()
    await world.report(id, "call[0]", CallWorkflow(child, 1, wait=False, parent_close="cancel"))
    (below,) = {task.execution_id for task in world.matching.tasks if task.workflow_id == child}
    assert await world.status(below) == "running", "its iteration has ended, its parent has not"
    await world.report(id, "after", Completed())
    assert (await world.status(id), await world.status(below)) == ("completed", "cancelled")
    assert await world.sound(id)
    assert await world.sound(below)


async def test_another_tenants_workflow_is_no_child(world: World) -> None:
    id = await world.start(await world.chain(1))
    await world.report(id, "n0", CallWorkflow(str(uuid.uuid4())))
    assert await world.status(id) == "failed"
    assert "ChildFailed" in await world.events(id)


async def test_history_pages_from_any_event(world: World) -> None:
    id = await world.start(await world.chain(5))
    await world.history.complete(h.CompleteBatch(tuple(h.Report(id, f"n{i}", 1, Completed(i)) for i in range(5))))
    everything = await world.history.history(h.HistoryRequest(id, world.workspace))
    wanted = [event.event_id for event in e.decode(everything.events)]
    assert wanted == list(range(1, len(wanted) + 1))
    for after in range(len(wanted) + 1):
        page = await world.history.history(h.HistoryRequest(id, world.workspace, after))
        assert [event.event_id for event in e.decode(page.events)] == wanted[after:]


async def test_events_can_be_read_in_sql(world: World) -> None:
    id = await world.start(await world.chain(1))
    found = await world.sql("SELECT event_id, type FROM events WHERE execution_id = %s ORDER BY event_id", id)
    assert found == [(1, "ExecutionStarted"), (2, "NodeScheduled")]


async def test_tenants_cannot_see_each_other(world: World) -> None:
    id = await world.start(await world.chain())
    theirs = Caller(str(uuid.uuid4()), frozenset({"execution.view", "workflow.execute"}))
    with acting_as(theirs):
        for workspace in (world.workspace, theirs.workspace_id):
            with pytest.raises(NotFound):
                await world.history.history(h.HistoryRequest(id, workspace))
            with pytest.raises(NotFound):
                await world.history.control(h.ControlRequest(id, workspace, "cancel"))
        assert (await world.history.describe(h.DescribeRequest((id,), theirs.workspace_id))).executions == ()
        assert (await world.history.list(h.ListRequest(theirs.workspace_id))).executions == ()
        with pytest.raises(Forbidden):
            await world.history.complete(h.CompleteBatch())
        with pytest.raises(Forbidden):
            await world.history.sweep(h.SweepRequest())


async def test_listing_pages_newest_first_and_filters(world: World) -> None:
    workflow = await world.chain(1)
    started = [await world.start(workflow) for _ in range(5)]
    await world.report(started[0], "n0", Completed())
    first = await world.history.list(h.ListRequest(world.workspace, limit=3))
    rest = await world.history.list(h.ListRequest(world.workspace, limit=3, before=first.executions[-1].id))
    assert [x.id for x in (*first.executions, *rest.executions)] == sorted(started, reverse=True)
    done = await world.history.list(h.ListRequest(world.workspace, workflow, "completed"))
    assert [x.id for x in done.executions] == [started[0]]


async def test_bad_input_is_named(world: World) -> None:
    reply = await world.history.start(h.StartBatch((h.StartRequest("x", world.workspace, "y", 1, "t"),)))
    assert reply.results[0].error is not None
    assert reply.results[0].error.code == "invalid_input"
    unknown = world.request(str(uuid.uuid4()))
    reply = await world.history.start(h.StartBatch((unknown,)))
    assert reply.results[0].error is not None
    assert reply.results[0].error.code == "not_found"
    with pytest.raises(InvalidInput, match="cancel, terminate, retry"):
        await world.history.control(h.ControlRequest(unknown.execution_id, world.workspace, "explode"))
