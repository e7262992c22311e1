"""A database that an earlier release has left behind, with runs in flight: each goes on to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from linkflow.contracts.base import acting_as
from linkflow.postgres.audit import replays
from linkflow.postgres.database import Database
from linkflow.postgres.migrate import migrate
from tests.e2e.soundness import assert_sound
from tests.upgrade.flight import SERVICE, Flight
from tests.upgrade.landing import land, restore

HISTORIES = Path(__file__).parents[1] / "data" / "histories"
SCHEMAS = {"0.1": 4}
"""The last migration of each release."""


@pytest.fixture(params=SCHEMAS)
async def flight(request: pytest.FixtureRequest, empty_database_url: str) -> AsyncIterator[Flight]:
    restore(empty_database_url, HISTORIES / request.param / "database.jsonl.gz", SCHEMAS[request.param])
    migrate(empty_database_url)
    database = Database(empty_database_url, size=4)
    made = Flight(database)
    made.clock.at += 3_600_000  # type: ignore[attr-defined]
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def test_every_run_replays_right_after_the_upgrade(flight: Flight):
    found = [result async for _, result in replays(flight.database)]
    assert len(found) > 20
    assert all(result.matches for result in found)


async def test_every_run_goes_on_to_its_end(flight: Flight):
    await land(flight)
    await asyncio.to_thread(assert_sound, flight.database.url, expect=26)
    assert {status for (status,) in await _statuses(flight)} == {1, 2, 3, 4, 5}


async def _statuses(flight: Flight) -> list[tuple[int]]:
    async with flight.database.connection() as c:
        return await (await c.execute("SELECT status FROM executions")).fetchall()
