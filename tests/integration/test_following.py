"""Following runs: woken by Valkey, with a cursor that says where something may have been missed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linkflow.clock import SystemClock
from linkflow.contracts.base import acting_as
from linkflow.domain.errors import InvalidInput
from linkflow.domain.outcomes import Completed
from linkflow.ports import Words
from linkflow.postgres.database import Database
from linkflow.services import following
from linkflow.services.control_ports import Workspace
from linkflow.services.definitions import Definitions
from linkflow.services.executions import Executions
from linkflow.services.following import Following
from linkflow.services.history import telling
from linkflow.services.workspaces import Membership
from linkflow.streams import connection
from linkflow.streams.audience import StreamAudience
from linkflow.streams.doorbell import PubSubDoorbell
from linkflow.streams.live import StreamLive
from tests.integration.test_history import SERVICE, World

SLOW = 15.0
"""Far longer than anything here takes: a wait that ends by itself would be seen."""


def _owner(workspace_id: str) -> Membership:
    return Membership("u", Workspace(workspace_id, "w", "owner", 0, 0))


class Followed(World):
    """History that tells, and somebody who follows."""

    async def open(self, url: str, prefix: str) -> None:
        self.clients = connection.connect(url)
        self.bell = PubSubDoorbell(self.clients, prefix=prefix)
        self.audience = StreamAudience(self.clients, SystemClock(), prefix=prefix)
        self.live = StreamLive(self.clients, self.bell, prefix=prefix)
        self.doorbell = self.bell  # type: ignore[assignment]
        self.history = self.another(audience=self.audience)
        self.executions = Executions(self.history, Definitions(None))  # type: ignore[arg-type]
        self.following = Following(self.executions, self.audience, self.bell, self.clock, self.live)
        self.who = _owner(self.workspace)


@pytest.fixture
async def world(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Followed]:
    for looks in ("LOOKS", "FRESH_LOOKS"):  # who waits is woken, or the test takes too long
        monkeypatch.setattr(following, looks, (SLOW,))
    monkeypatch.setattr(following, "SETTLING", 0.0)
    monkeypatch.setattr(telling, "LOOK_EVERY_MS", 0)
    database = Database(database_url, size=4)
    made = Followed(database)
    await made.open(redis_url, f"t{time.time_ns()}")
    with acting_as(SERVICE):
        yield made
    await made.history.close()
    await made.bell.close()
    await made.clients.close()
    await database.close()


async def _soon(work: Any) -> Any:
    return await asyncio.wait_for(work, SLOW)


async def test_an_event_wakes_who_waits_for_it(world: Followed) -> None:
    id = await world.start(await world.chain(2))
    assert (await world.following.events(world.who, id, after=2, limit=10, wait=0)).events == []
    waiting = asyncio.ensure_future(world.following.events(world.who, id, after=2, limit=10, wait=SLOW))
    while not world.bell._subscription:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await world.report(id, "n0", Completed())
    found = await _soon(waiting)
    assert [event["type"] for event in found.events] == ["NodeCompleted", "NodeScheduled"]
    assert (await _soon(world.following.events(world.who, id, after=0, limit=2, wait=SLOW))).more


async def test_the_first_who_watches_looks_for_himself_until_histories_know_him(
    world: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "LOOK_EVERY_MS", 10**9)
    id = await world.start(await world.chain(3))
    await world.report(id, "n0", Completed())  # nobody watches, and History will not ask again
    monkeypatch.setattr(following, "FRESH_LOOKS", (0.05,) * 300)
    waiting = asyncio.ensure_future(world.following.events(world.who, id, after=4, limit=10, wait=SLOW))
    while not await world.audience.watched():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await world.report(id, "n1", Completed())
    assert [event["type"] for event in (await _soon(waiting)).events] == ["NodeCompleted", "NodeScheduled"]


async def test_a_run_that_is_over_is_not_waited_for(world: Followed) -> None:
    id = await world.start(await world.chain(1))
    await world.report(id, "n0", Completed())
    assert (await _soon(world.following.events(world.who, id, after=99, limit=10, wait=SLOW))).events == []


async def test_changes_of_a_workspace_come_in_order_and_once(world: Followed) -> None:
    first = await world.following.changes(world.who, cursor="", wait=0)
    assert (first.changes, first.reset) == ([], True)
    workflow = await world.chain(2)
    id = await world.start(workflow)
    seen: list[Any] = []
    cursor = first.cursor
    waiting = asyncio.ensure_future(world.following.changes(world.who, cursor=cursor, wait=SLOW))
    await world.report(id, "n0", Completed())
    await world.report(id, "n1", Completed())
    found = await _soon(waiting)
    while True:
        assert not found.reset
        seen += found.changes
        if seen[-1]["status"] == "completed":
            break
        found = await _soon(world.following.changes(world.who, cursor=found.cursor, wait=SLOW))
    assert [(one["id"], one["version"]) for one in seen] == [(id, 2), (id, 4), (id, 6)]
    again = await world.following.changes(world.who, cursor=seen[0]["cursor"], wait=0)
    assert [one["version"] for one in again.changes] == [4, 6]
    other = await world.chain(1)
    stranger = _owner("0190ffff-0000-7000-8000-000000000000")
    await world.start(other)
    assert (await world.following.changes(stranger, cursor="", wait=0)).changes == []


async def test_what_may_have_been_missed_is_said(world: Followed) -> None:
    cursor = (await world.following.changes(world.who, cursor="", wait=0)).cursor
    assert not (await world.following.changes(world.who, cursor=cursor, wait=0)).reset
    await world.clients.node.execute_command("FLUSHDB")
    assert (await world.following.changes(world.who, cursor=cursor, wait=0)).reset
    for wrong in ("x", "1", "1-", "-1", "9" * 50 + "-0"):
        with pytest.raises(InvalidInput):
            await world.following.changes(world.who, cursor=wrong, wait=0)


async def test_nothing_is_sent_where_nobody_watches(world: Followed) -> None:
    id = await world.start(await world.chain(1))
    await world.report(id, "n0", Completed())
    assert await world.clients.node.execute_command("KEYS", "*told*") == []


async def test_who_listens_is_woken_by_what_nodes_say(world: Followed) -> None:
    id = await world.start(await world.chain(1))
    assert await world.following.words(id, cursor="", wait=0) == []
    waiting = asyncio.ensure_future(world.following.words(id, cursor="", wait=SLOW))
    while not world.bell._subscription:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await world.live.publish(id, [Words("n0", 1, "text", "Once ", 5), Words("n0", 1, "tool", "ask", 6)])
    said = await _soon(waiting)
    assert [(one.kind, one.text) for one in said] == [("text", "Once "), ("tool", "ask")]
    assert await world.following.words(id, cursor=said[0].cursor, wait=0) == said[1:]
    assert await world.following.words(id, cursor=said[1].cursor, wait=0) == []
    with pytest.raises(InvalidInput):
        await world.following.words(id, cursor="x", wait=0)
