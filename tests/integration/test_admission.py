"""How runs are let in, on real Postgres: slots, rates, collecting and taking over, with several Histories at once."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from linkflow.contracts import history as h
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain import ids
from linkflow.domain.errors import Conflict, NoSlot
from linkflow.domain.outcomes import CallWorkflow, Completed, Failed, NodeError
from linkflow.services.history import History
from tests.integration.test_history import World, world

__all__ = ["world"]

ONE = d.Concurrency("{{ trigger.who }}", 1)


async def _start(world: World, workflow: str, who: str = "acme", **more: Any) -> h.Started:
    request = world.request(workflow, **{"trigger": {"who": who}, **more})
    reply = await world.history.start(h.StartBatch((request,)))
    await world.history.close()
    return reply.results[0]


async def _running(world: World, workflow: str, who: str = "acme", **more: Any) -> str:
    started = await _start(world, workflow, who, **more)
    assert (started.error, started.status) == (None, "")
    return started.execution_id


async def _queued(world: World, workflow: str, who: str = "acme", **more: Any) -> str:
    started = await _start(world, workflow, who, **more)
    assert (started.error, started.status) == (None, "queued")
    return started.execution_id


async def _control(world: World, id: str, verb: str) -> str:
    status = (await world.history.control(h.ControlRequest(id, world.workspace, verb, "ada"))).status
    await world.history.close()
    return status


async def _end(world: World, id: str) -> None:
    await world.report(id, "n0", Completed({}))
    assert await world.status(id) == "completed"


async def _run(world: World, id: str) -> h.Execution:
    return (await world.history.describe(h.DescribeRequest((id,), world.workspace, True))).executions[0]


async def _trigger(world: World, id: str) -> Any:
    return msgspec.json.decode((await _run(world, id)).state)["trigger"]


async def _slots(world: World) -> list[tuple[str, bool]]:
    rows = await world.sql("SELECT execution_id::text, queued FROM slots ORDER BY position")
    return [(id, queued) for id, queued in rows]


async def _rows(world: World, table: str) -> int:
    return sum(row[0] for row in await world.sql(f"SELECT count(*) FROM {table}"))


async def _fire_due(world: World, history: History | None = None, until: int = 10**15) -> int:
    """Fire all timers that fall due up to then, as the Timer would."""
    rows = await world.sql(
        "SELECT execution_id::text, timer_id, due_at FROM timers WHERE due_at <= %s ORDER BY due_at", until
    )
    at = history or world.history
    reply = await at.fire(h.FireBatch(tuple(h.DueTimer(*row) for row in rows)))
    await at.close()
    assert reply.failed == ()
    return reply.fired


# Concurrency


async def test_a_run_over_the_limit_waits_and_is_let_in_when_a_slot_is_free(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    first = await _running(world, workflow)
    other = await _running(world, workflow, "other")
    second, third = await _queued(world, workflow), await _queued(world, workflow)
    assert [(await _run(world, id)).position for id in (second, third)] == [1, 2]
    assert (await _run(world, second)).started_at == 0
    assert await world.events(second) == ["ExecutionQueued"]
    listed = await world.history.list(h.ListRequest(world.workspace, status="queued"))
    assert {run.id for run in listed.executions} == {second, third}
    await _end(world, first)
    assert await world.events(second) == ["ExecutionQueued", "ExecutionStarted", "NodeScheduled"]
    assert ((await _run(world, third)).position, (await _run(world, second)).started_at > 0) == (1, True)
    for id in (second, third, other):
        await _end(world, id)
        assert await world.sound(id)
    assert await _slots(world) == []


async def test_the_answer_tells_the_position(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    started = [await _start(world, workflow) for _ in range(4)]
    assert [(s.created, s.status, s.position) for s in started] == [
        (True, "", 0), (True, "queued", 1), (True, "queued", 2), (True, "queued", 3),
    ]  # fmt: skip


async def test_starts_that_come_together_are_let_in_in_their_order(world: World) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("", 2))
    requests = [world.request(workflow, trigger=n) for n in range(10)]
    reply = await world.history.start(h.StartBatch(tuple(requests)))
    await world.history.close()
    assert [s.position for s in reply.results] == [0, 0, *range(1, 9)]
    for n in range(10):
        running = [id for id, waits in await _slots(world) if not waits]
        assert running == [r.execution_id for r in requests[n : n + 2]]
        await _end(world, running[0])
    assert await _slots(world) == []


async def test_a_rejected_start_leaves_nothing_behind(world: World) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("{{ trigger.who }}", 1, "reject"))
    first = await _running(world, workflow)
    refused = await _start(world, workflow, idempotency_key="k")
    assert refused.error is not None
    assert (refused.error.code, refused.error.details) == ("concurrency_limit", {"key": "acme", "limit": 1})
    assert "acme" in refused.error.message
    for table in ("idempotency_keys",):
        assert await _rows(world, table) == 0
    assert await _rows(world, "executions") == 1
    await _end(world, first)
    assert (await _start(world, workflow, idempotency_key="k")).error is None


async def test_cancel_oldest_makes_room_and_the_limit_holds_all_the_time(world: World) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("", 2, "cancel_oldest"))
    first, second = await _running(world, workflow), await _running(world, workflow)
    started = await _start(world, workflow)
    third = started.execution_id
    assert started.status == "queued"
    statuses = [await world.status(id) for id in (first, second, third)]
    assert statuses == ["cancelled", "running", "running"]
    assert await world.events(third) == ["ExecutionQueued", "ExecutionStarted", "NodeScheduled"]
    assert await _rows(world, "messages") == 0
    assert all([await world.sound(id) for id in (first, second, third)])


async def test_of_many_starts_the_newest_stay(world: World) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("", 2, "cancel_oldest"))
    requests = [world.request(workflow, trigger=n) for n in range(7)]
    await world.history.start(h.StartBatch(tuple(requests)))
    await world.history.close()
    statuses = [await world.status(r.execution_id) for r in requests]
    assert statuses == ["cancelled"] * 5 + ["running"] * 2
    assert len(await _slots(world)) == 2


async def test_a_waiting_run_can_be_stopped_and_the_next_one_moves_up(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    first = await _running(world, workflow)
    second, third, fourth = [await _queued(world, workflow) for _ in range(3)]
    assert await _control(world, second, "cancel") == "cancelled"
    assert await _control(world, third, "terminate") == "terminated"
    assert (await _run(world, fourth)).position == 1
    with pytest.raises(Conflict):
        await _control(world, fourth, "pause")
    await _end(world, first)
    assert await world.status(fourth) == "running"
    assert [await world.events(id) for id in (second, third)] == [
        ["ExecutionQueued", "ExecutionCancelled"], ["ExecutionQueued", "ExecutionTerminated"],
    ]  # fmt: skip


async def test_a_paused_run_keeps_its_slot(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    first = await _running(world, workflow)
    await _control(world, first, "pause")
    second = await _queued(world, workflow)
    await world.history.sweep(h.SweepRequest())
    assert await world.status(second) == "queued"
    await _control(world, first, "cancel")
    assert await world.status(second) == "running"


async def test_a_retried_run_takes_a_slot_again_or_is_refused(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    first = await _running(world, workflow)
    await world.report(first, "n0", Failed(NodeError("boom", "no", False)))
    second = await _running(world, workflow)
    with pytest.raises(NoSlot) as refused:
        await _control(world, first, "retry")
    assert refused.value.details == {"key": "acme", "limit": 1}
    assert await world.status(first) == "failed"
    await _end(world, second)
    assert await _control(world, first, "retry") == "running"
    assert await _slots(world) == [(first, False)]
    third = await _queued(world, workflow)
    await world.report(first, "n0", Completed(), 2)
    assert [await world.status(id) for id in (first, third)] == ["completed", "running"]
    assert await world.sound(first)


async def test_a_lost_word_of_a_free_slot_is_found_by_the_sweep(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    first, second = await _running(world, workflow), await _queued(world, workflow)
    # The process dies right after the commit: nobody is told.
    dying = world.another()

    async def nothing(*_: Any) -> None:
        return None

    dying._after = dying._committer._after = nothing
    await dying.complete(h.CompleteBatch((h.Report(first, "n0", 1, Completed()),)))
    assert [await world.status(id) for id in (first, second)] == ["completed", "queued"]
    late = await _queued(world, workflow)
    assert (await world.history.sweep(h.SweepRequest())).admitted == 1
    assert [await world.status(id) for id in (second, late)] == ["running", "queued"]
    assert (await world.history.sweep(h.SweepRequest())).admitted == 0


async def test_the_slot_of_a_run_that_somebody_closed_without_freeing_it_is_freed(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    first, second = await _running(world, workflow), await _queued(world, workflow)
    # as older code would, which knows no slots
    await world.sql("UPDATE executions SET status = 1, closed_at = 1 WHERE id = %s", first)
    assert (await world.history.sweep(h.SweepRequest())).admitted == 1
    assert await world.status(second) == "running"


async def test_the_same_start_again_is_the_same_start(world: World) -> None:
    workflow = await world.chain(1, concurrency=ONE)
    await _running(world, workflow)
    request = world.request(workflow, trigger={"who": "acme"}, idempotency_key="k")
    again = msgspec.structs.replace(world.request(workflow, trigger={"who": "acme"}), idempotency_key="k")
    reply = await world.history.start(h.StartBatch((request, request, again)))
    assert [(s.execution_id, s.created) for s in reply.results] == [
        (request.execution_id, True), (request.execution_id, True), (request.execution_id, False),
    ]  # fmt: skip
    reply = await world.history.start(h.StartBatch((request,)))
    assert (reply.results[0].execution_id, reply.results[0].created) == (request.execution_id, False)
    assert len(await _slots(world)) == 2


async def test_a_key_with_a_time_is_free_again_after_it(world: World) -> None:
    for workflow in (await world.chain(1), await world.chain(1, concurrency=ONE)):
        base = world.clock.now_ms()

        def at(ms: int, key: str = "ttl:60000:k", workflow: Any = workflow, base: int = base) -> h.StartRequest:
            id = ids.execution_id(base + ms, ids.shard_of_workflow(workflow), ms)
            return msgspec.structs.replace(world.request(workflow, idempotency_key=key), execution_id=id)

        first, early, late, again = at(0), at(59_999), at(60_000), at(60_001)
        reply = await world.history.start(h.StartBatch((first, early)))
        assert [(one.execution_id, one.created) for one in reply.results] == [
            (first.execution_id, True), (first.execution_id, False),
        ]  # fmt: skip
        for request in (late, again):
            reply = await world.history.start(h.StartBatch((request,)))
            assert (reply.results[0].execution_id, reply.results[0].created) == (late.execution_id, request is late)
        other = [at(90_000 + n, "ttl:never:k" if n < 2 else "ttlx:1:k") for n in range(4)]
        assert [(await world.history.start(h.StartBatch((one,)))).results[0].created for one in other] == [
            True,
            False,
        ] * 2


async def test_a_key_that_cannot_be_evaluated_refuses_the_start(world: World) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("{{ fromJson(trigger.who).x }}", 1))
    refused = await _start(world, workflow, "not json")
    assert refused.error is not None
    assert (refused.error.code, refused.error.problems[0].path) == ("invalid_input", "/settings/concurrency/key")
    assert await _rows(world, "executions") == 0


async def test_a_child_waits_for_a_slot_or_fails_its_node(world: World) -> None:
    for policy, expected in (("queue", "running"), ("reject", "failed")):
        child = await world.chain(1, concurrency=d.Concurrency("", 1, policy))  # type: ignore[arg-type]
        holder = await _running(world, child)
        parent = await world.start(await world.chain(1))
        await world.report(parent, "n0", CallWorkflow(child, {}))
        assert await world.status(parent) == expected
        if policy == "queue":
            id = next(id for id, waits in await _slots(world) if waits)
            await _end(world, holder)
            await _end(world, id)
            assert await world.status(parent) == "completed"
        else:
            state = msgspec.json.decode((await _run(world, parent)).state)
            assert state["error"]["code"] == "child_rejected"
            assert "concurrency key" in state["error"]["message"]


async def test_a_run_that_closes_as_it_starts_keeps_no_slot(world: World) -> None:
    workflow = await world.workflow(concurrency=ONE)
    for _ in range(3):
        started = await _start(world, workflow)
        assert await world.status(started.execution_id) == "completed"
    assert await _slots(world) == []


@pytest.mark.parametrize("seed", range(4))
async def test_two_histories_never_let_in_more_than_the_limit(world: World, seed: int) -> None:
    """Starts, ends, cancels and crashes on two processes at once: the limit holds in every moment, the order too, and
    everybody has his turn."""
    chance = random.Random(seed)
    limit = chance.choice([1, 2, 3])
    workflow = await world.chain(1, concurrency=d.Concurrency("{{ trigger.who }}", limit))
    histories = [world.history, world.another()]
    seen: list[int] = []
    over = asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            rows = await world.sql("SELECT count(*) FROM executions WHERE status IN (0, 6) GROUP BY workflow_id")
            slots = await world.sql("SELECT key, count(*) FROM slots WHERE NOT queued GROUP BY key")
            seen.extend(count for _, count in slots)
            assert all(total <= limit * 2 for (total,) in rows)
            await asyncio.sleep(0.002)  # a look takes as long: half of the time is the others'

    async def come(n: int) -> str:
        request = world.request(workflow, trigger={"who": f"c{n % 2}"})
        at = chance.choice(histories)
        if chance.random() < 0.2:  # the answer is lost: the start is made again, elsewhere
            await asyncio.gather(*(other.start(h.StartBatch((request,))) for other in histories))
        await at.start(h.StartBatch((request,)))
        return request.execution_id

    async def end_some() -> None:
        running = [id for id, waits in await _slots(world) if not waits or chance.random() < 0.1]
        chance.shuffle(running)
        for id in running[: limit + 1]:
            at = chance.choice(histories)
            if chance.random() < 0.2:
                with suppress(Conflict):
                    await at.control(h.ControlRequest(id, world.workspace, "cancel", "ada"))
            else:
                await at.complete(h.CompleteBatch((h.Report(id, "n0", 1, Completed()),)))

    watching = asyncio.create_task(watch())
    ids: list[str] = []
    for _ in range(6):
        ids += await asyncio.gather(*(come(n) for n in range(8)))
        await asyncio.gather(end_some(), end_some())
    while await _slots(world):
        await end_some()
        for history in histories:
            await history.close()
        await world.history.sweep(h.SweepRequest())
    over.set()
    await watching
    assert max(seen) <= limit
    assert await _rows(world, "slots") == 0
    for id in ids:
        assert await world.status(id) in ("completed", "cancelled")
        assert await world.sound(id)


# Rates


async def test_a_start_over_the_rate_is_refused_and_told_when_to_come_again(world: World) -> None:
    workflow = await world.chain(1, rate_limit=d.RateLimit("{{ trigger.who }}", 2, 3600))
    assert [(await _start(world, workflow)).error for _ in range(2)] == [None, None]
    refused = await _start(world, workflow)
    assert refused.error is not None
    assert refused.error.code == "start_rate_limited"
    assert 1790 < refused.error.details["retry_after"] <= 1800
    assert (await _start(world, workflow, "other")).error is None
    assert await _rows(world, "executions") == 3


async def test_a_number_is_runs_a_minute(world: World) -> None:
    workflow = await world.chain(1, rate_limit=3)
    errors = [(await _start(world, workflow)).error for _ in range(4)]
    assert [error.code if error else "" for error in errors] == ["", "", "", "start_rate_limited"]


async def test_a_repeated_start_costs_nothing(world: World) -> None:
    workflow = await world.chain(1, rate_limit=d.RateLimit("", 2, 3600))
    first = await _start(world, workflow, idempotency_key="k")
    for _ in range(3):
        again = await _start(world, workflow, idempotency_key="k")
        assert (again.execution_id, again.created) == (first.execution_id, False)
    assert (await _start(world, workflow)).error is None
    assert (await _start(world, workflow)).error is not None


async def test_runs_over_the_rate_wait_for_their_turn_in_order(world: World) -> None:
    workflow = await world.chain(1, rate_limit=d.RateLimit("", 1, 60, "queue"))
    first = await _running(world, workflow)
    waiting = [await _queued(world, workflow) for _ in range(3)]
    rows = await world.sql("SELECT execution_id::text, due_at FROM timers ORDER BY due_at")
    assert [id for id, _ in rows] == waiting
    began = (await _run(world, first)).started_at
    assert [round((due - began) / 60_000) for _, due in rows] == [1, 2, 3]
    for at, (id, due) in enumerate(rows):
        assert await _fire_due(world, until=due) == 1
        assert [await world.status(other) for other in waiting].count("running") == at + 1
        assert await world.status(id) == "running"
        assert await world.sound(id)
    assert await _rows(world, "timers") == 0


async def test_after_its_turn_a_run_waits_for_a_slot_even_where_others_are_refused(world: World) -> None:
    workflow = await world.chain(
        1, rate_limit=d.RateLimit("", 1, 60, "queue"), concurrency=d.Concurrency("", 1, "reject")
    )
    first, second = await _running(world, workflow), await _queued(world, workflow)
    assert await _fire_due(world) == 1
    assert await world.events(second) == ["ExecutionQueued", "ExecutionHeld"]
    assert (await _run(world, second)).position == 1
    await _end(world, first)
    assert await world.status(second) == "running"
    assert await world.sound(second)


# Collecting


async def test_starts_of_a_key_become_one_run_with_the_last_data(world: World) -> None:
    workflow = await world.chain(1, debounce=d.Debounce("{{ trigger.who }}", 60))
    first = await _start(world, workflow, trigger={"who": "acme", "n": 1})
    other = await _start(world, workflow, "other")
    second = await _start(world, workflow, trigger={"who": "acme", "n": 2})
    assert (first.status, second.status, second.created) == ("collecting", "collecting", True)
    assert second.execution_id == first.execution_id != other.execution_id
    assert await world.status(first.execution_id) == "collecting"
    assert await _rows(world, "timers") == 2
    assert await _fire_due(world) == 2
    assert await _trigger(world, first.execution_id) == {"who": "acme", "n": 2}
    assert await world.events(first.execution_id) == [
        "ExecutionCollecting", "StartCollected", "ExecutionStarted", "NodeScheduled",
    ]  # fmt: skip
    later = await _start(world, workflow)
    assert later.execution_id != first.execution_id
    assert await world.sound(first.execution_id)


async def test_a_full_batch_begins_at_once(world: World) -> None:
    workflow = await world.chain(1, batch=d.Batch("", 3, 60))
    started = [await _start(world, workflow, trigger=n) for n in range(7)]
    runs = list(dict.fromkeys(s.execution_id for s in started))
    assert [s.execution_id for s in started] == [runs[0]] * 3 + [runs[1]] * 3 + [runs[2]]
    assert [await world.status(id) for id in runs] == ["running", "running", "collecting"]
    assert await _trigger(world, runs[0]) == {"items": [0, 1, 2], "count": 3}
    assert await _fire_due(world) == 1
    assert await _trigger(world, runs[2]) == {"items": [6], "count": 1}
    assert await _rows(world, "collectors") == 0


async def test_the_same_delivery_is_collected_once_also_after_the_run_began(world: World) -> None:
    workflow = await world.chain(1, batch=d.Batch("", 100, 60))
    requests = [world.request(workflow, trigger=n, idempotency_key=f"k{n % 2}" if n < 4 else "") for n in range(6)]
    reply = await world.history.start(h.StartBatch((*requests, *requests)))
    assert len({s.execution_id for s in reply.results}) == 1
    id = reply.results[0].execution_id
    assert await _fire_due(world) == 1
    assert await _trigger(world, id) == {"items": [0, 1, 4, 5], "count": 4}
    reply = await world.history.start(h.StartBatch(tuple(requests)))
    assert {(s.execution_id, s.created) for s in reply.results} == {(id, False)}
    assert await _rows(world, "executions") == 1


async def test_a_collected_run_goes_through_the_other_doors(world: World) -> None:
    workflow = await world.chain(1, batch=d.Batch("", 2, 60), concurrency=d.Concurrency("", 1, "reject"))
    runs = [(await _start(world, workflow, trigger=n)).execution_id for n in range(4)][::2]
    assert [await world.status(id) for id in runs] == ["running", "queued"]
    assert await _trigger(world, runs[1]) == {"items": [2, 3], "count": 2}
    await _end(world, runs[0])
    assert await world.status(runs[1]) == "running"
    assert all([await world.sound(id) for id in runs])


async def test_a_cancelled_collection_takes_no_more(world: World) -> None:
    workflow = await world.chain(1, batch=d.Batch("", 9, 60))
    first = (await _start(world, workflow)).execution_id
    assert await _control(world, first, "cancel") == "cancelled"
    second = (await _start(world, workflow)).execution_id
    assert second != first
    assert await _rows(world, "collectors") == 1
    assert await _fire_due(world) == 1


async def test_a_key_that_fails_for_what_was_collected_fails_the_run_and_is_told(world: World) -> None:
    key = "{{ fromJson(trigger.who ?? 'x').y }}"
    workflow = await world.chain(1, batch=d.Batch("", 1, 60), concurrency=d.Concurrency(key, 1))
    refused = await _start(world, workflow, "not json")
    assert refused.error is not None, "what is known to fail is refused at the door"
    id = (await _start(world, workflow, "{}")).execution_id
    assert await world.status(id) == "failed"
    assert await world.events(id) == ["ExecutionCollecting", "ExecutionFailed"]
    assert msgspec.json.decode((await _run(world, id)).state)["error"]["code"] == "bad_key"


async def test_a_child_is_a_run_of_its_own(world: World) -> None:
    child = await world.chain(1, debounce=d.Debounce("", 60))
    parent = await world.start(await world.chain(1))
    await world.report(parent, "n0", CallWorkflow(child, {}))
    runs = (await world.history.list(h.ListRequest(world.workspace, workflow_id=child))).executions
    assert [run.status for run in runs] == ["running"]


@pytest.mark.parametrize("seed", range(3))
async def test_every_accepted_start_is_in_exactly_one_run(world: World, seed: int) -> None:
    """Two processes collect while timers fire on both, and answers are lost."""
    chance = random.Random(seed)
    workflow = await world.chain(1, batch=d.Batch("{{ trigger.key }}", chance.choice([2, 5, 9]), 60))
    histories = [world.history, world.another()]
    accepted: dict[int, str] = {}

    async def come(n: int) -> None:
        request = world.request(workflow, trigger={"key": n % 2, "n": n})
        for _ in range(chance.choice([1, 1, 2])):
            reply = await chance.choice(histories).start(h.StartBatch((request,)))
            assert reply.results[0].error is None
            assert accepted.setdefault(n, reply.results[0].execution_id) == reply.results[0].execution_id

    async def fire() -> None:
        await asyncio.gather(*(_fire_due(world, history) for history in histories))

    for part in range(5):
        await asyncio.gather(*(come(n) for n in range(part * 20, part * 20 + 20)), fire())
    await fire()
    runs = (await world.history.list(h.ListRequest(world.workspace, limit=200))).executions
    held: list[tuple[int, str]] = []
    for run in runs:
        assert run.status == "running"
        held += [(item["n"], run.id) for item in (await _trigger(world, run.id))["items"]]
        assert await world.sound(run.id)
    assert sorted(n for n, _ in held) == list(range(100))
    assert dict(held) == accepted


# Taking over


@pytest.mark.parametrize("settings", [{}, {"concurrency": d.Concurrency("", 5)}])
async def test_a_key_passes_to_the_newest_run(world: World, settings: dict[str, Any]) -> None:
    workflow = await world.chain(1, **settings)
    mine = {"idempotency_key": "k", "on_conflict": "terminate_existing"}
    first = await _start(world, workflow, **mine)
    request = world.request(workflow, **mine)
    reply = await world.history.start(h.StartBatch((request,)))
    await world.history.close()
    second = reply.results[0]
    assert second.created
    assert [await world.status(s.execution_id) for s in (first, second)] == ["terminated", "running"]
    again = (await world.history.start(h.StartBatch((request,)))).results[0]
    assert (again.execution_id, again.created) == (second.execution_id, False)
    found = await _start(world, workflow, idempotency_key="k")
    assert (found.execution_id, found.created) == (second.execution_id, False)
    await _end(world, second.execution_id)
    third = await _start(world, workflow, **mine)
    assert third.created
    assert [await world.status(s.execution_id) for s in (second, third)] == ["completed", "running"]
    assert all([await world.sound(s.execution_id) for s in (first, second, third)])


async def test_of_takeovers_that_come_together_one_run_stays(world: World) -> None:
    workflow = await world.chain(1)
    requests = [world.request(workflow, idempotency_key="k", on_conflict="terminate_existing") for _ in range(8)]
    histories = [world.history, world.another()]
    await asyncio.gather(*(histories[n % 2].start(h.StartBatch((r,))) for n, r in enumerate(requests)))
    for history in histories:
        await history.close()
    statuses = sorted([await world.status(r.execution_id) for r in requests])
    assert statuses == ["running"] + ["terminated"] * 7
    holder = await _start(world, workflow, idempotency_key="k")
    assert await world.status(holder.execution_id) == "running"


async def test_who_takes_over_waits_for_the_slot_of_the_one_that_goes(world: World) -> None:
    workflow = await world.chain(1, concurrency=d.Concurrency("", 1, "reject"))
    mine = {"idempotency_key": "k", "on_conflict": "terminate_existing"}
    first = await _start(world, workflow, **mine)
    second = await _start(world, workflow, **mine)
    assert second.status == "queued"
    assert [await world.status(s.execution_id) for s in (first, second)] == ["terminated", "running"]


async def test_a_lost_word_to_the_holder_is_told_by_the_sweep(world: World) -> None:
    workflow = await world.chain(1)
    mine = {"idempotency_key": "k", "on_conflict": "terminate_existing"}
    first = await _start(world, workflow, **mine)
    dying = world.another()

    async def nothing(*_: Any) -> None:
        return None

    dying._admission._after = nothing
    second = (await dying.start(h.StartBatch((world.request(workflow, **mine),)))).results[0]
    assert [await world.status(s.execution_id) for s in (first, second)] == ["running", "running"]
    await world.sql("UPDATE messages SET offer_at = 0")
    await world.history.sweep(h.SweepRequest())
    assert [await world.status(s.execution_id) for s in (first, second)] == ["terminated", "running"]


async def test_what_collects_is_not_terminated_for_one_start(world: World) -> None:
    workflow = await world.chain(1, debounce=d.Debounce("", 60))
    mine = {"idempotency_key": "k", "on_conflict": "terminate_existing"}
    first = await _start(world, workflow, **mine)
    assert first.error is not None
    assert first.error.code == "invalid_input"


# Fairness


async def test_every_task_carries_the_fairness_key_also_when_it_is_offered_again(world: World) -> None:
    workflow = await world.chain(2, fairness_key="customer-{{ trigger.who }}")
    id = await _running(world, workflow)
    await world.report(id, "n0", Completed())
    assert [task.fairness for task in world.matching.tasks] == ["customer-acme"] * 2
    await world.sql("UPDATE tasks SET offer_at = 0")
    await world.history.sweep(h.SweepRequest())
    assert [task.fairness for task in world.matching.tasks] == ["customer-acme"] * 3
    await world.report(id, "n1", Completed())
    assert await _rows(world, "fairness_keys") == 0
    assert await world.sound(id)


async def test_a_queued_run_has_its_fairness_key_when_it_begins(world: World) -> None:
    workflow = await world.chain(1, fairness_key="{{ trigger.who }}", concurrency=d.Concurrency("", 1))
    first, second = await _running(world, workflow, "a"), await _queued(world, workflow, "b")
    await _end(world, first)
    assert [task.fairness for task in world.matching.tasks] == ["a", "b"]
    await world.report(second, "n0", Failed(NodeError("boom", "no", False)))
    await _control(world, second, "retry")
    assert world.matching.tasks[-1].fairness == "b"
    assert await _rows(world, "fairness_keys") == 1


async def test_runs_without_limits_leave_no_rows_at_the_door(world: World) -> None:
    id = await world.start(await world.chain(1))
    for table in ("slots", "start_rates", "collectors", "fairness_keys"):
        assert await _rows(world, table) == 0
    history = await world.history.history(h.HistoryRequest(id, world.workspace))
    assert not {"slot", "fairness"} & msgspec.json.decode(history.events)[0].keys()
    assert isinstance(e.decode(history.events)[0], e.ExecutionStarted)
