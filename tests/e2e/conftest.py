"""What the end-to-end tests share: a web service to call, the three topologies, and their words where a test fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
import redis

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Topology
from tests.lambda_pool import NoEmulator, emulator

REDIS_DATABASES = {
    "in_process": 11,
    "grpc": 12,
    "lambda": 13,
    "all_nodes": 14,
    "lambda_faults": 9,
    "waiting": 8,
    "loops": 7,
    "payloads": 6,
    "starting": 5,
    "scripts": 4,
    "trials": 3,
    "secrets": 3,
    "templates": 10,
    "containers": 2,
    "notifications": 1,
    "backup": 1,
}


WAYS = os.environ.get("LINKFLOW_TOPOLOGIES", "in_process,containers,lambda").split(",")
"""In which ways the product is run. ``containers`` are the services of compose.yaml over gRPC, each in a network of its own
where that is allowed (`tests.e2e.containers`); ``grpc`` are the same on loopback, without the file."""


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


def emptied(valkey_url: str, name: str) -> str:
    """A logical database of the topology's own."""
    url = urlunsplit(urlsplit(valkey_url)._replace(path=f"/{REDIS_DATABASES[name]}"))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="module", params=WAYS)
def topology(
    request: pytest.FixtureRequest, postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Topology]:
    """The whole product, in three ways (`WAYS`), each with stores of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    redis_url = emptied(valkey.url, request.param)
    with fresh_database(postgres.url, migrated_template) as database_url:
        yield from _run(request.param, database_url, redis_url, folder)


def _run(name: str, database_url: str, redis_url: str, folder: Path) -> Iterator[Topology]:
    if name == "in_process":
        with topologies.in_process(database_url, redis_url, folder) as made:
            yield made
    elif name == "grpc":
        with topologies.grpc(database_url, redis_url, folder) as processes:
            yield processes.topology
    elif name == "containers":
        from tests.e2e.containers import Containers

        with Containers(folder, database_url, redis_url) as made:
            yield Topology(name, made.url, database_url, redis_url, made.logs, here=made.here)
    else:
        try:
            emulator()
        except NoEmulator as missing:
            pytest.fail(str(missing))
        with topologies.lambda_(database_url, redis_url, folder) as made:
            yield made


@pytest.fixture(scope="module")
def person(topology: Topology) -> Iterator[Person]:
    made = Person(topology.url)
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed and isinstance(found := getattr(item, "funcargs", {}).get("topology"), Topology):
        report.sections.append((f"logs of {found.name}", found.logs()))
    return report
