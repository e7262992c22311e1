"""The stores of the fault tests are their own: they are killed, restarted and emptied."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.fleet import Fleet
from tests.chaos.world import Stage
from tests.chaos.world import stage as staged
from tests.e2e.stand_ins import Web


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Stores to do harm to, six processes, a person."""
    with staged(tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.fixture
def fleet(stage: Stage) -> Fleet:
    """All six processes run at the beginning of every test, no others."""
    stage.fleet.ready()
    return stage.fleet


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    for name in ("stage", "lambda_stage"):
        if report.failed and isinstance(found := getattr(item, "funcargs", {}).get(name), Stage):
            report.sections.append(("logs of the processes", found.fleet.logs()))
    return report
