"""What the scenarios do not pin down: who did how much again when a process died during a call; and a long storm."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import time
from collections.abc import Iterator

import pytest

from linkflow.bootstrap import System
from linkflow.config import load
from linkflow.contracts.history import CompleteBatch, HistoryApi, Report
from linkflow.contracts.matching import ClaimRequest, MatchingApi, ReleaseRequest
from linkflow.domain.outcomes import Completed, Failed, NodeError, Outcome
from linkflow.local.sample import ORDER, SampleShop
from tests.chaos.fleet import PROCESSES, Fleet
from tests.chaos.world import Stage, World
from tests.e2e.documents import node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.stand_ins import Place


@pytest.fixture
def world(stage: Stage, fleet: Fleet) -> Iterator[World]:
    """After every one: each started run has ended, nothing is lost or doubled, replay equals state."""
    seed = int(os.environ.get("LINKFLOW_CHAOS_SEED") or secrets.randbits(31))
    print(f"LINKFLOW_CHAOS_SEED={seed}")
    made = World(stage, seed)
    made.exact_calls = False
    try:
        yield made
        made.settle()
    except BaseException:
        made.give_up()
        raise
    finally:
        made.close()


@pytest.fixture
def person(stage: Stage) -> Person:
    return stage.person


@pytest.fixture
def stock(stage: Stage) -> Iterator[Place]:
    """The sample's stock service, which answers when it is told to."""
    place = stage.web.place(
        "/reservations", lambda call: {"reserved": True, "order": call.body["order"], "reservation": "R-1"}
    )
    place.status = 201
    place.hold()
    yield place
    place.let_go()


@pytest.fixture(scope="module")
def sample(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The sample, calling our stock service; it settles within a tenth of a second."""
    document = SampleShop(tmp_path_factory.mktemp("shop")).workflow()
    nodes = {found["id"]: found for found in document["nodes"]}
    nodes["reserve"]["config"]["url"] = stage.web.url("/reservations")
    nodes["settle"]["config"] = {"milliseconds": 100}
    return document


@pytest.fixture(scope="module")
def hook(stage: Stage, sample: Json) -> str:
    return stage.person.hook(sample)


@pytest.fixture
def order(world: World, person: Person, hook: str, stock: Place) -> str:
    """A run of the sample whose call to the stock service is in the air."""
    answer = person.knock(hook, ORDER)
    assert answer.status_code == 202, answer.text
    stock.wait_for_calls(1)
    return str(answer.json()["execution_id"])


def _done_once(person: Person, execution: str, stock: Place) -> None:
    """The order went through; its reservation is recorded once, and was asked for under one key only."""
    run = person.end(execution).check()
    assert run.result["reservation"] == "R-1"
    assert len(run.of("NodeCompleted", "reserve")) == 1
    assert len({call.headers["idempotency-key"] for call in stock.calls}) == 1


def test_the_worker_is_killed_during_a_call(fleet: Fleet, person: Person, order: str, stock: Place) -> None:
    fleet["worker"].kill()
    stock.let_go()
    fleet["worker"].restart()
    _done_once(person, order, stock)
    assert len(stock.calls) == 2


@pytest.mark.parametrize("service", ["history", "matching", "timer", "frontend", "api"])
def test_another_service_is_killed_during_a_call(
    fleet: Fleet, person: Person, order: str, stock: Place, service: str
) -> None:
    fleet[service].kill()
    stock.let_go()
    fleet[service].restart()
    _done_once(person, order, stock)
    # The worker lived all the time: its answer was kept until there was somebody to take it.
    assert len(stock.calls) == 1


def test_everything_is_killed_during_a_call(fleet: Fleet, person: Person, order: str, stock: Place) -> None:
    for name in PROCESSES:
        fleet[name].kill()
    stock.let_go()
    fleet.revive()
    _done_once(person, order, stock)


def test_the_timer_is_killed_during_a_delay(fleet: Fleet, world: World, person: Person) -> None:
    saved = person.save(workflow(node("wait", "delay", {"milliseconds": 500}), node("out", "noop")))
    execution = person.start(saved["id"])
    person.wait_event(execution, "TimerStarted", "wait")
    fleet["timer"].kill()
    # It falls due while nobody looks.
    ((due,),) = world.sql("SELECT due_at FROM timers WHERE execution_id = %s::uuid", execution)
    time.sleep(max(0.0, due / 1000 - time.time()))
    fleet["timer"].restart()
    run = person.end(execution).check()
    assert len(run.of("TimerFired", "wait")) == 1


def test_a_key_is_free_again_when_the_store_is_back(fleet: Fleet, world: World, person: Person) -> None:
    """Postgres dies in the middle of a call with an idempotency key; the same call succeeds when it is back."""
    trap = world.trap("postgres", "a payload of its own", when="before", then=fleet.postgres.kill)
    event = {"id": secrets.token_hex(8), "data": {"text": "a payload of its own"}}
    publishing = world.background(lambda: person.post(f"{person.base}/events/free", event))
    assert trap.sprung.wait(20)
    fleet.start_stores()
    assert publishing.result(30)["message"] == "Event kept."


async def test_a_history_that_was_overtaken_refuses_nothing_that_fits(
    fleet: Fleet, world: World, person: Person
) -> None:
    """A refusal is not written, so no fence guards it: it must not be decided on a state that another one moved on."""
    saved = person.save(workflow(node("first", "noop", queue="elsewhere"), node("out", "noop")))
    execution = person.start(saved["id"])
    ours = {name: url for name, url in fleet.env.items() if not name.endswith("_URL")}
    stores = {"DATABASE_URL": fleet.postgres.url, "REDIS_URL": fleet.valkey.url}
    there, here = System(load(fleet.env), "test"), System(load({**ours, **stores}), "test")
    here.serve_all(("history", "matching"))
    try:
        theirs, second = there.client(HistoryApi), here.client(HistoryApi)

        async def complete(history: HistoryApi, attempt: int, outcome: Outcome) -> bool:
            report = Report(execution, "first", attempt, outcome, worker="us")
            return (await history.complete(CompleteBatch((report,), worker="us"))).results[0].recorded

        assert await complete(second, 1, Failed(NodeError("no", "No.", False)))
        # The fleet's own History still knows it as running.
        answer = await asyncio.to_thread(person.send, "POST", f"{person.base}/executions/{execution}/retry", json={})
        assert answer.status_code == 200, answer.text
        # And now the second one knows it as failed.
        assert await complete(second, 2, Completed(output={"by": "us"}))
        assert not await complete(theirs, 2, Completed(output={"by": "nobody"}))
        run = await asyncio.to_thread(person.end, execution)
        assert run.check().nodes["first"]["output"] == {"by": "us"}
        # A task whose result came by another way is no longer due.
        matching = there.client(MatchingApi)
        while leases := (await matching.claim(ClaimRequest("us", ("elsewhere",), 10, 0.0))).leases:
            await matching.release(ReleaseRequest("us", done=tuple(lease.token for lease in leases)))
    finally:
        await there.close()
        await here.close()


@pytest.mark.slow
def test_a_storm(world: World) -> None:
    """Anything may die at any time, a hundred times, under load."""
    for _ in range(100):
        world.load(runs=3)
        _strike(world)
        world.started()


def _strike(world: World) -> None:
    """One fault, and its repair a moment later."""
    fleet, chance = world.fleet, random.Random(world.chance.getrandbits(32))
    what = chance.choice([*PROCESSES, "flush", "freeze", "valkey", "postgres"])
    pause = chance.uniform(0.0, 0.3)
    world.say(f"strike: {what}, {pause:.3f} s")
    if what == "flush":
        world.flush()
    elif what == "freeze":
        fleet["worker"].freeze()
        time.sleep(pause * 5)
        fleet["worker"].thaw()
    elif what in ("valkey", "postgres"):
        (fleet.valkey if what == "valkey" else fleet.postgres).kill()
        time.sleep(pause)
        fleet.start_stores()
    else:
        fleet[what].kill()
        time.sleep(pause)
        fleet.revive()
