"""Big states in the store: what is written and read, counted in bytes; other formats; what cannot be read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain import state as states
from linkflow.domain.errors import Internal
from linkflow.domain.evolve import evolve
from linkflow.domain.outcomes import Completed, Failed, Iterate, NodeError, RequestApproval, Sleep, WaitEvent
from linkflow.domain.snapshots import BIG
from linkflow.ports import Snapshot, Transition
from linkflow.postgres import audit, executions
from linkflow.postgres.audit import replays
from linkflow.postgres.database import Database
from linkflow.postgres.executions import PostgresEvents
from tests.integration.test_history import SERVICE, World
from tests.integration.test_upgrade import flight
from tests.upgrade.flight import Flight
from tests.upgrade.landing import land

__all__ = ["flight"]


class Counting(PostgresEvents):
    """The store, with a count of the bytes that pass."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.states = self.events = self.loads = self.read = self.rows = 0

    async def commit(self, transitions: Sequence[Transition]) -> list[str]:
        self.states += sum(len(t.state) for t in transitions)
        self.events += sum(len(t.events) for t in transitions)
        return await super().commit(transitions)

    async def load(self, execution_ids: Sequence[str], afresh: bool = False) -> dict[str, Snapshot]:
        found = await super().load(execution_ids, afresh)
        self.loads += 1
        self.read += sum(len(row.state) + sum(map(len, row.tail)) for row in found.values())
        self.rows += sum(len(row.tail) for row in found.values())
        return found


class Counted(World):
    """A History over such a store."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.store = self.counting = Counting(database)
        self.history = self.another()

    async def loop(self, items: int, **settings: Any) -> str:
        """A run whose loop has begun, one item at a time."""
        body = (d.Node("loop", "loop"), d.Node("a", "noop"))
        edges = (d.Edge("e0", "t", "loop"), d.Edge("e1", "loop", "a", "each"))
        id = await self.start(await self.workflow(*body, edges=edges, **settings))
        await self.report(id, "loop", Iterate(tuple(range(items))))
        return id

    async def row(self, id: str) -> tuple[int, int | None, int, bytes]:
        async with self.database.connection() as c:
            found = await c.execute(
                "SELECT version, state_version, state_format, state FROM executions WHERE id = %s", (id,)
            )
            row = await found.fetchone()
        assert row is not None
        return row[0], row[1], row[2], bytes(row[3])

    async def full(self, id: str) -> dict[str, Any]:
        reply = await self.history.describe(h.DescribeRequest((id,), self.workspace, True))
        loaded = await self.history.load(h.LoadRequest((id,)))
        assert bytes(loaded.states[0].state) == bytes(reply.executions[0].state)
        state: dict[str, Any] = msgspec.json.decode(reply.executions[0].state)
        assert state["version"] == reply.executions[0].version
        return state

    async def replayed(self, id: str) -> bool:
        return [found.matches async for _, found in replays(self.database, id)] == [True]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Counted]:
    database = Database(database_url, size=4)
    made = Counted(database)
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


TEXT = "x" * 600


async def _items(world: Counted, id: str, first: int, count: int) -> None:
    for index in range(first, first + count):
        await world.report(id, f"a[{index}]", Completed({"row": index, "text": TEXT}))


async def test_a_small_state_is_written_each_time_and_read_without_events(world: Counted):
    id = await world.start(await world.chain())
    await world.report(id, "n0", Completed(1))
    assert (await world.row(id))[:3] == (4, None, states.FORMAT)
    await world.history.load(h.LoadRequest((id,)))
    assert world.counting.rows == 0


async def test_a_big_state_is_written_when_its_events_outweigh_it(world: Counted):
    id = await world.loop(300)
    await _items(world, id, 0, 300)
    final = len((await world.row(id))[3])
    assert final > 5 * BIG
    each_time = sum(range(0, final, final // 300))
    while_small = (BIG // 640) * BIG
    assert world.counting.states < while_small + 3 * world.counting.events + final
    assert world.counting.states < each_time / 4
    assert await world.status(id) == "completed"
    assert (await world.row(id))[1] is None, "what has ended is written whole"
    assert await world.replayed(id)


async def test_what_lies_behind_is_never_seen(world: Counted):
    id = await world.loop(120)
    await _items(world, id, 0, 100)
    version, snapshot, _, stored = await world.row(id)
    assert snapshot is not None
    assert msgspec.json.decode(stored)["version"] == snapshot < version
    state = await world.full(id)
    assert (state["version"], len(state["loops"]["loop"]["results"])) == (version, 100)
    assert await world.replayed(id)


async def test_another_process_reads_the_snapshot_and_what_came_since(world: Counted):
    id = await world.loop(200)
    await _items(world, id, 0, 120)
    version, snapshot, _, stored = await world.row(id)
    other, before = world.another(), world.counting.read
    for index in range(120, 130):  # and goes on from there, with the other's snapshot
        await other.complete(h.CompleteBatch((h.Report(id, f"a[{index}]", 1, Completed(index)),)))
    assert snapshot is not None
    assert world.counting.read - before < 2 * len(stored) + 1000, "once, and never more than the state twice"
    assert world.counting.rows <= version - snapshot
    await other.close()
    await _items(world, id, 130, 70)  # the first one's state is overtaken: the fence tells, it reads again
    assert await world.status(id) == "completed"
    assert await world.replayed(id)


async def test_every_way_out_of_a_snapshot(world: Counted):
    """Waits, failures, pauses, cancels: whatever a run does while its row lies behind."""
    id = await world.loop(90, retry=d.Retry(max_attempts=2, initial_interval=60))
    await _items(world, id, 0, 80)
    assert (await world.row(id))[1] is not None
    await world.report(id, "a[80]", Failed(NodeError("boom", "boom!")))
    assert (await world.full(id))["runs"]["a[80]"]["status"] == "backoff"
    for verb in ("pause", "resume", "cancel"):
        await world.history.control(h.ControlRequest(id, world.workspace, verb, "ada"))
    assert await world.status(id) == "cancelled"
    assert (await world.row(id))[1] is None
    assert await world.replayed(id)


async def test_a_decision_reads_past_the_snapshot(world: Counted):
    id = await world.loop(90)
    await _items(world, id, 0, 80)
    await world.report(id, "a[80]", RequestApproval("Go on?"))
    assert (await world.row(id))[1] is not None
    await world.history.decide(h.DecideRequest(id, world.workspace, "a[80]", "approved", None, "ada"))
    await world.report(id, "a[81]", WaitEvent("paid", "81"))
    await world.history.publish(h.PublishRequest(world.workspace, "e1", "paid", "81", 1))
    assert "a[82]" in (await world.full(id))["runs"]
    assert await world.replayed(id)


async def test_a_broken_state_is_folded_anew(world: Counted):
    id = await world.start(await world.chain())
    async with world.database.connection() as c:
        await c.execute("UPDATE executions SET state = 'not JSON' WHERE id = %s", (id,))
    world.history = world.another()
    await world.report(id, "n0", Completed(1))
    assert await world.replayed(id)


async def test_a_run_that_cannot_be_read_is_not_taken_for_gone(world: Counted):
    """Its timer stays; others in the same batch go on."""
    id, other = await world.start(await world.chain(1)), await world.start(await world.chain(1))
    until = world.clock.now_ms()
    for run in (id, other):
        await world.report(run, "n0", Sleep(until, "slept"))
    async with world.database.connection() as c:
        await c.execute("UPDATE executions SET state = 'not JSON' WHERE id = %s", (id,))
        await c.execute("UPDATE history SET events = '[{}]' WHERE execution_id = %s", (id,))
    world.history = world.another()
    timers = tuple(h.DueTimer(run, "delay/1/n0", until) for run in (id, other))
    reply = await world.history.fire(h.FireBatch(timers))
    assert (reply.fired, reply.failed) == (1, (f"{id}/delay/1/n0",))
    assert (await world.count("timers", id), await world.status(other)) == (1, "completed")
    with pytest.raises(Internal):
        await world.history.control(h.ControlRequest(id, world.workspace, "cancel"))


def _format(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    for module in (states, executions, audit):
        monkeypatch.setattr(module, "FORMAT", number)


async def test_states_of_another_format_are_folded_anew(flight: Flight, monkeypatch: pytest.MonkeyPatch):
    """A release with another State finds a database full of the old one, in flight; and so does one that is put back."""
    today = states.FORMAT
    async with flight.database.connection() as c:
        await c.execute("""UPDATE executions SET state = '{"of": "another format"}' WHERE closed_at = 0""")
    _format(monkeypatch, today + 1)
    assert all([found.matches async for _, found in replays(flight.database)])
    first = (await flight.history.list(h.ListRequest(flight.workspace))).executions[0]
    shown = await flight.history.describe(h.DescribeRequest((first.id,), flight.workspace, True))
    assert msgspec.json.decode(shown.executions[0].state)["version"] == first.version
    await land(flight)
    assert all([found.matches async for _, found in replays(flight.database)])
    _format(monkeypatch, today)
    assert all([found.matches async for _, found in replays(flight.database)])
    async with flight.database.connection() as c:
        rows = await (await c.execute("SELECT status, state_format FROM executions WHERE version > 20")).fetchall()
    assert rows
    assert {format for _, format in rows} == {today + 1}


async def _as_before(world: Counted, id: str, events: list[e.Event], state: states.State, expected: int) -> bool:
    """What the code of migration 0004 wrote: it knows neither column."""
    async with world.database.connection() as c:
        done = await c.execute(
            "WITH written AS (UPDATE executions SET version = %(to)s, state = %(state)s"
            " WHERE id = %(id)s AND version = %(expected)s RETURNING id)"
            " INSERT INTO history SELECT id, %(expected)s + 1, %(to)s, %(events)s FROM written",
            {
                "id": id, "to": state.version, "state": states.encode(state), "expected": expected,
                "events": e.encode(events),
            },
        )  # fmt: skip
        return done.rowcount == 1


async def test_the_release_before_runs_beside_ours(world: Counted):
    """Whatever it wrote whole is read; what lies behind it takes for old, and the fence refuses it."""
    id = await world.start(await world.chain())
    paused = e.ExecutionPaused(event_id=3, at=world.clock.now_ms(), actor="bob")
    state = states.decode((await world.row(id))[3])
    assert await _as_before(world, id, [paused], evolve(state, paused), 2)
    assert (await world.full(id))["status"] == "paused"
    big = await world.loop(120)
    await _items(world, big, 0, 100)
    state = states.decode((await world.row(big))[3])
    late = e.ExecutionPaused(event_id=state.version + 1, at=state.at)
    assert not await _as_before(world, big, [late], evolve(state, late), state.version)
    assert await world.replayed(id)
    assert await world.replayed(big)
