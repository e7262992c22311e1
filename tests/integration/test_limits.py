"""Limits on real Postgres: warnings in the history, clean ends, and sizes that are counted right."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import pytest

from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.errors import Conflict
from linkflow.domain.outcomes import Completed, Iterate
from linkflow.services.history import History
from tests.integration.test_history import World, world

__all__ = ["world"]


def _limited(world: World, **limits: int) -> History:
    world.history = History(world.store, world.matching, world.doorbell, world.clock, Config(**limits))  # type: ignore[arg-type]
    return world.history


async def _loop(world: World, **settings: Any) -> str:
    nodes = (d.Node("loop", "loop"), d.Node("a", "noop"))
    edges = (d.Edge("e0", "t", "loop"), d.Edge("e1", "loop", "a", "each"))
    return await world.start(await world.workflow(*nodes, edges=edges, **settings))


async def _state(world: World, id: str) -> dict[str, Any]:
    shown = await world.history.describe(h.DescribeRequest((id,), world.workspace, True))
    return dict(msgspec.json.decode(shown.executions[0].state))


async def _stored_bytes(world: World, id: str) -> tuple[int, int]:
    async with world.database.connection() as c:
        cursor = await c.execute(
            "SELECT e.history_bytes, (SELECT sum(octet_length(h.events)) FROM history h WHERE h.execution_id = e.id)"
            " FROM executions e WHERE id = %s", (id,)
        )  # fmt: skip
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


async def test_the_size_of_a_history_is_counted_with_and_without_a_cache(world: World) -> None:
    id = await world.start(await world.chain(6))
    for index in range(3):
        await world.report(id, f"n{index}", Completed("x" * 1000))
        counted, stored = await _stored_bytes(world, id)
        assert counted == stored
    world.another()
    for index in range(3, 6):
        world.history = world.another()
        await world.report(id, f"n{index}", Completed("x" * 1000))
        counted, stored = await _stored_bytes(world, id)
        assert counted == stored > 1000 * index
        await world.history.close()
    assert await world.status(id) == "completed"


@pytest.mark.parametrize("forgetful", [False, True])
async def test_a_history_that_grows_too_large_is_said_once_then_ends(
    world: World, forgetful: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(logging.getLogger("linkflow"), "propagate", True)
    _limited(world, max_history_bytes=10_000)
    id = await world.start(await world.chain(20))
    for index in range(20):
        if forgetful:
            await world.history.close()
            _limited(world, max_history_bytes=10_000)
        await world.report(id, f"n{index}", Completed("x" * 800))
        if await world.status(id) == "failed":
            break
    events = await world.events(id)
    assert events.count("LimitApproached") == 1
    assert events[-1] == "ExecutionFailed"
    state = await _state(world, id)
    assert state["error"]["code"] == "history_bytes_limit"
    [warning] = state["warnings"]
    assert (warning["limit"], warning["max"]) == ("history_bytes", 10_000)
    assert 8_000 <= warning["value"] <= 10_000
    assert (await _stored_bytes(world, id))[0] < 10_500, "what was too much was not written"
    # One call; its record may come by more than one logger.
    assert len({r for r in caplog.records if r.message == "A run is near a limit"}) == 1
    assert (await world.count("tasks", id), await world.count("timers", id)) == (0, 0)
    assert await world.sound(id)


async def test_too_many_events_are_said_first_as_well(world: World) -> None:
    _limited(world, max_events=40)
    id = await world.start(await world.chain(40))
    for index in range(40):
        await world.report(id, f"n{index}", Completed())
        if await world.status(id) == "failed":
            break
    events = await world.events(id)
    assert events.count("LimitApproached") == 1
    state = await _state(world, id)
    assert (state["error"]["code"], state["warnings"][0]["limit"]) == ("history_limit", "events")
    assert len(events) <= 43
    assert await world.sound(id)


async def test_a_fan_out_over_the_limit_fails_the_run_and_writes_nothing_of_it(world: World) -> None:
    _limited(world, max_pending=100)
    id = await _loop(world)
    await world.report(id, "loop", Iterate(tuple(range(200_000)), 0))
    assert (await world.events(id))[-2:] == ["NodeCancelled", "ExecutionFailed"]
    error = (await _state(world, id))["error"]
    assert (error["code"], error["details"]) == (
        "pending_limit", {"limit": "pending_nodes", "value": 200_000, "max": 100},
    )  # fmt: skip
    assert await world.count("tasks", id) == 0
    assert (await _stored_bytes(world, id))[0] < 2_000
    assert await world.sound(id)


async def test_a_fan_out_near_it_is_said(world: World) -> None:
    _limited(world, max_pending=100)
    id = await _loop(world)
    await world.report(id, "loop", Iterate(tuple(range(90)), 0))
    assert await world.status(id) == "running"
    [warning] = (await _state(world, id))["warnings"]
    assert (warning["limit"], warning["value"]) == ("pending_nodes", 91)
    assert await world.count("tasks", id) == 90


async def test_kept_events_are_said_then_refused(world: World) -> None:
    _limited(world, max_signals=10)
    id = await world.start(await world.chain(1))
    for index in range(10):
        await world.history.signal(h.SignalRequest(id, world.workspace, f"s{index}", "later"))
    with pytest.raises(Conflict, match="too many events"):
        await world.history.signal(h.SignalRequest(id, world.workspace, "s10", "later"))
    state = await _state(world, id)
    assert [(warning["limit"], warning["value"]) for warning in state["warnings"]] == [("signals", 8)]
    assert len(state["signals"]) == 10
    assert await world.sound(id)


async def test_a_large_payload_is_said(world: World) -> None:
    _limited(world, max_payload=1_000)
    id = await world.start(await world.chain(2), trigger={"text": "x" * 900})
    await world.report(id, "n0", Completed("y" * 950))
    [warning] = (await _state(world, id))["warnings"]
    assert (warning["limit"], warning["value"]) == ("payload_bytes", 911)
    assert [type(x).__name__ for x in e.decode((await _history(world, id)).events)][:2] == [
        "ExecutionStarted", "NodeScheduled",
    ]  # fmt: skip
    assert await world.sound(id)


async def _history(world: World, id: str) -> h.HistoryReply:
    return await world.history.history(h.HistoryRequest(id, world.workspace))


async def test_a_small_run_says_nothing(world: World) -> None:
    id = await world.start(await world.chain(2), trigger={"n": 1})
    await world.report(id, "n0", Completed())
    assert "warnings" not in await _state(world, id)
