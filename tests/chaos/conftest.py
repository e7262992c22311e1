"""The stores of the fault tests are their own: they are killed, restarted and emptied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import topologies
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import GrpcTopology


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """A Postgres and a Valkey to do harm to: (postgres, valkey). As durable as in real life."""
    from linkflow.local.postgres import EmbeddedPostgres
    from linkflow.local.valkey import EmbeddedValkey
    from linkflow.postgres.migrate import migrate

    home = tmp_path_factory.mktemp("stores")
    with EmbeddedPostgres(home) as postgres, EmbeddedValkey(home) as valkey:
        migrate(postgres.url)
        yield postgres, valkey


@pytest.fixture(scope="module")
def processes(stores: tuple, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GrpcTopology]:
    """Six processes, and a second worker that is not started."""
    postgres, valkey = stores
    with topologies.grpc(postgres.url, valkey.url, tmp_path_factory.mktemp("processes")) as made:
        made.add("worker-2", "worker")
        yield made


@pytest.fixture
def fleet(processes: GrpcTopology, stores: tuple) -> GrpcTopology:
    """All six processes run at the beginning of every test, and the second worker does not."""
    for store in stores:
        store.start()
    processes["worker-2"].kill()
    processes.start(*(name for name in processes.processes if name != "worker-2"))
    return processes


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.fixture(scope="module")
def person(processes: GrpcTopology) -> Iterator[Person]:
    made = Person(processes.url, patience=20.0)
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed and isinstance(found := getattr(item, "funcargs", {}).get("processes"), GrpcTopology):
        report.sections.append(("logs of the processes", found.logs()))
    return report
