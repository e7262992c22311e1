"""Task queues with everything around them: workers of their own, and dead letters that go on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.contracts.controlling import BulkFilter, BulkRequest, BulksRequest
from linkflow.contracts.frontend import FrontendApi, RedriveRequest, RunRequest
from linkflow.contracts.history import DescribeRequest, HistoryApi, HistoryRequest, SweepRequest
from linkflow.contracts.matching import (
    ClaimRequest,
    ConfigureRequest,
    LettersRequest,
    MatchingApi,
    QueueRule,
    QueuesRequest,
)  # fmt: skip
from linkflow.contracts.worker import DrainRequest, WorkerApi
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.errors import Conflict, NotFound, QueueFull

WORKSPACE = str(uuid.uuid4())


class House:
    """The execution plane without a worker; workers come and go."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.system = System(config, "house")
        self.system.serve_all(("frontend", "history", "matching"))
        self.frontend = self.system.client(FrontendApi)
        self.matching = self.system.client(MatchingApi)

    async def workflow(self, *nodes: d.Node, ports: Mapping[str, str] | None = None) -> str:
        """A chain of nodes behind a trigger. `ports` are the outputs that lead on, by node."""
        id = str(uuid.uuid4())
        names = ["t", *(node.id for node in nodes)]
        ports = ports or {}
        edges = tuple(
            d.Edge(f"e{at}", one, two, ports.get(one, "main")) for at, (one, two) in enumerate(pairwise(names))
        )
        definition = d.Definition("queues", (d.Node("t", "trigger_manual"), *nodes), edges)
        async with self.system.database.connection() as c:
            await c.execute("INSERT INTO workspaces VALUES (%s, 'w', 0, 0, 0) ON CONFLICT DO NOTHING", (WORKSPACE,))
            await c.execute(
                "INSERT INTO workflows (id, workspace_id, name, description, version, created_at, updated_at)"
                " VALUES (%s, %s, 't', '', 1, 0, 0)",
                (id, WORKSPACE),
            )
            await c.execute(
                "INSERT INTO workflow_versions (workflow_id, version, definition, created_at) VALUES (%s, 1, %s, 0)",
                (id, d.encode(definition)),
            )
        return id

    async def run(self, workflow: str, wait: float = 0.0) -> Any:
        return await self.frontend.run(RunRequest(WORKSPACE, workflow, 1, "t", wait=wait))

    async def status(self, id: str) -> str:
        return (await self.frontend.describe(DescribeRequest((id,), WORKSPACE))).executions[0].status

    async def becomes(self, id: str, status: str) -> None:
        async with asyncio.timeout(15):
            while await self.status(id) != status:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)

    async def seen(self, queue: str) -> tuple[int, int]:
        """Open tasks of the workspace, and workers."""
        view = (await self.frontend.queues(QueuesRequest(WORKSPACE, (queue,)))).queues[0]
        return view.open, view.workers

    async def workers(self, id: str) -> dict[str, str]:
        """Which worker reported which node."""
        reply = await self.frontend.history(HistoryRequest(id, WORKSPACE))
        return {event.node: event.worker for event in e.decode(reply.events) if isinstance(event, e.NodeCompleted)}

    async def die(self, id: str, queue: str = "default") -> None:
        """A worker takes the run's task and is gone; the next to come finds it dead."""
        async with asyncio.timeout(15):
            while not (await self.matching.claim(ClaimRequest("doomed", (queue,), 1, 0.1, 0.01))).leases:
                pass
            while await self.status(id) == "running":
                await self.matching.claim(ClaimRequest("next", (queue,), 1, 0.2))

    @asynccontextmanager
    async def worker(self, *queues: str) -> AsyncIterator[str]:
        """A worker process of these queues; its name."""
        system = System(msgspec.structs.replace(self.config, worker_queues=queues), f"worker-{'-'.join(queues)}")
        system.serve_all(("history", "matching", "worker"))
        system.loop()
        try:
            yield system.worker().name
        finally:
            await system.close()


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    config = Config(database_url=database_url, redis_url=redis_url, secret="s" * 32, max_deliveries=1, head_start=False)
    made = House(config)
    yield made
    await made.system.close()


async def test_a_named_queue_is_served_by_its_own_workers_alone(house: House) -> None:
    workflow = await house.workflow(
        d.Node("first", "noop"), d.Node("render", "noop", queue="gpu"), d.Node("last", "noop")
    )
    async with house.worker("default"):
        run = (await house.run(workflow)).execution_id
        await asyncio.sleep(1.0)
        assert set(await house.workers(run)) == {"first"}
        assert await house.status(run) == "running", "nobody here renders"
        async with house.worker("gpu") as gpu:
            await house.becomes(run, "completed")
            assert (await house.workers(run))["render"] == gpu


@pytest.mark.parametrize("rule", [QueueRule(), QueueRule(WORKSPACE)], ids=["queue", "workspace"])
async def test_a_rate_also_holds_for_what_follows_on_a_result(house: House, rule: QueueRule) -> None:
    """A worker would take the next task along with its result's reply."""
    slow = msgspec.structs.replace(rule, rate=0.0001, burst=2)
    other = QueueRule("0190f000-0000-7000-8000-00000000aaaa", rate=0.0001)
    await house.frontend.configure(ConfigureRequest("slow", rules=(slow, other)))
    workflow = await house.workflow(*(d.Node(f"n{at}", "noop", queue="slow") for at in range(5)))
    free = await house.workflow(*(d.Node(f"n{at}", "noop", queue="default") for at in range(5)))
    async with house.worker("slow", "default"):
        run = (await house.run(workflow)).execution_id
        async with asyncio.timeout(15):
            while len(await house.workers(run)) < 2:  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.02)
        assert (await house.run(free, wait=10)).status == "completed"
        assert set(await house.workers(run)) == {"n0", "n1"}, "the burst, and then nothing for hours"
        await house.frontend.configure(ConfigureRequest("slow", rules=(rule,)))
        await house.becomes(run, "completed")


async def test_one_worker_may_serve_several(house: House) -> None:
    workflow = await house.workflow(d.Node("one", "noop", queue="a"), d.Node("two", "noop", queue="b"))
    async with house.worker("a", "b"):
        assert (await house.run(workflow, wait=10)).status == "completed"


async def test_a_redriven_dead_letters_run_goes_on(house: House) -> None:
    workflow = await house.workflow(d.Node("one", "noop"), d.Node("two", "noop"))
    run = (await house.run(workflow)).execution_id
    await house.die(run)
    assert await house.status(run) == "failed"
    [letter] = (await house.frontend.letters(LettersRequest(WORKSPACE))).letters
    assert (letter.task.execution_id, letter.task.node_key) == (run, "one")
    assert "doomed" in letter.reason
    with pytest.raises(NotFound):
        await house.frontend.redrive(RedriveRequest(str(uuid.uuid4()), letter.id))
    reply = await house.frontend.redrive(RedriveRequest(WORKSPACE, letter.id, "user:1"))
    assert (reply.execution_id, reply.status, reply.dropped) == (run, "running", 1)
    assert (await house.frontend.letters(LettersRequest(WORKSPACE))).letters == ()
    async with house.worker("default"):
        await house.becomes(run, "completed")
    with pytest.raises(NotFound):
        await house.frontend.redrive(RedriveRequest(WORKSPACE, letter.id))


async def test_many_dead_letters_are_redriven_as_one_operation(house: House) -> None:
    workflow = await house.workflow(d.Node("one", "noop"))
    runs = []
    for _ in range(2):
        runs.append((await house.run(workflow)).execution_id)
        await house.die(runs[-1])
    handled = (await house.run(await house.workflow(d.Node("one", "noop", on_error="continue")))).execution_id
    await house.die(handled)
    begun = await house.frontend.bulk(BulkRequest(WORKSPACE, "redrive", BulkFilter(ids=(*runs, handled))))
    assert begun.bulk is not None
    async with house.worker("default"):
        for run in runs:
            await house.becomes(run, "completed")
    [bulk] = (await house.frontend.bulks(BulksRequest(WORKSPACE, begun.bulk.id))).bulks
    assert (bulk.status, bulk.total, bulk.done, bulk.skipped) == ("completed", 3, 2, 1)
    [left] = (await house.frontend.letters(LettersRequest(WORKSPACE))).letters
    assert left.task.execution_id == handled, "a run that is not failed keeps its letter"


async def test_a_run_that_went_on_by_another_way_keeps_its_letter(house: House) -> None:
    workflow = await house.workflow(d.Node("one", "noop", on_error="continue"), d.Node("two", "noop"))
    run = (await house.run(workflow)).execution_id
    async with asyncio.timeout(15):
        await asyncio.sleep(0.2)
        await house.matching.claim(ClaimRequest("doomed", ("default",), 1, 1, 0.01))
    async with house.worker("default"):
        await house.becomes(run, "completed")
    [letter] = (await house.frontend.letters(LettersRequest(WORKSPACE))).letters
    with pytest.raises(Conflict, match="completed"):
        await house.frontend.redrive(RedriveRequest(WORKSPACE, letter.id))
    assert len((await house.frontend.letters(LettersRequest(WORKSPACE))).letters) == 1


async def test_a_full_queue_refuses_starts_and_its_runs_go_on(database_url: str, redis_url: str) -> None:
    config = Config(database_url=database_url, redis_url=redis_url, secret="s" * 32, head_start=False)
    house = House(msgspec.structs.replace(config, republish_after=0.2, max_backlog=4, partitions=1))
    flooding = await house.workflow(d.Node("one", "noop"), d.Node("two", "noop", queue="gpu"))
    elsewhere = await house.workflow(d.Node("one", "noop", queue="cpu"))
    runs: list[str] = []

    async def flood() -> None:
        while True:
            runs.append((await house.run(flooding)).execution_id)
            await asyncio.sleep(0.05)

    with pytest.raises(QueueFull) as refused:
        await asyncio.wait_for(flood(), 30)
    assert (refused.value.details["queues"], refused.value.details["retry_after"]) == (["default"], 1.0)
    assert "crowd" not in refused.value.details, "who else fills it up is nobody's business"
    assert (await house.run(elsewhere)).execution_id, "another queue has room"
    async with asyncio.timeout(60), house.worker("default", "gpu"):
        while {await house.status(run) for run in runs} != {"completed"}:
            await house.system.client(HistoryApi).sweep(SweepRequest())
            await asyncio.sleep(0.1)
        while True:
            try:
                await house.run(flooding)
                break
            except QueueFull:
                await asyncio.sleep(0.2)
    await house.system.close()


async def test_a_worker_of_the_command_line_serves_its_queue(house: House, tmp_path: Path) -> None:
    workflow = await house.workflow(d.Node("render", "noop", queue="gpu"))
    run = (await house.run(workflow)).execution_id
    async with asyncio.timeout(15):  # nobody serves it, and that is seen
        while await house.seen("gpu") != (1, 0):  # noqa: ASYNC110 - a push after the reply
            await asyncio.sleep(0.02)
    env = {
        **os.environ,
        "DATABASE_URL": house.config.database_url,
        "REDIS_URL": house.config.redis_url,
        "LINKFLOW_SECRET": house.config.secret,
    }
    command = (
        sys.executable,
        "-c",
        "from linkflow.cli import main; main()",
        "worker",
        "--queue",
        "gpu",
        "--home",
        str(tmp_path),
    )
    process = await asyncio.create_subprocess_exec(*command, env=env, stderr=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            while await house.status(run) != "completed":  # noqa: ASYNC110 - another process's doing
                await asyncio.sleep(0.05)
            while await house.seen("gpu") != (0, 1):  # noqa: ASYNC110 - released after the report
                await asyncio.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


async def test_a_drain_takes_along_tasks_of_its_own_queues_alone(house: House) -> None:
    unreachable = {"url": "http://127.0.0.1:1", "method": "GET"}
    workflow = await house.workflow(
        d.Node("render", "noop", queue="gpu"), d.Node("after", "action_http_request", config=unreachable)
    )
    run = (await house.run(workflow)).execution_id
    system = System(house.config, "gpu")
    system.serve_all(("history", "matching", "worker"))
    reply = await system.client(WorkerApi).drain(DrainRequest(("gpu",), 10, 0.3))
    await system.close()
    assert (reply.tasks, await house.status(run)) == (1, "running")
    async with house.worker("default"):
        await house.becomes(run, "failed")
