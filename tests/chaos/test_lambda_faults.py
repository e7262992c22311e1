"""What may happen to a Lambda: it is killed, its time runs out, it is invoked more often than there is work, and each of
its events may come twice (docs/idempotency.md)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from linkflow.services.worker.service import MARGIN
from linkflow.transports.lambda_door import ERRAND_MARGIN
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Place, Web
from tests.e2e.topologies import Topology, http_event
from tests.lambda_pool import LambdaPool, NoEmulator, emulator

WORKER_TIMEOUT = 6
SHORTEST_DRAIN = WORKER_TIMEOUT - ERRAND_MARGIN - MARGIN
"""Seconds that a worker has for its calls at least."""


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    try:
        emulator()
    except NoEmulator as missing:
        pytest.fail(str(missing))
    folder = tmp_path_factory.mktemp("lambda")
    with fresh_database(postgres.url, migrated_template) as database_url:
        redis_url = emptied(valkey.url, "lambda_faults")
        with topologies.lambda_(database_url, redis_url, folder, worker_timeout=WORKER_TIMEOUT) as made:
            yield made


@pytest.fixture(autouse=True)
def sound(topology: Topology) -> Iterator[None]:
    yield
    assert_sound(topology.database_url)


@pytest.fixture
def pool(topology: Topology) -> LambdaPool:
    assert topology.pool is not None
    return topology.pool


@pytest.fixture(scope="module")
def person(topology: Topology) -> Iterator[Person]:
    made = Person(topology.url)
    yield made
    made.close()


@pytest.fixture
def held(web: Web) -> Iterator[Place]:
    place = web.place("/held", {"fine": True})
    place.hold()
    yield place
    place.let_go()


@pytest.fixture
def execution(person: Person, web: Web, held: Place) -> str:
    """A run whose call is in the air, from within a worker's invocation."""
    saved = person.save(workflow(http("call", web.url("/held"), method="POST", body={}), node("out", "noop")))
    started = person.start(saved["id"])
    held.wait_for_calls(1)
    return started


def _ended(person: Person, execution: str, held: Place) -> None:
    run = person.end(execution).check()
    assert len(run.of("NodeCompleted", "call")) == 1
    assert run.nodes["call"]["attempt"] == 1
    assert len({call.headers["idempotency-key"] for call in held.calls}) == 1


def test_the_worker_is_killed_during_a_call(person: Person, pool: LambdaPool, execution: str, held: Place) -> None:
    for environment in list(pool._pools["lf-worker"]._all):
        environment.kill()
    held.let_go()
    _ended(person, execution, held)
    assert len(held.calls) >= 2  # more where a slow machine lets the next one run out of its time


def test_a_call_outlasts_the_workers_time(person: Person, pool: LambdaPool, execution: str, held: Place) -> None:
    held.wait_for_calls(2, 20.0)  # handed back before the deadline, and begun again in another invocation
    held.let_go()
    _ended(person, execution, held)


def test_workers_are_invoked_more_often_than_there_is_work(
    person: Person, pool: LambdaPool, execution: str, held: Place
) -> None:
    begun = time.monotonic()
    for _ in range(8):
        assert pool.accept("lf-worker", "Event", b'{"drain": {"queues": ["default"], "idle": 0.1}}').status == 202
    before = pool.invocations("lf-worker")
    pool.invoke("lf-worker", {"drain": {"queues": ["default"], "idle": 0.1}})
    held.let_go()
    _ended(person, execution, held)
    # Not by the surplus workers: another call comes only where the last one's worker ran out of its time meanwhile,
    # which is two seconds at least.
    assert len(held.calls) <= 1 + (time.monotonic() - begun) / SHORTEST_DRAIN
    assert pool.invocations("lf-worker") > before


def test_the_queues_store_forgets_everything_with_a_worker_in_a_call(
    person: Person, topology: Topology, execution: str, held: Place, web: Web
) -> None:
    """Tasks, leases, who is there and who is on the way: all of it comes back."""
    with redis.Redis.from_url(topology.redis_url) as store:
        store.flushdb()
    saved = person.save(workflow(http("call", web.url("/held"), method="POST", body={}), node("out", "noop")))
    other = person.start(saved["id"])
    held.wait_for_calls(2)
    held.let_go()
    person.end(execution).check()
    person.end(other).check()


def often(pool: LambdaPool, function: str, event: dict[str, Any]) -> list[Any]:
    """What is answered where an event comes twice at once, and once more later."""
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _: pool.invoke(function, event), range(2)))
    return [*answers, pool.invoke(function, event)]


def posted(pool: LambdaPool, url: str, body: Any, headers: dict[str, str]) -> list[tuple[int, Any]]:
    """The same for a POST behind the HTTP API: status and body of each."""
    parts = urlsplit(url)
    about = {"host": parts.netloc, "content-type": "application/json", **headers}
    event = http_event("POST", parts.path, about.items(), json.dumps(body).encode())
    return [(answer["statusCode"], json.loads(answer["body"])) for answer in often(pool, "lf-api", event)]


def of(person: Person, key: str, **more: str) -> dict[str, str]:
    return {"authorization": person.http.headers["authorization"], "idempotency-key": key, **more}


def test_a_delivery_that_comes_often_is_one_run(person: Person, pool: LambdaPool) -> None:
    url = person.hook(workflow(node("in", "trigger_webhook", {}), node("out", "noop")))
    deliveries = (
        ({}, {"webhook-id": "m1"}), ({}, {"x-github-delivery": "d1"}), ({}, {"ce-id": "1", "ce-source": "/shop"}),
        ({"source": "/shop", "id": "2"}, {"content-type": "application/cloudevents+json"}),
    )  # fmt: skip
    runs = set()
    for body, headers in deliveries:
        answers = posted(pool, url, body, headers)
        assert sorted(status for status, _ in answers) == [200, 200, 202]
        (run,) = {answer["execution_id"] for _, answer in answers}
        person.end(run).check()
        runs.add(run)
    assert len(runs) == len(deliveries)


def test_a_request_that_comes_often_is_one_change(person: Person, topology: Topology, pool: LambdaPool) -> None:
    base = f"{topology.url}{person.base}"
    document = workflow(node("ask", "approval", {"title": "Well?"}), node("out", "noop"))
    made = posted(pool, f"{base}/workflows", document, of(person, "make"))
    # The second one of two at once may be told to come again in a moment; whoever comes later has the answer.
    assert {status for status, _ in made} <= {201, 409}
    assert made[-1][0] == 201
    saved = made[-1][1]["workflow"]["id"]
    assert [one["id"] for one in person.get(f"{person.base}/workflows")["data"]].count(saved) == 1

    begun = posted(pool, f"{base}/workflows/{saved}/execute", {}, of(person, "begin"))
    assert sorted(status for status, _ in begun) == [200, 200, 201]
    (run,) = {answer["execution"]["id"] for _, answer in begun}
    person.wait_event(run, "ApprovalRequested")
    (waiting,) = [one for one in person.get(f"{person.base}/approvals")["data"] if one["execution_id"] == run]
    decided = posted(pool, f"{base}/approvals/{waiting['id']}/decision", {"decision": "approved"}, of(person, "y"))
    assert {status for status, _ in decided} <= {200, 409}
    assert decided[-1][0] == 200
    assert len(person.end(run).check().of("ApprovalDecided", "ask")) == 1


def test_wakes_and_ticks_that_come_often_do_things_once(person: Person, web: Web, pool: LambdaPool) -> None:
    place = web.place("/often", {"fine": True})
    saved = person.save(workflow(node("wait", "delay", {"seconds": 0.3}), http("call", web.url("/often"))))
    runs = [person.start(saved["id"]) for _ in range(4)]
    with ThreadPoolExecutor(2) as both:
        events = (
            ("lf-timer", {"tick": {"seconds": 0.4}}),
            ("lf-worker", {"drain": {"queues": ["default"], "idle": 0.2}}),
        )
        answers = list(both.map(lambda event: often(pool, *event), events))
    assert all("ok" in answer for found in answers for answer in found)
    for run in runs:
        ended = person.end(run).check()
        assert len(ended.of("TimerFired", "wait")) == 1
        assert len(ended.of("NodeCompleted", "call")) == 1
        assert ended.nodes["call"]["attempt"] == 1
    assert len(place.calls) == len(runs)
