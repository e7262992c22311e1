"""Runs that are deleted leave nothing behind but their share of the statistics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.contracts.controlling import BulkFilter, BulkRequest
from linkflow.domain.definition import Batch
from linkflow.domain.errors import Conflict, NotFound, Unavailable
from linkflow.domain.outcomes import Completed, Failed, NodeError
from linkflow.postgres.database import Database
from linkflow.services.history.messages import Messenger
from tests.integration.test_bulk import over
from tests.integration.test_history import SERVICE, World


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    database = Database(database_url, size=4)
    made = World(database)
    made.history = made.another(blobs=made.blobs())
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def _failed(world: World, workflow: str, key: str = "") -> str:
    id = await world.start(workflow, trigger={"text": "x" * 50_000}, idempotency_key=key)
    await world.report(id, "n0", Failed(NodeError("boom", "Oh no", False)))
    return id


def _delete(world: World, id: str) -> Any:
    return world.history.control(h.ControlRequest(id, world.workspace, "delete"))


TABLES = ("history", "run_facts", "run_terms", "messages", "blobs", "tasks", "timers", "idempotency_keys")


async def test_nothing_of_a_deleted_run_is_left(world: World) -> None:
    workflow = await world.chain(1)
    id, other = await _failed(world, workflow, "a"), await _failed(world, workflow, "b")
    assert (await world.count("blobs", id), await world.count("idempotency_keys", id)) == (1, 1)
    assert (await _delete(world, id)).status == "deleted"
    await world.history.close()
    assert {table: await world.count(table, id) for table in TABLES} == dict.fromkeys(TABLES, 0)
    assert await world.sql("SELECT count(*) FROM executions WHERE id = %s", id) == [(0,)]
    assert (await world.count("blobs", other), await world.count("idempotency_keys", other)) == (1, 1)
    assert await world.start(workflow, idempotency_key="a") != id
    for verb in ("delete", "retry"):
        with pytest.raises(NotFound):
            await world.history.control(h.ControlRequest(id, world.workspace, verb))
    assert await world.status(other) == "failed"


async def test_keys_of_collected_starts_go_with_the_run(world: World) -> None:
    workflow = await world.chain(1, batch=Batch("", 3, 60))
    first, *others = [await world.start(workflow, idempotency_key=f"k{n}") for n in range(3)]
    assert set(others) == {first}
    assert await world.count("idempotency_keys", first) == 5  # theirs, and the ids of the two that became part of it
    await world.report(first, "n0", Completed())
    await _delete(world, first)
    assert await world.count("idempotency_keys", first) == 0


async def test_an_open_run_and_another_workspaces_stay(world: World) -> None:
    workflow = await world.chain(1)
    open_one, theirs = await world.start(workflow), await _failed(world, workflow)
    with pytest.raises(Conflict):
        await _delete(world, open_one)
    with pytest.raises(NotFound):
        await world.history.control(h.ControlRequest(theirs, "0190ffff-0000-7000-8000-000000000000", "delete"))
    assert await world.status(theirs) == "failed"


async def test_blobs_go_later_where_their_store_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    id = await _failed(world, await world.chain(1))
    tell = Messenger.tell

    async def away(self: Messenger, message: Any) -> None:
        raise Unavailable("The store of payloads does not answer.")

    monkeypatch.setattr(Messenger, "tell", away)
    await _delete(world, id)
    await world.history.close()
    assert (await world.count("blobs", id), await world.count("messages", id)) == (1, 1)
    monkeypatch.setattr(Messenger, "tell", tell)
    await world.sql("UPDATE messages SET offer_at = 0")
    await world.history.sweep(h.SweepRequest())
    assert (await world.count("blobs", id), await world.count("messages", id)) == (0, 0)


async def test_many_are_deleted_by_filter(world: World) -> None:
    workflow = await world.chain(1)
    gone = await asyncio.gather(*(_failed(world, workflow) for _ in range(3)))
    kept = await world.start(workflow)
    done = await world.start(workflow)
    await world.report(done, "n0", Completed())
    begun = await world.history.bulk(BulkRequest(world.workspace, "delete", BulkFilter(status=("failed", "running"))))
    bulk = await over(world, begun)
    assert (bulk.total, bulk.done, bulk.skipped) == (4, 3, 1)
    left = await world.history.list(h.ListRequest(world.workspace))
    assert {run.id for run in left.executions} == {kept, done}
    assert not set(gone) & {run.id for run in left.executions}
