"""Steps inside nodes on real stores: recorded once, found again after a crash or a failure, and workflows among them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import pytest

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.controlling import ForkRequest
from linkflow.contracts.frontend import FrontendApi, RunRequest
from linkflow.contracts.usage import HOUR, UsageRequest
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.errors import Forbidden, NotFound
from linkflow.domain.outcomes import Completed, Failed, NodeError
from linkflow.domain.payloads import blob_of
from linkflow.domain.state import State, decode
from linkflow.domain.steps import Spent, Stepped, Usage
from linkflow.ports import SAID
from tests.integration.agent_process import system
from tests.integration.test_history import SERVICE, World, world
from tests.unit.nodes.peers import HttpPeer, Request, http_peer, reply

__all__ = ["world"]


def _step(
    id: str, step: str, output: Any = None, *, attempt: int = 1, node: str = "n0", **more: Any
) -> h.CompleteBatch:
    return h.CompleteBatch(steps=(h.StepReport(id, node, attempt, Stepped(step, "model", "m", output=output, **more)),))


async def _state(world: World, id: str) -> State:
    return decode((await world.store.load([id]))[id].state)


async def test_a_step_is_a_transition_that_is_recorded_once(world: World) -> None:
    id = await world.start(await world.chain(1))
    first = await world.history.complete(_step(id, "a", 1))
    again = await world.another().complete(_step(id, "a", 2))
    assert [answer.recorded for reply in (first, again) for answer in reply.steps] == [True, False]
    progress = (await _state(world, id)).runs["n0"].progress
    assert progress is not None
    assert [(step.id, step.output) for step in progress.steps] == [("a", 1)]
    await world.report(id, "n0", Completed())
    late = await world.history.complete(_step(id, "b"))
    assert (late.steps[0].recorded, late.steps[0].error) == (False, None)
    assert (await world.events(id)).count("StepCompleted") == 1
    assert await world.sound(id)


async def test_steps_and_results_of_several_runs_share_a_request(world: World) -> None:
    one, other = [await world.start(await world.chain(1)) for _ in range(2)]
    batch = h.CompleteBatch(
        reports=(h.Report(other, "n0", 1, Completed(7)),),
        steps=(*_step(one, "a").steps, *_step(other, "b").steps, *_step("nobody", "c").steps),
    )
    reply = await world.history.complete(batch)
    assert [answer.recorded for answer in reply.results] == [True]
    assert [(answer.recorded, answer.error and answer.error.code) for answer in reply.steps] == [
        (True, None), (True, None), (False, "not_found"),
    ]  # fmt: skip
    assert await world.events(other) == [
        "ExecutionStarted", "NodeScheduled", "StepCompleted", "NodeCompleted", "ExecutionCompleted",
    ]  # fmt: skip


async def test_large_ones_are_kept_outside(world: World) -> None:
    history = world.another(blobs=world.blobs())
    id = await world.start(await world.chain(1))
    await history.complete(_step(id, "a", "x" * 50_000, input="y" * 40_000))
    progress = (await _state(world, id)).runs["n0"].progress
    assert progress is not None
    assert blob_of(progress.steps[0].output) is not None
    assert await world.count("blobs", id) == 2
    assert await world.sound(id)


async def test_only_workers_record_them(world: World) -> None:
    id = await world.start(await world.chain(1))
    with acting_as(Caller(world.workspace, frozenset({"workflow.execute"}))), pytest.raises(Forbidden):
        await world.history.complete(_step(id, "a"))


async def test_usage_is_counted_once_for_run_and_workspace(world: World) -> None:
    used = Usage("m", "p", 10, 5, 1, 2_600)
    runs = [await world.start(await world.chain(1)) for _ in range(3)]
    await asyncio.gather(*(world.another().complete(_step(id, "a", usage=used)) for id in runs))
    await world.history.complete(_step(runs[0], "a", usage=used))  # refused: counted once
    await world.history.complete(_step(runs[0], "b", usage=used))
    await world.history.complete(_step(runs[0], "c", usage=Usage("m\0", "p", 1, 1)))
    await world.store.gather(100)
    now = world.clock.now_ms()
    [span] = await world.store.usage(UsageRequest(world.workspace, HOUR, now - 4_000_000, now + 1))
    assert (span.ai_input, span.ai_output) == (41, 21)
    assert span.ai_cost == 5 + 2 + 2, "millionths, of each run's sum"
    assert (await _state(world, runs[0])).spent == Spent(3, 21, 11, 2, 5_200, 1)


async def test_a_fork_of_a_run_with_steps_starts_them_anew(world: World) -> None:
    id = await world.start(await world.chain(2))
    await world.history.complete(_step(id, "a", 1, usage=Usage("m", "p", 1, 1)))
    await world.report(id, "n0", Completed(1))
    await world.history.complete(_step(id, "a", 2, node="n1"))
    await world.report(id, "n1", Failed(NodeError("boom", "!")))
    new = (await world.history.fork(ForkRequest(id, world.workspace, "fork", "n1"))).execution_id
    state = await _state(world, new)
    assert (state.runs["n1"].progress, state.spent) == (None, None)
    assert await world.sound(new)


# Whole workers


class Model:
    """A peer that answers like a model, from a script: each turn is text, or calls of tools as (name, arguments)."""

    def __init__(self, *turns: Any) -> None:
        self.turns = list(turns)
        self.asked: list[dict[str, Any]] = []
        self.tools: list[str] = []
        self.before: Callable[[int], Awaitable[bytes | None]] | None = None

    async def answer(self, request: Request) -> bytes:
        if not request.path.endswith("/chat/completions"):
            self.tools.append(request.path)
            return reply(200, {"tool": request.path, "filling": "z" * 40_000})
        body = request.json()
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        self.asked.append(body)
        if self.before is not None and (other := await self.before(turn)):
            return other
        return reply(200, self._completion(self.turns[turn]))

    def _completion(self, turn: Any) -> dict[str, Any]:
        calls = [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for n, (name, given) in enumerate([] if isinstance(turn, str) else turn)
        ]
        message = {"content": turn if isinstance(turn, str) else None, **({"tool_calls": calls} if calls else {})}
        choice = {"message": message, "finish_reason": "tool_calls" if calls else "stop"}
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        return {"model": "gpt-4o-mini", "choices": [choice], "usage": usage}


class House:
    """Frontend, History, Matching and a timer; a worker where one is asked for."""

    def __init__(self, database_url: str, redis_url: str, peer: HttpPeer) -> None:
        self.urls = (database_url, redis_url, f"{peer.url}/v1")
        self.peer = peer
        self.system = system(*self.urls, "house")
        self.system.serve_all(("frontend", "history", "matching", "timer"))
        self.system.loop()
        self.frontend = self.system.client(FrontendApi)
        self.world = World(self.system.database)

    async def start(self, config: dict[str, Any], **more: Any) -> str:
        node = d.Node("n0", "action_ai_agent", config={"prompt": "Go", "retries": 0, **config}, **more)
        workflow = await self.world.workflow(node, edges=(d.Edge("e", "t", "n0"),))
        return (await self.frontend.run(RunRequest(self.world.workspace, workflow, 1, "t"))).execution_id

    async def shown(self, id: str) -> tuple[h.Execution, State]:
        request = h.DescribeRequest((id,), self.world.workspace, True, True)
        found = (await self.frontend.describe(request)).executions[0]
        return found, decode(found.state)

    async def until(self, id: str, there: Callable[[State], Any]) -> State:
        async with asyncio.timeout(20):
            while True:
                with suppress(NotFound):  # a child is started a moment later
                    if there(state := (await self.shown(id))[1]):
                        return state
                await asyncio.sleep(0.02)

    async def ended(self, id: str) -> State:
        state = await self.until(id, lambda state: state.closed)
        assert await self.world.sound(id)
        return state

    async def events(self, id: str, kind: type[Any]) -> list[Any]:
        reply = await self.frontend.history(h.HistoryRequest(id, self.world.workspace))
        return [event for event in e.decode(reply.events) if isinstance(event, kind)]

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        made = system(*self.urls, "worker")
        made.serve_all(("history", "matching", "worker"))
        made.loop()
        try:
            yield
        finally:
            await made.close()


@pytest.fixture
async def model() -> Model:
    return Model()


@pytest.fixture
async def house(database_url: str, redis_url: str, model: Model) -> AsyncIterator[House]:
    async with http_peer(model.answer) as peer:
        made = House(database_url, redis_url, peer)
        with acting_as(SERVICE):
            yield made
        await made.system.close()


def http_tool(house: House, name: str) -> dict[str, Any]:
    return {"type": "http", "name": name, "url": f"{house.peer.url}/{name}/{{what}}", "parameters": {"what": "What."}}


THREE = ([("look", {"what": "a"}), ("find", {"what": "b"})], [("look", {"what": "c"})], "Done")


async def test_an_agent_goes_on_where_it_was_after_its_worker_was_killed(house: House, model: Model) -> None:
    """No call that was recorded is made again: of the model, or of a tool. Large results are found again, too."""
    model.turns, reached = list(THREE), asyncio.Event()

    async def hang(turn: int) -> bytes | None:
        if turn == 2 and not reached.is_set():
            reached.set()
            await asyncio.sleep(30)
        return None

    model.before = hang
    program = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.integration.agent_process", *house.urls)
    try:
        id = await house.start({"tools": [http_tool(house, "look"), http_tool(house, "find")]})
        async with asyncio.timeout(20):
            await reached.wait()
    finally:
        program.kill()
        await program.wait()
    async with house.worker():
        state = await house.ended(id)
    assert state.result["content"] == "Done"
    assert [call["arguments"]["what"] for call in state.result["calls"]] == ["a", "b", "c"]
    assert sorted(model.tools) == ["/find/b", "/look/a", "/look/c"]
    assert len(model.asked) == 4, "three turns, and the one that was under way"
    assert model.asked[2]["messages"] == model.asked[3]["messages"]
    assert len(await house.events(id, e.StepCompleted)) == 6
    assert state.spent == Spent(3, 3000, 300, 0, 3 * 210_000)
    assert state.result["cost_usd"] == 0.00063


async def test_the_next_attempt_goes_on_too(house: House, model: Model) -> None:
    model.turns, tries = list(THREE), []

    async def fail(turn: int) -> bytes | None:
        tries.append(turn)
        return reply(503, {}) if tries.count(turn) == 1 else None

    model.before = fail
    async with house.worker():
        retry = d.Retry(9, initial_interval=0.05)
        id = await house.start({"tools": [http_tool(house, "look"), http_tool(house, "find")]}, retry=retry)
        state = await house.ended(id)
    assert (state.status, state.runs["n0"].attempt) == ("completed", 4)
    assert tries == [0, 0, 1, 1, 2, 2]
    assert len(model.tools) == 3


async def _child(house: House, *nodes: d.Node) -> str:
    edges = tuple(
        d.Edge(f"e{n}", a, b)
        for n, (a, b) in enumerate(zip(["t", *(n.id for n in nodes)], (n.id for n in nodes), strict=False))
    )
    return await house.world.workflow(*nodes, edges=edges)


async def test_a_workflow_as_a_tool_is_a_run_of_its_own_that_is_waited_for(house: House, model: Model) -> None:
    given = {"set": {"answer": "{{ trigger.question }}!"}}
    child = await _child(house, d.Node("s", "transform", config={"operation": "set", "fields": given["set"]}))
    tool = {"type": "workflow", "name": "ask", "workflow_id": child, "parameters": {"question": "What."}}
    model.turns = [[("ask", {"question": "Why"}), ("ask", {"question": "How"})], [("ask", {"question": 7})], "Because"]
    async with house.worker():
        id = await house.start({"tools": [tool]})
        state = await house.ended(id)
    assert state.result["content"] == "Because", state.result
    told = [message["content"] for message in model.asked[1]["messages"] if message["role"] == "tool"]
    assert [json.loads(text)["answer"] for text in told] == ["Why!", "How!"]
    assert "error" in state.result["calls"][2], "the arguments did not fit: nobody was asked"
    assert len(await house.events(id, e.ChildStarted)) == 2
    assert (state.runs["n0"].attempt, len(model.asked)) == (3, 3)


async def test_cancel_goes_through_to_the_workflow_that_an_agent_waits_for(house: House, model: Model) -> None:
    child = await _child(house, d.Node("w", "delay", config={"seconds": 600}))
    model.turns = [[("ask", {})], "Never"]
    async with house.worker():
        id = await house.start({"tools": [{"type": "workflow", "name": "ask", "workflow_id": child}]})
        state = await house.until(id, lambda state: state.runs["n0"].status == "calling")
        inner = state.runs["n0"].child
        await house.until(inner, lambda state: "w" in state.runs and state.runs["w"].status == "waiting")
        await house.frontend.control(h.ControlRequest(id, house.world.workspace, "cancel"))
        assert (await house.ended(inner)).status == "terminated"
    assert (await house.ended(id)).status == "cancelled"


async def test_what_a_model_writes_is_seen_while_it_does(house: House, model: Model) -> None:
    chunks = [{"choices": [{"delta": {"content": text}}], "model": "m"} for text in ("Once ", "upon ", "a time")]
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5, "completion_tokens": 4}}
    go_on = asyncio.Event()

    async def streamed(turn: int) -> bytes | None:
        writer = house.peer.writer
        assert writer is not None
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for place, chunk in enumerate([*chunks, last]):
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
            if place == 1:
                await go_on.wait()
        writer.write(b"data: [DONE]\n\n")
        return b" "

    model.before = streamed
    async with house.worker():
        id = await house.start({"stream": True})
        live, words = house.system.live, []
        rings = house.system.doorbell.listen(f"{SAID}{id}")
        async with asyncio.timeout(10):
            while not (words := await live.read(id)):
                await asyncio.wait({asyncio.ensure_future(anext(aiter(rings)))}, timeout=0.5)
        assert ("".join(one.text for one in words), words[0].node, words[0].kind) == ("Once upon ", "n0", "text")
        assert not (await house.shown(id))[1].closed
        go_on.set()
        state = await house.ended(id)
        async with asyncio.timeout(10):
            while not (more := await live.read(id, words[-1].cursor)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert state.result["content"] == "Once upon a time"
    assert "".join(one.text for one in more) == "a time"
    assert state.spent is not None
    assert (state.spent.input_tokens, state.spent.output_tokens) == (5, 4)
    assert await live.read(id, "nonsense", limit=1) == words[:1]
    assert msgspec.json.encode(state.result)
