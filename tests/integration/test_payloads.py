"""Large payloads in History, on real Postgres: kept before the transition, or nothing is written at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.controlling import ForkRequest
from linkflow.domain import definition as d
from linkflow.domain.errors import Forbidden, Internal, NotFound, Unavailable
from linkflow.domain.outcomes import CallWorkflow, Completed, Iterate
from linkflow.domain.payloads import BLOB, key_of, references
from linkflow.domain.state import State
from linkflow.domain.state import decode as decode_state
from linkflow.postgres.blobs import PostgresBlobs
from linkflow.postgres.database import Database
from linkflow.services.history import History
from linkflow.services.payloads import Payloads
from tests.integration.test_history import SERVICE, World

BIG = "x" * 900_000


class Switched(PostgresBlobs):
    """The store, which can be cut off, and counts."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.error: Exception | None = None
        self.puts: list[str] = []
        self.gets: list[str] = []

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        if self.error:
            raise self.error
        self.puts += blobs
        await super().put(blobs)

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        if self.error:
            raise self.error
        self.gets += keys
        return await super().get(keys)


class Kept(World):
    """A History that sets large payloads aside."""

    def __init__(self, database: Database) -> None:
        self.blobs = Switched(database)
        super().__init__(database)

    def another(self) -> History:
        return History(self.store, self.matching, self.doorbell, self.clock, Config(), blobs=self.blobs)  # type: ignore[arg-type]

    async def state(self, id: str) -> State:
        return decode_state((await self.store.load([id]))[id].state)

    async def rows(self, id: str) -> tuple[int, int]:
        """Bytes of the run's row and of its history."""
        async with self.database.connection() as connection:
            row = await (
                await connection.execute(
                    "SELECT (SELECT length(state) FROM executions WHERE id = %(id)s),"
                    " (SELECT sum(length(events)) FROM history WHERE execution_id = %(id)s)",
                    {"id": id},
                )
            ).fetchone()
        return (row[0], int(row[1])) if row else (0, 0)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Kept]:
    database = Database(database_url, size=4)
    made = Kept(database)
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def test_what_comes_too_large_is_set_aside_at_the_door(world: Kept) -> None:
    """Trigger, a result that no worker has packed, a signal: the rows stay small, and replay is exact."""
    id = await world.start(await world.chain(), trigger={"text": BIG})
    await world.report(id, "n0", Completed({"more": BIG + "!"}))
    await world.history.signal(h.SignalRequest(id, world.workspace, "s1", "later", payload=[BIG]))
    assert len(set(world.blobs.puts)) == 3
    assert max(await world.rows(id)) < 3000
    await world.report(id, "n1", Completed("small"))
    assert await world.status(id) == "completed"
    assert await world.sound(id)


async def test_a_store_that_is_away_refuses_the_transition_and_nothing_is_written(world: Kept) -> None:
    workflow = await world.chain()
    id = await world.start(workflow)
    world.blobs.error = Unavailable("The blob store does not answer now.")
    big, small = h.Report(id, "n0", 1, Completed(BIG)), world.request(workflow)
    reply = await world.history.complete(h.CompleteBatch((big,)))
    assert reply.results[0].error is not None
    assert reply.results[0].error.code == "unavailable"
    request = world.request(workflow, trigger=BIG)
    started = (await world.history.start(h.StartBatch((request, small)))).results
    assert [result.error.code if result.error else "" for result in started] == ["unavailable", ""], "the others go on"
    assert await world.count("history", request.execution_id) == 0
    assert await world.count("history", id) == 1
    assert await world.count("tasks", id) == 1
    world.blobs.error = None
    assert (await world.history.complete(h.CompleteBatch((big,)))).results[0].recorded
    assert (await world.history.start(h.StartBatch((request,)))).results[0].created
    assert await world.sound(id)
    assert await world.sound(request.execution_id)


async def test_a_store_that_refuses_is_an_error_of_that_run_alone(world: Kept) -> None:
    id = await world.start(await world.chain())
    world.blobs.error = Internal("The blob store refused a request.")
    reply = await world.report(id, "n0", Completed(BIG))
    assert reply.results[0].error is not None
    assert reply.results[0].error.code == "internal"
    assert (await world.report(id, "n0", Completed("small"))).results[0].recorded


async def test_a_child_owns_its_input_and_a_parent_its_child_s_result(world: Kept) -> None:
    child = await world.chain(1)
    id = await world.start(await world.chain(1))
    world.matching.tasks.clear()
    await world.report(id, "n0", CallWorkflow(child, {"text": BIG}))
    (task,) = world.matching.tasks
    inner = await world.state(task.execution_id)
    (given,) = references(inner.trigger)
    assert given.execution_id == task.execution_id
    await world.report(task.execution_id, "n0", Completed({"back": [BIG]}))
    await world.history.sweep(h.SweepRequest())
    await world.history.close()
    outer = await world.state(id)
    assert outer.status == "completed"
    assert {blob.execution_id for blob in references(outer.result)} == {id}
    await world.blobs.drop([(world.workspace, task.execution_id)])
    assert await Payloads(world.blobs).resolve(world.workspace, outer.result, 10**7) == {"back": [BIG]}
    assert await world.sound(id)
    assert await world.sound(task.execution_id)


async def test_a_fork_owns_the_items_of_a_loop_it_goes_on_with(world: Kept) -> None:
    """Even where nothing but the items was kept outside."""
    edges = (d.Edge("1", "t", "loop"), d.Edge("2", "loop", "n", "each"))
    loop = d.Node("loop", "loop", config={"items": "{{ trigger }}"})
    id = await world.start(await world.workflow(loop, d.Node("n", "noop"), edges=edges))
    items = [f"item {n}, and more" for n in range(3000)]
    await world.report(id, "loop", Iterate(tuple(items)))
    await world.report(id, "n[0]", Completed("done"))
    forked = await world.history.fork(ForkRequest(id, world.workspace, "fork", node="n[1]"))
    state = await world.state(forked.execution_id)
    assert {part.key.split("/")[1] for part in state.loops["loop"].parts} == {forked.execution_id}
    await world.blobs.drop([(world.workspace, id)])
    kept = Payloads(world.blobs)
    assert await kept.resolve(world.workspace, state.loops["loop"].all_items(), 10**7) == items
    assert await world.sound(forked.execution_id)


async def test_a_reference_into_another_workspace_leads_nowhere(world: Kept) -> None:
    """Even if somebody could forge one: at the door of a run it is refused, and a reader does not get it."""
    stranger, run = "5b0f7e0e-0000-4000-8000-00000000000f", "019aac8b-7c00-7abc-8000-00000000000f"
    key = key_of(stranger, run, b'"secret"')
    await world.blobs.put({key: b'"secret"'})
    forged = {BLOB: {"key": key, "size": 8}}
    id = await world.start(await world.chain())
    reply = await world.report(id, "n0", Completed(forged))
    assert reply.results[0].error is not None
    assert reply.results[0].error.code == "invalid_input"
    world.blobs.gets.clear()
    with pytest.raises(NotFound):
        await Payloads(world.blobs).resolve(world.workspace, forged, 1000)
    assert world.blobs.gets == []
    asked = h.PayloadsRequest(world.workspace, (key,))
    assert (await world.history.payloads(asked)).found == ()
    for who, error in (
        (Caller(stranger, frozenset({"execution.view"})), NotFound),
        (Caller(world.workspace), Forbidden),
    ):
        with acting_as(who), pytest.raises(error):
            await world.history.payloads(asked)


async def test_payloads_come_in_replies_that_any_transport_carries(world: Kept) -> None:
    blobs = {key_of(world.workspace, world.request(world.workspace).execution_id, d): d for d in _large(9)}
    await world.blobs.put(blobs)
    first = await world.history.payloads(h.PayloadsRequest(world.workspace, tuple(blobs)))
    assert first.more
    assert 0 < sum(len(bytes(item.data)) for item in first.found) <= 4 * 1024 * 1024


def _large(count: int) -> list[bytes]:
    return [msgspec.json.encode(f"{n}" * 900_000) for n in range(1, count + 1)]


async def test_a_changed_or_lost_payload_is_not_taken_for_the_right_one(world: Kept) -> None:
    id = world.request(world.workspace).execution_id
    key = key_of(world.workspace, id, b'"a"')
    await world.blobs.put({key: b'"b"'})
    kept: dict[str, Any] = {BLOB: {"key": key, "size": 3}}
    with pytest.raises(Internal):
        await Payloads(world.blobs).resolve(world.workspace, kept, 1000)
    await world.blobs.drop([(world.workspace, id)])
    with pytest.raises(NotFound):
        await Payloads(world.blobs).resolve(world.workspace, kept, 1000)


async def test_a_process_reads_and_writes_the_same_payload_once(world: Kept) -> None:
    payloads = Payloads(world.blobs)
    id = world.request(world.workspace).execution_id
    data = msgspec.json.encode([BIG, "second"])
    key = key_of(world.workspace, id, data)
    for _ in range(3):
        await payloads.put({key: data})
        value = [{BLOB: {"key": key, "size": len(data), "at": 1}}, {BLOB: {"key": key, "size": len(data)}}]
        assert await payloads.resolve(world.workspace, value, 10**7) == ["second", [BIG, "second"]]
    assert (world.blobs.puts, world.blobs.gets) == ([key], [key])
