"""The timer with a clock that jumps: when it reads, when it sleeps, what it fires, and what it survives."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from linkflow.config import Config
from linkflow.contracts.history import DueTimer, FireBatch, Started
from linkflow.contracts.timer import TickReply, TickRequest
from linkflow.domain.errors import ErrorData, Internal, Unavailable
from linkflow.domain.schedules import next_fire
from linkflow.ports import Schedule
from linkflow.services.timer import Timer
from tests.timer_fakes import START, FakeClock, FakeDoorbell, FakeHistory, MemoryTimers, settle

WORKFLOW, WORKSPACE = str(uuid.UUID(int=7)), str(uuid.UUID(int=8))


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryTimers()
        self.history = FakeHistory(self.store, self.clock)
        self.bell = FakeDoorbell()
        self.timer = self.another()

    def another(self) -> Timer:
        return Timer(self.store, self.history, self.clock, self.bell, Config(sweep_interval=5.0))  # type: ignore[arg-type]

    async def add(self, *due: int, prefix: str = "e") -> None:
        await self.store.add_timers(*[DueTimer(f"{prefix}{n}", "t", START + at) for n, at in enumerate(due)])

    async def tick(self, seconds: float = 0) -> TickReply:
        return await self.clock.finish(self.timer.tick(TickRequest(seconds)))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.ensure_future(self.timer.run_forever(stop))
        await settle()
        yield
        stop.set()
        await self.clock.finish(task)

    def lateness(self) -> list[int]:
        return [at - timer.due_at for at, timer in self.history.fired]

    def names(self) -> list[str]:
        return [timer.execution_id for _, timer in self.history.fired]


@pytest.fixture
def world() -> World:
    return World()


def schedule(cron: str = "*/5 * * * *", due_at: int = START, timezone: str = "UTC", node: str = "cron") -> Schedule:
    return Schedule(WORKFLOW, node, WORKSPACE, 3, cron, timezone, due_at)


# tick


async def test_a_tick_fires_what_is_due_and_nothing_else(world: World) -> None:
    await world.add(-10, 0, 1)
    assert await world.tick() == TickReply(timers=2, schedules=0)
    assert world.names() == ["e0", "e1"]
    assert world.clock.now == START


async def test_a_tick_goes_on_batch_after_batch_with_two_in_the_air(world: World) -> None:
    await world.add(*[-1] * 4500)
    world.history.takes = 0.1
    reply = await world.tick()
    assert reply.timers == len(set(world.names())) == 4500
    assert max(world.history.batches) == 1000
    assert world.history.most_in_the_air == 2
    assert len(world.history.batches) <= 6


async def test_a_tick_stays_only_while_something_falls_due(world: World) -> None:
    await world.add(5_000, 40_000, 61_000)
    reply = await world.tick(60)
    assert reply.timers == 2
    assert world.lateness() == [0, 0]
    assert world.clock.now == START + 40_000


async def test_an_idle_tick_returns_at_once(world: World) -> None:
    await world.add(61_000)
    assert await world.tick(60) == TickReply(0, 0)
    assert world.clock.now == START
    assert world.store.reads <= 4


async def test_a_tick_sleeps_until_a_ring(world: World) -> None:
    await world.add(30_000)
    task = asyncio.ensure_future(world.timer.tick(TickRequest(60)))
    await settle()
    await world.store.add_timers(DueTimer("rung", "t", START + 2_000))
    await world.bell.ring("timers", str(START + 2_000).encode())
    assert (await world.clock.finish(task)).timers == 2
    assert world.lateness() == [0, 0]


async def test_a_tick_raises_when_history_is_away(world: World) -> None:
    await world.add(0)
    world.history.spoil = raising(Unavailable("away"))
    with pytest.raises(Unavailable):
        await world.tick(60)
    assert world.clock.now == START


async def test_a_tick_raises_when_the_store_is_away(world: World) -> None:
    world.store.away = Unavailable("away")
    with pytest.raises(Unavailable):
        await world.tick()


async def test_a_tick_leaves_failed_timers_for_later(world: World) -> None:
    await world.add(-3, -2, -1)
    world.history.failing = {"e1"}
    assert (await world.tick()).timers == 2
    assert len(world.history.batches) == 1
    world.history.failing = set()
    world.clock.now += 1000
    assert (await world.tick()).timers == 1


async def test_sweeps_and_upkeep_keep_their_intervals(world: World) -> None:
    await world.tick()
    await world.tick()
    assert (world.history.sweeps, world.store.upkeeps, world.history.purges) == (1, 1, 1)
    world.clock.now += 5_000
    await world.tick()
    assert (world.history.sweeps, world.store.upkeeps) == (2, 1)
    world.clock.now += 3_600_000
    await world.tick()
    assert (world.history.sweeps, world.store.upkeeps, world.history.purges) == (3, 2, 2)


async def test_a_clock_that_is_set_back_does_not_stop_the_sweeps(world: World) -> None:
    await world.tick()
    world.clock.shift = -3_600_000
    await world.tick()
    await world.clock.advance(5000)
    await world.tick()
    assert world.history.sweeps == 2


# run_forever


async def test_known_timers_are_fired_on_time(world: World) -> None:
    await world.add(700, 701, 5_000, 9_000, 9_000, 60_000)
    async with world.running():
        await world.clock.advance(70_000)
    assert len(world.history.fired) == 6
    assert world.lateness() == [0] * 6


async def test_every_millisecond_is_kept_under_load(world: World) -> None:
    """Three timers in each millisecond of a second, behind 20,000 that are overdue, while a batch takes 5 ms."""
    await world.add(*[-60_000] * 20_000, prefix="old")
    await world.add(*(at // 3 for at in range(1_500, 4_500)), prefix="new")
    world.history.takes = 0.005
    async with world.running():
        await world.clock.advance(3_000)
    new = [(at, timer.due_at) for at, timer in world.history.fired if timer.execution_id.startswith("new")]
    assert len(world.names()) == len(set(world.names())) == 23_000
    assert len(new) == 3_000
    late = [at - due for at, due in new]
    assert min(late) >= 0, "none is early"
    assert max(late) <= 20, max(late)


async def test_a_steady_stream_costs_few_reads(world: World) -> None:
    await world.add(*range(0, 10_000, 10))
    world.history.takes = 0.005
    async with world.running():
        await world.clock.advance(11_000)
    assert len(set(world.names())) == len(world.history.fired) == 1000
    assert max(world.lateness()) <= 10
    assert world.store.reads < 200


async def test_a_ring_makes_a_new_timer_known(world: World) -> None:
    async with world.running():
        await world.clock.advance(100)
        await world.store.add_timers(DueTimer("new", "t", START + 1_000))
        await world.bell.ring("timers", str(START + 1_000).encode())
        await world.clock.advance(2_000)
    assert world.lateness() == [0]


async def test_a_ring_for_a_time_inside_the_known_window_is_heard(world: World) -> None:
    await world.add(200)
    async with world.running():
        await world.clock.advance(50)
        await world.store.add_timers(DueTimer("new", "t", START + 100))
        await world.bell.ring("timers", str(START + 100).encode())
        await world.clock.advance(1_000)
    assert world.lateness() == [0, 0]


async def test_a_lost_ring_costs_seconds_at_most(world: World) -> None:
    async with world.running():
        await world.clock.advance(100)
        await world.store.add_timers(DueTimer("new", "t", START + 1_000))
        await world.clock.advance(10_000)
    assert world.lateness()[0] <= 3_000


async def test_an_idle_timer_hardly_reads(world: World) -> None:
    async with world.running():
        await world.clock.advance(60_000)
    assert world.store.reads < 80


async def test_a_flood_of_rings_is_not_a_flood_of_reads(world: World) -> None:
    async with world.running():
        before = world.store.reads
        for _ in range(1000):
            await world.bell.ring("timers", b"0")
            await world.bell.ring("timers", b"what?")
            await world.clock.advance(1)
    assert world.store.reads - before <= 3 * 101


async def test_a_clock_that_is_set_back_delays_timers_by_no_more_than_that(world: World) -> None:
    async with world.running():
        await world.clock.advance(100)
        world.clock.shift = -3_600_000
        await world.add(-3_600_000 + 10_000, -3_600_000 + 60_000)
        await world.clock.advance(61_000)
        assert world.names() == ["e0", "e1"]
        assert world.history.sweeps >= 12


async def test_what_failed_is_tried_again_though_the_clock_was_set_back(world: World) -> None:
    async with world.running():
        await world.add(-3_700_000)
        world.history.failing = {"e0"}
        await world.clock.advance(5000)
        world.clock.shift = -3_600_000
        world.history.failing = set()
        await world.clock.advance(70_000)
        assert world.names() == ["e0"]


async def test_it_outlives_a_broken_doorbell(world: World) -> None:
    async with world.running():
        world.bell.break_down()
        await world.clock.advance(1_000)
        assert len(world.bell.queues) == 1
        await world.store.add_timers(DueTimer("new", "t", START + 2_000))
        await world.bell.ring("timers", str(START + 2_000).encode())
        await world.clock.advance(2_000)
    assert world.lateness() == [0]


async def test_it_outlives_the_store_being_away(world: World) -> None:
    await world.add(1_000)
    world.store.away = Unavailable("away")
    async with world.running():
        await world.clock.advance(20_000)
        assert world.store.reads < 25
        world.store.away = None
        await world.clock.advance(6_000)
    assert world.names() == ["e0"]


async def test_it_outlives_history_being_away_without_hammering_it(world: World) -> None:
    await world.add(*[0] * 50)
    world.history.spoil = raising(Unavailable("away"))
    async with world.running():
        await world.clock.advance(60_000)
        assert len(world.history.batches) < 30
        world.history.spoil = lambda batch: None
        await world.clock.advance(6_000)
    assert len(set(world.names())) == 50


async def test_a_poisoned_timer_does_not_block_the_others(world: World) -> None:
    await world.add(*[0] * 500)
    await world.add(*range(1_000, 3_000, 100), prefix="later")

    def spoil(batch: FireBatch) -> None:
        if any(t.execution_id == "e250" for t in batch.timers):
            raise Internal("boom")

    world.history.spoil = spoil
    async with world.running():
        await world.clock.advance(1_000)
        assert len(set(world.names())) >= 499
        await world.clock.advance(59_000)
    assert set(world.store.timers) == {("e250", "t")}
    later = [
        late for (_, t), late in zip(world.history.fired, world.lateness(), strict=True) if "later" in t.execution_id
    ]
    assert later == [0] * 20
    assert len(world.history.batches) < 100


async def test_a_bug_in_the_way_is_survived_like_any_failure(world: World) -> None:
    await world.add(0)
    world.history.spoil = raising(RuntimeError("bug"))
    async with world.running():
        await world.clock.advance(300)
        world.history.spoil = lambda batch: None
        await world.clock.advance(10_000)
    assert world.names() == ["e0"]


async def test_a_timer_that_keeps_failing_is_tried_less_and_less(world: World) -> None:
    await world.add(0)
    world.history.failing = {"e0"}
    async with world.running():
        await world.clock.advance(60_000)
        assert 5 < len(world.history.batches) < 13
        assert world.store.reads < 200
        await world.add(0, prefix="fresh")
        await world.bell.ring("timers", b"0")
        await world.clock.advance(50)
        assert world.names() == ["fresh0"]


async def test_a_timer_that_is_fired_and_stays_is_not_spun_on(world: World) -> None:
    await world.add(0)
    world.history.store = None  # it says done, and deletes nothing
    async with world.running():
        await world.clock.advance(1_000)
    assert 1 < len(world.history.batches) <= 12


async def test_a_timer_that_is_set_again_is_another_one(world: World) -> None:
    await world.add(0)
    async with world.running():
        await world.add(20)
        await world.bell.ring("timers", str(START + 20).encode())
        await world.clock.advance(100)
    assert world.lateness() == [0, 0]


async def test_stopping_lets_what_is_under_way_land(world: World) -> None:
    await world.add(0)
    world.history.takes = 2.0
    async with world.running():
        assert world.history.in_the_air == 1
    assert world.names() == ["e0"]


# schedules


async def test_a_schedule_starts_its_run_on_time_and_moves_on(world: World) -> None:
    due = next_fire("*/5 * * * *", "UTC", START)
    assert due is not None
    await world.store.add_schedule(schedule(due_at=due))
    async with world.running():
        await world.clock.advance(due - START + 310_000)
    assert [s.trigger["scheduled_at"] for s in world.history.starts] == [
        "2025-06-15T15:10:00+00:00",
        "2025-06-15T15:15:00+00:00",
    ]
    first = world.history.starts[0]
    assert first.trigger == {
        "scheduled_at": "2025-06-15T15:10:00+00:00",
        "fired_at": "2025-06-15T15:10:00.000+00:00",
        "cron": "*/5 * * * *",
        "timezone": "UTC",
        "missed": 0,
    }
    assert (first.mode, first.actor, first.trigger_node, first.workflow_version) == ("schedule", "schedule", "cron", 3)
    assert first.idempotency_key == f"schedule:cron:{due}"
    assert await world.store.next_at(schedule()) == due + 600_000


async def test_a_missed_window_is_one_run_for_the_latest_time(world: World) -> None:
    missed_since = START - 3_600_000 - START % 300_000
    await world.store.add_schedule(schedule(due_at=missed_since, timezone="Europe/Berlin"))
    assert await world.tick() == TickReply(timers=0, schedules=1)
    assert len(world.history.starts) == 1
    trigger = world.history.starts[0].trigger
    assert (trigger["scheduled_at"], trigger["missed"]) == ("2025-06-15T17:05:00+02:00", 12)
    assert await world.store.next_at(schedule()) == START - START % 300_000 + 300_000


async def test_a_schedule_of_every_second_keeps_up(world: World) -> None:
    await world.store.add_schedule(schedule("* * * * * *", START + 1_000))
    async with world.running():
        await world.clock.advance(10_500)
    assert [s.trigger["missed"] for s in world.history.starts] == [0] * 10


async def test_two_timers_start_one_run(world: World) -> None:
    await world.store.add_schedule(schedule(due_at=START - 1_000))
    other = world.another()
    replies = await world.clock.finish(asyncio.gather(world.timer.tick(TickRequest()), other.tick(TickRequest())))
    assert len(world.history.runs) == 1
    assert sum(reply.schedules for reply in replies) == 1


async def test_a_crash_between_start_and_advance_starts_nothing_twice(world: World) -> None:
    await world.store.add_schedule(schedule(due_at=START - 1_000))
    started = world.history.start

    async def die(request):  # type: ignore[no-untyped-def]
        await started(request)
        raise Unavailable("the reply was lost")

    world.history.start = die  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await world.tick()
    world.history.start = started  # type: ignore[method-assign]
    world.clock.now += 100_000
    await world.tick()
    assert len(world.history.runs) == 1
    assert len({start.execution_id for start in world.history.starts}) == 1
    assert [f.outcome for f in await world.store.records(schedule())] == ["started"]


@pytest.mark.parametrize(
    ("code", "outcome"), [("not_found", "skipped"), ("unavailable", "starting"), ("internal", "starting")]
)
async def test_a_run_that_is_refused_for_good_is_skipped(world: World, code: str, outcome: str) -> None:
    await world.store.add_schedule(schedule(due_at=START - 1_000))
    await world.store.add_schedule(schedule(due_at=START - 1_000, node="fine"))
    world.history.refuse = lambda request: (
        Started(error=ErrorData(code, "no")) if request.trigger_node == "cron" else None
    )
    assert (await world.tick()).schedules == 1
    (record,) = await world.store.records(schedule())
    assert (record.outcome, "not_found" in record.reason) == (outcome, outcome == "skipped")
    world.history.refuse = lambda request: None
    world.clock.now += 5_000
    assert (await world.tick()).schedules == (outcome == "starting")


async def test_one_schedule_that_spoils_the_batch_does_not_stop_the_others(world: World) -> None:
    await world.store.add_schedule(schedule(due_at=START - 1_000))
    await world.store.add_schedule(schedule(due_at=START - 1_000, node="fine"))

    def refuse(request):  # type: ignore[no-untyped-def]
        if request.trigger_node == "cron":
            raise Internal("boom")

    world.history.refuse = refuse
    assert (await world.tick()).schedules == 1
    assert [s.trigger_node for s in world.history.starts if s.trigger_node == "fine"]


async def test_a_schedule_that_cannot_be_read_is_stopped(world: World) -> None:
    await world.store.add_schedule(schedule("nonsense", START - 1_000))
    await world.store.add_schedule(schedule(due_at=START - 1_000, node="fine"))
    assert (await world.tick()).schedules == 1
    assert await world.store.next_at(schedule()) is None


async def test_a_failing_schedule_hides_neither_timers_nor_other_schedules(world: World) -> None:
    await world.store.add_schedule(schedule(due_at=START - 1_000))
    await world.store.add_schedule(schedule("0 * * * *", next_hour := START - START % 3_600_000 + 3_600_000, node="b"))
    await world.add(400_000)
    world.history.refuse = lambda request: (
        Started(error=ErrorData("unavailable", "no")) if request.trigger_node == "cron" else None
    )
    async with world.running():
        await world.clock.advance(next_hour - START + 1_000)
    assert world.lateness() == [0]
    fired = [s.trigger["fired_at"] for s in world.history.starts if s.trigger_node == "b"]
    assert fired == ["2025-06-15T16:00:00.000+00:00"]


def raising(error: Exception) -> Callable[[FireBatch], None]:
    def spoil(batch: FireBatch) -> None:
        raise error

    return spoil
