"""What may happen to a Lambda: it is killed, its time runs out, it is invoked more often than there is work."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from linkflow.services.worker.service import MARGIN
from linkflow.transports.lambda_door import ERRAND_MARGIN
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Place, Web
from tests.e2e.topologies import Topology
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
