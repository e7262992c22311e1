"""Workers that freeze, come back from the dead, or get a task twice."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from linkflow.bootstrap import System
from linkflow.config import load
from linkflow.contracts.history import CompleteBatch, HistoryApi, Report, Task
from linkflow.contracts.matching import AddRequest, ClaimRequest, MatchingApi, ReleaseRequest
from linkflow.domain.outcomes import Completed
from tests.chaos.world import Expected, World
from tests.e2e.documents import http, node, workflow

_TASKS = """
SELECT t.execution_id::text, e.workspace_id::text, e.workflow_id::text, e.workflow_version, t.node_key, t.attempt,
       t.queue, t.priority, t.scheduled_at
FROM tasks t JOIN executions e ON e.id = t.execution_id WHERE t.queue = 'default'
"""


def zombie_worker_finishes_after_its_task_was_reclaimed(world: World) -> None:
    """A worker freezes in the middle of calls, another one does them again, and the first one reports as well."""
    chance, place = world.chance, world.place
    saved = world.person.save(workflow(http("call", world.url, method="POST", body={}), node("out", "noop")))
    place.most = 0
    place.hold()
    runs = [world.start(saved["id"], expect=Expected()) for _ in range(chance.randint(1, 4))]
    world.calls += len(runs)
    place.wait_for_calls(len(runs))
    world.fleet["worker"].signal(signal.SIGSTOP)
    world.fleet.twin("worker-2", "worker").start().wait()
    place.wait_for_calls(2 * len(runs))  # reclaimed
    if chance.random() < 0.5:
        world.fleet["worker"].signal(signal.SIGCONT)  # they report at the same time
        world.moment(0.02)
        place.let_go()
    else:
        place.let_go()
        world.moment(0.3)
        world.fleet["worker"].signal(signal.SIGCONT)  # it reports what is long recorded
    if chance.random() < 0.3:
        world.moment(0.1)
        world.fleet["worker-2"].strike()


def worker_frozen_past_its_lease(world: World) -> None:
    """SIGSTOP under load for longer than a lease, then SIGCONT; sometimes there is a second worker, sometimes not."""
    chance = world.chance
    if chance.random() < 0.5:
        world.fleet.twin("worker-2", "worker").start()
    world.load()
    world.moment(0.15)
    victim = world.fleet[chance.choice([name for name in world.fleet.processes if name.startswith("worker")])]
    victim.signal(signal.SIGSTOP)
    world.pause(chance.uniform(0.7, 1.1))
    victim.signal(signal.SIGCONT)
    world.started()


def duplicate_delivery(world: World) -> None:
    """Tasks are offered again while they run and when they are done; results are reported many times at once."""
    world.fleet.twin("worker-2", "worker").start().wait()
    held = http("call", world.url, queue="elsewhere")  # no worker serves this queue but us
    saved = world.person.save(workflow(held, node("out", "noop")))
    ours = [world.start(saved["id"], expect=Expected()) for _ in range(world.chance.randint(1, 3))]
    world.load()
    world.tidy = lambda: asyncio.run(_tidy(world))
    asyncio.run(_twice(world, ours))
    world.started()


async def _twice(world: World, ours: list[str]) -> None:
    chance = world.chance
    system = System(load(world.fleet.env), "test")
    try:
        matching, history = system.client(MatchingApi), system.client(HistoryApi)
        seen: dict[str, Task] = {}
        for _ in range(chance.randint(3, 8)):
            seen |= {task.id: task for task in (Task(*row) for row in await asyncio.to_thread(world.sql, _TASKS))}
            if chance.random() < 0.3:
                await asyncio.to_thread(world.flush)  # Matching does not know any more what it knew
            if seen:
                again = chance.choices(list(seen.values()), k=chance.randint(1, 2 * len(seen)))
                await asyncio.gather(*(matching.add(AddRequest((task,))) for task in again))
            await asyncio.sleep(chance.uniform(0, 0.05))
        await _report(matching, history, ours, chance.randint(2, 5))
    finally:
        await system.close()


async def _report(matching: Any, history: Any, ours: list[str], times: int) -> None:
    """Every run of `ours` gets its one result by many calls at once."""
    reports = tuple(Report(id, "call", 1, Completed(output={"by": "us"}), worker="us") for id in ours)
    batches = (history.complete(CompleteBatch(reports + reports, worker="us")) for _ in range(times))
    recorded = [result.recorded for reply in await asyncio.gather(*batches) for result in reply.results]
    assert sum(recorded) == len(ours), f"{sum(recorded)} results of {len(ours)} were recorded"
    await _take_all(matching)


async def _tidy(world: World) -> None:
    system = System(load(world.fleet.env), "test")
    try:
        await _take_all(system.client(MatchingApi))
    finally:
        await system.close()


async def _take_all(matching: Any) -> None:
    while leases := (await matching.claim(ClaimRequest("us", ("elsewhere",), 10, 0.0))).leases:
        tokens = tuple(lease.token for lease in leases)
        await matching.release(ReleaseRequest("us", done=tokens + tokens))
