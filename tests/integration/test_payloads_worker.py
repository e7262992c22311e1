"""Large payloads in workers: written before the result, read only where a node needs them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.contracts.controlling import ForkRequest
from linkflow.contracts.frontend import RunRequest
from linkflow.contracts.history import HistoryRequest, SignalRequest
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.errors import Internal, Unavailable
from linkflow.postgres.audit import replays
from tests.integration.test_payloads import Switched
from tests.integration.test_queues import WORKSPACE, House

BIG = "x" * 900_000


class Home(House):
    """The execution plane; its workers share a store that can be cut off."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.blobs = Switched(self.system.database)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[System]:
        system = System(self.config, "worker")
        system._parts["blobs"] = self.blobs
        system.serve_all(("history", "matching", "worker"))
        system.loop()
        try:
            yield system
        finally:
            await system.close()

    async def define(self, *nodes: d.Node, edges: tuple[d.Edge, ...] = ()) -> str:
        workflow = await self.workflow(*nodes)
        if edges:
            definition = d.Definition("t", (d.Node("t", "trigger_manual"), *nodes), edges)
            async with self.system.database.connection() as c:
                await c.execute(
                    "UPDATE workflow_versions SET definition = %s WHERE workflow_id = %s",
                    (d.encode(definition), workflow),
                )
        return workflow

    async def go(self, workflow: str, trigger: Any, wait: float = 0.0) -> Any:
        return await self.frontend.run(RunRequest(WORKSPACE, workflow, 1, "t", trigger, wait=wait))

    async def completed(self, id: str) -> dict[str, e.NodeCompleted]:
        reply = await self.frontend.history(HistoryRequest(id, WORKSPACE, limit=10_000))
        return {event.node: event for event in e.decode(reply.events) if isinstance(event, e.NodeCompleted)}

    async def sound(self, id: str) -> bool:
        return all([result.matches async for _, result in replays(self.system.database, id)])


@pytest.fixture
async def home(database_url: str, redis_url: str) -> AsyncIterator[Home]:
    made = Home(Config(database_url=database_url, redis_url=redis_url, secret="s" * 32))
    yield made
    await made.system.close()


def sets(id: str, **fields: Any) -> d.Node:
    return d.Node(id, "transform", config={"keep": False, "fields": fields})


async def test_results_wait_for_a_store_that_is_away_and_others_do_not(home: Home) -> None:
    grows = await home.define(
        sets("grow", more="{{ trigger.a }}{{ trigger.a }}"), sets("size", n="{{ grow.more.length }}")
    )
    small = await home.define(sets("size", n="{{ trigger.a.length }}"))
    async with home.working():
        home.blobs.error = Unavailable("The blob store does not answer now.")
        large = (await home.go(grows, {"a": "y" * 20_000})).execution_id
        assert (await home.go(small, {"a": "y" * 20_000}, wait=15)).result == {"n": 20_000}
        assert await home.status(large) == "running"
        assert await home.completed(large) == {}
        home.blobs.error = None
        await home.becomes(large, "completed")
    assert (await home.completed(large))["size"].output == {"n": 40_000}
    assert await home.sound(large)


async def test_a_store_that_refuses_fails_the_node(home: Home) -> None:
    grows = await home.define(sets("grow", more="{{ trigger.a }}{{ trigger.a }}"))
    async with home.working():
        home.blobs.error = Internal("The blob store refused a request.")
        reply = await home.go(grows, {"a": "y" * 20_000}, wait=15)
    assert (reply.status, reply.error["code"]) == ("failed", "result_refused")
    assert await home.sound(reply.execution_id)


async def test_only_what_a_node_refers_to_is_read(home: Home) -> None:
    """Behind a node that ends the chain a fresh worker has nothing in hand: it reads one payload of three."""
    workflow = await home.define(
        sets("one", a="{{ trigger.text }}1"), sets("two", a="{{ trigger.text }}2"),
        d.Node("stop", "wait_for_event", config={"event": "go"}), sets("end", n="{{ two.a.length }}"),
    )  # fmt: skip
    async with home.working():
        id = (await home.go(workflow, {"text": BIG})).execution_id
        async with asyncio.timeout(15):
            while "two" not in await home.completed(id):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
    home.blobs.gets.clear()
    async with home.working():
        await home.frontend.signal(SignalRequest(id, WORKSPACE, "s1", "go", payload={}))
        await home.becomes(id, "completed")
    done = await home.completed(id)
    assert done["end"].output == {"n": len(BIG) + 1}
    assert home.blobs.gets == [done["two"].output["$linkflow:blob"]["key"]]


async def test_a_chain_keeps_in_hand_what_it_makes(home: Home) -> None:
    workflow = await home.define(*(sets(f"n{at}", a="{{ input.a }}", at=at) for at in range(8)))
    async with home.working():
        id = (await home.go(workflow, {"a": "z" * 100_000})).execution_id
        await home.becomes(id, "completed")
    outputs = {event.output["$linkflow:blob"]["key"] for event in (await home.completed(id)).values()}
    assert len(outputs) == 8
    assert set(home.blobs.puts) >= outputs
    assert len(home.blobs.gets) <= 1, "the trigger, unless its own History had it"
    assert await home.sound(id)


async def test_a_payload_that_is_lost_or_too_much_fails_the_node_that_needs_it(home: Home) -> None:
    nodes = (d.Node("stop", "wait_for_event", config={"event": "go"}), sets("end", n="{{ trigger.text.length }}"))
    errors = []
    for config in (home.config, msgspec.structs.replace(home.config, max_resolved=100_000)):
        id = (await home.go(await home.define(*nodes), {"text": BIG})).execution_id
        if config is home.config:
            await home.blobs.drop([(WORKSPACE, id)])
        home.config = config
        async with home.working():
            await home.frontend.signal(SignalRequest(id, WORKSPACE, "s1", "go", payload={}))
            await home.becomes(id, "failed")
        reply = await home.frontend.history(HistoryRequest(id, WORKSPACE))
        errors += [event.error.code for event in e.decode(reply.events) if isinstance(event, e.NodeFailed)]
        assert await home.sound(id)
    assert errors == ["payload_lost", "input_too_large"]


@pytest.mark.parametrize("concurrency", [1, 50])
async def test_800_items_of_5_kb_are_read_part_by_part(home: Home, concurrency: int) -> None:
    """4 MB of items: every part is read a few times at most, however many iterations there are."""
    workflow = await home.define(
        d.Node("loop", "loop", config={"items": "{{ trigger.rows }}", "concurrency": concurrency}),
        d.Node("log", "output_log", config={"message": "one"}),
        sets("size", n="{{ loop.item.text.length }}"),
        d.Node("end", "transform", config={"keep": False, "fields": {"n": "{{ input.count }}"}}),
        edges=(
            d.Edge("1", "t", "loop"), d.Edge("2", "loop", "log", "each"), d.Edge("3", "log", "size"),
            d.Edge("4", "loop", "end", "done"),
        ),
    )  # fmt: skip
    home.config = msgspec.structs.replace(home.config, max_payload=8 * 1024 * 1024)
    rows = [{"n": n, "text": "y" * 5000} for n in range(800)]
    async with home.working():
        reply = await home.go(workflow, {"rows": rows}, wait=60)
    assert reply.result == {"n": 800}
    assert len(home.blobs.gets) < 120
    async with home.system.database.connection() as c:
        row = await (
            await c.execute("SELECT length(state) FROM executions WHERE id = %s", (reply.execution_id,))
        ).fetchone()
    assert row is not None
    assert row[0] < 40_000
    assert await home.sound(reply.execution_id)


async def test_a_loop_over_large_items_of_a_small_run_gets_its_items(home: Home) -> None:
    """Nothing of the run but the loop's own items is kept outside; who takes an iteration up sees its item."""
    workflow = await home.define(
        d.Node("loop", "loop", config={"items": "{{ 'abcdefghi,'.repeat(5000).split(',') }}", "max_items": 10000}),
        d.Node("stop", "wait_for_event", config={"event": "go"}),
        sets("one", item="{{ loop.item }}", first="{{ loop.items[0] }}"),
        edges=(d.Edge("1", "t", "loop"), d.Edge("2", "loop", "stop", "each"), d.Edge("3", "stop", "one")),
    )
    async with home.working():
        id = (await home.go(workflow, {})).execution_id
        await home.frontend.signal(SignalRequest(id, WORKSPACE, "s1", "go", payload={}))
        async with asyncio.timeout(15):
            while "one[0]" not in (done := await home.completed(id)):  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
    assert done["one[0]"].output == {"item": "abcdefghi", "first": "abcdefghi"}


async def test_a_large_input_that_a_fork_gives_a_node_is_read(home: Home) -> None:
    workflow = await home.define(sets("one", a=1), sets("two", n="{{ input.text.length }}"))
    async with home.working():
        id = (await home.go(workflow, {}, wait=15)).execution_id
        ask = ForkRequest(id, WORKSPACE, "fork", node="two", edited=True, input={"text": "x" * 100_000})
        forked = (await home.frontend.fork(ask)).execution_id
        await home.becomes(forked, "completed")
    assert (await home.completed(forked))["two"].output == {"n": 100_000}
    assert await home.sound(forked)
