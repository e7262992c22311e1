"""In the midst of an upgrade: a run that a newer LinkFlow has written to is left to it, by all who meet it."""

from __future__ import annotations

import pytest

from linkflow.contracts import history as h
from linkflow.domain.errors import Unavailable
from linkflow.domain.outcomes import Completed, Sleep, WaitEvent
from tests.integration.test_history import World, world

__all__ = ["world"]
NEWER = (
    # An event type that we know, in its next version.
    """replace(convert_from(events, 'UTF8'), '"type":"WaitStarted",', '"type":"WaitStarted","version":9,')""",
    # One that we have never heard of.
    """replace(convert_from(events, 'UTF8'), '"type":"WaitStarted",', '"type":"PatienceBegan",')""",
)


async def _waiting(world: World, newer: str) -> str:
    """A run with two open ends, which the next release has had in its hands."""
    id = await world.start(await world.chain(3))
    await world.report(id, "n0", Completed(0))
    await world.report(id, "n1", WaitEvent("go", "", world.clock.now_ms()))
    await world.sql(f"UPDATE history SET events = convert_to({newer}, 'UTF8') WHERE execution_id = %s", id)
    await world.sql("UPDATE executions SET state_format = 99 WHERE id = %s", id)
    return id


@pytest.mark.parametrize("newer", NEWER)
async def test_a_run_of_a_newer_release_is_left_to_it(world: World, newer: str) -> None:
    """Refused in a way that has everybody try again: no result is lost, no run fails, and nothing is written."""
    id = await _waiting(world, newer)
    ours = world.another()
    other = await world.start(await world.chain(2))
    batch = h.CompleteBatch((h.Report(id, "n1", 1, Completed(1)), h.Report(other, "n0", 1, Sleep(10**14))))
    refused, taken = (await ours.complete(batch)).results
    assert refused.error is not None
    assert refused.error.code == "unavailable"
    assert taken.error is None, "its neighbours in the batch go on"
    with pytest.raises(Unavailable, match="newer version"):
        await ours.signal(h.SignalRequest(id, world.workspace, "s1", "go", "", None, "ada"))
    with pytest.raises(Unavailable):
        await ours.control(h.ControlRequest(id, world.workspace, "cancel", "ada", "why"))
    with pytest.raises(Unavailable):
        await ours.describe(h.DescribeRequest((id,), world.workspace, with_state=True))
    assert (await ours.describe(h.DescribeRequest((id,), world.workspace))).executions[0].status == "running"
    assert [one.execution_id for one in (await ours.load(h.LoadRequest((id, other)))).states] == [other]
    timers = await world.sql("SELECT timer_id, due_at FROM timers WHERE execution_id = %s", id)
    assert timers
    with pytest.raises(Unavailable, match="newer version"):
        await ours.fire(h.FireBatch(tuple(h.DueTimer(id, *row) for row in timers)))
    assert await world.sql("SELECT timer_id, due_at FROM timers WHERE execution_id = %s", id) == timers
    await ours.close()
