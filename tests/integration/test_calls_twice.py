"""Calls between services that are made again, since their answer was lost: at once in two processes, and later."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.controlling import BulkFilter, BulkRequest, ForkRequest
from linkflow.domain import ids
from linkflow.domain.errors import Conflict, NotFound
from linkflow.domain.outcomes import Completed, Failed, NodeError, RequestApproval, Sleep
from linkflow.services.history import History
from tests.integration.test_history import World, world  # noqa: F401 - a fixture

Call = Callable[[History], Awaitable[Any]]


async def often(world: World, call: Call) -> list[Any]:  # noqa: F811
    """What two processes answer at once, and one of them later: an answer, or the code of a refusal."""

    async def one(history: History) -> Any:
        try:
            return await call(history)
        except (Conflict, NotFound) as refused:
            return refused.code

    there = world.another()
    answers = list(await asyncio.gather(one(world.history), one(there)))
    answers.append(await one(world.history))
    await there.close()
    await world.history.close()
    return answers


async def ready(world: World) -> str:  # noqa: F811
    return await world.start(await world.chain(1))


async def asking(world: World) -> str:  # noqa: F811
    id = await ready(world)
    await world.report(id, "n0", RequestApproval("Well?"))
    return id


async def failed(world: World) -> str:  # noqa: F811
    id = await ready(world)
    await world.report(id, "n0", Failed(NodeError("boom", "it broke", retryable=False)))
    return id


async def paused(world: World) -> str:  # noqa: F811
    id = await ready(world)
    await world.history.control(h.ControlRequest(id, world.workspace, "pause"))
    return id


async def test_a_start(world: World) -> None:  # noqa: F811
    batch = h.StartBatch((world.request(await world.chain(1)),))
    answers = [reply.results[0] for reply in await often(world, lambda history: history.start(batch))]
    assert sorted(answer.created for answer in answers) == [False, False, True]
    assert {answer.execution_id for answer in answers} == {batch.items[0].execution_id}
    assert await world.events(batch.items[0].execution_id) == ["ExecutionStarted", "NodeScheduled"]


async def test_a_result(world: World) -> None:  # noqa: F811
    id = await ready(world)
    batch = h.CompleteBatch((h.Report(id, "n0", 1, Completed({"a": 1})),))
    answers = await often(world, lambda history: history.complete(batch))
    assert sorted(answer.results[0].recorded for answer in answers) == [False, False, True]
    assert (await world.events(id)).count("NodeCompleted") == 1
    assert await world.sound(id)


async def test_a_timer(world: World) -> None:  # noqa: F811
    id = await ready(world)
    until = world.clock.now_ms() - 1
    await world.report(id, "n0", Sleep(until))
    [(timer, due)] = await world.sql("SELECT timer_id, due_at FROM timers WHERE execution_id = %s", id)
    batch = h.FireBatch((h.DueTimer(id, timer, due),))
    answers = await often(world, lambda history: history.fire(batch))
    assert sorted(answer.fired for answer in answers) == [0, 0, 1]
    assert (await world.events(id)).count("TimerFired") == 1


@pytest.mark.parametrize(
    ("before", "verb", "event"),
    [
        (ready, "pause", "ExecutionPaused"),
        (paused, "resume", "ExecutionResumed"),
        (ready, "cancel", "ExecutionCancelled"),
        (ready, "terminate", "ExecutionTerminated"),
        (failed, "retry", "ExecutionRetried"),
    ],
)
async def test_a_verb(world: World, before: Any, verb: str, event: str) -> None:  # noqa: F811
    id = await before(world)
    request = h.ControlRequest(id, world.workspace, verb)
    answers = await often(world, lambda history: history.control(request))
    assert sum(answer == "conflict" for answer in answers) == 2, "done once, and whoever comes later is told so"
    assert (await world.events(id)).count(event) == 1
    assert await world.sound(id)


async def test_a_deletion(world: World) -> None:  # noqa: F811
    id = await failed(world)
    request = h.ControlRequest(id, world.workspace, "delete")
    answers = await often(world, lambda history: history.control(request))
    assert answers[-1] == "not_found"
    assert sum(answer != "not_found" for answer in answers) >= 1


async def test_a_decision(world: World) -> None:  # noqa: F811
    id = await asking(world)
    request = h.DecideRequest(id, world.workspace, "n0", "approved")
    answers = await often(world, lambda history: history.decide(request))
    assert sum(answer == "conflict" for answer in answers) == 2
    assert (await world.events(id)).count("ApprovalDecided") == 1


async def test_an_event_for_a_run(world: World) -> None:  # noqa: F811
    id = await ready(world)
    request = h.SignalRequest(id, world.workspace, "s1", "paid")
    answers = await often(world, lambda history: history.signal(request))
    assert "conflict" not in answers
    assert (await world.events(id)).count("SignalReceived") == 1


async def test_an_event_for_whom_it_may_concern(world: World) -> None:  # noqa: F811
    await ready(world)
    request = h.PublishRequest(world.workspace, str(uuid.uuid4()), "paid")
    answers = await often(world, lambda history: history.publish(request))
    assert "conflict" not in answers
    assert await world.sql("SELECT count(*) FROM kept_events WHERE workspace_id = %s", world.workspace) == [(1,)]


async def test_a_fork(world: World) -> None:  # noqa: F811
    source = await failed(world)
    id = ids.execution_id(world.clock.now_ms(), ids.shard_of_execution(source), world.clock.rand_bits(62))
    request = ForkRequest(source, world.workspace, "fork", "n0", new_id=id)
    answers = await often(world, lambda history: history.fork(request))
    assert {answer.execution_id for answer in answers} == {id}
    assert sorted(answer.created for answer in answers) == [False, False, True]


async def test_an_operation_upon_many(world: World) -> None:  # noqa: F811
    runs = [await ready(world) for _ in range(3)]
    request = BulkRequest(world.workspace, "terminate", BulkFilter(ids=tuple(runs)), id=str(ids.uuid7(1, 2, 3)))
    answers = await often(world, lambda history: history.bulk(request))
    assert {answer.bulk.id for answer in answers} == {request.id}
    for run in runs:
        assert (await world.events(run)).count("ExecutionTerminated") == 1
