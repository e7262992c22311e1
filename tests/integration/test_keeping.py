"""Big states are loaded once by the worker that keeps them, and led on by what History tells of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.contracts.frontend import FrontendApi, RunRequest
from linkflow.contracts.history import LoadRequest, Tail, Task
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.state import State, encode
from linkflow.postgres.audit import replays
from linkflow.services.history.service import History
from linkflow.services.worker.keeping import States
from tests.integration.test_queues import WORKSPACE, House

BIG = {"text": "x" * 60_000}


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    config = Config(database_url=database_url, redis_url=redis_url, secret="s" * 32, head_start=False)
    made = House(msgspec.structs.replace(config, blob_limit=1_000_000, sweep_interval=0.3))
    yield made
    await made.system.close()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that somebody loaded from History, which is as if it were in another process."""
    seen: list[str] = []
    monkeypatch.setattr(System, "_remembered", lambda *_: None)
    load = History.load

    async def counted(self: History, request: LoadRequest) -> Any:
        seen.extend(request.execution_ids)
        return await load(self, request)

    monkeypatch.setattr(History, "load", counted)
    return seen


async def waiting_chain(house: House, pauses: int) -> str:
    """Delays and what follows each: every one is a task that a timer makes due."""
    nodes = [d.Node("size", "transform", config={"keep": False, "fields": {"n": "{{ trigger.text.length }}"}})]
    for number in range(pauses):
        nodes.append(d.Node(f"d{number}", "delay", config={"seconds": 0.05}))
        nodes.append(d.Node(f"n{number}", "noop"))
    return await house.workflow(*nodes)


class Process:
    """All of LinkFlow in one process; without a worker where `works` is false."""

    def __init__(self, config: Config, works: bool = True) -> None:
        self.system = System(config, "one")
        self.system.serve_all(("frontend", "history", "matching", "timer", *(["worker"] if works else [])))
        self.frontend = self.system.client(FrontendApi)

    async def __aenter__(self) -> Process:
        self.system.loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.system.close()

    async def run(self, workflow: str, wait: float = 20) -> Any:
        return await self.frontend.run(RunRequest(WORKSPACE, workflow, 1, "t", trigger=BIG, wait=wait))


async def test_a_run_with_a_big_state_is_loaded_once(house: House, loads: list[str]) -> None:
    workflow = await waiting_chain(house, 4)
    async with Process(house.config) as process:
        reply = await process.run(workflow)
    assert reply.status == "completed"
    assert loads == [reply.execution_id], "once, and then it is led on"
    assert reply.result == {"n": 60_000}
    async for _, result in replays(house.system.database, reply.execution_id):
        assert result.matches


async def test_a_worker_that_does_not_keep_states_loads_each_time(
    house: House, loads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = await waiting_chain(house, 3)
    monkeypatch.setattr(States, "of", lambda *_: None)
    async with Process(house.config) as process:
        assert (await process.run(workflow)).status == "completed"
    assert len(loads) > 3, "else the test above says nothing"


async def test_a_worker_beside_history_loads_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise AssertionError("History has it at hand")

    monkeypatch.setattr(History, "load", refused)
    workflow = await waiting_chain(house, 3)
    async with Process(house.config) as process:
        assert (await process.run(workflow)).result == {"n": 60_000}


async def test_tasks_of_a_run_that_come_together_load_it_once(house: House, loads: list[str]) -> None:
    loop = d.Node("loop", "loop", config={"items": [*range(40)], "concurrency": 0})
    body = d.Node("each", "delay", config={"seconds": 0.05})
    workflow = await house.workflow(loop, body, ports={"loop": "each"})
    async with Process(house.config) as process:
        reply = await process.run(workflow)
    assert reply.status == "completed"
    assert len(loads) < 10


async def test_when_that_worker_is_gone_another_goes_on_at_once(house: House, loads: list[str]) -> None:
    workflow = await house.workflow(
        d.Node("a", "delay", config={"seconds": 0.05}),
        d.Node("b", "delay", config={"seconds": 1.5}),
        d.Node("c", "noop"),
    )
    async with Process(house.config, works=False) as process:
        async with house.worker("default"):
            id = (await process.run(workflow, 0)).execution_id
            async with asyncio.timeout(15):
                while set(await house.workers(id)) != {"a"}:  # noqa: ASYNC110 - another process's doing
                    await asyncio.sleep(0.02)
        async with house.worker("default"):
            await house.becomes(id, "completed")
    assert 2 <= len(loads) <= 4


def state(version: int, text: str = "x" * 40_000) -> State:
    return State(execution_id="e", status="running", version=version, trigger=text)


def task(version: int, tail: Tail | None = None) -> Task:
    return Task("e", "w", "wf", 1, "n", 1, version=version, tail=tail)


def tail(after: int, *events: e.Event) -> Tail:
    return Tail("e", after, after + len(events), msgspec.Raw(e.encode(events)))


class TestStates:
    def kept(self, version: int = 5, **options: Any) -> States:
        states = States(**options)
        states.read("e", msgspec.Raw(encode(state(version))))
        return states

    def test_not_an_older_one(self) -> None:
        states = self.kept()
        assert states.of(task(5)) is not None
        assert states.of(task(4)) is not None, "a later state has all that made the task due"
        assert states.of(task(6)) is None
        assert states.of(task(0)) is None, "who knows"
        assert states.versions(["e", "f"]) == {"e": 5}

    def test_a_tail_leads_it_on_and_changes_no_copy_in_use(self) -> None:
        states = self.kept()
        before = states.of(task(5))
        paused = e.ExecutionPaused(event_id=6, at=1, actor="a", reason="")
        after = states.of(task(6, tail(5, paused)))
        assert after is not None
        assert (after.state.version, after.state.status) == (6, "paused")
        assert before is not None
        assert (before.state.version, before.state.status) == (5, "running")

    def test_a_tail_from_elsewhere_or_that_is_broken(self) -> None:
        states = self.kept()
        paused = e.ExecutionPaused(event_id=8, at=1, actor="a", reason="")
        assert states.of(task(8, tail(7, paused))) is None
        assert states.versions(["e"]) == {"e": 5}
        states.follow([Tail("e", 5, 6, msgspec.Raw(b"[{}]"))])
        assert states.versions(["e"]) == {}, "what cannot be led on is loaded again"

    def test_small_ones_and_too_many(self) -> None:
        states = States(100_000)
        for number in range(5):
            states.read(f"e{number}", msgspec.Raw(encode(state(1))))
        assert list(states.versions(f"e{number}" for number in range(5))) == ["e3", "e4"]
        states.read("small", msgspec.Raw(encode(state(1, "x"))))
        assert states.versions(["small"]) == {}
