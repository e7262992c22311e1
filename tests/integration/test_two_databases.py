"""What holds with one database holds with two: the same tests, with half of the shards in each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from linkflow.contracts.base import acting_as
from linkflow.postgres.database import Database
from linkflow.postgres.shards import Shards
from tests.integration import (
    test_admission,
    test_bulk,
    test_error_workflows,
    test_forks,
    test_history,
    test_purging,
    test_waiting,
)
from tests.integration.test_history import SERVICE, World

for _module in (test_history, test_forks, test_waiting, test_error_workflows, test_bulk, test_admission, test_purging):
    globals().update({name: test for name, test in vars(_module).items() if name.startswith("test_")})


@pytest.fixture
async def world(split_urls: tuple[str, str]) -> AsyncIterator[World]:
    main, b = (Database(url, size=4) for url in split_urls)
    made = World(main, Shards(main, {"b": b}))
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await main.close()
    await b.close()
