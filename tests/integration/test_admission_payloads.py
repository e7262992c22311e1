"""Large data of runs that are not let in at once: kept outside of their rows, whatever they wait for, and whole when
they begin."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from linkflow.contracts import history as h
from linkflow.contracts.controlling import ForkRequest
from linkflow.domain import definition as d
from linkflow.domain.errors import Unavailable
from linkflow.domain.outcomes import CallWorkflow, Completed
from linkflow.domain.payloads import references
from linkflow.services.payloads import Payloads
from tests.integration.test_admission import _fire_due, _rows
from tests.integration.test_payloads import Kept, world

__all__ = ["world"]

BIG = "x" * 900_000
SMALL_ROWS = 3000
BY_WHO = d.Concurrency("{{ trigger.who }}", 1)


async def _start(world: Kept, workflow: str, trigger: Any, **more: Any) -> h.Started:
    reply = await world.history.start(h.StartBatch((world.request(workflow, trigger=trigger, **more),)))
    await world.history.close()
    return reply.results[0]


async def _given(world: Kept, id: str) -> Any:
    """What the run's nodes see as trigger; all of it is the run's own."""
    state = await world.state(id)
    assert {blob.execution_id for blob in references(state.trigger)} <= {id}
    return await Payloads(world.blobs).resolve(world.workspace, state.trigger, 10**8)


async def _largest_row(world: Kept, id: str) -> int:
    async with world.database.connection() as connection:
        row = await (
            await connection.execute("SELECT max(length(events)) FROM history WHERE execution_id = %s", (id,))
        ).fetchone()
    return max(row[0] if row else 0, (await world.rows(id))[0])


@pytest.mark.parametrize(
    "settings",
    [
        {"concurrency": BY_WHO},
        {"rate_limit": d.RateLimit("{{ trigger.who }}", 1, 60, "queue")},
        {"debounce": d.Debounce("{{ trigger.who }}", 60)},
        {"concurrency": BY_WHO, "rate_limit": d.RateLimit("{{ trigger.who }}", 1, 60, "queue")},
    ],
    ids=["concurrency", "rate", "debounce", "rate and concurrency"],
)
async def test_keys_come_from_data_that_is_kept_outside(world: Kept, settings: dict[str, Any]) -> None:
    """The second run waits for the first, one of another key does not, and each begins with all of its data."""
    workflow = await world.chain(1, **settings, fairness_key="{{ trigger.who }}")
    triggers = [{"who": who, "text": BIG, "n": n} for n, who in enumerate(("acme", "acme", "other"))]
    started = [await _start(world, workflow, trigger) for trigger in triggers]
    assert all(one.error is None for one in started)
    ids = list(dict.fromkeys(one.execution_id for one in started))
    if "debounce" in settings:
        assert [one.status for one in started] == ["collecting"] * 3
        triggers = triggers[1:]
    else:
        assert [one.status for one in started] == ["", "queued", ""]
    assert max([await _largest_row(world, id) for id in ids]) < SMALL_ROWS
    await _fire_due(world)
    for id, trigger in zip(ids, triggers, strict=True):
        if (await world.state(id)).status == "queued":
            await world.history.sweep(h.SweepRequest())
        assert await _given(world, id) == trigger
        state = await world.state(id)
        assert (state.status, state.fairness) == ("running", trigger["who"])
        await world.report(id, "n0", Completed({}))
        assert await world.sound(id)
        assert max(await world.rows(id)) < SMALL_ROWS


async def test_a_batch_of_many_large_items_is_no_large_row(world: Kept) -> None:
    """Items that are large, and such that are large together only: in order, and in one run of small rows."""
    keys = d.Concurrency("{{ trigger.items[0].who ?? 'nobody' }}", 1)
    workflow = await world.chain(1, batch=d.Batch("", 60, 60), concurrency=keys)
    items = [{"who": "acme", "n": n, "text": "y" * (200_000 if n % 20 == 0 else 20_000)} for n in range(60)]
    started = [await _start(world, workflow, item) for item in items]
    (id,) = {one.execution_id for one in started}
    assert await _given(world, id) == {"items": items, "count": 60}
    state = await world.state(id)
    assert (state.status, state.slot) == ("running", "acme")
    assert await _largest_row(world, id) < 2 * 32_768 + SMALL_ROWS
    await world.report(id, "n0", Completed({}))
    assert await world.sound(id)


async def test_a_batch_is_over_when_it_holds_enough_bytes_wherever_they_are(world: Kept) -> None:
    workflow = await world.chain(1, batch=d.Batch("", 100, 60))
    started = [await _start(world, workflow, {"n": n, "text": BIG}) for n in range(6)]
    runs = list(dict.fromkeys(one.execution_id for one in started))
    assert [await world.status(id) for id in runs] == ["running", "collecting"]
    assert (await _given(world, runs[0]))["count"] == 5


@pytest.mark.parametrize("seed", range(2))
async def test_large_starts_that_race_are_each_in_one_run_once(world: Kept, seed: int) -> None:
    chance = random.Random(seed)
    workflow = await world.chain(1, batch=d.Batch("", 9, 60))
    histories = [world.history, world.another()]
    texts = ["z" * chance.choice([10, 12_000, 40_000]) for _ in range(40)]

    async def come(n: int) -> None:
        request = world.request(workflow, trigger={"n": n, "text": texts[n]})
        for _ in range(chance.choice([1, 2])):
            reply = await chance.choice(histories).start(h.StartBatch((request,)))
            assert reply.results[0].error is None

    await asyncio.gather(*(come(n) for n in range(40)))
    for history in histories:
        await history.close()
    await _fire_due(world)
    runs = (await world.history.list(h.ListRequest(world.workspace, limit=200))).executions
    seen = [item for run in runs for item in (await _given(world, run.id))["items"]]
    assert sorted(item["n"] for item in seen) == list(range(40))
    assert all(item["text"] == texts[item["n"]] for item in seen)
    assert all([await world.sound(run.id) for run in runs])
    await histories[1].close()


async def test_a_queued_child_with_a_large_input(world: Kept) -> None:
    """Its input is its own, and its key comes from it, though it was handed over by reference."""
    child = await world.chain(1, concurrency=BY_WHO)
    first = (await _start(world, child, {"who": "acme"})).execution_id
    parent = await world.start(await world.chain(1))
    await world.report(parent, "n0", CallWorkflow(child, {"who": "acme", "text": BIG}))
    runs = (await world.history.list(h.ListRequest(world.workspace, status="queued"))).executions
    (id,) = (run.id for run in runs)
    assert max(await world.rows(id)) < SMALL_ROWS
    await world.report(first, "n0", Completed({}))
    assert await world.status(id) == "running"
    await world.blobs.drop([(world.workspace, parent)])
    assert await _given(world, id) == {"who": "acme", "text": BIG}
    await world.report(id, "n0", Completed({"ok": True}))
    assert await world.status(parent) == "completed"
    assert all([await world.sound(run) for run in (id, parent)])


async def test_a_child_s_input_is_not_read_where_no_key_needs_it(world: Kept) -> None:
    """However large it is: it is copied, part by part, as for a workflow without limits."""
    child = await world.chain(1, concurrency=d.Concurrency("", 1))
    parent = await world.start(await world.chain(1))
    parts = ["z" * 900_000 + str(n) for n in range(20)]
    await world.report(parent, "n0", CallWorkflow(child, {"rows": parts}))
    (run,) = (await world.history.list(h.ListRequest(world.workspace, workflow_id=child))).executions
    assert run.status == "running"
    assert await _given(world, run.id) == {"rows": parts}


async def test_a_rerun_waits_like_any_other_and_owns_its_data(world: Kept) -> None:
    workflow = await world.chain(1, concurrency=BY_WHO)
    first = (await _start(world, workflow, {"who": "acme", "text": BIG})).execution_id
    reply = await world.history.fork(ForkRequest(first, world.workspace, "rerun"))
    assert (await world.state(reply.execution_id)).status == "queued"
    await world.report(first, "n0", Completed({}))
    await world.blobs.drop([(world.workspace, first)])
    assert await _given(world, reply.execution_id) == {"who": "acme", "text": BIG}


async def test_who_takes_over_a_key_has_its_data_outside_too(world: Kept) -> None:
    workflow = await world.chain(1)
    more = {"idempotency_key": "k", "on_conflict": "terminate_existing"}
    ids = [(await _start(world, workflow, {"n": n, "text": BIG}, **more)).execution_id for n in range(2)]
    assert [await world.status(id) for id in ids] == ["terminated", "running"]
    assert await _given(world, ids[1]) == {"n": 1, "text": BIG}
    assert max(await world.rows(ids[1])) < SMALL_ROWS


async def test_a_store_that_is_away_refuses_large_starts_alone_and_leaves_nothing(world: Kept) -> None:
    for settings in ({"concurrency": d.Concurrency("", 9)}, {"batch": d.Batch("", 9, 60)}):
        workflow = await world.chain(1, **settings)
        world.blobs.error = Unavailable("The blob store does not answer now.")
        requests = [world.request(workflow, trigger=trigger) for trigger in ("small", BIG, "also small")]
        started = (await world.history.start(h.StartBatch(tuple(requests)))).results
        await world.history.close()
        assert [one.error.code if one.error else "" for one in started] == ["", "unavailable", ""]
        assert await world.count("history", requests[1].execution_id) == 0
        world.blobs.error = None
        again = (await world.history.start(h.StartBatch((requests[1],)))).results[0]
        await world.history.close()
        assert (again.error, again.created) == (None, True)
        assert await world.sound(again.execution_id)


async def test_a_refused_start_keeps_nothing(world: Kept) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("", 1, "reject"))
    await _start(world, workflow, "small")
    refused = await _start(world, workflow, BIG)
    assert refused.error is not None
    assert world.blobs.puts == []
    assert await _rows(world, "blobs") == 0


async def test_a_waiting_run_whose_data_is_lost_fails_and_says_so(world: Kept) -> None:
    rate = d.RateLimit("", 1, 60, "queue")
    workflow = await world.chain(1, rate_limit=rate, concurrency=BY_WHO)
    await _start(world, workflow, {"who": "acme"})
    id = (await _start(world, workflow, {"who": "other", "text": BIG})).execution_id
    world.blobs.error = Unavailable("The blob store does not answer now.")
    async with world.database.connection() as c:
        row = await (await c.execute("SELECT timer_id, due_at FROM timers WHERE execution_id = %s", (id,))).fetchone()
    assert row is not None
    timer = h.DueTimer(id, *row)
    with pytest.raises(Unavailable):
        await world.history.fire(h.FireBatch((timer,)))
    assert await world.status(id) == "queued", "it waits for the store"
    world.blobs.error = None
    await world.blobs.drop([(world.workspace, id)])
    assert (await world.history.fire(h.FireBatch((timer,)))).fired == 1
    state = await world.state(id)
    assert (state.status, state.error.code if state.error else "") == ("failed", "payload_lost")
    assert await world.sound(id)
