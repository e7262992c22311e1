"""What goes through queues and who serves them, on a real Valkey: counted by several processes, bounded, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from linkflow.clock import SystemClock
from linkflow.contracts.history import Task
from linkflow.contracts.matching import Lease, WorkerSeen
from linkflow.domain.errors import Unavailable
from linkflow.services.flow import Flow
from linkflow.streams.connection import Clients, connect
from linkflow.streams.flow import StreamFlow

HOUR_MS = 3_600_000
AT = 1_764_000_000_000 - 1_764_000_000_000 % 60_000


class Clock(SystemClock):
    at = AT

    def now_ms(self) -> int:
        return self.at


def _task(workspace: str, queue: str) -> Task:
    return Task("0198f2a0-7c3e-7aaa-9d41-5f0c2b7c9e11", workspace, "wf", 1, "node", 1, queue=queue)


def _lease(workspace: str, queue: str) -> Lease:
    return Lease("token", _task(workspace, queue))


@pytest.fixture
async def clients(redis_url: str) -> AsyncIterator[Clients]:
    made = connect(redis_url)
    yield made
    await made.close()


@pytest.fixture
def process(clients: Clients) -> Callable[[], tuple[Flow, Clock]]:
    def make() -> tuple[Flow, Clock]:
        clock = Clock()
        return Flow(StreamFlow(clients), clock), clock

    return make


async def test_rates_are_of_all_processes_and_of_each_workspace(process: Callable[[], tuple[Flow, Clock]]) -> None:
    (one, early), (two, late) = process(), process()
    one.added([_task("ada", "gpu")] * 6 + [_task("bob", "gpu")] * 4 + [_task("bob", "default")])
    one.taken("w1", ("gpu", "default"), [_lease("ada", "gpu")])
    await one.write()
    late.at = early.at = AT + 60_000
    two.taken("w2", ("gpu",), [_lease("ada", "gpu"), _lease("bob", "gpu")])
    late.at = AT + 2 * 60_000
    assert await two.rates(["gpu", "default", "none"]) == {"gpu": (2.0, 0.6), "default": (0.2, 0.0), "none": (0.0, 0.0)}
    assert await two.rates(["gpu"], "ada") == {"gpu": (1.2, 0.4)}
    assert await two.rates(["gpu"], "eve") == {"gpu": (0.0, 0.0)}
    late.at = AT + 6 * 60_000
    assert await two.rates(["gpu"]) == {"gpu": (0.0, 0.4)}, "five minutes, and not those before"
    assert await two.rates([]) == {}


async def test_workers_are_listed_by_when_they_were_seen(process: Callable[[], tuple[Flow, Clock]]) -> None:
    flow, clock = process()
    flow.taken("old", ("gpu",), [])
    await flow.write()
    clock.at += 60_000
    flow.taken("new", ("default", "gpu"), [])
    assert await flow.workers() == [
        WorkerSeen("new", ("default", "gpu"), AT + 60_000), WorkerSeen("old", ("gpu",), AT),
    ]  # fmt: skip
    other, at = process()
    at.at = AT + 90_000
    other.alive("old")
    assert await other.workers() == [
        WorkerSeen("old", ("gpu",), AT + 90_000), WorkerSeen("new", ("default", "gpu"), AT + 60_000),
    ]  # fmt: skip
    at.at = AT + 80_000 + HOUR_MS
    other.taken("last", ("gpu",), [])
    assert [one.name for one in await other.workers()] == ["last", "old"], "within the hour"


async def test_a_store_that_is_away_only_costs_the_numbers() -> None:
    away = connect("redis://127.0.0.1:1")
    flow = Flow(StreamFlow(away), Clock())
    flow.added([_task("ada", "gpu")])
    assert await flow.rates(["gpu"]) == {}
    with pytest.raises(Unavailable):
        await flow.workers()
    await away.close()
