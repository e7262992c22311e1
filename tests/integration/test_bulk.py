"""Bulk operations on real Postgres: each verb, progress, cancel, crashes, two workers at once, tenants."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.controlling import (
    Bulk,
    BulkFilter,
    BulkOptions,
    BulkReply,
    BulkRequest,
    BulksRequest,
)
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from linkflow.domain.outcomes import Completed, Failed, NodeError, WaitEvent
from linkflow.services.history.bulk import BulkWork
from tests.integration.test_history import World, world

__all__ = ["world"]


async def several(world: World, count: int, workflow: str = "") -> list[str]:
    workflow = workflow or await world.chain(2)
    return [await world.start(workflow) for _ in range(count)]


async def asked(world: World, verb: str, options: BulkOptions | None = None, **more: Any) -> BulkReply:
    """Ask for it."""
    narrow = {name: more.pop(name) for name in list(more) if name in BulkFilter.__struct_fields__}
    request = BulkRequest(
        world.workspace, verb, BulkFilter(**narrow), options or BulkOptions(), actor="user:ada", **more
    )
    return await world.history.bulk(request)


async def over(world: World, reply: BulkReply) -> Bulk:
    """The operation when it is over."""
    assert reply.bulk is not None
    for _ in range(100):
        await world.history.sweep(h.SweepRequest())
        (bulk,) = (await world.history.bulks(BulksRequest(world.workspace, reply.bulk.id))).bulks
        if bulk.status != "running":
            await world.history.close()
            return bulk
        await asyncio.sleep(0)
    raise AssertionError("it does not end")


def counts(bulk: Bulk) -> tuple[int, int, int, int]:
    return bulk.total, bulk.done, bulk.skipped, bulk.failed


async def test_cancel_by_filter(world: World):
    ids, others = await several(world, 5), await several(world, 2)
    await world.report(ids[0], "n0", Failed(NodeError("boom", "!", False)))
    workflow = (await world.history.describe(h.DescribeRequest((ids[0],), world.workspace))).executions[0].workflow_id
    bulk = await over(world, await asked(world, "cancel", BulkOptions("enough"), workflow_id=workflow))
    assert (bulk.status, counts(bulk), bulk.errors, bulk.finished_at > 0) == ("completed", (5, 4, 1, 0), (), True)
    assert [await world.status(id) for id in ids] == ["failed", *["cancelled"] * 4]
    assert [await world.status(id) for id in others] == ["running"] * 2
    assert (bulk.actor, bulk.filter.workflow_id, bulk.options.reason) == ("user:ada", workflow, "enough")


async def test_a_dry_run_counts(world: World):
    ids = await several(world, 3)
    reply = await asked(world, "terminate", dry_run=True, status=("running",))
    assert (reply.total, reply.more, reply.bulk) == (3, False, None)
    reply = await asked(world, "terminate", dry_run=True, limit=2)
    assert (reply.total, reply.more) == (2, True)
    assert (await asked(world, "terminate", dry_run=True, ids=(ids[0],))).total == 1
    assert (await asked(world, "terminate", dry_run=True, mode="webhook")).total == 0
    later = world.clock.now_ms() + 60_000
    assert (await asked(world, "terminate", dry_run=True, started_after=later)).total == 0
    assert (await asked(world, "terminate", dry_run=True, started_before=later, started_after=1)).total == 3
    assert (await world.history.bulks(BulksRequest(world.workspace))).bulks == ()


async def test_pause_resume_retry_terminate(world: World):
    ids = await several(world, 3)
    assert counts(await over(world, await asked(world, "pause"))) == (3, 3, 0, 0)
    assert counts(await over(world, await asked(world, "resume", status=("paused",)))) == (3, 3, 0, 0)
    await world.report(ids[0], "n0", Failed(NodeError("boom", "!", False)))
    assert counts(await over(world, await asked(world, "retry"))) == (3, 1, 2, 0)
    assert await world.status(ids[0]) == "running"
    assert counts(await over(world, await asked(world, "terminate", ids=(ids[1], ids[2])))) == (2, 2, 0, 0)
    assert [await world.status(id) for id in ids] == ["running", "terminated", "terminated"]


async def test_signal(world: World):
    ids = await several(world, 2)
    for id in ids:
        await world.report(id, "n0", WaitEvent("go"))
    done = await several(world, 1)
    await world.history.control(h.ControlRequest(done[0], world.workspace, "cancel"))
    bulk = await over(world, await asked(world, "signal", BulkOptions(name="go", payload={"a": 1})))
    assert counts(bulk) == (3, 2, 1, 0)
    for id in ids:
        assert "SignalReceived" in await world.events(id)


async def test_forks_reruns_and_resets(world: World):
    ids = await several(world, 3)
    for id in ids[:2]:
        await world.report(id, "n0", Completed(1))
    bulk = await over(world, await asked(world, "fork", BulkOptions(node="n1")))
    assert counts(bulk) == (3, 2, 0, 1)
    (error,) = bulk.errors
    assert (error.execution_id, error.code) == (ids[2], "invalid_input")
    assert "never reached" in error.message
    bulk = await over(world, await asked(world, "rerun", BulkOptions(edited=True, input=5), ids=tuple(ids)))
    assert counts(bulk) == (3, 3, 0, 0)
    made = await world.history.list(h.ListRequest(world.workspace, source_id=ids[0]))
    assert [run.mode for run in made.executions] == ["rerun", "fork"]
    bulk = await over(world, await asked(world, "reset", BulkOptions(node="n0"), ids=tuple(ids)))
    assert counts(bulk) == (3, 3, 0, 0)
    assert {await world.status(id) for id in ids} == {"terminated"}


async def test_runs_of_later_are_not_touched(world: World):
    """Neither what it makes itself nor what is started while it goes on."""
    ids = await several(world, 3)
    reply = await asked(world, "rerun")
    later = await several(world, 1)
    bulk = await over(world, reply)
    assert counts(bulk) == (3, 3, 0, 0)
    found = await world.history.list(h.ListRequest(world.workspace, mode="rerun", limit=100))
    assert len(found.executions) == 3
    assert (await world.history.list(h.ListRequest(world.workspace, source_id=later[0]))).executions == ()
    assert {run.id for run in found.executions}.isdisjoint(ids)


def worker(world: World, page: int = 2) -> BulkWork:
    """Another process, that goes in small steps."""
    history = world.another()
    return BulkWork(world.store, history._committer, history._forker, history._world, world.clock, page)


async def begun(world: World, verb: str, **more: Any) -> Bulk:
    """An operation that nobody works off yet."""
    reply = await worker(world).begin(
        BulkRequest(world.workspace, verb, BulkFilter(**more.pop("filter", {})), actor="user:ada", **more)
    )
    assert reply.bulk is not None
    async with world.database.connection() as c:
        await c.execute("UPDATE bulk_operations SET offer_at = 0")
    return reply.bulk


async def shown(world: World, id: str) -> Bulk:
    (bulk,) = (await world.history.bulks(BulksRequest(world.workspace, id))).bulks
    return bulk


async def test_a_page_that_is_seen_to_twice_counts_once_and_makes_nothing_twice(world: World):
    await several(world, 3)
    bulk = await begun(world, "rerun")
    first, second = worker(world), worker(world)
    now = world.clock.now_ms()
    page = await world.store.claim_bulk("a", now, now, 2)
    assert page is not None
    await first._see_to(page)
    await second._see_to(page)  # he was thought to be dead
    half = await shown(world, bulk.id)
    assert (counts(half), half.status) == ((3, 2, 0, 0), "running")
    async with world.database.connection() as c:
        await c.execute("UPDATE bulk_operations SET offer_at = 0")
    await first.work()
    whole = await shown(world, bulk.id)
    assert (counts(whole), whole.status) == ((3, 3, 0, 0), "completed")
    assert len((await world.history.list(h.ListRequest(world.workspace, mode="rerun"))).executions) == 3


async def test_a_failure_after_the_retry_is_not_retried_when_the_page_comes_again(world: World):
    (id,) = await several(world, 1)
    await world.report(id, "n0", Failed(NodeError("boom", "!", False)))
    await begun(world, "retry")
    now = world.clock.now_ms()
    page = await world.store.claim_bulk("a", now, now, 2)
    assert page is not None
    work = worker(world)
    assert [await work._act(page, target) for target in await work._failed_before(page)] == ["done"]
    await asyncio.sleep(0.002)  # the same millisecond would count as before
    await world.history.close()
    await world.another().complete(h.CompleteBatch((h.Report(id, "n0", 2, Failed(NodeError("boom", "!", False))),)))
    assert await work._failed_before(page) == []


async def test_a_crash_is_made_good_when_the_lease_is_over(world: World):
    ids = await several(world, 5)
    bulk = await begun(world, "cancel")
    now = world.clock.now_ms()
    assert await world.store.claim_bulk("dead", now, now + 60_000, 2) is not None
    assert await worker(world).work() == 0  # it is somebody's
    async with world.database.connection() as c:
        await c.execute("UPDATE bulk_operations SET offer_at = 0")
    await world.history.sweep(h.SweepRequest())
    assert counts(await shown(world, bulk.id)) == (5, 5, 0, 0)
    assert {await world.status(id) for id in ids} == {"cancelled"}


async def test_workers_share_operations(world: World):
    await several(world, 12)
    bulks = [await begun(world, verb) for verb in ("pause", "resume", "cancel")]
    for _ in range(3):
        await asyncio.gather(*(worker(world).work() for _ in range(4)))
    for bulk in bulks:
        seen = await shown(world, bulk.id)
        assert (seen.status, seen.done + seen.skipped) == ("completed", 12)


async def test_cancelling_leaves_the_others_as_they_are(world: World):
    ids = await several(world, 4)
    bulk = await begun(world, "cancel")
    now = world.clock.now_ms()
    page = await world.store.claim_bulk("a", now, now, 1)
    assert page is not None
    (stopped,) = (await world.history.bulks(BulksRequest(world.workspace, bulk.id, cancel=True))).bulks
    assert stopped.status == "cancelled"
    await worker(world)._see_to(page)  # what is under way is still counted
    assert await worker(world).work() == 0
    seen = await shown(world, bulk.id)
    assert (seen.status, counts(seen)) == ("cancelled", (4, 1, 0, 0))
    assert sorted([await world.status(id) for id in ids]) == ["cancelled", "running", "running", "running"]
    with pytest.raises(Conflict, match="cancelled already"):
        await world.history.bulks(BulksRequest(world.workspace, bulk.id, cancel=True))


async def test_while_the_store_is_away_a_page_waits(world: World):
    ids = await several(world, 2)
    bulk = await begun(world, "cancel")
    work, apply = worker(world), worker(world)._committer.apply

    async def away(*_: object) -> None:
        raise Unavailable("The database does not answer now.")

    work._committer.apply = away  # type: ignore[assignment, method-assign]
    with pytest.raises(Unavailable):
        await work.work()
    assert counts(await shown(world, bulk.id)) == (2, 0, 0, 0)
    work._committer.apply = apply  # type: ignore[method-assign]
    await work.work()
    assert {await world.status(id) for id in ids} == {"cancelled"}


async def test_one_broken_run_stops_nobody_else(world: World):
    ids = await several(world, 2)
    await world.sql("UPDATE executions SET state = 'x' WHERE id = %s", ids[0])
    await world.sql("UPDATE history SET events = 'x' WHERE execution_id = %s", ids[0])
    bulk = await begun(world, "cancel")
    await worker(world).work()
    seen = await shown(world, bulk.id)
    assert (counts(seen), [error.execution_id for error in seen.errors]) == ((2, 1, 0, 1), [ids[0]])


async def test_nothing_chosen_is_over_at_once(world: World):
    reply = await asked(world, "cancel", status=("failed",))
    assert reply.bulk is not None
    assert (reply.bulk.status, reply.bulk.total) == ("completed", 0)


async def test_lists_and_repeated_calls(world: World):
    await several(world, 1)
    bulks = [await begun(world, "cancel") for _ in range(3)]
    again = await worker(world).begin(BulkRequest(world.workspace, "cancel", id=bulks[0].id))
    assert again.bulk is not None
    assert (again.bulk.id, again.bulk.created_at) == (bulks[0].id, bulks[0].created_at)
    page = (await world.history.bulks(BulksRequest(world.workspace, limit=2))).bulks
    ids = sorted((bulk.id for bulk in bulks), reverse=True)
    assert [bulk.id for bulk in page] == ids[:2]
    rest = (await world.history.bulks(BulksRequest(world.workspace, before=page[-1].id))).bulks
    assert [bulk.id for bulk in rest] == ids[2:]


async def test_refused_with_all_faults(world: World):
    narrow = {"workflow_id": "x", "status": ("odd",), "ids": ("y",)}
    with pytest.raises(InvalidInput) as refused:
        await asked(world, "signal", BulkOptions(key="\n"), limit=0, **narrow)
    paths = [problem.path for problem in refused.value.problems]
    assert paths == ["/limit", "/filter/workflow_id", "/filter/ids", "/filter/status", "/name", "/key"]
    for verb in ("fork", "reset", "spoon"):
        with pytest.raises(InvalidInput):
            await asked(world, verb)


async def test_another_workspace_sees_nothing(world: World):
    (id,) = await several(world, 1)
    bulk = await begun(world, "pause")
    stranger = str(uuid.uuid4())
    with acting_as(Caller(stranger, frozenset({"workflow.execute", "execution.view"}))):
        reply = await world.history.bulk(BulkRequest(stranger, "cancel", BulkFilter(ids=(id,))))
        assert reply.total == 0
        for request in (BulksRequest(stranger, bulk.id), BulksRequest(stranger, bulk.id, cancel=True)):
            with pytest.raises(NotFound):
                await world.history.bulks(request)
        assert bulk.id not in [seen.id for seen in (await world.history.bulks(BulksRequest(stranger))).bulks]
        with pytest.raises(NotFound):
            await world.history.bulk(BulkRequest(world.workspace, "cancel"))
    with acting_as(Caller(world.workspace, frozenset({"execution.view"}))):
        with pytest.raises(Forbidden):
            await world.history.bulk(BulkRequest(world.workspace, "cancel", dry_run=True))
        with pytest.raises(Forbidden):
            await world.history.bulks(BulksRequest(world.workspace, bulk.id, cancel=True))
    assert await world.status(id) == "running"
