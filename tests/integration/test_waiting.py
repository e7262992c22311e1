"""Waiting for the world on real Postgres: events, decisions, pauses; with what comes early, late, twice or together."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

import msgspec
import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.domain import definition as d
from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from linkflow.domain.outcomes import Completed, RequestApproval, WaitEvent
from linkflow.ports import KeptEvent
from linkflow.services.history import History
from linkflow.services.history.committer import Committer
from linkflow.services.history.plans import Plans
from linkflow.services.history.world import World as Events
from tests.integration.test_history import World, world

__all__ = ["world"]


async def _waiting(world: World, name: str = "paid", key: str = "42", until: int = 0, count: int = 1) -> str:
    """A run whose node n0 waits."""
    id = await world.start(await world.chain(count))
    await world.report(id, "n0", WaitEvent(name, key, until))
    return id


async def _asking(world: World, **more: Any) -> str:
    id = await world.start(await world.chain(1))
    await world.report(id, "n0", RequestApproval("Ship it?", assignees=("ada",), **more))
    return id


def _event(world: World, id: str = "e1", name: str = "paid", key: str = "42", payload: Any = None, **more: Any):
    return h.PublishRequest(world.workspace, id, name, key, payload, "user:ada", **more)


async def _publish(world: World, id: str = "e1", **more: Any) -> tuple[str, ...]:
    reply = await world.history.publish(_event(world, id, **more))
    await world.history.close()
    return reply.execution_ids


async def _kept(world: World) -> list[str]:
    async with world.database.connection() as c:
        return [id for (id,) in await (await c.execute("SELECT id FROM kept_events ORDER BY id")).fetchall()]


async def _output(world: World, id: str) -> Any:
    state = (await world.history.describe(h.DescribeRequest((id,), world.workspace, True))).executions[0].state
    return msgspec.json.decode(state).get("result")


async def test_an_event_wakes_the_run_that_waits_for_it(world: World) -> None:
    id = await _waiting(world)
    assert (await world.count("waits", id), await world.count("tasks", id)) == (1, 0)
    assert await _publish(world, "e0", key="41") == ()
    assert await _publish(world, payload={"sum": 3}) == (id,)
    assert (await world.status(id), await _output(world, id)) == ("completed", {"sum": 3})
    assert await world.count("waits", id) == 0
    assert await _kept(world) == ["e0"]
    assert await world.sound(id)


async def test_an_early_event_is_kept_and_taken_when_the_wait_begins(world: World) -> None:
    assert await _publish(world, "e1", payload=1) == ()
    assert await _publish(world, "e2", payload=2, keep=86_500) == ()
    first = await _waiting(world)
    assert (await world.status(first), await _output(world, first)) == ("completed", 1)
    second = await _waiting(world, key="")
    assert (await world.status(second), await _output(world, second)) == ("completed", 2)
    assert await _kept(world) == []
    third = await _waiting(world)
    assert await world.status(third) == "running"
    assert await world.sound(first)


async def test_one_event_wakes_all_runs_that_wait(world: World) -> None:
    runs = {await _waiting(world), await _waiting(world), await _waiting(world, key="")}
    others = [await _waiting(world, key="41"), await _waiting(world, name="sent")]
    assert set(await _publish(world)) == runs
    assert {await world.status(id) for id in runs} == {"completed"}
    assert {await world.status(id) for id in others} == {"running"}
    assert await _kept(world) == []


async def test_one_event_wakes_one_wait_of_a_run_and_kept_ones_each_another(world: World) -> None:
    edges = tuple(d.Edge(f"e{i}", "t", f"w{i}") for i in range(3))
    id = await world.start(await world.workflow(*(d.Node(f"w{i}", "noop") for i in range(3)), edges=edges))
    for event in ("e1", "e2"):
        await _publish(world, event)
    reports = tuple(h.Report(id, f"w{i}", 1, WaitEvent("paid", "42")) for i in range(3))
    await world.history.complete(h.CompleteBatch(reports))
    await world.history.close()
    await world.history.sweep(h.SweepRequest())
    assert (await world.events(id)).count("SignalReceived") == 2
    assert (await world.status(id), await _kept(world)) == ("running", [])
    assert await _publish(world, "e1") == (id,), "it came before"
    assert await world.status(id) == "running"
    assert await _publish(world, "e3") == (id,)
    assert await world.status(id) == "completed"


async def test_more_runs_wait_than_are_woken_at_once(world: World) -> None:
    async def after(committed: object) -> None:
        return None

    committer = Committer(world.store, Plans(world.store), world.clock, after)
    events = Events(world.store, committer, world.clock, at_once=3)
    runs = {await _waiting(world) for _ in range(8)}
    assert set((await events.publish(_event(world))).execution_ids) == runs
    assert await _kept(world) == []


async def test_fifty_races_of_an_event_and_the_wait_for_it(world: World) -> None:
    """Two History processes, one at each end; whoever is first, the event is taken, and once."""
    there = world.another()
    workflow = await world.chain(1)

    async def race(n: int) -> str:
        id = await world.start(workflow)
        begun = h.CompleteBatch((h.Report(id, "n0", 1, WaitEvent("paid", str(n))),))

        async def wait() -> None:
            await asyncio.sleep(random.random() * 0.004)
            await world.history.complete(begun)

        async def tell() -> None:
            await asyncio.sleep(random.random() * 0.004)
            await there.publish(_event(world, f"e{n}", key=str(n), payload=n))

        await asyncio.gather(wait(), tell())
        return id

    runs = [await race(n) for n in range(50)]
    await asyncio.gather(world.history.close(), there.close())
    for n, id in enumerate(runs):
        assert (await world.status(id), await _output(world, id)) == ("completed", n), n
        assert (await world.events(id)).count("SignalReceived") == 1
        assert await world.sound(id)
    assert await _kept(world) == []
    await there.close()


async def test_two_histories_publish_and_one_does_not_know_of_the_wait(world: World) -> None:
    """A cached state that is older than the wait must not refuse the event."""
    there = world.another()
    id = await world.start(await world.chain(1))
    with pytest.raises(Conflict):
        await there.control(h.ControlRequest(id, world.workspace, "resume"))  # now it has the state
    await world.report(id, "n0", WaitEvent("paid"))
    assert (await there.publish(_event(world))).execution_ids == (id,)
    await there.close()


async def test_the_sweep_delivers_what_was_kept_beside_a_wait(world: World) -> None:
    """The process died after the wait's commit, before it looked among the kept events."""
    id = await _waiting(world)
    await world.store.keep_event(world.workspace, KeptEvent("e1", "paid", "42", b"7"), world.clock.now_ms() + 60_000)
    assert (await world.history.sweep(h.SweepRequest())).events == 1
    assert (await world.status(id), await _output(world, id), await _kept(world)) == ("completed", 7, [])
    assert (await world.history.sweep(h.SweepRequest())).events == 0


async def test_kept_events_are_forgotten_after_their_time(world: World) -> None:
    now = world.clock.now_ms()
    for n in range(5):
        await world.store.keep_event(world.workspace, KeptEvent(f"old{n}", "paid", "42", b"1"), now - 1000 + n)
    await world.store.keep_event(world.workspace, KeptEvent("new", "paid", "42", b"2"), now + 60_000)
    assert (await world.history.sweep(h.SweepRequest(limit=3))).forgotten == 3
    id = await _waiting(world)
    assert await _output(world, id) == 2, "what is over is not taken, swept or not"
    assert (await world.history.sweep(h.SweepRequest())).forgotten == 2
    assert await _kept(world) == []


async def test_an_event_is_for_its_own_workspace(world: World) -> None:
    id = await _waiting(world)
    theirs = str(uuid.uuid4())
    with acting_as(Caller(theirs, frozenset({"workflow.execute", "execution.view"}))):
        request = h.PublishRequest(theirs, "e1", "paid", "42")
        assert (await world.history.publish(request)).execution_ids == ()
        assert (await world.history.approvals(h.ApprovalsRequest(theirs))).approvals == ()
        for workspace in (theirs, world.workspace):
            with pytest.raises(NotFound):
                await world.history.signal(h.SignalRequest(id, workspace, "s", "paid"))
            with pytest.raises(NotFound):
                await world.history.decide(h.DecideRequest(id, workspace, "n0", "approved"))
        with pytest.raises(NotFound):
            await world.history.publish(_event(world))
    with acting_as(Caller(world.workspace, frozenset({"execution.view"}))):
        for call in (
            world.history.publish(_event(world)),
            world.history.signal(h.SignalRequest(id, world.workspace, "s", "paid")),
            world.history.decide(h.DecideRequest(id, world.workspace, "n0", "approved")),
        ):
            with pytest.raises(Forbidden):
                await call
    assert await world.status(id) == "running"


async def test_a_signal_is_for_one_run_and_kept_there(world: World) -> None:
    workflow = await world.chain(1)
    ids = [await world.start(workflow) for _ in range(2)]
    for _ in range(2):
        await world.history.signal(h.SignalRequest(ids[0], world.workspace, "s1", "paid", "42", {"sum": 3}))
    for id in ids:
        await world.report(id, "n0", WaitEvent("paid", "42"))
    assert [await world.status(id) for id in ids] == ["completed", "running"]
    assert await _output(world, ids[0]) == {"sum": 3}
    assert (await world.events(ids[0])).count("SignalReceived") == 1
    with pytest.raises(Conflict, match="completed"):
        await world.history.signal(h.SignalRequest(ids[0], world.workspace, "s2", "paid"))
    assert await world.sound(ids[0])


async def test_what_is_no_event_is_refused(world: World) -> None:
    id = await _waiting(world)
    for name, key, event in (
        ("", "", "e"),
        ("x" * 201, "", "e"),
        ("a\0", "", "e"),
        ("a", "k" * 201, "e"),
        ("a", "", ""),
    ):
        with pytest.raises(InvalidInput):
            await world.history.publish(_event(world, event, name=name, key=key))
        with pytest.raises(InvalidInput):
            await world.history.signal(h.SignalRequest(id, world.workspace, event, name, key))
    for keep in (0, -1, 10**9):
        with pytest.raises(InvalidInput):
            await world.history.publish(_event(world, keep=keep))


async def test_a_wait_that_nobody_ends_times_out(world: World) -> None:
    due = world.clock.now_ms() + 60_000
    id = await _waiting(world, until=due)
    assert (await world.count("timers", id), await world.count("waits", id)) == (1, 1)
    assert (await world.history.fire(h.FireBatch((h.DueTimer(id, "wait/1/n0", due),)))).fired == 1
    assert (await world.status(id), "NodeTimedOut" in await world.events(id)) == ("failed", True)
    assert (await world.count("timers", id), await world.count("waits", id)) == (0, 0)
    assert await _publish(world) == (), "kept for another"
    assert await world.sound(id)


async def test_an_event_in_time_takes_the_timer_away(world: World) -> None:
    due = world.clock.now_ms() + 60_000
    id = await _waiting(world, until=due, count=2)
    await _publish(world)
    assert await world.count("timers", id) == 0
    assert (await world.history.fire(h.FireBatch((h.DueTimer(id, "wait/1/n0", due),)))).fired == 0
    await world.report(id, "n1", Completed())
    assert await world.status(id) == "completed"


@pytest.mark.parametrize("verb", ["cancel", "terminate"])
async def test_waits_vanish_with_their_run(world: World, verb: str) -> None:
    due = world.clock.now_ms() + 60_000
    for id in (await _waiting(world, until=due), await _asking(world, until=due)):
        assert (await world.count("waits", id), await world.count("timers", id)) == (1, 1)
        await world.history.control(h.ControlRequest(id, world.workspace, verb, "ada"))
        assert (await world.count("waits", id), await world.count("timers", id)) == (0, 0)
        assert await world.sound(id)
    assert (await world.history.approvals(h.ApprovalsRequest(world.workspace))).approvals == ()
    assert await _publish(world) == ()


async def test_the_inbox_shows_what_is_open(world: World) -> None:
    edges = tuple(d.Edge(f"e{i}", "t", f"a{i}") for i in range(4))
    workflow = await world.workflow(*(d.Node(f"a{i}", "noop") for i in range(4)), edges=edges)
    many = await world.start(workflow)
    for i in range(4):
        await world.report(many, f"a{i}", RequestApproval(f"{i}?", "why", {"n": i}, ("ada",), until=2**41 + i))
    newer = await _asking(world)
    pages: list[h.Approval] = []
    before = after = ""
    while True:
        page = (
            await world.history.approvals(h.ApprovalsRequest(world.workspace, "", before, after, limit=2))
        ).approvals
        if not page:
            break
        pages += page
        before, after = page[-1].execution_id, page[-1].node_key
    assert [(a.execution_id, a.node_key) for a in pages] == [(newer, "n0"), *((many, f"a{i}") for i in range(4))]
    shown = pages[2]
    assert (shown.title, shown.description, shown.payload, shown.assignees) == ("1?", "why", {"n": 1}, ("ada",))
    assert (shown.workflow_id, shown.due_at, shown.attempt) == (workflow, 2**41 + 1, 1)
    one = (await world.history.approvals(h.ApprovalsRequest(world.workspace, workflow))).approvals
    assert {a.execution_id for a in one} == {many}


async def test_an_escalation_asks_others_too(world: World) -> None:
    due = world.clock.now_ms() + 60_000
    id = await _asking(world, escalate_at=due, escalate_to=("eve",))
    assert (await world.history.fire(h.FireBatch((h.DueTimer(id, "escalate/1/n0", due),)))).fired == 1
    (open,) = (await world.history.approvals(h.ApprovalsRequest(world.workspace))).approvals
    assert open.assignees == ("ada", "eve")
    assert await world.sound(id)


async def test_only_who_is_asked_may_decide_where_it_says_so(world: World) -> None:
    due = world.clock.now_ms() + 60_000
    id = await _asking(world, only_assignees=True, escalate_at=due, escalate_to=("role:Admin",))
    decision = h.DecideRequest(id, world.workspace, "n0", "approved", None, "user:eve", "Fine.", ("eve", "role:admin"))
    with pytest.raises(Forbidden, match="ada"):
        await world.history.decide(decision)
    assert (await world.history.approvals(h.ApprovalsRequest(world.workspace))).approvals[0].only_assignees
    assert (await world.history.fire(h.FireBatch((h.DueTimer(id, "escalate/1/n0", due),)))).fired == 1
    await world.history.decide(decision)
    assert await _output(world, id) == {
        "decision": "approved", "payload": None, "decided_by": "user:eve", "comment": "Fine.",
    }  # fmt: skip
    assert await world.sound(id)
    for names in (("ADA",), ("*",)):
        id = await _asking(world, only_assignees=True)
        await world.history.decide(h.DecideRequest(id, world.workspace, "n0", "rejected", names=names))
        assert (await _output(world, id))["decision"] == "rejected"


async def test_somebody_looks_for_some_of_the_open_ones(world: World) -> None:
    edges = tuple(d.Edge(f"e{i}", "t", f"a{i}") for i in range(6))
    workflow = await world.workflow(*(d.Node(f"a{i}", "noop") for i in range(6)), edges=edges)
    id = await world.start(workflow)
    for i in range(6):
        asked = ("Ada@example.com", "ops") if i % 2 else ("eve",)
        await world.report(id, f"a{i}", RequestApproval(f"Ship {i}?", assignees=asked, until=2**41 + i if i > 2 else 0))

    async def found(**wanted: Any) -> list[str]:
        request = h.ApprovalsRequest(world.workspace, **{"limit": 10, **wanted})
        return [one.node_key for one in (await world.history.approvals(request)).approvals]

    assert await found(assignees=("ada@EXAMPLE.com",)) == ["a1", "a3", "a5"]
    assert await found(assignees=("nobody", "eve"), limit=2) == ["a0", "a2"]
    assert await found(assignees=("eve",), before=id, after_node="a0") == ["a2", "a4"]
    assert await found(text="SHIP 4") == ["a4"]
    assert await found(due_before=2**41 + 5) == ["a3", "a4"]


async def test_two_people_decide_at_once_and_one_wins(world: World) -> None:
    there = world.another()
    wins = {"ada": 0, "bob": 0}

    async def decide(history: History, id: str, who: str) -> bool:
        verdict = "approved" if who == "ada" else "rejected"
        try:
            await history.decide(h.DecideRequest(id, world.workspace, "n0", verdict, None, who))
        except Conflict:
            return False
        wins[who] += 1
        return True

    for round in range(20):
        id = await _asking(world)
        other = there if round % 2 else world.history
        won = await asyncio.gather(decide(world.history, id, "ada"), decide(other, id, "bob"))
        assert sorted(won) == [False, True]
        result = await _output(world, id)
        assert result["decided_by"] == ("ada" if won[0] else "bob")
        assert (await world.events(id)).count("ApprovalDecided") == 1
        assert await world.count("waits", id) == 0
        assert await world.sound(id)
    assert sum(wins.values()) == 20
    await there.close()


async def test_what_is_no_open_approval_cannot_be_decided(world: World) -> None:
    id = await _waiting(world)
    for node in ("n0", "nowhere"):
        with pytest.raises(Conflict):
            await world.history.decide(h.DecideRequest(id, world.workspace, node, "approved"))
    with pytest.raises(InvalidInput):
        await world.history.decide(h.DecideRequest(id, world.workspace, "n0", "maybe"))
    with pytest.raises(NotFound):
        await world.history.decide(h.DecideRequest(str(uuid.uuid4()), world.workspace, "n0", "approved"))


async def test_a_pause_with_reports_in_flight(world: World) -> None:
    """Whatever a worker had when the pause came is recorded; nothing new starts until the resume."""
    edges = (
        *(d.Edge(f"e{i}", "t", f"p{i}") for i in range(10)),
        *(d.Edge(f"f{i}", f"p{i}", f"q{i}") for i in range(10)),
    )
    nodes = [d.Node(f"{letter}{i}", "noop") for letter in "pq" for i in range(10)]
    id = await world.start(await world.workflow(*nodes, edges=edges))
    there = world.another()

    async def report(i: int) -> h.CompleteReply:
        await asyncio.sleep(random.random() * 0.004)
        history = there if i % 2 else world.history
        return await history.complete(h.CompleteBatch((h.Report(id, f"p{i}", 1, Completed(i)),)))

    pause = h.ControlRequest(id, world.workspace, "pause", "ada", "look")
    replies = await asyncio.gather(*(report(i) for i in range(10)), world.history.control(pause))
    assert all(reply.results[0].recorded for reply in replies[:10] if isinstance(reply, h.CompleteReply))
    assert await world.status(id) == "paused"
    before = await world.count("tasks", id)
    names = await world.events(id)
    assert "NodeScheduled" not in names[names.index("ExecutionPaused") :]
    listed = await world.history.list(h.ListRequest(world.workspace, status="paused"))
    assert [run.id for run in listed.executions] == [id]
    with pytest.raises(Conflict):
        await there.control(pause)
    await there.control(h.ControlRequest(id, world.workspace, "resume", "ada"))
    assert await world.count("tasks", id) == 10 >= before
    await asyncio.gather(
        *(world.history.complete(h.CompleteBatch((h.Report(id, f"q{i}", 1, Completed(i)),))) for i in range(10))
    )
    assert await world.status(id) == "completed"
    assert await world.sound(id)
    await there.close()


async def test_a_paused_run_takes_events_and_goes_on_when_it_is_resumed(world: World) -> None:
    id = await _waiting(world, count=2)
    await world.history.control(h.ControlRequest(id, world.workspace, "pause"))
    assert await _publish(world) == (id,)
    assert (await world.status(id), await world.count("tasks", id)) == ("paused", 0)
    await world.history.control(h.ControlRequest(id, world.workspace, "resume"))
    assert await world.count("tasks", id) == 1
    assert await world.sound(id)
