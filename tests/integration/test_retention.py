"""Retention: months of runs. Old ones go with their partitions; what lives or waits stays, and can go on to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.domain import definition as d
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.outcomes import Completed, Failed, Iterate, NodeError, RequestApproval
from linkflow.postgres.audit import replays
from linkflow.postgres.database import Database
from linkflow.postgres.retention import DAY_MS, Dropped, Retention
from linkflow.postgres.retention_settings import PostgresRetentionSettings
from linkflow.postgres.timers import PostgresTimers
from tests.e2e.soundness import assert_sound
from tests.unit.engine.support import flow
from tests.upgrade.flight import SERVICE, Flight
from tests.upgrade.landing import land

CHAIN = "t > a > b"


def _at(month: int, day: int = 5, year: int = 2026) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp() * 1000)


NOW = _at(11, 23)


class Months(Flight):
    """A deployment that has run since January 2026."""

    async def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.database.connection() as c:
            found = await c.execute(statement, values or None)  # type: ignore[arg-type]
            return await found.fetchall() if found.description else []

    async def partition(self, month: int) -> None:
        for parent in ("history", "blobs"):
            await self.sql(
                f"CREATE TABLE {parent}_2026{month:02} PARTITION OF {parent} FOR VALUES"
                f" FROM ('{_floor(_at(month, 1))}') TO ('{_floor(_at(month + 1, 1))}')"
            )

    def on(self, month: int, day: int = 5) -> None:
        self.clock.at = _at(month, day)  # type: ignore[attr-defined]

    async def closed(self, key: str = "", **settings: Any) -> str:
        definition = flow("t > a", settings=d.Settings(**settings))
        return await self.go(definition, ("a", Completed({"done": True})), key=key)

    async def runs(self) -> set[str]:
        return {id for (id,) in await self.sql("SELECT id::text FROM executions")}

    async def histories(self) -> set[str]:
        return {id for (id,) in await self.sql("SELECT DISTINCT execution_id::text FROM history")}

    async def partitions(self) -> list[str]:
        return [name for (name,) in await self.sql(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'history'::regclass AND c.relname < 'history_202609' ORDER BY 1")]  # fmt: skip

    async def in_default(self) -> int:
        ((count,),) = await self.sql("SELECT count(*) FROM history_other")
        return int(count)

    async def replayed(self) -> bool:
        return all([found.matches async for _, found in replays(self.database)])


def _floor(at: int) -> str:
    text = f"{at:012x}" + "0" * 20
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@pytest.fixture
async def months(database_url: str) -> AsyncIterator[Months]:
    database = Database(database_url, size=6)
    made = Months(database)
    for month in range(1, 9):
        await made.partition(month)
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await database.close()


async def _drop(months: Months, now: int = NOW, days: int = 90) -> Dropped:
    return await Retention(months.database, days).run(now)


async def test_old_runs_go_and_what_lives_or_waits_goes_on_to_its_end(months: Months):
    gone, stay = set(), set()
    for month in range(1, 9):
        months.on(month)
        gone.add(await months.closed(key=f"order-{month}"))
        stay.add(await months.go(flow(CHAIN), ("a", Completed(month))))
        stay.add(await months.go(flow(CHAIN), ("a", RequestApproval("Ship?"))))
    lately = {max(gone)}  # of August: its partition is not over yet
    assert await _drop(months) == Dropped(7, 14, 14 * 2, 0)
    assert await months.runs() == await months.histories() == stay | lately
    assert await months.partitions() == ["history_202608"]
    keys = await months.sql("SELECT key FROM idempotency_keys")
    assert keys == [("order-8",)]
    assert await months.replayed()
    months.on(11, 24)
    months.history = months.another()
    await land(months)
    await asyncio.to_thread(assert_sound, months.database.url, expect=17)
    assert await _drop(months, NOW + 10 * DAY_MS) == Dropped(1, 2, 7, 0)
    assert await _drop(months, NOW + 365 * DAY_MS), "a year later these are over as well"
    assert await months.runs() == await months.histories() == set()
    assert await months.in_default() == 0


async def test_time_begins_when_a_run_has_closed(months: Months):
    months.on(1)
    old, late = await months.closed(), await months.go(flow(CHAIN), ("a", Completed(1)))
    months.on(11, 20)
    await months.report(late, "b", Completed(1))
    await _drop(months)
    assert await months.runs() == await months.histories() == {late} != {old}
    assert await months.replayed()


async def test_a_workflow_may_keep_its_runs_longer(months: Months):
    months.on(2)
    long, own, short = [await months.closed(retention_days=days) for days in (365, 0, 30)]
    await _drop(months)
    assert await months.runs() == await months.histories() == {long}
    assert {own, short}.isdisjoint(await months.histories())
    await _drop(months, _at(3, 1, 2027))
    assert await months.runs() == await months.histories() == set()


async def test_a_partition_of_short_lived_runs_goes_early(months: Months):
    months.on(8)
    for _ in range(20):
        await months.closed(retention_days=7)
    months.on(7)
    short, usual = await months.closed(retention_days=7), await months.closed()
    for days in (0, 90):
        assert [old.parts[1][1] for old in await Retention(months.database, days).plan(_at(9, 20))][-1:] == [
            "history_202608"
        ]
    await _drop(months, _at(9, 20))
    assert await months.runs() == {usual}
    assert await months.histories() == {usual, short}, "half of July's runs stay: their events go with the others"
    await _drop(months)
    assert await months.histories() == set()


async def test_what_a_workspace_has_set_holds(months: Months):
    months.on(2)
    usual, ruled = await months.closed(), await months.closed()
    await months.closed(retention_days=200)
    ((workspace, workflow),) = await months.sql(
        "SELECT workspace_id::text, workflow_id::text FROM executions WHERE id = %s", ruled
    )
    settings = PostgresRetentionSettings(months.database)
    await settings.write(workspace, 365, {workflow: 250})
    await _drop(months)
    assert await months.runs() == {usual}, "for a workflow, before the workflow's own, before all workflows"
    await settings.write(workspace, 365, {workflow: 400})
    assert await settings.read(workspace) == (365, {workflow: 400})
    await settings.write(workspace, 30, {})
    await _drop(months)
    assert await months.runs() == set()


async def test_kept_for_ever(months: Months):
    months.on(1)
    id = await months.closed()
    assert await Retention(months.database, 0).plan(NOW) == []
    assert await _drop(months, days=0) == Dropped()
    assert await months.runs() == {id}


async def test_a_plan_changes_nothing(months: Months):
    months.on(1)
    id = await months.closed()
    await months.go(flow(CHAIN))
    months.on(3)
    (first, *others) = await Retention(months.database, 90).plan(NOW)
    assert (first.parts, first.runs, first.stay) == ((("blobs", "blobs_202601"), ("history", "history_202601")), 1, 1)
    assert first.size > 0
    assert [(old.runs, old.stay) for old in others] == [(0, 0)] * 6
    assert id in await months.histories()
    assert len(await months.partitions()) == 8


async def test_large_payloads_go_with_their_run(months: Months):
    months.on(1)
    gone, stay = await months.closed(), await months.go(flow(CHAIN))
    for id in (gone, stay):
        await months.sql("INSERT INTO blobs VALUES (%s, %s, 'name', 'data')", id, months.workspace)
    await _drop(months)
    assert await months.sql("SELECT execution_id::text FROM blobs") == [(stay,)]
    await months.report(stay, "a", Completed(1))
    await months.report(stay, "b", Completed(1))
    await _drop(months, NOW + 365 * DAY_MS)
    assert await months.sql("SELECT * FROM blobs") == []


async def test_two_at_once_drop_it_once(months: Months):
    stay = set()
    for month in range(1, 9):
        months.on(month)
        await months.closed()
        stay.add(await months.go(flow(CHAIN)))
    await asyncio.gather(*(_drop(months) for _ in range(4)))
    await _drop(months)
    assert len(await months.partitions()) == 1
    assert stay <= await months.histories()
    assert await months.replayed()


async def test_what_a_crash_has_left_goes_with_the_next_pass(months: Months):
    """The runs were forgotten, their partition was not dropped."""
    months.on(1)
    id = await months.closed()
    await months.sql("DELETE FROM executions WHERE id = %s", id)
    await _drop(months)
    assert await months.histories() == set()
    assert len(await months.partitions()) == 1


async def test_a_run_retried_by_hand_is_alive_again(months: Months):
    months.on(1)
    id = await months.go(flow(CHAIN), ("a", Failed(NodeError("boom", "boom!", False))))
    months.on(11, 22)
    await months.control(id, "retry")
    await _drop(months)
    assert id in await months.histories()
    for node, attempt in (("a", 2), ("b", 1)):
        await months.report(id, node, Completed(node), attempt)
    assert (await months.status(id), await months.replayed()) == ("completed", True)


async def test_whoever_uses_the_table_is_not_kept_waiting(months: Months):
    """A long read holds the partitions: the drop gives up, starts go on, and it is done later."""
    months.on(1)
    await months.closed()
    async with months.database.transaction() as reader:
        await reader.execute("SELECT count(*) FROM history")
        dropping = asyncio.create_task(_drop(months))
        months.on(11)
        started = [await months.go(flow("t > a"), ("a", Completed(1))) for _ in range(5)]
        assert (await dropping).waiting == 13
    assert len(await months.partitions()) == 8
    assert (await _drop(months)).partitions == 13
    assert await months.runs() == await months.histories() == set(started)


async def test_nothing_is_lost_under_load(months: Months):
    """Old runs move on, and new ones start, while their partitions go."""
    loop = flow("t > loop1", "loop1:each > a")
    old = []
    for month in range(1, 8):
        months.on(month)
        for _ in range(3):
            await months.closed()
        old.append(await months.go(loop, ("loop1", Iterate(tuple(range(12))))))
    months.on(11, 22)
    months.history = months.another()
    stop = asyncio.Event()

    async def advance(id: str) -> None:
        for index in range(12):
            for _ in range(20):
                reply = await months.history.complete(
                    h.CompleteBatch((h.Report(id, f"a[{index}]", 1, Completed(index)),))
                )
                if reply.results[0].error is None:
                    break
            await asyncio.sleep(0)

    async def begin() -> list[str]:
        workflow, ids = await months.save(flow("t > a")), []
        while not stop.is_set():
            ids.append(await months.start(workflow))
        return ids

    beginning = asyncio.create_task(begin())
    dropped, *_ = await asyncio.gather(_drop(months), *(advance(id) for id in old))
    stop.set()
    started = await beginning
    assert started
    assert (dropped.waiting, await months.partitions()) == (0, ["history_202608"])
    assert await months.runs() == await months.histories() == {*old, *started}
    await land(months)
    await asyncio.to_thread(assert_sound, months.database.url, expect=len(old) + len(started))
    assert {await months.status(id) for id in old} == {"completed"}


async def test_rows_that_came_before_their_partition_move_into_it(months: Months):
    """No upkeep for months: what was written meanwhile is in the default partition."""
    month = f"history_{datetime.now(UTC):%Y%m}"
    for parent in ("history", "blobs"):
        await months.sql(f"DROP TABLE {parent}_{datetime.now(UTC):%Y%m}")
    months.clock.at = int(datetime.now(UTC).timestamp() * 1000)  # type: ignore[attr-defined]
    id = await months.go(flow(CHAIN), ("a", Completed(1)))
    assert await months.in_default() == 2
    assert await PostgresTimers(months.database).upkeep() == 2
    assert (await months.in_default(), await months.sql(f"SELECT count(*) FROM {month}")) == (0, [(2,)])
    await months.report(id, "b", Completed(1))
    assert await months.replayed()


async def test_the_timers_upkeep_does_it(months: Months):
    """By the database's clock: all of these months are over."""
    months.on(1)
    id = await months.closed()
    await PostgresTimers(months.database, Retention(months.database, 1)).upkeep()
    assert id not in await months.runs()
    with pytest.raises(LinkFlowError):
        await months.history.history(h.HistoryRequest(id, months.workspace))
