"""The clock on Lambda leaves the database alone while nothing is to be done, and misses nothing by that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from linkflow.config import Config
from linkflow.contracts.history import DueTimer
from linkflow.contracts.timer import TickReply, TickRequest
from linkflow.domain.errors import Unavailable
from linkflow.services.timer import Timer
from linkflow.services.timer.rest import EARLY_MS, Rest
from linkflow.streams.idleness import BUSY_MS, WARY_MS
from linkflow.transports.vigil import AGAIN_MS, Vigil
from tests.timer_fakes import START, FakeClock, FakeDoorbell, FakeHistory, MemoryIdleness, MemoryTimers, settle

MINUTE = 60_000
LONGEST = 6 * 60 * MINUTE


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryTimers()
        self.history = FakeHistory(self.store, self.clock)
        self.idleness = MemoryIdleness(self.clock.now_ms)
        self.let_go = 0
        self.timer = self.another()

    def another(self) -> Timer:
        async def let_go() -> None:
            self.let_go += 1

        rest = Rest(self.idleness, self.store, self.clock, LONGEST / 1000, let_go)
        history: Any = self.history
        return Timer(self.store, history, self.clock, FakeDoorbell(), Config(sweep_interval=5.0), rest)

    async def tick(self, look: bool = False) -> TickReply:
        return await self.clock.finish(self.timer.tick(TickRequest(55, look)))

    async def minutes(self, count: int) -> int:
        """So many ticks; returns how often the store was asked for anything."""
        before = self.store.reads
        for _ in range(count):
            begun = self.clock.now
            await self.tick()
            await self.clock.advance(begun + MINUTE - self.clock.now)
        return self.store.reads - before

    async def asleep(self) -> None:
        """Until the clock rests."""
        for _ in range(WARY_MS // MINUTE + 3):
            await self.minutes(1)
        assert await self.idleness.resting()

    async def write(self, due_in: int, name: str = "new") -> None:
        """As a function of the deployment does it: its word first."""
        await Vigil(self.idleness, self.clock).begin()
        await self.store.add_timers(DueTimer(name, "t", self.clock.now + due_in))


@pytest.fixture
def world() -> World:
    return World()


async def test_an_idle_clock_asks_the_database_for_nothing(world: World) -> None:
    await world.asleep()
    sweeps = world.history.sweeps
    assert await world.minutes(120) == 0
    assert world.history.sweeps == sweeps
    assert world.let_go > 0, "what is open would keep it from pausing"


async def test_it_looks_now_and_then_all_the_same(world: World) -> None:
    await world.asleep()
    assert 0 < await world.minutes(12 * 60) < 40


async def test_it_is_there_in_time_for_what_falls_due(world: World) -> None:
    await world.store.add_timers(DueTimer("later", "t", START + 3 * 60 * MINUTE + 12_345))
    await world.asleep()
    assert await world.minutes(150) == 0
    await world.minutes(20)
    assert [at - timer.due_at for at, timer in world.history.fired] == [0]


@pytest.mark.parametrize("due_in", [0, 30_000, 61_000, 100_000, 200_000, 3_600_000])
async def test_what_is_written_while_it_rests_is_never_missed(world: World, due_in: int) -> None:
    await world.asleep()
    await world.minutes(7)
    await world.write(due_in)
    await world.minutes(due_in // MINUTE + 2)
    [(at, timer)] = world.history.fired
    assert 0 <= at - timer.due_at <= MINUTE, "sooner by a poke, which is History's"


async def test_it_does_not_rest_on_what_it_saw_before_somebody_wrote(world: World) -> None:
    await world.asleep()
    await world.minutes(LONGEST // MINUTE)
    looked = world.store.wanted
    looks = 0

    async def slow() -> int | None:
        nonlocal looks
        looks += 1
        found = await looked()
        if looks == 2:  # it has looked for the last time; now somebody writes
            await world.write(10 * MINUTE)
        return found

    world.store.wanted = slow  # type: ignore[method-assign]
    while looks < 2:
        await world.minutes(1)
    assert not await world.idleness.resting()
    await world.minutes(12)
    assert len(world.history.fired) == 1


async def test_work_under_way_keeps_it_awake(world: World) -> None:
    world.store.offer_at = START + 40 * MINUTE
    assert await world.minutes(WARY_MS // MINUTE + 10) > 0
    await world.minutes(9)
    assert not await world.idleness.resting(), "a sweep will have to look at it"


async def test_a_sweep_that_found_something_keeps_it_awake(world: World) -> None:
    await world.minutes(WARY_MS // MINUTE + 1)
    world.idleness._state = ""
    world.history.swept = 3
    assert (await world.tick()).swept == 3
    assert not await world.idleness.resting()


async def test_a_sweep_that_failed_keeps_it_awake(world: World) -> None:
    async def away(request: Any) -> Any:
        raise Unavailable("away")

    world.history.sweep = away  # type: ignore[method-assign]
    await world.minutes(WARY_MS // MINUTE + 5)
    assert not await world.idleness.resting()


async def test_without_the_store_of_words_it_looks_every_minute(world: World) -> None:
    await world.asleep()
    world.idleness.away = Unavailable("away")
    await world.store.add_timers(DueTimer("unsaid", "t", world.clock.now + 150_000))
    assert await world.minutes(4) > 0
    assert len(world.history.fired) == 1
    await world.store.add_timers(DueTimer("unsaid too", "t", world.clock.now + 300_000))
    world.idleness.away = None
    assert await world.minutes(7) > 0, "it rested when it went away, and was told nothing since"
    assert len(world.history.fired) == 2


async def test_a_lost_word_is_a_look_too_many(world: World) -> None:
    await world.asleep()
    world.idleness.forget()
    assert await world.minutes(1) > 0


async def test_a_tick_that_is_told_to_look_looks(world: World) -> None:
    await world.asleep()
    await world.store.add_timers(DueTimer("unsaid", "t", world.clock.now))
    assert (await world.tick()).timers == 0
    assert (await world.tick(look=True)).timers == 1


# Those who work


async def test_a_function_speaks_once_a_minute_and_not_with_each_request(world: World) -> None:
    vigil = Vigil(world.idleness, world.clock)
    for _ in range(100):
        await vigil.begin()
        await vigil.end()
    assert await world.idleness.seen() == "1"
    await world.clock.advance(AGAIN_MS + 1)
    await vigil.begin()
    assert await world.idleness.seen() == "2"


async def test_long_work_goes_on_speaking(world: World) -> None:
    vigil = Vigil(world.idleness, world.clock)
    async with vigil.kept():
        for _ in range(90):
            await world.clock.advance(10_000)
            assert not await world.idleness.rest(MINUTE * 60, await world.idleness.seen())
            assert world.idleness._state == "busy"


async def test_what_could_not_be_said_before_is_said_behind(world: World) -> None:
    vigil = Vigil(world.idleness, world.clock)
    world.idleness.away = Unavailable("away")
    async with vigil.kept():
        assert not vigil.fresh
        world.idleness.away = None
    assert vigil.fresh
    assert world.idleness._state == "busy"


async def test_a_store_that_hangs_holds_nobody_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkflow.transports.vigil.PATIENCE", 0.01)

    async def hangs() -> None:
        await asyncio.Event().wait()

    world.idleness.busy = hangs  # type: ignore[method-assign]
    vigil = Vigil(world.idleness, world.clock)
    await vigil.begin()
    assert not vigil.fresh


async def test_a_clock_that_is_set_back_makes_it_speak(world: World) -> None:
    vigil = Vigil(world.idleness, world.clock)
    await vigil.begin()
    world.clock.shift = -MINUTE
    assert not vigil.fresh
    await settle()


def test_the_times_fit() -> None:
    assert AGAIN_MS + 30_000 < BUSY_MS, "an invocation of half a minute ends before its word is forgotten"
    assert EARLY_MS >= MINUTE + 15_000, "the last look before something falls due is in time, also where it must wake"
