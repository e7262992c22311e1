"""What of a batch fails is told item by item, and the rest of it is done: at the doors of History."""

from __future__ import annotations

import uuid

import msgspec

from linkflow.contracts import history as h
from linkflow.domain.outcomes import Completed, Sleep
from linkflow.services.history import History
from tests.integration.test_history import World, world  # noqa: F401 - a fixture


async def spoilt(world: World, id: str) -> History:  # noqa: F811
    """A run of which neither state nor events can be read, seen by a process that does not know it yet."""
    await world.sql("UPDATE executions SET state = '\\x80' WHERE id = %s", id)
    await world.sql("UPDATE history SET events = '\\x80' WHERE execution_id = %s", id)
    return world.another()


async def test_starts(world: World) -> None:  # noqa: F811
    good, strange = await world.chain(1), str(uuid.uuid4())
    items = [world.request(good), world.request(strange), world.request(good)]
    items += [
        msgspec.structs.replace(world.request(good), workflow_version=9),
        msgspec.structs.replace(items[0], execution_id="x"),
    ]
    answers = (await world.history.start(h.StartBatch(tuple(items)))).results
    assert [one.created for one in answers] == [True, False, True, False, False]
    assert [one.error.code if one.error else "" for one in answers] == [
        "",
        "not_found",
        "",
        "not_found",
        "invalid_input",
    ]


async def test_results(world: World) -> None:  # noqa: F811
    good, bad = [await world.start(await world.chain(1)) for _ in range(2)]
    history = await spoilt(world, bad)
    reply = await history.complete(h.CompleteBatch(tuple(h.Report(id, "n0", 1, Completed()) for id in (bad, good))))
    assert [one.recorded for one in reply.results] == [False, True]
    assert [one.error.code if one.error else "" for one in reply.results] == ["internal", ""]
    assert await world.status(good) == "completed"
    await history.close()


async def test_timers(world: World) -> None:  # noqa: F811
    runs = [await world.start(await world.chain(1)) for _ in range(2)]
    for id in runs:
        await world.report(id, "n0", Sleep(world.clock.now_ms() - 1))
    rows = await world.sql("SELECT execution_id, timer_id, due_at FROM timers ORDER BY execution_id")
    timers = {str(id): h.DueTimer(str(id), timer, due) for id, timer, due in rows}
    bad, good = runs
    history = await spoilt(world, bad)
    reply = await history.fire(h.FireBatch((timers[bad], timers[good])))
    assert reply == h.FireReply(1, (f"{bad}/{timers[bad].timer_id}",))
    assert await world.status(good) == "completed"
    await history.close()
