"""Overlap policies, record by record, with two timers that race."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import msgspec
import pytest

from linkflow.config import Config
from linkflow.contracts.timer import TickRequest
from linkflow.domain.firings import Firing
from linkflow.domain.timetable import Timetable
from linkflow.ports import Schedule
from linkflow.services.timer import Timer
from tests.timer_fakes import START, FakeClock, FakeDoorbell, FakeHistory, MemoryTimers

MINUTE = 60_000
TABLE = Timetable(every=MINUTE, anchor=START)


class World:
    def __init__(self) -> None:
        self.clock, self.store, self.bell = FakeClock(), MemoryTimers(), FakeDoorbell()
        self.history = FakeHistory(self.store, self.clock)
        self.timers = [
            Timer(self.store, self.history, self.clock, self.bell, Config())
            for _ in range(2)  # type: ignore[arg-type]
        ]

    async def add(self, overlap: str, **more: Any) -> Schedule:
        table = msgspec.json.encode(more.pop("table", TABLE))
        one = Schedule(
            str(uuid.UUID(int=7)), "s", str(uuid.UUID(int=8)), 1, "", "UTC", START, START,
            timetable=table, overlap=overlap, **more,
        )  # fmt: skip
        await self.store.add_schedule(one)
        return one

    async def at(self, ms: int) -> None:
        """Both timers tick at once."""
        self.clock.now = START + ms
        ticks = [timer.tick(TickRequest()) for timer in self.timers]
        await self.clock.finish(asyncio.gather(*ticks))

    def end(self, *numbers: int) -> None:
        """The n-th runs end."""
        for number in numbers:
            self.store.running.discard(list(self.history.runs.values())[number])

    async def record(self, one: Schedule) -> list[tuple[int, str, str]]:
        """Minute, outcome and reason of every firing."""
        return [((f.due_at - START) // MINUTE, f.outcome, f.reason) for f in await self.store.records(one)]


@pytest.fixture
def world() -> World:
    return World()


async def test_allow_starts_every_one(world: World) -> None:
    one = await world.add("allow")
    for minute in range(3):
        await world.at(minute * MINUTE)
    assert await world.record(one) == [(n, "started", "") for n in range(3)]
    assert len(world.history.runs) == 3


async def test_skip(world: World) -> None:
    one = await world.add("skip")
    for minute in range(3):
        await world.at(minute * MINUTE)
    world.end(0)
    await world.at(3 * MINUTE)
    assert await world.record(one) == [
        (0, "started", ""), (1, "skipped", "overlap"), (2, "skipped", "overlap"), (3, "started", ""),
    ]  # fmt: skip


async def test_queue_one(world: World) -> None:
    one = await world.add("queue_one")
    for minute in range(3):
        await world.at(minute * MINUTE)
    assert await world.record(one) == [(0, "started", ""), (1, "queued", ""), (2, "skipped", "queue_full")]
    world.end(0)
    await world.at(2 * MINUTE + 30_000)
    assert (await world.record(one))[1] == (1, "started", "")
    assert len(world.history.runs) == 2


async def test_queue_all_is_first_come_first_served(world: World) -> None:
    one = await world.add("queue_all")
    for minute in range(4):
        await world.at(minute * MINUTE)
    assert [outcome for _, outcome, _ in await world.record(one)] == ["started", "queued", "queued", "queued"]
    for number in range(3):
        world.end(number)
        await world.at(3 * MINUTE + 18_000 * (number + 1))
        assert len(world.history.runs) == number + 2
    assert [s.idempotency_key for s in world.history.starts] == [f"schedule:s:{START + n * MINUTE}" for n in range(4)]


@pytest.mark.parametrize(("overlap", "verb"), [("cancel_other", "cancel"), ("terminate_other", "terminate")])
async def test_the_other_is_ended_first(world: World, overlap: str, verb: str) -> None:
    one = await world.add(overlap)
    await world.at(0)
    await world.at(MINUTE)
    first = next(iter(world.history.runs.values()))
    assert {(c.execution_id, c.verb) for c in world.history.controls} == {(first, verb)}
    await world.at(MINUTE + 200)
    assert await world.record(one) == [(0, "started", ""), (1, "started", "")]


async def test_one_that_takes_long_to_cancel_is_waited_for_and_the_newest_wins(world: World) -> None:
    one = await world.add("cancel_other")
    world.history.obeys = False
    for minute in range(3):
        await world.at(minute * MINUTE)
    assert await world.record(one) == [
        (0, "started", ""), (1, "skipped", "replaced_by_later_fire"), (2, "queued", ""),
    ]  # fmt: skip
    world.end(0)
    await world.at(3 * MINUTE - 1)
    assert (await world.record(one))[2] == (2, "started", "")


async def test_a_queued_fire_that_waits_long_costs_few_looks(world: World) -> None:
    await world.add("queue_one", table=Timetable(every=86_400_000, anchor=START), catch_up="all")
    await world.at(0)
    await world.at(86_400_000)
    reads = world.store.reads
    for second in range(3600):
        world.clock.now = START + 86_400_000 + second * 1000
        due = await world.store.next_due()
        world.store.reads -= 1
        if due is not None and due <= world.clock.now:
            await world.at(world.clock.now - START)
    assert world.store.reads - reads < 100 * 14  # about a hundred looks by two timers in an hour


async def test_a_start_whose_answer_is_lost_is_made_again_under_the_same_id(world: World) -> None:
    one = await world.add("skip")
    start, world.history.start = world.history.start, None  # type: ignore[assignment, method-assign]

    async def lost(request: Any) -> Any:
        await start(request)
        raise RuntimeError("killed")

    world.history.start = lost  # type: ignore[method-assign]
    await world.at(0)
    assert [outcome for _, outcome, _ in await world.record(one)] == ["starting"]
    world.history.start = start  # type: ignore[method-assign]
    await world.at(5_000)
    assert await world.record(one) == [(0, "started", "")]
    assert len({s.execution_id for s in world.history.starts}) == len(world.history.runs) == 1


async def test_what_a_person_asks_for_goes_by_the_same_rules_even_while_paused(world: World) -> None:
    one = await world.add("skip")
    await world.at(0)
    key = (one.workflow_id, one.node_id)
    stored, look, _ = world.store.schedules[key]
    world.store.schedules[key] = (stored, look, True)
    asked = Firing(START + 5, "trigger:1", "queued", START + 5, "allow", open=True)
    refused = Firing(START + 6, "trigger:2", "queued", START + 6, "skip", open=True)
    await world.store.put_firing(one, asked, START + 5)
    await world.store.put_firing(one, refused, START + 5)
    await world.at(5 * MINUTE)
    assert [(f.cause, f.outcome) for f in await world.store.records(one)] == [
        ("schedule", "started"), ("trigger:1", "started"), ("trigger:2", "skipped"),
    ]  # fmt: skip
    assert world.history.starts[-1].trigger["cause"] == "trigger"


async def test_an_outage_is_on_record(world: World) -> None:
    one = await world.add("allow", catch_up_window=2 * MINUTE)
    await world.at(10 * MINUTE + 1)
    rows = [(f.outcome, f.reason, f.fires) for f in await world.store.records(one)]
    assert rows == [
        ("skipped", "outside_catch_up_window", 9), ("skipped", "superseded_by_later_fire", 1), ("started", "", 1),
    ]  # fmt: skip
    assert world.history.starts[0].trigger["missed"] == 10


async def test_jitter_delays_the_start_and_not_the_fire(world: World) -> None:
    one = await world.add("allow", table=Timetable(every=MINUTE, anchor=START, jitter=50_000))
    await world.at(0)
    stored = world.store.schedules[(one.workflow_id, one.node_id)][0]
    assert 0 < stored.delay_ms <= 50_000
    await world.at(MINUTE + stored.delay_ms - 1)
    assert len(world.history.runs) == 1
    await world.at(MINUTE + stored.delay_ms)
    assert world.history.starts[-1].trigger["scheduled_at"] == "2025-06-15T15:07:40+00:00"
