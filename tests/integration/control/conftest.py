"""The control plane for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from linkflow.postgres.database import Database

from tests.integration.control.plane import Plane, build


@pytest.fixture
async def plane(database_url: str) -> AsyncIterator[Plane]:
    """The API over an empty database."""
    database = Database(database_url, size=4)
    made = build(database)
    async with made.client:
        yield made
    await database.close()
