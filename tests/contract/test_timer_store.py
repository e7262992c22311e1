"""What every `ports.TimerStore` does: the one in Postgres, and the one in memory that the unit tests use."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from linkflow.contracts.history import DueTimer
from linkflow.domain.firings import Firing
from linkflow.domain.ids import uuid7
from linkflow.ports import Move, Schedule
from linkflow.postgres.database import Database
from linkflow.postgres.sharded_timers import ShardedTimers
from linkflow.postgres.shards import MAIN, Shards
from linkflow.postgres.timers import PostgresTimers
from tests.timer_fakes import START, MemoryTimers

WORKSPACE = str(uuid.UUID(int=1))


class PostgresHarness(PostgresTimers):
    """The real store, with the rows that others write put in by hand."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.database = database

    async def add_timers(self, *timers: DueTimer) -> None:
        async with self.database.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO timers (execution_id, timer_id, due_at) VALUES (%s, %s, %s)",
                [(t.execution_id, t.timer_id, t.due_at) for t in timers],
            )

    async def add_schedule(self, schedule: Schedule, paused: bool = False) -> None:
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (%s, 'w', 0, 0)"
                " ON CONFLICT DO NOTHING",
                (schedule.workspace_id,),
            )
            await connection.execute(
                "INSERT INTO workflows (id, workspace_id, name, description, version, created_at, updated_at)"
                " VALUES (%s, %s, 'f', '', 1, 0, 0) ON CONFLICT DO NOTHING",
                (schedule.workflow_id, schedule.workspace_id),
            )
            await connection.execute(
                "INSERT INTO schedules (workflow_id, node_id, workspace_id, workflow_version, cron, timezone, next_at,"
                " paused, overlap) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    schedule.workflow_id,
                    schedule.node_id,
                    schedule.workspace_id,
                    schedule.workflow_version,
                    schedule.cron,
                    schedule.timezone,
                    schedule.due_at,
                    paused,
                    schedule.overlap,
                ),
            )

    async def next_at(self, schedule: Schedule) -> int | None:
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "SELECT next_at FROM schedules WHERE workflow_id = %s AND node_id = %s",
                (schedule.workflow_id, schedule.node_id),
            )
            row = await cursor.fetchone()
            assert row is not None
            return row[0]


class SplitHarness(ShardedTimers):
    """Timers of two databases, each in the one that has its shard."""

    def __init__(self, shards: Shards) -> None:
        stores = {name: PostgresHarness(one) for name, one in shards.databases.items()}
        super().__init__(shards, stores)
        self.harness = stores
        self.add_schedule = stores[MAIN].add_schedule
        self.next_at = stores[MAIN].next_at

    async def add_timers(self, *timers: DueTimer) -> None:
        map = await self._shards.current()
        for one in timers:
            await self.harness[map.owner(one.execution_id)].add_timers(one)


@pytest.fixture(params=["memory", "postgres", "two"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemoryTimers()
        return
    if request.param == "two":
        main, b = (Database(url, size=2) for url in request.getfixturevalue("split_urls"))
        yield SplitHarness(Shards(main, {"b": b}))
        await main.close()
        await b.close()
        return
    database = Database(request.getfixturevalue("database_url"), size=2)
    yield PostgresHarness(database)
    await database.close()


def timer(number: int, due_at: int) -> DueTimer:
    return DueTimer(uuid7(number, 2048 * (number % 2), number), f"t{number}", due_at)


def schedule(number: int, due_at: int, version: int = 1) -> Schedule:
    return Schedule(
        str(uuid.UUID(int=number)), "cron", WORKSPACE, version, "*/5 * * * *", "Europe/Berlin", due_at, due_at
    )


async def test_an_empty_store_has_nothing_due(store: Any) -> None:
    assert await store.due(START, 10) == []
    assert await store.due_schedules(START, 10) == []
    assert await store.next_due() is None


async def test_due_timers_come_earliest_first_and_no_more_than_asked_for(store: Any) -> None:
    timers = [timer(1, START + 30), timer(2, START + 10), timer(3, START + 20), timer(4, START + 31)]
    await store.add_timers(*timers)
    assert await store.due(START + 30, 10) == [timers[1], timers[2], timers[0]]
    assert await store.due(START + 30, 2) == [timers[1], timers[2]]
    assert await store.due(START + 9, 10) == []


async def test_reading_timers_leaves_them(store: Any) -> None:
    await store.add_timers(timer(1, START))
    assert await store.due(START, 10) == await store.due(START, 10) == [timer(1, START)]


async def test_next_due_is_the_earliest_of_timers_and_schedules(store: Any) -> None:
    await store.add_timers(timer(1, START + 50))
    assert await store.next_due() == START + 50
    await store.add_schedule(schedule(2, START + 20))
    assert await store.next_due() == START + 20
    await store.add_timers(timer(3, START + 5))
    assert await store.next_due() == START + 5


async def test_a_schedule_alone_is_next(store: Any) -> None:
    await store.add_schedule(schedule(2, START + 20))
    assert await store.next_due() == START + 20


async def test_due_schedules_come_earliest_first_and_whole(store: Any) -> None:
    first, second, later = schedule(1, START - 5), schedule(2, START), schedule(3, START + 1)
    for one in (second, later, first):
        await store.add_schedule(one)
    assert await store.due_schedules(START, 10) == [first, second]
    assert await store.due_schedules(START, 1) == [first]


async def test_a_paused_schedule_is_never_due(store: Any) -> None:
    await store.add_schedule(schedule(1, START), paused=True)
    assert await store.due_schedules(START + 1000, 10) == []
    assert await store.next_due() is None


async def test_a_move_is_written_once(store: Any) -> None:
    one = schedule(1, START)
    await store.add_schedule(one)
    assert await store.settle([Move(one, START + 300_000)]) == [True]
    assert await store.settle([Move(one, START + 600_000)]) == [False]
    assert await store.next_at(one) == START + 300_000
    assert await store.due_schedules(START, 10) == []


async def test_a_schedule_that_is_over_is_never_due(store: Any) -> None:
    one = schedule(1, START)
    await store.add_schedule(one)
    assert await store.settle([Move(one, None)]) == [True]
    assert await store.due_schedules(START * 2, 10) == []
    assert await store.next_due() is None


async def test_a_move_is_refused_for_another_version_of_the_workflow(store: Any) -> None:
    await store.add_schedule(schedule(1, START, version=2))
    moves = [Move(schedule(1, START, version=1), START + 1), Move(schedule(9, START), START + 1)]
    assert await store.settle(moves) == [False, False]
    assert await store.next_at(schedule(1, START)) == START


async def test_jitter_and_firings_under_way_decide_when_it_wakes(store: Any) -> None:
    one = schedule(1, START)
    await store.add_schedule(one)
    await store.settle([Move(one, START + 5_000, delay_ms=700, look_at=START + 9_000)])
    assert await store.next_due() == START + 5_700
    (read,) = await store.due_schedules(START + 5_700, 10)
    assert (read.due_at, read.next_at, read.delay_ms, read.revision) == (START + 5_700, START + 5_000, 700, 1)
    await store.settle([Move(read, START + 60_000, look_at=START + 9_000)])
    assert await store.next_due() == START + 9_000


async def test_firings_are_kept_with_the_move_and_open_ones_are_found(store: Any) -> None:
    one = msgspec.structs.replace(schedule(1, START), overlap="queue_all")
    await store.add_schedule(one)
    waits = Firing(START, "schedule", "queued", START, "queue_all", open=True)
    skipped = Firing(START - 60_000, "schedule", "skipped", START, reason="why", fires=3, last_due_at=START - 1)
    assert await store.settle([Move(one, START + 1, firings=(waits, skipped))]) == [True]
    assert await store.settle([Move(one, START + 1, firings=(replaced(waits, "skipped"),))]) == [False]
    assert await store.open_firings([one]) == {(one.workflow_id, one.node_id): [waits]}


async def test_a_confirmed_start_is_never_taken_back(store: Any) -> None:
    one = msgspec.structs.replace(schedule(1, START), overlap="skip")
    await store.add_schedule(one)
    starting = Firing(START, "schedule", "starting", START, "skip", execution_id=str(uuid.UUID(int=5)), open=True)
    await store.settle([Move(one, START + 1_000, look_at=START + 10, firings=(starting,))])
    await store.confirm([Move(one, None, firings=(replaced(starting, "started"),))])
    await store.confirm([Move(one, None, look_at=START, firings=(replaced(starting, "skipped"),))])
    (firing,) = (await store.open_firings([one]))[(one.workflow_id, one.node_id)]
    assert (firing.outcome, firing.running) == ("started", False)


async def test_where_every_overlap_is_allowed_nobody_asks_which_runs_go_on(store: Any) -> None:
    one = schedule(1, START)
    await store.add_schedule(one)
    ran = Firing(START, "schedule", "started", START, execution_id=str(uuid.UUID(int=5)), open=True)
    await store.settle([Move(one, START + 1_000, firings=(ran,))])
    assert await store.open_firings([one]) == {}
    asks = Firing(START + 5, "trigger:1", "queued", START, "skip", open=True)
    (read,) = await store.due_schedules(START + 1_000, 1)
    await store.settle([Move(read, START + 2_000, firings=(asks,))])
    assert len((await store.open_firings([one]))[(one.workflow_id, one.node_id)]) == 2


def replaced(firing: Firing, outcome: str) -> Firing:
    return msgspec.structs.replace(firing, outcome=outcome)


async def test_upkeep_can_be_done_any_number_of_times(store: Any) -> None:
    await store.upkeep()
    assert await store.upkeep() == 0


async def test_work_under_way_is_wanted_as_well(database_url: str) -> None:
    """What a sweep would look at, beside what falls due."""
    database = Database(database_url)
    store = PostgresHarness(database)
    run, places = str(uuid.UUID(int=9)), []
    assert await store.wanted() is None
    await store.add_timers(timer(1, START + 900))
    places.append(await store.wanted())
    async with database.connection() as connection:
        for statement in (
            "INSERT INTO messages VALUES (%s, 'm', 'k', '', %s + 800)",
            "INSERT INTO tasks (execution_id, node_key, attempt, queue, priority, scheduled_at, offer_at)"
            " VALUES (%s, 'n', 1, 'default', 0, 0, %s + 700)",
            "INSERT INTO bulk_operations (id, workspace_id, verb, request, actor, targets, more, created_at, updated_at,"
            " offer_at) VALUES (%s, gen_random_uuid(), 'cancel', '', '', '{}', false, 0, 0, %s + 600)",
            "WITH w AS (INSERT INTO workspaces VALUES (%s, 'w', 0, 0, 0) RETURNING id)"
            " INSERT INTO notification_rules SELECT id, id, 'late', true, '{}', '{}', 0, 0, '', 1, 0, 0, 0, %s + 550 FROM w",
        ):
            await connection.execute(statement, (run, START))
            places.append(await store.wanted())
        await connection.execute("UPDATE bulk_operations SET status = 'completed'")
        await connection.execute("UPDATE notification_rules SET look_at = NULL")
    places.append(await store.wanted())
    await store.add_schedule(schedule(2, START + 500))
    places.append(await store.wanted())
    await database.close()
    assert [at - START for at in places if at] == [900, 800, 700, 600, 550, 700, 500]
