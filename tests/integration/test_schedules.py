"""Schedules over a real Postgres and the real History: overlap without races, cheap looks, records that are bounded."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import psycopg
import pytest

from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.contracts.timer import TickRequest
from linkflow.domain import definition as d
from linkflow.domain.outcomes import Completed
from linkflow.domain.timetable import Timetable
from linkflow.ports import Move
from linkflow.postgres.database import Database
from linkflow.postgres.queries import queries
from linkflow.postgres.timers import KEEP_MS, KEEP_ROWS, PostgresTimers
from linkflow.services.timer import Timer
from tests.integration.test_history import SERVICE, World
from tests.timer_fakes import FakeDoorbell

NEVER = Timetable(every=366 * 86_400_000)


class Scheduled(World):
    """A History, and timers of their own connections over the same database."""

    def timer(self) -> Timer:
        store: Any = PostgresTimers(self.database)
        return Timer(store, self.another(), self.clock, FakeDoorbell(), Config())  # type: ignore[arg-type]

    async def schedule(self, overlap: str, due_at: int, table: Timetable = NEVER) -> str:
        definition = d.Definition(
            "s", (d.Node("t", "trigger_schedule"), d.Node("n0", "noop")), (d.Edge("e", "t", "n0"),)
        )
        workflow = await self.workflow()
        async with self.database.connection() as c:
            await c.execute(
                "UPDATE workflow_versions SET definition = %s WHERE workflow_id = %s", (d.encode(definition), workflow)
            )
            await c.execute(
                "INSERT INTO schedules (workflow_id, node_id, workspace_id, workflow_version, cron, timezone, next_at,"
                " timetable, overlap) VALUES (%s, 't', %s, 1, '', 'UTC', %s, %s, %s)",
                (workflow, self.workspace, due_at, msgspec.json.encode(table), overlap),
            )
        return workflow

    async def due_again(self, workflow: str) -> None:
        await self.rows(
            "UPDATE schedules SET delay_ms = 0, revision = revision + 1, next_at = %s WHERE workflow_id = %s RETURNING 1",
            self.clock.now_ms() - 1, workflow,
        )  # fmt: skip

    async def outcomes(self, workflow: str) -> list[str]:
        return [
            row[0]
            for row in await self.rows(
                "SELECT outcome FROM schedule_firings WHERE workflow_id = %s ORDER BY due_at", workflow
            )
        ]

    async def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as c:
            return await (await c.execute(statement, values)).fetchall()  # type: ignore[arg-type]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Scheduled]:
    database = Database(database_url, size=8)
    made = Scheduled(database)
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def tick(*timers: Timer) -> int:
    return sum(reply.schedules for reply in await asyncio.gather(*(t.tick(TickRequest()) for t in timers)))


async def test_five_timers_that_race_decide_every_fire_once(world: Scheduled) -> None:
    timers = [world.timer() for _ in range(5)]
    workflows = [await world.schedule("skip", world.clock.now_ms()) for _ in range(30)]
    assert await tick(*timers) == 30
    for _ in range(3):
        for workflow in workflows:
            await world.due_again(workflow)
        assert await tick(*timers) == 0
    for workflow in workflows:
        assert await world.outcomes(workflow) == ["started", "skipped", "skipped", "skipped"]
    assert await world.rows("SELECT count(*) FROM executions") == [(30,)]


@pytest.mark.parametrize("overlap", ["queue_one", "queue_all"])
async def test_the_end_of_a_run_rings_for_the_fire_that_waits_for_it(world: Scheduled, overlap: str) -> None:
    timer = world.timer()
    workflow = await world.schedule(overlap, world.clock.now_ms())
    other = await world.schedule("skip", world.clock.now_ms())
    await tick(timer)
    await world.due_again(workflow)
    await tick(timer)
    assert await world.outcomes(workflow) == ["started", "queued"]
    later = world.clock.now_ms() + 60_000  # it has waited long, and is looked at seldom
    await world.rows("UPDATE schedules SET look_at = %s WHERE workflow_id = %s RETURNING 1", later, workflow)
    world.doorbell.rung.clear()
    runs = dict(await world.rows("SELECT workflow_id::text, id::text FROM executions"))
    await world.report(runs[other], "n0", Completed(output=1))
    assert world.doorbell.rung == [], "nothing waits for that one"
    await world.report(runs[workflow], "n0", Completed(output=1))
    [(topic, due)] = world.doorbell.rung
    assert (topic, int(due) <= world.clock.now_ms()) == ("timers", True)
    assert await tick(timer) == 1
    assert await world.outcomes(workflow) == ["started", "started"]


async def test_a_pass_that_decided_on_a_run_which_ended_meanwhile_looks_again(world: Scheduled) -> None:
    store: Any = PostgresTimers(world.database)
    workflow = await world.schedule("queue_one", world.clock.now_ms())
    await tick(world.timer())
    await world.due_again(workflow)
    await tick(world.timer())
    await world.rows("UPDATE schedules SET look_at = 1 WHERE workflow_id = %s RETURNING 1", workflow)
    [seen] = await store.due_schedules(world.clock.now_ms(), 10)
    later = world.clock.now_ms() + 60_000
    await world.rows("UPDATE schedules SET look_at = %s WHERE workflow_id = %s RETURNING 1", later, workflow)
    ((run,),) = await world.rows("SELECT id::text FROM executions")
    await world.report(run, "n0", Completed(output=1))
    assert await store.settle([Move(seen, seen.next_at, look_at=later)]) == [False]
    assert await tick(world.timer()) == 1


async def test_a_queued_fire_starts_when_the_run_before_has_ended(world: Scheduled) -> None:
    timers = [world.timer() for _ in range(3)]
    workflow = await world.schedule("queue_one", world.clock.now_ms())
    await tick(*timers)
    await world.due_again(workflow)
    assert await tick(*timers) == 0
    assert await world.outcomes(workflow) == ["started", "queued"]
    ((first,),) = await world.rows("SELECT id::text FROM executions")
    await world.report(first, "n0", Completed(output=1))
    await asyncio.sleep(1.1)
    assert await tick(*timers) == 1
    assert await world.outcomes(workflow) == ["started", "started"]


@pytest.mark.parametrize(("overlap", "status"), [("cancel_other", "cancelled"), ("terminate_other", "terminated")])
async def test_the_run_before_is_ended_and_the_new_one_starts(world: Scheduled, overlap: str, status: str) -> None:
    timer = world.timer()
    workflow = await world.schedule(overlap, world.clock.now_ms())
    await tick(timer)
    ((first,),) = await world.rows("SELECT id::text FROM executions")
    await world.due_again(workflow)
    await tick(timer)
    await asyncio.sleep(0.15)
    assert await tick(timer) == 1
    assert await world.status(first) == status


async def test_looking_costs_index_probes_alone(world: Scheduled) -> None:
    async with world.database.connection() as c:
        workflow = await world.schedule("skip", world.clock.now_ms())
        await c.execute(
            "INSERT INTO schedules (workflow_id, node_id, workspace_id, workflow_version, cron, timezone, next_at)"
            " SELECT %s, 'n' || n, %s, 1, '* * * * *', 'UTC', %s + n * 1000 FROM generate_series(1, 20000) n",
            (workflow, world.workspace, world.clock.now_ms() + 600_000),
        )
        await c.execute(
            "INSERT INTO schedule_firings (workflow_id, node_id, due_at, cause, outcome, at, overlap, open)"
            " SELECT %s, 'n' || n %% 500, n, 'schedule', 'started', 0, 'skip', n > 19000"
            " FROM generate_series(1, 20000) n",
            (workflow,),
        )
        await c.execute("ANALYZE schedules")
        await c.execute("ANALYZE schedule_firings")
    with psycopg.connect(world.database.url) as connection:
        now = world.clock.now_ms()
        arrays = {
            "workflow": [workflow],
            "node": ["n7"],
            "tracked": [True],
            "revision": [0],
            "was": [now],
            "version": [1],
        }
        page = {"workflow_id": workflow, "node_id": "n7", "outcome": "", "due_at": now, "cause": "", "limit": 20}
        for file, name, values, index in (
            ("timers", "next_due", {}, "schedules_by_wake"),
            ("timers", "due_schedules", {"now": now + 60_000, "limit": 400}, "schedules_by_wake"),
            ("timers", "open_firings", arrays, "schedule_firings_open"),
            ("timers", "settle", arrays | {"next": [now], "delay": [0], "look": [None]}, "schedules_pkey"),
            ("schedules", "firings", page, "schedule_firings_pkey"),
        ):
            statement = queries(file)[name].as_string(connection)
            plan = "\n".join(row[0] for row in connection.execute("EXPLAIN " + statement, values))
            assert index in plan, (name, plan)
            assert "Seq Scan" not in plan.replace("Seq Scan on timers", ""), (name, plan)  # that one is empty here


async def test_records_are_kept_for_so_long_and_so_many_of_each_and_those_under_way_for_ever(world: Scheduled) -> None:
    workflow = await world.schedule("skip", world.clock.now_ms() + 3_600_000)
    now = world.clock.now_ms()
    async with world.database.connection() as c:
        await c.execute(
            "INSERT INTO schedule_firings (workflow_id, node_id, due_at, cause, outcome, at, overlap, open)"
            " SELECT %s, 't', n, 'schedule', CASE WHEN n < 3 THEN 'queued' ELSE 'skipped' END,"
            " CASE WHEN n > 1500 THEN %s ELSE %s END, 'skip', n < 3 FROM generate_series(1, 1600) n",
            (workflow, now - KEEP_MS - 1, now),
        )
    await PostgresTimers(world.database).upkeep()
    rows = [row[0] for row in await world.rows("SELECT due_at FROM schedule_firings ORDER BY due_at")]
    assert rows[:2] == [1, 2]
    assert rows[2:] == list(range(1501 - KEEP_ROWS, 1501))


async def test_rows_of_the_code_before_are_fired_as_they_stand(world: Scheduled) -> None:
    """What 0002's code writes on the new schema."""
    workflow = await world.schedule("allow", world.clock.now_ms() - 5)
    await world.rows(
        "UPDATE schedules SET cron = '0 0 1 1 *', timetable = NULL WHERE workflow_id = %s RETURNING 1", workflow
    )
    assert await tick(world.timer()) == 1
    ((id,),) = await world.rows("SELECT id::text FROM executions")
    reply = await world.history.describe(h.DescribeRequest((id,), world.workspace))
    assert reply.executions[0].mode == "schedule"
    assert uuid.UUID(id).version == 7
