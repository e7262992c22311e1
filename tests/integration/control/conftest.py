"""The control plane for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from linkflow.postgres.database import Database
from tests.conftest import fresh_database
from tests.integration.control.plane import Plane, build


@pytest.fixture
async def plane(database_url: str) -> AsyncIterator[Plane]:
    """The API over an empty database."""
    async with _open(database_url) as made:
        yield made


@pytest.fixture(scope="module")
async def shared_plane(postgres, migrated_template: str) -> AsyncIterator[Plane]:
    """One for all tests of a module: they look at nothing but what they made themselves."""
    with fresh_database(postgres.url, migrated_template) as url:
        async with _open(url) as made:
            yield made


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[Plane]:
    database = Database(url, size=4)
    made = build(database)
    async with made.client:
        yield made
    await database.close()
