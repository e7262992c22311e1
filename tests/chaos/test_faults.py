"""Processes die, stores go away, workers freeze; every run ends nevertheless, and its history is whole.

Real processes, real signals. What is random comes from a seed that is printed; `LINKFLOW_CHAOS_SEED=… pytest …` plays it
again. The short forms run with all other tests; `make chaos` runs the long ones too.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import psycopg
import pytest
import redis

from linkflow.bootstrap import System
from linkflow.config import load
from linkflow.contracts.history import CompleteBatch, HistoryApi, Report
from linkflow.contracts.matching import AddRequest, ClaimRequest, MatchingApi, ReleaseRequest
from linkflow.domain.outcomes import Completed, Failed, NodeError, Outcome
from linkflow.local.sample import ORDER, SampleShop
from tests.chaos.wire import Wire
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound, unfinished
from tests.e2e.stand_ins import Place, Web
from tests.e2e.topologies import GrpcTopology


@pytest.fixture(autouse=True)
def sound(fleet: GrpcTopology) -> Iterator[None]:
    """After every one: each started run has ended, nothing is lost or doubled, replay equals state."""
    before = unfinished(fleet.database_url)
    yield
    assert_sound(fleet.database_url, ignore=before)


@pytest.fixture
def stock(web: Web) -> Iterator[Place]:
    """The sample's stock service, which answers when it is told to."""
    place = web.place(
        "/reservations", lambda call: {"reserved": True, "order": call.body["order"], "reservation": "R-1"}
    )
    place.status = 201
    place.hold()
    yield place
    place.let_go()


@pytest.fixture(scope="module")
def sample(web: Web, tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The sample, calling our stock service; it settles within a tenth of a second."""
    document = SampleShop(tmp_path_factory.mktemp("shop")).workflow()
    nodes = {found["id"]: found for found in document["nodes"]}
    nodes["reserve"]["config"]["url"] = web.url("/reservations")
    nodes["settle"]["config"] = {"milliseconds": 100}
    return document


@pytest.fixture(scope="module")
def hook(person: Person, sample: Json) -> str:
    return person.hook(sample)


@pytest.fixture
def order(person: Person, hook: str, stock: Place) -> str:
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


# One process after the other dies while a call is in the air.


def test_the_worker_is_killed_during_a_call(fleet: GrpcTopology, person: Person, order: str, stock: Place) -> None:
    fleet["worker"].kill()
    stock.let_go()
    fleet["worker"].restart()
    _done_once(person, order, stock)
    assert len(stock.calls) == 2


@pytest.mark.parametrize("service", ["history", "matching", "timer", "frontend", "api"])
def test_another_service_is_killed_during_a_call(
    fleet: GrpcTopology, person: Person, order: str, stock: Place, service: str
) -> None:
    fleet[service].kill()
    stock.let_go()
    fleet[service].restart()
    _done_once(person, order, stock)
    # The worker lived all the time: its answer was kept until there was somebody to take it.
    assert len(stock.calls) == 1


def test_everything_is_killed_during_a_call(fleet: GrpcTopology, person: Person, order: str, stock: Place) -> None:
    for process in fleet.processes.values():
        process.kill()
    stock.let_go()
    fleet.start("history", "matching", "timer", "frontend", "api", "worker")
    _done_once(person, order, stock)


# Between the commit and the push.


def test_history_is_killed_between_commit_and_push(
    fleet: GrpcTopology, person: Person, hook: str, stock: Place
) -> None:
    stock.let_go()
    fleet["matching"].kill()  # so the push cannot arrive
    answer = person.knock(hook, ORDER)
    assert answer.status_code == 202
    execution = answer.json()["execution_id"]
    assert _sql(fleet, "SELECT count(*) FROM tasks WHERE execution_id = %s", execution) == 1
    fleet["history"].kill()
    fleet.start("history", "matching")
    _done_once(person, execution, stock)


def test_a_push_is_lost_with_valkey(
    fleet: GrpcTopology, person: Person, stores: tuple, hook: str, stock: Place
) -> None:
    _, valkey = stores
    stock.let_go()
    valkey.kill()
    answer = person.knock(hook, ORDER)
    assert answer.status_code == 202
    valkey.start()
    _flush(fleet)
    _done_once(person, answer.json()["execution_id"], stock)


# The commit succeeds, and nobody hears of it.


@pytest.fixture
def wire(fleet: GrpcTopology) -> Iterator[Wire]:
    """History's way to Postgres leads through here."""
    made = Wire(fleet.database_url)
    fleet["history"].restart(DATABASE_URL=made.url)
    yield made
    fleet["history"].restart(DATABASE_URL=fleet.database_url)
    made.close()


@pytest.mark.parametrize("event", ["ExecutionStarted", "NodeCompleted"])
def test_a_commits_reply_is_lost(person: Person, hook: str, stock: Place, wire: Wire, event: str) -> None:
    before = _runs(person, hook)
    wire.cut_after(event)
    answer = person.knock(hook, ORDER)  # again and again, under one key
    stock.let_go()
    _done_once(person, answer.json()["execution_id"], stock)
    assert wire.cuts == 1
    assert _runs(person, hook) == before + 1
    assert len(stock.calls) == 1


async def test_a_history_that_was_overtaken_refuses_nothing_that_fits(fleet: GrpcTopology, person: Person) -> None:
    """A refusal is not written, so no fence guards it: it must not be decided on a state that another one moved on."""
    saved = person.save(workflow(node("first", "noop", queue="elsewhere"), node("out", "noop")))
    execution = person.start(saved["id"])
    ours = {name: url for name, url in fleet.env.items() if not name.endswith("_URL")}
    stores = {"DATABASE_URL": fleet.database_url, "REDIS_URL": fleet.redis_url}
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
    finally:
        await there.close()
        await here.close()
    run = await asyncio.to_thread(person.end, execution)
    assert run.check().nodes["first"]["output"] == {"by": "us"}
    await _drop_queue(fleet, "elsewhere")


# Timers.


def test_the_timer_is_killed_during_a_delay(fleet: GrpcTopology, person: Person) -> None:
    saved = person.save(workflow(node("wait", "delay", {"seconds": 1}), node("out", "noop")))
    execution = person.start(saved["id"])
    person.wait_event(execution, "TimerStarted", "wait")
    fleet["timer"].kill()
    # It falls due while nobody looks.
    due = _sql(fleet, "SELECT due_at FROM timers WHERE execution_id = %s", execution)
    time.sleep(max(0.0, due / 1000 - time.time()))
    fleet["timer"].restart()
    run = person.end(execution).check()
    assert len(run.of("TimerFired", "wait")) == 1


def test_two_timers_race(fleet: GrpcTopology, person: Person) -> None:
    fleet.add("timer-2", "timer").start().wait()
    try:
        document = workflow(
            node("begin", "trigger_manual"),
            *(node(f"w{i}", "delay", {"milliseconds": 300}) for i in range(20)),
            edges=[edge("begin", f"w{i}") for i in range(20)],
        )
        run = person.run(document).check()
        assert len(run.of("TimerFired")) == 20
    finally:
        fleet["timer-2"].kill()
        del fleet.processes["timer-2"]


# Two things at the same time.


def test_cancel_races_completion(fleet: GrpcTopology, person: Person, web: Web) -> None:
    chance = random.Random(_seed())
    place = web.place("/race")
    saved = person.save(workflow(http("call", web.url("/race")), node("out", "noop")))
    ended = []
    for _ in range(12):
        place.hold()
        execution = person.start(saved["id"])
        place.wait_for_calls(len(ended) + 1)
        wait = chance.uniform(0.0, 0.01)
        letting = threading.Timer(wait, place.let_go)
        letting.start()
        answer = person.send("POST", f"{person.base}/executions/{execution}/cancel", json={})
        letting.join()
        run = person.end(execution)
        run.check("cancelled" if answer.status_code == 200 else "completed")
        ended.append(run.status)
    print(ended)


# A new version comes in, a process at a time.


def test_every_process_is_replaced_under_load(fleet: GrpcTopology, person: Person, web: Web) -> None:
    with _load(person, _chain(web, calls=4), runs=20) as load:
        for number, name in enumerate(("worker", "history", "matching", "timer", "frontend", "api")):
            load.wait_until_started(2 * number)
            fleet[name].end()
            fleet[name].start().wait()
    load.check(person)


# Valkey forgets.


def test_valkey_is_flushed_mid_run(fleet: GrpcTopology, person: Person, hook: str, stock: Place) -> None:
    executions = [person.knock(hook, ORDER).json()["execution_id"] for _ in range(5)]
    stock.wait_for_calls(5)
    _flush(fleet)
    fleet["worker"].freeze()  # nobody takes these before they are forgotten too
    executions += [person.knock(hook, ORDER).json()["execution_id"] for _ in range(5)]
    _flush(fleet)
    fleet["worker"].thaw()
    stock.let_go()
    for execution in executions:
        run = person.end(execution).check()
        assert len(run.of("NodeCompleted", "reserve")) == 1


# Postgres goes away under load.


def test_postgres_restarts_under_load(fleet: GrpcTopology, person: Person, stores: tuple, web: Web) -> None:
    postgres, _ = stores
    document = _chain(web, calls=4)
    with _load(person, document, runs=30) as load:
        load.wait_until_started(10)
        for act in (postgres.kill, postgres.stop):
            act()
            postgres.start()
    load.check(person)


# A worker freezes past its lease.


def test_a_zombies_result_is_refused(fleet: GrpcTopology, person: Person, order: str, stock: Place) -> None:
    fleet["worker"].freeze()
    fleet["worker-2"].start().wait()
    stock.wait_for_calls(2)
    stock.let_go()
    run = person.end(order).check()
    (completed,) = run.of("NodeCompleted", "reserve")
    version = run.events[-1]["event_id"]
    fleet["worker"].thaw()
    # It reports, is refused, and takes further work as if nothing had been.
    fleet["worker-2"].kill()
    again = person.end(person.knock(_hook_of(person, run.shown["workflow_id"]), ORDER).json()["execution_id"]).check()
    assert again.of("NodeCompleted", "reserve")[0]["attributes"]["worker"] != completed["attributes"]["worker"]
    assert person.end(order).check().events[-1]["event_id"] == version


# Everything comes twice.


async def test_deliveries_and_results_come_twice(fleet: GrpcTopology, person: Person, web: Web) -> None:
    web.place("/twice")
    held = http("call", web.url("/twice"), queue="elsewhere")  # no worker serves this queue but us
    saved = person.save(workflow(held, node("out", "noop")))
    execution = person.start(saved["id"])
    system = System(load(fleet.env), "test")
    try:
        matching, history = system.client(MatchingApi), system.client(HistoryApi)
        (lease,) = (await matching.claim(ClaimRequest("us", ("elsewhere",), 1, 10.0))).leases
        assert lease.task.execution_id == execution
        report = Report(execution, "call", 1, Completed(output={"by": "us"}), worker="us")
        replies = await asyncio.gather(
            *(history.complete(CompleteBatch((report, report), worker="us")) for _ in range(5))
        )
        recorded = [result.recorded for reply in replies for result in reply.results]
        assert sorted(recorded) == [False] * 9 + [True]
        late = msgspec.structs.replace(lease.task, queue="default")
        await matching.add(AddRequest((late,)))
        await matching.add(AddRequest((late,)))
        await matching.release(ReleaseRequest("us", done=(lease.token, lease.token)))
    finally:
        await system.close()
    run = await asyncio.to_thread(person.end, execution)
    assert run.check().nodes["call"]["output"] == {"by": "us"}


# A storm: anything may die at any time.


@pytest.mark.parametrize("kills", [4, pytest.param(120, marks=pytest.mark.slow)])
def test_a_storm(fleet: GrpcTopology, person: Person, stores: tuple, web: Web, kills: int) -> None:
    chance = random.Random(_seed())
    with _load(person, _chain(web, calls=4), runs=5 * kills) as load:
        for number in range(kills):
            load.wait_until_started(5 * number)
            _strike(fleet, stores, chance)
    load.check(person)


def _seed() -> int:
    seed = int(os.environ.get("LINKFLOW_CHAOS_SEED") or secrets.randbits(32))
    print(f"LINKFLOW_CHAOS_SEED={seed}")
    return seed


def _strike(fleet: GrpcTopology, stores: tuple, chance: random.Random) -> None:
    """One fault, and its repair a moment later."""
    postgres, valkey = stores
    what = chance.choice(
        ["history", "matching", "worker", "timer", "frontend", "flush", "freeze", "valkey", "postgres"]
    )
    pause = chance.uniform(0.0, 0.3)
    print(f"strike: {what}, {pause:.3f} s")
    if what == "flush":
        _flush(fleet)
    elif what == "freeze":
        fleet["worker"].freeze()
        time.sleep(pause * 10)
        fleet["worker"].thaw()
    elif what in ("valkey", "postgres"):
        store = valkey if what == "valkey" else postgres
        store.kill()
        time.sleep(pause)
        store.start()
    else:
        fleet[what].kill()
        time.sleep(pause)
        fleet[what].restart()


def _chain(web: Web, calls: int) -> Json:
    """Calls one after another, with a pure node and a retried failure in between, and a short delay."""
    for at in range(calls):
        web.place(f"/step{at}", {"step": at}, statuses=[503] * 3)
    retry = {"max_attempts": 10, "initial_interval": 0.05}
    steps: list[Json] = []
    for at in range(calls):
        steps += [http(f"call{at}", web.url(f"/step{at}"), method="POST", body={}, retry=retry), node(f"n{at}", "noop")]
    return workflow(*steps, node("wait", "delay", {"milliseconds": 50}), node("out", "transform", {
        "keep": False, "fields": {"last": f"{{{{ call{calls - 1}.data.step }}}}"}}))  # fmt: skip


class _Load:
    """Runs that are started by four people at once, patiently."""

    def __init__(self, person: Person, workflow_id: str, runs: int) -> None:
        self._person, self._workflow, self._runs = person, workflow_id, runs
        self._changed = threading.Condition()
        self._ids: list[str] = []
        self._pool = ThreadPoolExecutor(4)
        self._starts = [self._pool.submit(self._start) for _ in range(runs)]

    def _start(self) -> None:
        id = self._person.start(self._workflow)
        with self._changed:
            self._ids.append(id)
            self._changed.notify_all()

    def wait_until_started(self, count: int, timeout: float = 60.0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._ids) >= min(count, self._runs), timeout), len(self._ids)

    def __enter__(self) -> _Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def check(self, person: Person) -> None:
        for start in self._starts:
            start.result()
        assert len(set(self._ids)) == self._runs
        for id in self._ids:
            run = person.end(id, 60.0).check()
            assert run.result == {"last": 3}


def _load(person: Person, document: Json, runs: int) -> _Load:
    return _Load(person, person.save(document)["id"], runs)


def _hook_of(person: Person, workflow_id: str) -> str:
    found = person.get(f"{person.base}/workflows/{workflow_id}")["workflow"]
    return next(str(t["url"]) for t in found["triggers"])


def _sql(fleet: GrpcTopology, statement: Any, *args: Any) -> Any:
    with psycopg.connect(fleet.database_url) as connection:
        row = connection.execute(statement, args).fetchone()
        return row and row[0]


def _flush(fleet: GrpcTopology) -> None:
    with redis.Redis.from_url(fleet.redis_url) as client:
        client.flushall()


def _runs(person: Person, hook: str) -> int:
    """How many runs the workflow of this webhook has."""
    workflows = person.get(f"{person.base}/workflows", per_page=100)["data"]
    (found,) = [w["id"] for w in workflows for t in w["triggers"] if t.get("url") == hook]
    page = person.get(f"{person.base}/workflows/{found}/executions", per_page=100)
    return len(page["data"])


async def _drop_queue(fleet: GrpcTopology, queue: str) -> None:
    """Take what lies in a queue of ours: a task whose result came by another way is no longer due."""
    system = System(load(fleet.env), "test")
    try:
        matching = system.client(MatchingApi)
        while leases := (await matching.claim(ClaimRequest("us", (queue,), 10, 0.0))).leases:
            await matching.release(ReleaseRequest("us", done=tuple(lease.token for lease in leases)))
    finally:
        await system.close()
