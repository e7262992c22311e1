"""Very many timers of one second: none is lost and none fires twice, whoever dies on the way.

The real History over a real Postgres, two timers that race, connections that are cut, and one timer that goes away.
"""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest

from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.domain.outcomes import Sleep
from linkflow.postgres.database import Database
from linkflow.postgres.timers import PostgresTimers
from linkflow.services.timer import Timer
from tests.integration.test_history import SERVICE, World
from tests.timer_fakes import FakeDoorbell

BATCH = 500


async def sleeping(world: World, count: int, until: int) -> None:
    """`count` runs whose one node sleeps; they wake spread over the second from `until` on."""
    workflow = await world.chain(1)
    for first in range(0, count, BATCH):
        requests = [world.request(workflow) for _ in range(min(BATCH, count - first))]
        started = (await world.history.start(h.StartBatch(tuple(requests)))).results
        assert all(one.error is None for one in started)
        reports = tuple(
            h.Report(request.execution_id, "n0", 1, Sleep(until + (first + n) % 1000))
            for n, request in enumerate(requests)
        )
        recorded = (await world.history.complete(h.CompleteBatch(reports))).results
        assert all(one.recorded for one in recorded)


async def race(world: World, database_url: str, patience: float) -> None:
    """Two timers until nothing is left; their connections are cut twice, and the first timer stops early."""
    databases = [Database(database_url, size=3) for _ in range(2)]
    timers = [
        Timer(PostgresTimers(database), world.another(), world.clock, FakeDoorbell(), Config())  # type: ignore[arg-type]
        for database in databases
    ]
    stops = [asyncio.Event() for _ in timers]
    running = [asyncio.ensure_future(t.run_forever(stop)) for t, stop in zip(timers, stops, strict=True)]
    deadline = time.monotonic() + patience
    for cut in range(2):
        await asyncio.sleep(1.0)
        await asyncio.to_thread(cut_connections, database_url)
        if cut:
            stops[0].set()
    while await asyncio.to_thread(left, database_url):
        assert time.monotonic() < deadline, "timers are left"
        await asyncio.sleep(0.2)
    for stop in stops:
        stop.set()
    await asyncio.gather(*running)
    for database in databases:
        await database.close()


def cut_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def left(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM timers").fetchone()
        return int(row[0]) if row else 0


@pytest.mark.parametrize("count", [5_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_timers_of_the_same_second_are_neither_lost_nor_doubled(database_url: str, count: int) -> None:
    database = Database(database_url, size=4)
    world = World(database)
    try:
        with acting_as(SERVICE):
            await sleeping(world, count, world.clock.now_ms() + 1_000 + count // 2)
            await race(world, database_url, patience=60 + count / 250)
    finally:
        await world.history.close()
        await database.close()
    with psycopg.connect(database_url) as connection:
        open_runs = connection.execute("SELECT count(*) FROM executions WHERE closed_at = 0").fetchone()
        fired = connection.execute(
            "SELECT count(*), count(DISTINCT execution_id) FROM events WHERE type = 'TimerFired'"
        ).fetchone()
    assert open_runs == (0,)
    assert fired == (count, count)
