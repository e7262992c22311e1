"""The head start on real Postgres: what a run's first transaction holds when its front is pure."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import acting_as
from linkflow.domain import definition as d
from linkflow.domain.outcomes import Completed
from linkflow.domain.replay import replay
from linkflow.nodes.registry import Registry
from linkflow.postgres.database import Database
from linkflow.services.history import History
from linkflow.services.worker import HeadStart
from tests.integration.test_history import SERVICE, World


class Ahead(World):
    """A world whose History runs ahead."""

    def another(self) -> History:
        ahead = HeadStart(Registry.load(), self.clock, 1024 * 1024, "ahead")
        return History(self.store, self.matching, self.doorbell, self.clock, Config(), ahead=ahead)  # type: ignore[arg-type]

    async def count(self, table: str, id: str) -> int:
        async with self.database.connection() as c:
            query = f"SELECT count(*) FROM {table} WHERE execution_id = %s"  # a test's own words
            row = await (await c.execute(query.encode(), (id,))).fetchone()
        assert row is not None
        return int(row[0])

    async def sound(self, id: str) -> None:
        reply = await self.history.history(h.HistoryRequest(id, self.workspace, limit=10_000))
        stored = (await self.history.load(h.LoadRequest((id,)))).states[0].state
        assert replay(id, bytes(reply.events), bytes(stored)).matches


@pytest.fixture(autouse=True)
def service() -> Iterator[None]:
    with acting_as(SERVICE):
        yield


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Ahead]:
    database = Database(database_url)
    yield Ahead(database)
    await database.close()


def edges(*pairs: tuple[str, str]) -> tuple[d.Edge, ...]:
    return tuple(d.Edge(f"e{at}", a, b) for at, (a, b) in enumerate(pairs))


async def test_a_pure_run_is_one_row_of_history_and_no_task(world: Ahead):
    workflow = await world.workflow(
        d.Node("a", "transform", config={"fields": {"n": "{{ trigger.n + 1 }}"}}),
        d.Node("b", "transform", config={"fields": {"n": "{{ input.n * 10 }}"}}),
        edges=edges(("t", "a"), ("a", "b")),
    )
    request = world.request(workflow, trigger={"n": 4}, reply_to="inbox:1")
    reply = await world.history.start(h.StartBatch((request,)))
    closed = reply.results[0].closed
    assert closed is not None
    assert (closed.status, closed.result["n"]) == ("completed", 50)
    await world.history.close()
    assert await world.events(request.execution_id) == [
        "ExecutionStarted", "NodeScheduled", "NodeCompleted", "NodeScheduled", "NodeCompleted", "ExecutionCompleted",
    ]  # fmt: skip
    assert await world.count("history", request.execution_id) == 1
    assert await world.count("tasks", request.execution_id) == 0
    assert world.matching.tasks == []
    assert world.doorbell.rung == []  # the reply told it
    await world.sound(request.execution_id)


async def test_it_stops_where_a_node_has_an_effect(world: Ahead):
    workflow = await world.workflow(
        d.Node("a", "noop"), d.Node("call", "action_http_request", config={"url": "http://x.example/"}),
        d.Node("b", "noop"), edges=edges(("t", "a"), ("a", "call"), ("call", "b")),
    )  # fmt: skip
    id = await world.start(workflow)
    assert [task.node_key for task in world.matching.tasks] == ["call"]
    assert await world.count("tasks", id) == 1
    await world.report(id, "call", Completed(output=1))
    assert [task.node_key for task in world.matching.tasks] == ["call", "b"]
    await world.sound(id)


async def test_a_wait_at_the_front_can_be_found(world: Ahead):
    workflow = await world.workflow(
        d.Node("wait", "wait_for_event", config={"event": "paid", "key": "{{ trigger.order }}"}),
        edges=edges(("t", "wait")),
    )
    id = await world.start(workflow, trigger={"order": "7"})
    assert await world.count("waits", id) == 1
    published = h.PublishRequest(world.workspace, "evt", "paid", "7", {"sum": 3})
    assert (await world.history.publish(published)).execution_ids == (id,)
    await world.history.close()
    assert await world.status(id) == "completed"
    await world.sound(id)


async def test_an_event_that_was_there_before_the_run(world: Ahead):
    workflow = await world.workflow(
        d.Node("wait", "wait_for_event", config={"event": "paid", "key": "7"}), edges=edges(("t", "wait"))
    )
    await world.history.publish(h.PublishRequest(world.workspace, "evt", "paid", "7", {"sum": 3}))
    id = await world.start(workflow)
    assert await world.status(id) == "completed"
    assert await world.count("waits", id) == 0


async def test_a_delay_at_the_front_has_its_timer(world: Ahead):
    workflow = await world.workflow(d.Node("z", "delay", config={"seconds": 60}), edges=edges(("t", "z")))
    id = await world.start(workflow)
    assert await world.count("timers", id) == 1
    assert await world.count("tasks", id) == 0


async def test_a_node_that_fails_fails_the_run_or_is_tried_again(world: Ahead):
    bad: dict[str, Any] = {"fields": {"n": "{{ jsonParse('{') }}"}}
    workflow = await world.workflow(d.Node("a", "transform", config=bad), edges=edges(("t", "a")))
    id = await world.start(workflow)
    assert await world.status(id) == "failed"
    await world.sound(id)


async def loop(world: Ahead, items: int) -> str:
    workflow = await world.workflow(
        d.Node("loop", "loop", config={"items": "{{ trigger }}", "concurrency": 0, "max_items": 5000}),
        d.Node("each", "noop"),
        edges=(d.Edge("e", "t", "loop"), d.Edge("f", "loop", "each", "each")),
    )
    return await world.start(workflow, trigger=list(range(items)))


async def test_a_short_loop_is_part_of_it(world: Ahead):
    id = await loop(world, 5)
    assert await world.status(id) == "completed"
    await world.sound(id)


async def test_a_long_loop_is_handed_over_whole(world: Ahead):
    id = await loop(world, 3000)
    assert [task.node_key for task in world.matching.tasks] == ["loop"]
    assert await world.count("tasks", id) == 1


async def test_a_key_that_is_taken_leaves_nothing_of_the_second(world: Ahead):
    workflow = await world.workflow(d.Node("a", "noop"), edges=edges(("t", "a")))
    first = await world.start(workflow, idempotency_key="k")
    second = world.request(workflow, idempotency_key="k", reply_to="inbox:1")
    reply = await world.history.start(h.StartBatch((second,)))
    assert (reply.results[0].execution_id, reply.results[0].created, reply.results[0].closed) == (first, False, None)
    assert await world.count("history", second.execution_id) == 0


async def test_a_short_history_limit_holds(world: Ahead):
    ahead = HeadStart(Registry.load(), world.clock, 1024 * 1024, "ahead")
    config = Config(max_events=6)
    world.history = History(world.store, world.matching, world.doorbell, world.clock, config, ahead=ahead)  # type: ignore[arg-type]
    workflow = await world.workflow(
        *(d.Node(f"n{i}", "noop") for i in range(8)),
        edges=edges(("t", "n0"), *((f"n{i}", f"n{i + 1}") for i in range(7))),
    )
    id = await world.start(workflow)
    assert await world.events(id) == ["ExecutionStarted", "NodeScheduled"]
    assert [task.node_key for task in world.matching.tasks] == ["n0"]


LAZY = """
import sys
from linkflow.bootstrap import System
from linkflow.config import Config
ahead = System(Config(secret="s" * 32), on_lambda=len(sys.argv) > 1)._ahead()
print(ahead is not None, sorted(name for name in sys.modules if name.startswith("linkflow.nodes")))
"""


@pytest.mark.parametrize("on_lambda", [False, True])
def test_on_lambda_it_is_made_when_a_run_starts(on_lambda: bool):
    """Node types are no part of a function's cold start."""
    command = [sys.executable, "-c", LAZY, *(["lambda"] if on_lambda else [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    made, imported = done.stdout.split(maxsplit=1)
    assert made == "True"
    assert (imported.strip() == "[]") == on_lambda
