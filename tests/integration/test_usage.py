"""Usage and statistics: counted in the transitions' own transactions, summed up once, over one database or two."""

from __future__ import annotations

import asyncio

from linkflow.contracts import history as h
from linkflow.contracts.usage import HOUR, MINUTE, UsageRequest, UsageSpan
from linkflow.domain.outcomes import Completed, Failed, NodeError
from linkflow.ports import AiUse
from linkflow.postgres.tallies import together
from tests.integration.test_history import World, world  # noqa: F401

DAY = 86_400_000


async def _spans(of: World, workflow: str = "", span: int = HOUR) -> UsageSpan:
    """All that was counted today, as one."""
    now = of.clock.now_ms()
    reply = await of.history.usage(UsageRequest(of.workspace, span, now - DAY, now + DAY, workflow, True))
    [whole] = together([UsageSpan(0, *_rest(one)) for one in reply.spans])
    return whole


def _rest(span: UsageSpan) -> tuple[object, ...]:
    return tuple(getattr(span, name) for name in span.__struct_fields__[1:])


async def test_what_runs_came_to_is_counted_once(world: World) -> None:  # noqa: F811
    first, second = await world.chain(2), await world.chain(1)
    done = [await world.start(first) for _ in range(3)]
    failed = await world.start(second)
    for id in done[:2]:
        reports = tuple(h.Report(id, f"n{i}", 1, Completed({"i": i}), duration_us=500) for i in range(2))
        await world.history.complete(h.CompleteBatch((*reports, *reports)))  # doubled: told once
    await world.report(failed, "n0", Failed(NodeError("x", "y", False)))
    whole = await _spans(world)
    assert (whole.started, whole.ended, whole.nodes, whole.compute_us) == (4, {"completed": 2, "failed": 1}, 5, 2000)
    assert sum(whole.durations) == 3
    stored = await world.sql("SELECT sum(octet_length(events)) FROM history")
    assert whole.bytes == stored[0][0]
    assert (await _spans(world, span=MINUTE)).nodes == 5
    ours = await _spans(world, first)
    assert (ours.started, ours.ended, ours.nodes) == (3, {"completed": 2}, 4)
    assert await world.sql("SELECT count(*) FROM tallies") == [(0,)]
    now = world.clock.now_ms()
    told = await world.history.usage(UsageRequest(world.workspace, HOUR, now, now + DAY, "", True))
    assert told.open == {"running": 1}


async def test_a_run_that_was_retried_ends_twice(world: World) -> None:  # noqa: F811
    id = await world.start(await world.chain(1))
    await world.report(id, "n0", Failed(NodeError("x", "y", False)))
    await world.history.control(h.ControlRequest(id, world.workspace, "retry"))
    await world.report(id, "n0", Completed(), attempt=2)
    whole = await _spans(world)
    assert (whole.started, whole.ended, whole.nodes) == (1, {"completed": 1, "failed": 1}, 2)


async def test_summing_up_by_many_at_once_counts_each_tally_once(world: World) -> None:  # noqa: F811
    workflow = await world.chain(1)
    for _ in range(10):
        await world.start(workflow)
    counts = await asyncio.gather(*(world.store.gather(3) for _ in range(8)))
    await world.store.gather(100)
    assert sum(counts) <= 10
    assert (await _spans(world)).started == 10


async def test_tokens_of_model_calls_are_counted_with_their_transition(world: World) -> None:  # noqa: F811
    workflow = await world.chain(1)
    id = await world.start(workflow)
    committed, commit = [], world.store.commit

    async def telling(transitions):
        import msgspec

        told = [msgspec.structs.replace(t, ai=AiUse(9, 3, 1200)) for t in transitions]
        committed.extend(told)
        return await commit(told)

    world.store.commit = telling
    await world.report(id, "n0", Completed())
    assert len(committed) == 1
    whole = await _spans(world)
    assert (whole.ai_input, whole.ai_output, whole.ai_cost, whole.ended) == (9, 3, 1200, {"completed": 1})
