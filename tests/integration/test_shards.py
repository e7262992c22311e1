"""Several databases: who has what, what is put together from all, and one that is away."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

from linkflow.config import BadConfig, load
from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.contracts.controlling import BulkFilter, BulkRequest
from linkflow.domain import ids
from linkflow.domain.errors import InvalidInput, LinkFlowError, Unavailable, error_from
from linkflow.domain.outcomes import CallWorkflow, Completed, Sleep
from linkflow.domain.state import decode
from linkflow.ports import Schedule
from linkflow.postgres.database import NOT_HERE, Database
from linkflow.postgres.migrate import migrate_all
from linkflow.postgres.retention import Retention
from linkflow.postgres.sharded_timers import ShardedTimers
from linkflow.postgres.shards import MAIN, Shards
from linkflow.postgres.timers import PostgresTimers
from tests.chaos.wire import Loop, Wire
from tests.integration.test_history import SERVICE, World

GUARDS = "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'linkflow_guard' ORDER BY 1"
HALF = ids.SHARDS // 2


class Split(World):
    """A History over two databases: `default` has the lower half of the shards, `b` the upper one."""

    shards: Shards

    async def chain_in(self, name: str, count: int = 1, **settings: Any) -> str:
        """A workflow whose runs are in this database."""
        while True:
            workflow = await self.chain(count, **settings)
            if (ids.shard_of_workflow(workflow) >= HALF) == (name == "b"):
                return workflow

    def timers(self) -> ShardedTimers:
        return ShardedTimers(
            self.shards, {name: PostgresTimers(one, closes=False) for name, one in self.shards.databases.items()}
        )

    async def runs_in(self, name: str) -> set[str]:
        async with self.shards.databases[name].connection() as c:
            return {id for (id,) in await (await c.execute("SELECT id::text FROM executions")).fetchall()}


@pytest.fixture
async def split(split_urls: tuple[str, str]) -> AsyncIterator[Split]:
    main, b = (Database(url, size=4) for url in split_urls)
    made = Split(main, Shards(main, {"b": b}))
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await main.close()
    await b.close()


@pytest.fixture
async def frail(split_urls: tuple[str, str]) -> AsyncIterator[tuple[Split, Wire]]:
    """The same, with a wire to `b` that can be cut."""
    parts, loop = urlsplit(split_urls[1]), Loop()
    wire = Wire(loop, (parts.hostname or "", parts.port or 5432))
    main, b = Database(split_urls[0], size=4), Database(wire.url(split_urls[1]), size=4, timeout=0.3)
    made = Split(main, Shards(main, {"b": b}))
    with acting_as(SERVICE):
        yield made, wire
    await made.history.close()
    await made.shards.close()
    await main.close()
    await b.close()
    wire.close()
    loop.close()


def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement).fetchall()  # type: ignore[arg-type]


def test_a_database_that_has_all_shards_has_no_guard(database_url: str, split_urls: tuple[str, str]) -> None:
    assert _rows(database_url, GUARDS) == []
    assert {"executions", "blobs", "heartbeats"} <= {name for (name,) in _rows(split_urls[1], GUARDS)}


async def test_a_run_is_where_its_shard_is_and_a_parent_in_one_has_a_child_in_the_other(split: Split) -> None:
    here, there = await split.chain_in(MAIN), await split.chain_in("b")
    parent = await split.start(here)
    await split.report(parent, "n0", CallWorkflow(there))
    [child] = [task.execution_id for task in split.matching.tasks if task.execution_id != parent]
    assert (await split.runs_in(MAIN), await split.runs_in("b")) == ({parent}, {child})
    await split.report(child, "n0", Completed("done"))
    assert [await split.status(id) for id in (parent, child)] == ["completed", "completed"]
    assert await split.sql("SELECT id FROM messages") == []
    assert await split.sound(parent)
    assert await split.sound(child)


async def test_lists_are_in_one_order_with_one_cursor(split: Split) -> None:
    flows = [await split.chain_in(name) for name in (MAIN, "b")]
    started = [await split.start(flows[n % 2]) for n in range(9)]
    seen: list[str] = []
    while True:
        page = h.ListRequest(split.workspace, before=seen[-1] if seen else "", limit=2)
        found = [run.id for run in (await split.history.list(page)).executions]
        seen += found
        if not found:
            break
    assert seen == sorted(started, reverse=True)
    of_one = await split.history.list(h.ListRequest(split.workspace, workflow_id=flows[1], limit=100))
    assert [run.id for run in of_one.executions] == sorted(started[1::2], reverse=True)
    count = await split.history.bulk(
        BulkRequest(split.workspace, "cancel", BulkFilter(), limit=4, actor="ada", dry_run=True)
    )
    assert (count.total, count.more) == (4, True)
    made = await split.history.bulk(BulkRequest(split.workspace, "cancel", BulkFilter(), limit=4, actor="ada"))
    assert made.bulk is not None
    await split.history._drain()
    cancelled = {id for id in started if await split.status(id) == "cancelled"}
    assert cancelled == set(seen[:4]), "the newest ones, wherever they are"


async def test_another_workspace_s_runs_are_in_no_database(split: Split) -> None:
    flows = [await split.chain_in(name) for name in (MAIN, "b")]
    runs = [await split.start(flow) for flow in flows]
    stranger = str(uuid.uuid4())
    assert (await split.history.list(h.ListRequest(stranger))).executions == ()
    assert (await split.history.describe(h.DescribeRequest(tuple(runs), stranger))).executions == ()
    for run in runs:
        with pytest.raises(LinkFlowError, match="no such run"):
            await split.history.control(h.ControlRequest(run, stranger, "cancel", "eve"))
        with pytest.raises(LinkFlowError, match="no such run"):
            await split.history.history(h.HistoryRequest(run, stranger))
    assert (await split.history.publish(h.PublishRequest(stranger, "e", "paid"))).execution_ids == ()


async def test_a_database_refuses_shards_that_it_has_not(split: Split) -> None:
    """Whoever goes by an old map, or knows of no map at all."""
    workflow = await split.chain_in("b")
    lonely = World(split.database)
    reply = await lonely.history.start(h.StartBatch((split.request(workflow),)))
    await lonely.history.close()
    error = error_from(reply.results[0].error)
    assert (error.code, error.details["sqlstate"]) == ("unavailable", NOT_HERE)
    assert await split.runs_in(MAIN) == set()
    for statement in (
        "blobs (execution_id, workspace_id, name, data)",
        "heartbeats (execution_id, node_key, attempt, at)",
    ):
        values = "('{0}', '{0}', 'x', '')" if statement.startswith("blobs") else "('{0}', 'x', 1, 1)"
        id = ids.execution_id(1, HALF, 1)
        with pytest.raises(Unavailable):
            async with split.database.connection() as c:
                await c.execute(f"INSERT INTO {statement} VALUES {values.format(id)}")  # type: ignore[arg-type]


async def test_an_id_that_does_not_carry_its_workflow_s_shard_is_refused(split: Split) -> None:
    request = split.request(await split.chain_in("b"))
    strange = msgspec.structs.replace(request, execution_id=ids.execution_id(split.clock.now_ms(), 1, 1))
    reply = await split.history.start(h.StartBatch((strange, request)))
    assert [result.error and result.error.code for result in reply.results] == ["invalid_input", None]


async def test_timers_of_all_are_read_in_order_and_fired_where_they_are(split: Split) -> None:
    now, started = split.clock.now_ms(), []
    for n, name in enumerate((MAIN, "b", MAIN, "b")):
        id = await split.start(await split.chain_in(name))
        await split.report(id, "n0", Sleep(now + 1000 * n))
        started.append(id)
    timers = split.timers()
    due = await timers.due(now + 10_000, 3)
    assert [timer.execution_id for timer in due] == started[:3]
    assert await timers.next_due() == due[0].due_at
    assert (await split.history.fire(h.FireBatch(tuple(await timers.due(now + 10_000, 100))))).fired == 4
    assert [await split.status(id) for id in started] == ["completed"] * 4
    assert await timers.next_due() is None


async def test_whether_a_schedule_s_run_goes_on_its_own_database_says(split: Split) -> None:
    flows = [await split.chain_in(name) for name in (MAIN, "b")]
    places = [Schedule(flow, "t", split.workspace, 1, "* * * * *", "UTC", 1, overlap="skip") for flow in flows]
    runs: list[str] = []
    async with split.database.connection() as c:
        for flow in flows:
            await c.execute(
                "INSERT INTO schedules (workflow_id, node_id, workspace_id, workflow_version, cron, timezone)"
                " VALUES (%s, 't', %s, 1, '', 'UTC')",
                (flow, split.workspace),
            )
            for due in (1, 2):
                runs.append(await split.start(flow))
                await c.execute(
                    "INSERT INTO schedule_firings (workflow_id, node_id, due_at, cause, outcome, at, overlap,"
                    " execution_id, open) VALUES (%s, 't', %s, 'schedule', 'started', %s, 'skip', %s, true)",
                    (flow, due, split.clock.now_ms(), runs[-1]),
                )
    for id in runs[::2]:
        await split.report(id, "n0", Completed())

    async def running() -> dict[str, bool]:
        found = await split.timers().open_firings(places)
        return {firing.execution_id: firing.running for firings in found.values() for firing in firings}

    assert await running() == dict(zip(runs, (False, True, False, True), strict=True))
    await split.timers().upkeep()
    assert await running() == {runs[1]: True, runs[3]: True}, "what has ended is closed, wherever it was"


async def test_old_runs_go_by_what_their_workflow_asks_for_in_the_main_database(split: Split) -> None:
    short, long = await split.chain_in("b"), await split.chain_in("b", retention_days=40_000)
    old = [ids.execution_id(10**12, ids.shard_of_workflow(flow), n) for n, flow in enumerate((short, long))]
    b = split.shards.databases["b"]
    async with b.connection() as c:
        for id, flow in zip(old, (short, long), strict=True):
            await c.execute(
                "INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version,"
                " started_at, closed_at, state) VALUES (%s, 0, %s, %s, 1, 1, 'api', 1, 1, %s, '')",
                (id, split.workspace, flow, 10**12),
            )
    retention = Retention(b, 30, split.database)
    async with b.connection() as c:
        await c.execute("UPDATE shard_home SET move_role = 'out', move_first = 4000, move_last = 4001")
        assert (await retention.run(split.clock.now_ms())).runs == 0, "while shards are moved nothing goes"
        await c.execute("UPDATE shard_home SET move_role = NULL")
    assert (await retention.run(split.clock.now_ms())).runs == 1
    assert await split.runs_in("b") == {old[1]}


async def test_a_database_that_is_away_takes_only_its_own_runs_with_it(frail: tuple[Split, Wire]) -> None:
    split, wire = frail
    flows = {name: await split.chain_in(name, 2) for name in (MAIN, "b")}
    here, there = [await split.start(flow) for flow in flows.values()]
    targets, wire.targets[:] = list(wire.targets), []
    wire.break_all()
    replies = (await split.history.start(h.StartBatch(tuple(map(split.request, flows.values()))))).results
    assert [reply.error and reply.error.code for reply in replies] == [None, "unavailable"]
    done = await split.history.complete(
        h.CompleteBatch((h.Report(here, "n0", 1, Completed()), h.Report(there, "n0", 1, Completed())))
    )
    assert [result.recorded for result in done.results] == [True, False]
    assert (done.results[1].error and done.results[1].error.code) == "unavailable"
    assert split.shards.away == {"b"}, "nothing waits for it any more"
    with pytest.raises(Unavailable):
        await split.status(there)
    with pytest.raises(Unavailable):  # a list without half of the runs would be a lie
        await split.history.list(h.ListRequest(split.workspace))
    only = await split.history.list(h.ListRequest(split.workspace, workflow_id=flows[MAIN]))
    assert len(only.executions) == 2
    assert (
        await split.history.touch(h.TouchRequest((h.TaskRef(here, "n9", 1), h.TaskRef(there, "n0", 1)), "w"))
    ).gone == (h.TaskRef(here, "n9", 1),)
    async with split.database.connection() as c:
        await c.execute("UPDATE tasks SET offer_at = 0")
    assert (await split.history.sweep(h.SweepRequest())).tasks == 2
    due = split.clock.now_ms() + 1000
    await split.report(here, "n1", Sleep(due))
    assert [timer.execution_id for timer in await split.timers().due(due, 10)] == [here]
    wire.targets[:] = targets
    async with asyncio.timeout(10):
        while True:
            reply = await split.history.complete(h.CompleteBatch((h.Report(there, "n0", 1, Completed()),)))
            if reply.results[0].recorded:
                break
            await asyncio.sleep(0.01)
    assert split.shards.away == frozenset()
    await split.history.close()
    assert decode((await split.store.load([there]))[there].state).runs["n1"].status == "scheduled"


def test_an_empty_database_is_taken_in_and_a_used_one_is_not(
    postgres: Any, database_url: str, empty_database_url: str, split_urls: tuple[str, str]
) -> None:
    assert "0021_shards" in migrate_all(database_url, {"b": empty_database_url})["b"]
    home = "SELECT name, firsts FROM shard_home"
    assert _rows(empty_database_url, home) == [("b", [])]
    assert migrate_all(database_url, {"b": empty_database_url}) == {"default": [], "b": []}
    with pytest.raises(InvalidInput, match="in use already: it is 'b' of this deployment"):
        migrate_all(database_url, {"c": empty_database_url})
    with pytest.raises(InvalidInput, match="in use already"):
        migrate_all(database_url, {"b": split_urls[0]})


async def test_a_wrong_address_in_the_configuration_is_found_out(split: Split, database_url: str) -> None:
    wrong = Database(database_url)
    shards = Shards(split.database, {"b": wrong})
    map = await shards.current()
    with pytest.raises(Unavailable, match="is another one"):
        map.at(HALF)
    assert map.at(0) == MAIN
    with pytest.raises(Unavailable, match="LINKFLOW_DATABASES"):
        (await Shards(split.database, {}).current()).at(HALF)
    await wrong.close()


def test_databases_are_named_in_the_environment() -> None:
    def read(text: str) -> dict[str, str]:
        return load({"LINKFLOW_DATABASES": text}).databases

    one, two = "postgresql://u:p@h1,h2/db?a=b", "postgres://x/y"
    assert read(f"b={one}, c-2={two}") == {"b": one, "c-2": two}
    assert read("") == read(" , ") == {}
    assert read(f"b={one}\nc={two}") == {"b": one, "c": two}
    assert read(f'{{"b": "{one}"}}') == {"b": one}
    for text in ("b", "b=mysql://x", f"default={two}", f"B={two}", one, f'{{"default": "{two}"}}'):
        with pytest.raises(BadConfig, match="LINKFLOW_DATABASES"):
            read(text)
