"""Heartbeats on real stores: beats against timeouts, a worker that is killed, zombies, and what the next attempt knows."""

from __future__ import annotations

import asyncio
import random
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi, RunRequest
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.errors import Forbidden, NotFound
from linkflow.domain.outcomes import Completed, Failed, NodeError
from linkflow.postgres.executions import PostgresEvents
from linkflow.services.history import History
from tests.integration.beating_process import system
from tests.integration.test_history import SERVICE, World, world

__all__ = ["world"]

TIMER = "heartbeat/1/n0"
REF = ("n0", 1)


async def _begun(world: World, heartbeat: float = 0.001, **more: Any) -> str:
    """A run whose node n0 has begun, and n1 behind it."""
    node = d.Node("n0", "noop", timeout=d.Timeout(heartbeat=heartbeat, start_to_close=600), retry=d.Retry(2), **more)
    edges = (d.Edge("e0", "t", "n0"), d.Edge("e1", "n0", "n1"))
    id = await world.start(await world.workflow(node, d.Node("n1", "noop"), edges=edges))
    await world.history.complete(h.CompleteBatch((), (h.StartedNode(id, *REF, "w", True),)))
    return id


def _beat(id: str, details: Any = None, timeout: int = 60_000, attempt: int = 1) -> h.BeatBatch:
    return h.BeatBatch((h.Beat(id, "n0", attempt, timeout, details),), "w")


async def _due(world: World, id: str, name: str = TIMER) -> int:
    async with world.database.connection() as c:
        cursor = await c.execute("SELECT due_at FROM timers WHERE execution_id = %s AND timer_id = %s", (id, name))
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _fire(history: History, id: str, due: int, name: str = TIMER) -> int:
    return (await history.fire(h.FireBatch((h.DueTimer(id, name, due),)))).fired


async def _timed_out(world: World, id: str) -> e.NodeTimedOut | None:
    reply = await world.history.history(h.HistoryRequest(id, world.workspace))
    return next((event for event in e.decode(reply.events) if isinstance(event, e.NodeTimedOut)), None)


async def test_a_beat_moves_the_timer_and_is_no_transition(world: World) -> None:
    id = await _begun(world)
    events, first = await world.events(id), await _due(world, id)
    assert (await world.history.beat(_beat(id, {"page": 1}))).gone == ()
    assert await _due(world, id) > first + 50_000
    assert await world.events(id) == events
    assert await _fire(world.history, id, first) == 0, "the timer that was read has been moved"
    assert await _due(world, id) > first, "and stands"
    assert await world.count("heartbeats", id) == 1


async def test_the_latest_beat_is_kept_and_one_that_tells_nothing_changes_nothing(world: World) -> None:
    id = await _begun(world)
    for details in ({"page": 1}, {"page": 2}, None):
        await world.history.beat(_beat(id, details))
    reply = await world.history.describe(h.DescribeRequest((id,), world.workspace, in_full=True))
    [beat] = reply.executions[0].beats
    assert (beat.node_key, beat.attempt, beat.details) == ("n0", 1, {"page": 2})
    assert beat.at > 0
    plain = await world.history.describe(h.DescribeRequest((id,), world.workspace))
    assert plain.executions[0].beats == ()


async def test_a_timeout_carries_the_last_details_and_the_zombie_is_told(world: World) -> None:
    id = await _begun(world)
    await world.history.beat(_beat(id, {"page": 7}, timeout=1))
    assert await _fire(world.history, id, await _due(world, id)) == 1
    event = await _timed_out(world, id)
    assert event is not None
    assert (event.timeout, event.heartbeat, event.final) == ("heartbeat", {"page": 7}, False)
    assert event.beat_at > 0
    assert await world.count("heartbeats", id) == 0
    zombie = await world.history.beat(_beat(id, {"page": 8}))
    assert zombie.gone == (h.TaskRef(id, "n0", 1),)
    assert await world.count("heartbeats", id) == 0
    assert not (await world.report(id, "n0", Completed("late"))).results[0].recorded
    assert await _fire(world.history, id, await _due(world, id, "retry/2/n0"), "retry/2/n0") == 1
    state = msgspec.json.decode((await world.store.load([id]))[id].state)
    assert state["runs"]["n0"]["beat"] == {"page": 7}
    assert await world.sound(id)


@pytest.mark.parametrize("timer", ["start_to_close/1/n0"])
async def test_another_timeout_carries_them_too(world: World, timer: str) -> None:
    id = await _begun(world)
    await world.history.beat(_beat(id, "half"))
    assert await _fire(world.history, id, await _due(world, id, timer), timer) == 1
    event = await _timed_out(world, id)
    assert event is not None
    assert (event.timeout, event.heartbeat) == ("start_to_close", "half")
    assert await world.count("heartbeats", id) == 0


@pytest.mark.parametrize("outcome", [Completed(), Failed(NodeError("boom", "!"))])
async def test_the_row_goes_with_the_attempt(world: World, outcome: Any) -> None:
    id = await _begun(world)
    await world.history.beat(_beat(id))
    await world.report(id, "n0", outcome)
    assert (await world.count("heartbeats", id), await _due(world, id)) == (0, 0)
    assert (await world.history.beat(_beat(id))).gone == (h.TaskRef(id, "n0", 1),)


async def test_a_second_delivery_learns_what_the_first_told(world: World) -> None:
    id = await _begun(world)
    started = h.CompleteBatch((), (h.StartedNode(id, *REF, "w2", True),))
    assert (await world.history.complete(started)).beats == ()
    await world.history.beat(_beat(id, [1, 2]))
    [beat] = (await world.history.complete(started)).beats
    assert beat.details == [1, 2]


async def test_strange_beats_are_gone_and_harm_no_others(world: World) -> None:
    id = await _begun(world)
    batch = (
        h.Beat("no-uuid", "n0", 1, 1000), h.Beat(str(uuid.uuid4()), "n0", 1, 1000), h.Beat(id, "n0", 2, 1000),
        h.Beat(id, "n9", 1, 1000), h.Beat(id, "n0", 1, 1000, "x"), h.Beat(id, "n0", 1, 1000, "y"),
    )  # fmt: skip
    gone = (await world.history.beat(h.BeatBatch(batch))).gone
    assert {(ref.execution_id, ref.node_key, ref.attempt) for ref in gone} == {
        (beat.execution_id, beat.node_key, beat.attempt) for beat in batch[:4]
    }
    reply = await world.history.describe(h.DescribeRequest((id,), world.workspace, in_full=True))
    assert reply.executions[0].beats[0].details == "y"


async def test_beats_are_a_service_s_and_seen_by_their_own_workspace(world: World) -> None:
    id = await _begun(world)
    await world.history.beat(_beat(id, "secret"))
    theirs = Caller(str(uuid.uuid4()), frozenset({"execution.view", "workflow.execute"}))
    with acting_as(theirs):
        with pytest.raises(Forbidden):
            await world.history.beat(_beat(id))
        seen = await world.history.describe(h.DescribeRequest((id,), theirs.workspace_id, in_full=True))
        assert seen.executions == ()
        with pytest.raises(NotFound):
            await world.history.describe(h.DescribeRequest((id,), world.workspace, in_full=True))


async def test_a_timer_that_was_moved_is_not_dropped(world: World) -> None:
    id = await _begun(world)
    first = await _due(world, id)
    await world.history.beat(_beat(id))
    await world.store.drop_timers([h.DueTimer(id, TIMER, first)])
    assert await _due(world, id) > first
    await world.store.drop_timers([h.DueTimer(id, TIMER, await _due(world, id))])
    assert await _due(world, id) == 0


class _Interrupted(PostgresEvents):
    """The real store, in which something happens after the beats were read and before the transition is written."""

    def __init__(self, world: World, then: Callable[[], Any]) -> None:
        super().__init__(world.database)
        self._then = then

    async def beats(self, refs: Sequence[h.TaskRef]) -> list[h.LastBeat]:
        found = await super().beats(refs)
        if self._then is not None:
            then, self._then = self._then, None  # type: ignore[assignment]
            await then()
        return found


async def test_a_beat_between_the_look_and_the_write_wins(world: World) -> None:
    id, other = await _begun(world), await _begun(world)
    store, beats = world.store, _beat(id, "alive").beats
    world.store = _Interrupted(world, lambda: store.beat(beats, world.clock.now_ms()))
    firing = world.another()
    due = [h.DueTimer(run, TIMER, await _due(world, run)) for run in (id, other)]
    assert (await firing.fire(h.FireBatch(tuple(due)))).fired == 1
    await firing.close()
    assert await _timed_out(world, id) is None
    assert await _due(world, id) > 0
    assert await _timed_out(world, other) is not None, "in one transaction with it, and not alive"
    assert await world.sound(id)


async def test_of_a_beat_and_a_timeout_together_exactly_one_counts(world: World) -> None:
    """Beats and fires race, from several processes; a beat that was taken never times out, one that was refused did."""
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    histories = [world.another() for _ in range(3)]
    runs = [await _begun(world) for _ in range(60)]
    due = {id: await _due(world, id) for id in runs}
    taken: dict[str, bool] = {}

    async def beat(some: list[str]) -> None:
        await asyncio.sleep(chance.random() * 0.01)
        batch = h.BeatBatch(tuple(h.Beat(id, "n0", 1, 60_000, "b") for id in some))
        gone = {ref.execution_id for ref in (await chance.choice(histories).beat(batch)).gone}
        taken.update({id: id not in gone for id in some})

    async def fire(some: list[str]) -> None:
        await asyncio.sleep(chance.random() * 0.01)
        timers = tuple(h.DueTimer(id, TIMER, due[id]) for id in some)
        assert not (await chance.choice(histories).fire(h.FireBatch(timers))).failed

    def parts() -> list[list[str]]:
        mixed = chance.sample(runs, len(runs))
        return [mixed[at : at + 5] for at in range(0, len(mixed), 5)]

    await asyncio.gather(*(beat(some) for some in parts()), *(fire(some) for some in parts()))
    for id in runs:
        assert (await _timed_out(world, id) is None) == taken[id], f"seed {seed}"
        assert (await _due(world, id) > 0) == taken[id], f"seed {seed}"
        assert await world.sound(id)
    for history in histories:
        await history.close()


# Whole workers


class House:
    """Frontend, History, Matching and a timer; workers come and go."""

    def __init__(self, database_url: str, redis_url: str) -> None:
        self.urls = (database_url, redis_url)
        self.system = system(*self.urls, "house", sweep_interval=1.0)
        self.system.serve_all(("frontend", "history", "matching", "timer"))
        self.system.loop()
        self.frontend = self.system.client(FrontendApi)
        self.world = World(self.system.database)

    async def start(self, config: dict[str, Any], timeout: d.Timeout, **more: Any) -> str:
        node = d.Node("n0", "counting", config=config, timeout=timeout, **more)
        workflow = await self.world.workflow(node, edges=(d.Edge("e", "t", "n0"),))
        return (await self.frontend.run(RunRequest(self.world.workspace, workflow, 1, "t"))).execution_id

    async def shown(self, id: str) -> h.Execution:
        request = h.DescribeRequest((id,), self.world.workspace, True, True)
        return (await self.frontend.describe(request)).executions[0]

    async def until(self, id: str, there: Callable[[h.Execution], Any]) -> h.Execution:
        async with asyncio.timeout(20):
            while not there(found := await self.shown(id)):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
        return found

    async def ended(self, id: str) -> dict[str, Any]:
        found = await self.until(id, lambda run: run.closed_at)
        state = msgspec.json.decode(found.state)
        assert found.status == "completed", state
        async with asyncio.timeout(5):
            while await self.left(id):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
        return dict(state["result"])

    async def left(self, id: str) -> int:
        return await self.world.count("heartbeats", id) + await self.world.count("timers", id)

    async def events(self, id: str, kind: type[Any]) -> list[Any]:
        reply = await self.frontend.history(h.HistoryRequest(id, self.world.workspace))
        return [event for event in e.decode(reply.events) if isinstance(event, kind)]

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        made = system(*self.urls, "worker")
        made.serve_all(("history", "matching", "worker"))
        made.loop()
        try:
            yield
        finally:
            await made.close()


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    made = House(database_url, redis_url)
    with acting_as(SERVICE):
        yield made
    await made.system.close()


PATIENT = d.Timeout(heartbeat=10.0, start_to_close=600)


async def test_a_killed_worker_s_node_goes_on_where_it_was_after_the_heartbeat_timeout(house: House) -> None:
    """Long before its lease (15 s) or its start-to-close timeout would tell. Its time goes by by hand: on a
    busy machine a timeout that is short enough to wait for may pass between two beats of a worker that lives."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.beating_process", *house.urls
    )
    try:
        id = await house.start({"to": 40, "stay_at": 30}, PATIENT, retry=d.Retry(3, initial_interval=0.1))
        await house.until(id, lambda run: run.beats and run.beats[0].details and run.beats[0].details["at"] >= 5)
    finally:
        program.kill()
        await program.wait()
    [beat] = (await house.shown(id)).beats
    due = await _due(house.world, id)
    assert beat.at < due <= beat.at + 10_500, "within the timeout of its last beat"
    async with house.world.database.connection() as c:
        await c.execute("UPDATE heartbeats SET at = at - 11000 WHERE execution_id = %s", (id,))
        await c.execute("UPDATE timers SET due_at = due_at - 11000 WHERE execution_id = %s", (id,))
    async with house.worker():
        result = await house.ended(id)
    assert result["at"] == 40
    assert result["first"] >= 5
    assert result["attempt"] == 2
    [event] = await house.events(id, e.NodeTimedOut)
    assert (event.timeout, event.attempt) == ("heartbeat", 1)
    assert event.heartbeat["at"] == result["first"]


async def test_the_worker_beats_for_a_node_that_tells_nothing(house: House) -> None:
    async with house.worker():
        id = await house.start({"to": 60, "quiet": True}, d.Timeout(heartbeat=2.0))
        result = await house.ended(id)
    assert (result["at"], result["attempt"]) == (60, 1)
    assert await house.events(id, e.NodeTimedOut) == []


async def test_an_ordinary_failure_hands_details_on(house: House) -> None:
    async with house.worker():
        id = await house.start({"to": 4, "fail_at": 3}, d.Timeout(start_to_close=60), retry=d.Retry(2, 0.05))
        result = await house.ended(id)
    assert (result["first"], result["attempt"]) == (3, 2)
    [failed] = await house.events(id, e.NodeFailed)
    assert failed.heartbeat == {"at": 3}


async def test_a_start_to_close_timeout_hands_details_on(house: House) -> None:
    async with house.worker():
        id = await house.start({"to": 30}, d.Timeout(start_to_close=1, heartbeat=5), retry=d.Retry(5, 0.05))
        result = await house.ended(id)
    assert result["attempt"] >= 2
    assert result["first"] > 0


async def test_a_node_whose_run_is_cancelled_is_stopped_at_its_next_beat(house: House) -> None:
    async with house.worker():
        id = await house.start({}, PATIENT)
        await house.until(id, lambda run: run.beats)
        await house.frontend.control(h.ControlRequest(id, house.world.workspace, "cancel"))
        assert await house.world.count("heartbeats", id) == 0
        # It would count for ever: a worker that closes waits for what it runs.
    assert [event.attempt for event in await house.events(id, e.NodeCancelled)] == [1]


async def test_a_schedule_to_start_timeout_ends_with_the_start(house: House) -> None:
    async with house.worker():
        id = await house.start({"to": 30}, d.Timeout(schedule_to_start=1))
        result = await house.ended(id)
    assert result["at"] == 30
