"""What the store reads in bounded pieces is all that there is: pages of runs and events, and the sweeps' rounds."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator

import pytest

from linkflow.contracts.history import ListRequest
from linkflow.postgres import admission, waits
from linkflow.postgres.database import Database
from linkflow.postgres.executions import PostgresEvents
from linkflow.postgres.statuses import STATUS

WORKSPACE, WORKFLOW = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


def run_id(n: int) -> str:
    return str(uuid.UUID(int=(n << 64) + (7 << 60)))


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresEvents]:
    database = Database(database_url)
    yield PostgresEvents(database)
    await database.close()


async def write(store: PostgresEvents, statement: str, *rows: tuple[object, ...]) -> None:
    async with store._db.connection() as connection:
        for row in rows:
            await connection.execute(statement, row)


async def add_runs(store: PostgresEvents, *runs: tuple[int, str, str, int]) -> None:
    """Number, status, mode, version."""
    await write(
        store,
        "INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at,"
        " closed_at, state) VALUES (%s, 0, %s, %s, 1, %s, %s, %s, 0, %s, '{}')",
        *((run_id(n), WORKSPACE, WORKFLOW, STATUS.index(status), mode, version, int(status != "running"))
          for n, status, mode, version in runs),
    )  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_events_come_once_and_in_order_from_any_cursor(store: PostgresEvents, limit: int) -> None:
    ends = [1, 2, 7, 8, 20, 21, 22, 30]  # of transitions
    await add_runs(store, (1, "completed", "api", ends[-1]))
    for first, last in zip([1, *(end + 1 for end in ends)], ends, strict=False):
        events = json.dumps([{"event_id": n} for n in range(first, last + 1)]).encode()
        await write(store, "INSERT INTO history VALUES (%s, %s, %s, %s)", (run_id(1), first, last, events))
    for after in range(ends[-1] + 1):
        seen, at, more = [], after, True
        while more:
            reply = await store.history(run_id(1), at, limit)
            seen += [event["event_id"] for event in json.loads(bytes(reply.events))]
            assert reply.last == (seen[-1] if seen else after)
            at, more = reply.last, reply.more
        assert seen == list(range(after + 1, ends[-1] + 1))


@pytest.mark.parametrize("workflow", ["", WORKFLOW])
@pytest.mark.parametrize("status", ["", "completed", "failed", "running"])
@pytest.mark.parametrize("mode", ["", "webhook", "manual", "error"])
async def test_pages_have_what_fits_newest_first(store: PostgresEvents, workflow: str, status: str, mode: str) -> None:
    runs = [
        (n, ("completed", "failed", "running")[n % 3], ("webhook", "manual", "error", "webhook")[n % 4], 1)
        for n in range(1, 49)
    ]
    await add_runs(store, *runs)
    wanted = [run_id(n) for n, s, m, _ in reversed(runs) if status in ("", s) and mode in ("", m)]
    found: list[str] = []
    while page := await store.page(ListRequest(WORKSPACE, workflow, status, mode, found[-1] if found else "", 5)):
        found += [run.id for run in page]
    assert found == wanted


async def test_rounds_of_sweeps_come_to_every_kept_event(
    store: PostgresEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "LOOK_AT", 3)
    for n in range(10):
        await write(
            store,
            "INSERT INTO kept_events VALUES (%s, %s, 'paid', %s, '1', '', %s)", (WORKSPACE, f"e{n}", f"k{n}", 100 + n // 4)
        )  # fmt: skip
    rows = [(run_id(1), "keyed", "k9"), (run_id(2), "other", "k99"), (run_id(3), "any", "")]
    insert = "INSERT INTO waits VALUES (%s, %s, 1, %s, %s, 'event', 'paid', %s, 0, 0, '{}')"
    await write(store, insert, *((id, node, WORKSPACE, WORKFLOW, key) for id, node, key in rows))
    for _ in range(2):
        sweeps = [{wait.execution_id for wait in await store.overlooked(50, 100)} for _ in range(4)]
        assert sweeps == [{run_id(3)}, {run_id(3)}, {run_id(3)}, {run_id(1), run_id(3)}]
    assert await store.overlooked(200, 100) == [], "their time is over"


async def test_rounds_of_sweeps_come_to_every_slot(store: PostgresEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "LOOK_AT", 3)
    await add_runs(store, *((n, "completed" if n > 7 else "running", "api", 1) for n in range(1, 9)))
    insert = "INSERT INTO slots VALUES (%s, %s, %s, %s, %s, 1)"
    await write(store, insert, *((run_id(n), WORKFLOW, f"key{n}", False, 1) for n in range(1, 9)))
    await write(store, insert, (run_id(9), WORKFLOW, "key8", True, 2), (run_id(10), WORKFLOW, "key1", True, 2))
    found = [await store.lost_slots(10**12, 100) for _ in range(3)]
    assert found == [[], [], [(WORKFLOW, "key8")]], "key1 is taken; key8 was by a run that is closed"
