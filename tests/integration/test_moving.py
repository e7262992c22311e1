"""Shards move from one database to another while their runs go on; a crash at any moment loses and doubles nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from linkflow.cli import main as cli
from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.domain import definition as d
from linkflow.domain import ids
from linkflow.domain.errors import Conflict, Internal, InvalidInput, Unavailable
from linkflow.domain.outcomes import CallWorkflow, Completed, Sleep, WaitEvent
from linkflow.postgres.blobs import PostgresBlobs
from linkflow.postgres.copying import COLD, HOT, RATES
from linkflow.postgres.database import Database
from linkflow.postgres.migrate import migrate_all
from linkflow.postgres.moving import Mover
from linkflow.postgres.ranges import Range, together, without
from linkflow.postgres.sharded_blobs import ShardedBlobs
from linkflow.postgres.sharded_timers import ShardedTimers
from linkflow.postgres.shards import MAIN, Shards
from linkflow.postgres.timers import PostgresTimers
from linkflow.services.history import History
from tests.conftest import fresh_database
from tests.e2e.soundness import assert_sound
from tests.integration.test_history import SERVICE, World

ALL = (0, ids.SHARDS - 1)
CONTROL = {
    "users", "refresh_tokens", "workspaces", "members", "workflows", "workflow_versions", "webhooks", "schedules",
    "schedule_firings", "replies", "kept_events", "bulk_operations", "queue_settings", "queue_rules", "shard_map",
    "shard_home", "shard_changes", "shard_moves", "linkflow_migrations",
    "workspace_reach", "webhook_refusals", "webhook_listeners", "webhook_captures", "tallies", "usage_sums", "retention_settings", "notification_rules",
    "sessions", "account_tokens", "sign_in_failures", "second_factors", "recovery_codes", "identities", "oidc_attempts",
    "approval_links", "roles", "invitations", "api_keys", "audit_log",
    "credentials", "variables",
    "environments", "workflow_environments", "releases", "workflow_drafts", "workspace_policies", "tags", "workflow_tags", "folders",
}  # fmt: skip
"""Tables that are used in the main database alone, or are each database's own."""


class Crash(Exception):
    """The mover was killed here."""


class Movable(World):
    """Histories over two databases, each with a map of its own."""

    shards: Shards

    def __init__(self, urls: tuple[str, str], size: int = 4) -> None:
        self.urls = urls
        self.opened: list[Database] = []
        super().__init__(*self._stores(size))

    def _stores(self, size: int = 4) -> tuple[Database, Shards]:
        knows = (MAIN, "b")
        main, b = (Database(url, size=size, knows=knows) for url in self.urls)
        self.opened += [main, b]
        return main, Shards(main, {"b": b})

    def neighbour(self) -> Movable:
        """Another process of the same installation."""
        other = Movable(self.urls)
        other.workspace, other.matching = self.workspace, self.matching
        return other

    def mover(self, after: Callable[[str], Awaitable[None]] | None = None) -> Mover:
        self.told: list[str] = []
        return Mover(self._stores()[1], self.told.append, after)

    def timers(self) -> ShardedTimers:
        stores = {name: PostgresTimers(one, closes=False) for name, one in self.shards.databases.items()}
        return ShardedTimers(self.shards, stores)

    async def close(self) -> None:
        await self.history.close()
        for database in self.opened:
            await database.close()

    async def where(self) -> dict[str, set[str]]:
        """Runs by database, as they lie there."""
        found = {}
        for name, database in self.shards.databases.items():
            async with database.connection() as c:
                rows = await (await c.execute("SELECT id::text FROM executions")).fetchall()
            found[name] = {id for (id,) in rows}
        return found


@pytest.fixture
def urls(postgres: Any, migrated_template: str) -> Iterator[tuple[str, str]]:
    with (
        fresh_database(postgres.url, migrated_template) as main,
        fresh_database(postgres.url, migrated_template) as b,
    ):
        with psycopg.connect(b) as connection:
            connection.execute("UPDATE shard_home SET deployment = gen_random_uuid()")
        migrate_all(main, {"b": b})
        yield main, b


@pytest.fixture
async def world(urls: tuple[str, str]) -> AsyncIterator[Movable]:
    made = Movable(urls)
    with acting_as(SERVICE):
        yield made
    await made.close()


async def _eventually(work: Callable[[], Awaitable[Any]]) -> Any:
    """As callers do: what is unavailable is tried again."""
    while True:
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(0)


async def _start(world: Movable, history: History, request: h.StartRequest) -> str:
    while True:
        started = (await history.start(h.StartBatch((request,)))).results[0]
        if started.error is None:
            return started.execution_id
        assert started.error.code == "unavailable", started.error
        await asyncio.sleep(0)


class Load:
    """Starts runs, runs their tasks, fires their timers and sends what they wait for, until it is told to stop."""

    def __init__(self, world: Movable, seed: int) -> None:
        self.world = world
        self.others = [world, world.neighbour()]
        self.chance = random.Random(seed)
        self.started: set[str] = set()
        self.over = asyncio.Event()
        self.flows: dict[str, str] = {}

    async def prepare(self) -> None:
        world = self.world

        async def half(upper: bool, make: Callable[[], Awaitable[str]]) -> str:
            while ids.shard_of_workflow(workflow := await make()) // 2048 != int(upper):
                pass
            return workflow

        waits = d.Node("n0", "wait_for_event", config={"event": "paid"}), d.Edge("e", "t", "n0")
        self.flows = {
            "chain": await half(False, partial(world.chain, 3)),
            "limited": await half(True, partial(world.chain, 1, concurrency=d.Concurrency("", 2))),
            "parent": await half(False, partial(world.chain, 2)),
            "child": await half(True, partial(world.chain, 1)),
            "waiting": await half(True, partial(world.workflow, waits[0], edges=waits[1:])),
        }

    async def starting(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            world = self.chance.choice(self.others)
            name = self.chance.choice(["chain", "limited", "parent", "waiting"])
            key = f"k{number // 2}" if name == "chain" else ""
            request = world.request(self.flows[name], idempotency_key=key)
            self.started.add(await _start(world, world.history, request))
            await asyncio.sleep(0.015)

    async def working(self) -> None:
        """A worker that sometimes falls asleep with a task: the sweep offers it again."""
        tasks = self.world.matching.tasks
        while True:
            while tasks:
                await self._work(tasks.pop(0))
            if self.over.is_set():
                return
            await asyncio.sleep(0.001)

    async def _work(self, task: h.Task) -> None:
        if self.chance.random() < 0.05:
            return
        world = self.chance.choice(self.others)
        outcome: Any = Completed({"data": "x" * 100})
        draw = self.chance.random()
        if task.workflow_id == self.flows["parent"] and task.node_key == "n0":
            outcome = CallWorkflow(self.flows["child"])
        elif draw < 0.2 and task.workflow_id == self.flows["chain"]:
            outcome = Sleep(world.clock.now_ms() + 30)
        elif task.workflow_id == self.flows["waiting"]:
            outcome = WaitEvent("paid", task.execution_id)
        report = h.Report(task.execution_id, task.node_key, task.attempt, outcome)
        while True:
            recorded = (await world.history.complete(h.CompleteBatch((report,)))).results[0]
            if recorded.error is None:
                return
            assert recorded.error.code == "unavailable", recorded.error
            await asyncio.sleep(0)

    async def chores(self) -> None:
        timers = [world.timers() for world in self.others]
        while True:
            last = self.over.is_set()
            for world, store in zip(self.others, timers, strict=True):
                await _eventually(partial(self._fire, world, store, 10**13 if last else world.clock.now_ms()))
                await self._tell(world)
                for table in ("tasks", "messages"):
                    await world.sql(
                        f"UPDATE {table} SET offer_at = 0 WHERE offer_at < %s", world.clock.now_ms() + 9_900
                    )
                await _eventually(partial(world.history.sweep, h.SweepRequest()))
            if last:
                return
            await asyncio.sleep(0.02)

    async def _fire(self, world: Movable, store: ShardedTimers, until: int) -> None:
        due = await store.due(until, 100)
        if due:
            await world.history.fire(h.FireBatch(tuple(due)))

    async def _tell(self, world: Movable) -> None:
        rows = await world.sql("SELECT execution_id::text FROM waits WHERE kind = 'event'")
        for (id,) in rows[:20]:
            event = h.PublishRequest(world.workspace, f"e-{id}", "paid", id)
            await _eventually(partial(world.history.publish, event))

    async def drained(self) -> None:
        """Until every run has ended."""
        self.over.set()
        for _ in range(200):
            await self.chores()
            await self.working()
            left = await self.world.sql("SELECT id::text FROM executions WHERE closed_at = 0")
            if not left:
                break
        for world in self.others:
            await world.history.close()


@pytest.mark.parametrize("seed", range(int(os.environ.get("LINKFLOW_MOVES", "1"))))
async def test_runs_go_on_while_their_shards_move_there_and_back(world: Movable, seed: int) -> None:
    load = Load(world, seed)
    await load.prepare()
    stops: list[float] = []
    tasks = [asyncio.create_task(work()) for work in (load.starting, load.working, load.chores)]
    try:
        for first, last, target in ((0, 4095, "b"), (1000, 3000, MAIN), (0, 4095, MAIN), (2048, 4095, "b")):
            await asyncio.sleep(0.15)
            mover = world.mover()
            await _eventually(partial(mover.move, first, last, target))
            stops.append(mover.stopped)
        await asyncio.sleep(0.1)
        load.over.set()
        await asyncio.gather(*tasks)
        await load.drained()
    finally:
        load.over.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await load.others[1].close()
    print(f"{len(load.started)} starts; the longest write stop {max(stops):.3f} s")
    there = await world.where()
    assert not there[MAIN] & there["b"], "no run is in two databases"
    assert load.started <= there[MAIN] | there["b"], "no run is lost"
    assert {ids.shard_of_execution(id) >= 2048 for id in there["b"]} <= {True}
    assert {ids.shard_of_execution(id) < 2048 for id in there[MAIN]} <= {True}
    parents = await world.sql("SELECT id::text FROM executions WHERE workflow_id = %s", load.flows["parent"])
    children = await world.sql("SELECT id::text FROM executions WHERE workflow_id = %s", load.flows["child"])
    assert len(parents) == len(children), "a child each"
    for url in world.urls:
        await asyncio.to_thread(assert_sound, url, expect=1)
    assert await world.sql("SELECT execution_id FROM slots") == []
    assert await world.sql("SELECT seq FROM shard_changes") == []


async def _lively(world: Movable) -> tuple[str, list[str]]:
    """Runs in every state: one that runs, one that waits for a time, one that is over, one with an idempotency key and
    a slot, and one that waits for that slot. All of one workflow."""
    workflow = await world.chain(2, concurrency=d.Concurrency("", 4, policy="queue"))
    started = [await world.start(workflow, idempotency_key=f"k{n}") for n in range(5)]
    await world.report(started[1], "n0", Sleep(world.clock.now_ms() + 10**7))
    await world.history.control(h.ControlRequest(started[2], world.workspace, "cancel", "ada"))
    await world.history.close()
    return workflow, started


async def _seen(world: Movable, started: list[str]) -> dict[str, Any]:
    """All that is known of runs."""
    tables = ("tasks", "timers", "slots", "idempotency_keys", "waits", "messages")
    found: dict[str, Any] = {table: sorted(await world.sql(f"SELECT * FROM {table}"), key=str) for table in tables}
    for id in started:
        reply = await _eventually(partial(world.history.history, h.HistoryRequest(id, world.workspace)))
        found[id] = (await world.status(id), bytes(reply.events))
    return found


STEPS = (
    "begun", "marked", "copied executions", "copied forks", "compared", "stopped", "handed over", "taken", "switched",
    "dropped executions", "dropped forks",
)  # fmt: skip


async def test_a_mover_that_dies_at_any_step_is_finished_by_the_next(world: Movable) -> None:
    workflow, started = await _lively(world)
    blobs = ShardedBlobs(world.shards, {name: PostgresBlobs(one) for name, one in world.shards.databases.items()})
    kept = f"{world.workspace}/{started[0]}/{'0' * 64}"
    await blobs.put({kept: b"large"})
    before = await _seen(world, started)
    target, other = "b", MAIN
    for step in STEPS:

        async def dies(name: str, at: str = step) -> None:
            if name == at:
                raise Crash

        with pytest.raises(Crash):
            await world.mover(dies).move(*ALL, target)
        if STEPS.index(step) < STEPS.index("handed over") or STEPS.index(step) >= STEPS.index("switched"):
            again = await world.history.start(h.StartBatch((world.request(workflow, idempotency_key="k0"),)))
            assert (again.results[0].error, again.results[0].execution_id) == (None, started[0]), step
        else:
            with pytest.raises(Unavailable):
                await world.status(started[0])
        await world.mover().move(*ALL, target)
        assert await _seen(world, started) == before, step
        assert await blobs.get([kept]) == {kept: b"large"}
        assert (await world.where())[other] == set(), step
        target, other = other, target
    world.matching.tasks.clear()
    for id in (started[0], started[3]):
        await world.report(id, "n0", Completed())
        await world.report(id, "n1", Completed())
    assert [await world.status(id) for id in started] == [
        "completed", "running", "cancelled", "completed", "running"
    ]  # fmt: skip
    assert all([await world.sound(id) for id in started])


async def test_a_move_can_be_given_up_until_it_is_handed_over(world: Movable) -> None:
    _, started = await _lively(world)
    before = await _seen(world, started)
    for step in ("begun", "marked", "copied executions", "stopped"):

        async def dies(name: str, at: str = step) -> None:
            if name == at:
                raise Crash

        with pytest.raises(Crash):
            await world.mover(dies).move(0, 4095, "b")
        with pytest.raises(Conflict, match="is not finished"):
            await world.mover().move(0, 100, "b")
        assert await world.mover().abort()
        assert await _seen(world, started) == before, step
        assert (await world.where())["b"] == set()
        assert await world.sql("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'linkflow_note%%'") == []
    assert not await world.mover().abort()

    async def dies_late(name: str) -> None:
        if name == "handed over":
            raise Crash

    with pytest.raises(Crash):
        await world.mover(dies_late).move(0, 4095, "b")
    with pytest.raises(Conflict, match="finish the move"):
        await world.mover().abort()
    await world.mover().move(0, 4095, "b")
    assert await _seen(world, started) == before


async def test_a_mover_whose_connection_breaks_in_the_write_stop_stops_nobody(
    world: Movable, urls: tuple[str, str]
) -> None:
    workflow, started = await _lively(world)

    async def breaks(name: str) -> None:
        if name == "stopped":
            with psycopg.connect(urls[0], autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND state = 'idle in transaction' AND pid <> pg_backend_pid()"
                )

    with pytest.raises(Unavailable):
        await world.mover(breaks).move(*ALL, "b")
    again = await world.history.start(h.StartBatch((world.request(workflow, idempotency_key="k3"),)))
    assert (again.results[0].error, again.results[0].execution_id) == (None, started[3])
    assert await world.report(started[0], "n0", Completed())
    await world.mover().move(*ALL, "b")
    await world.report(started[0], "n1", Completed())
    assert await world.status(started[0]) == "completed"
    assert await world.sound(started[0])
    assert (await world.where())[MAIN] == set()


async def test_only_the_range_that_moves_stands_still_and_only_at_the_end(world: Movable) -> None:
    flows: dict[bool, str] = {}
    while len(flows) < 2:
        workflow = await world.chain(1)
        flows[ids.shard_of_workflow(workflow) >= 2048] = workflow
    seen: dict[str, list[str]] = {}

    async def looks(name: str) -> None:
        requests = tuple(world.request(flows[moves]) for moves in (False, True))
        results = (await world.history.start(h.StartBatch(requests))).results
        seen[name] = [result.error.code if result.error else "" for result in results]

    await world.mover(looks).move(2048, 4095, "b")
    assert {name for name, codes in seen.items() if codes[0]} == set()
    refused = {name for name, codes in seen.items() if codes[1]}
    before = set(STEPS[: STEPS.index("stopped")])
    assert not refused & before
    assert refused >= {"stopped", "handed over", "taken"}
    assert await _start(world, world.history, world.request(flows[True]))
    assert seen["stopped"][1] == "unavailable"
    assert any("its writes were stopped for" in line for line in world.told)


async def test_a_process_with_an_old_map_writes_and_reads_where_the_runs_are(world: Movable) -> None:
    """It knew the runs before, has their states in memory, and hears of the move from the databases alone."""
    workflow, started = await _lively(world)
    old = world.neighbour()
    await old.status(started[0])
    await old.history.control(h.ControlRequest(started[0], world.workspace, "pause", "ada"))
    timers = old.timers()
    assert len(await timers.due(10**13, 10)) == 1
    await world.mover().move(*ALL, "b")
    assert await timers.due(10**13, 10) == []  # not its own, by the old map; so it reads a new one
    assert [timer.execution_id for timer in await timers.due(10**13, 10)] == [started[1]]
    stale = world.neighbour()
    stale.shards.map = None
    await world.mover().move(*ALL, MAIN)
    await world.history.control(h.ControlRequest(started[0], world.workspace, "resume", "ada"))
    reply = await old.history.complete(h.CompleteBatch((h.Report(started[0], "n0", 1, Completed()),)))
    assert [(result.recorded, result.error) for result in reply.results] == [(True, None)]
    assert await old.status(started[0]) == "running"
    again = await old.history.start(h.StartBatch((old.request(workflow, idempotency_key="k4"),)))
    assert again.results[0].execution_id == started[4]
    assert (await old.history.list(h.ListRequest(world.workspace, limit=100))).executions != ()
    assert await world.sound(started[0])
    await old.close()
    await stale.close()


async def test_a_copy_that_is_not_whole_is_not_switched_to(world: Movable) -> None:
    _, started = await _lively(world)

    async def loses(name: str) -> None:
        if name == "copied history":
            async with world.shards.databases["b"].connection() as c:
                await c.execute("DELETE FROM history WHERE execution_id = %s", (started[0],))

    with pytest.raises(Internal, match="copy of history"):
        await world.mover(loses).move(*ALL, "b")
    assert await world.status(started[0]) == "running"
    assert await world.mover().abort()
    assert (await world.where())["b"] == set()


async def test_shards_are_not_moved_behind_the_back_of_processes(world: Movable, urls: tuple[str, str]) -> None:
    lonely = Database(urls[0], size=1)
    await lonely.ping()
    with pytest.raises(Conflict, match="1 connections to default are of processes that do not know b"):
        await world.mover().move(0, 9, "b")
    assert await world.mover().move(0, 9, "b", force=True) == 10
    await lonely.close()
    with psycopg.connect(urls[1], autocommit=True) as connection:
        connection.execute("DELETE FROM linkflow_migrations WHERE number = 21")
        with pytest.raises(Conflict, match="run linkflow migrate"):
            await world.mover().move(10, 19, "b")
        connection.execute("INSERT INTO linkflow_migrations (number, name) VALUES (21, 'shards')")
    with pytest.raises(InvalidInput, match="no database 'c'"):
        await world.mover().move(0, 9, "c")
    for first, last in ((-1, 3), (5, 4), (0, 4096)):
        with pytest.raises(InvalidInput, match="Shards are 0 to 4095"):
            await world.mover().move(first, last, "b")


def test_every_table_of_runs_is_moved(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            " AND NOT relispartition"
        ).fetchall()
    moved = {part.table for part in (*COLD, *HOT)} | {RATES}
    assert {name for (name,) in rows} == moved | CONTROL, "a new table: is it the main database's, or does it move?"


def test_ranges() -> None:
    assert together([(5, 9), (0, 4), (11, 12)]) == [(0, 9), (11, 12)]
    assert without([(0, 9), (11, 12)], Range(3, 11)) == [(0, 2), (12, 12)]
    assert without([(3, 4)], Range(0, 9)) == []


def test_the_command_line_lists_and_moves(urls: tuple[str, str], redis_url: str, tmp_path: Any) -> None:
    environ = {
        "DATABASE_URL": urls[0],
        "LINKFLOW_DATABASES": f"b={urls[1]}",
        "REDIS_URL": redis_url,
        "LINKFLOW_SECRET": "s" * 40,
    }

    def run(*args: str) -> Any:
        return CliRunner().invoke(cli, ["shards", *args, "--home", str(tmp_path)], env=environ)

    moved = run("move", "--from", "2048", "--to", "4095", "--database", "b")
    assert (moved.exit_code, moved.output.splitlines()[-1]) == (0, "2048 shards moved to b.")
    listed = json.loads(run("list", "--json").output)
    assert listed == {
        "ranges": [
            {"first": 0, "last": 2047, "database": "default", "runs": 0, "open": 0},
            {"first": 2048, "last": 4095, "database": "b", "runs": 0, "open": 0},
        ],
        "move": None,
    }
    assert "2048-4095   b " in run("list").output
    assert run("move", "--from", "3000", "--to", "3001", "--database", "b").output == "3000-3001 are in b already.\n"
    assert run("move", "--from", "0", "--to", "1", "--database", "x").exit_code == 2
    assert "Nothing is being moved" in run("abort").output
    assert run("move", "--from", "0", "--to", "4095", "--database", "default").exit_code == 0
