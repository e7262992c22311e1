"""A database that was away: how soon those who use it are back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from linkflow.domain.errors import Unavailable
from linkflow.postgres.database import Database
from tests.chaos.wire import Loop, Wire


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    parts = urlsplit(database_url)
    loop = Loop()
    made = Wire(loop, (parts.hostname or "", parts.port or 5432))
    yield made
    made.close()
    loop.close()


async def _asked(database: Database) -> bool:
    """Does it answer within a moment?"""
    try:
        async with asyncio.timeout(0.2):
            await database.ping()
    except (Unavailable, TimeoutError):
        return False
    return True


async def _away(wire: Wire, database: Database, seconds: float) -> None:
    """The database goes away while it is being used, for so long."""
    await database.ping()
    targets, wire.targets[:] = list(wire.targets), []
    wire.break_all()
    until = asyncio.get_running_loop().time() + seconds
    while (left := until - asyncio.get_running_loop().time()) > 0:
        assert not await _asked(database)
        await asyncio.sleep(min(left, 0.1))
    wire.targets[:] = targets


async def test_a_pool_is_back_soon_after_a_long_outage(wire: Wire, database_url: str) -> None:
    database = Database(wire.url(database_url), size=3)
    try:
        await _away(wire, database, 4.0)  # a pool that doubles its pauses would look again in the seventh second
        async with asyncio.timeout(1.9):
            await database.ping()
    finally:
        await database.close()


async def test_whoever_waits_for_a_connection_gets_one_when_the_server_is_back(wire: Wire, database_url: str) -> None:
    database = Database(wire.url(database_url), size=3, timeout=20.0)
    try:
        outage = asyncio.create_task(_away(wire, database, 4.0))
        await asyncio.sleep(1.0)
        waiting = asyncio.create_task(database.ping())  # nobody comes after it who would make the pool look again
        await outage
        async with asyncio.timeout(1.9):
            await waiting
    finally:
        await database.close()
