"""docs/idempotency.md speaks of every edge that there is, and names tests that exist."""

from __future__ import annotations

import re

import pytest

from linkflow.bootstrap import SERVICES
from linkflow.http.app import routes
from linkflow.http.guard import PUBLIC, permission_of
from tests.unit.test_guarantees import ROOT, SPANS, names

TEXT = (ROOT / "docs" / "idempotency.md").read_text()
TESTS = set(re.findall(r"`([a-z_/]+\.py::\w+)`", TEXT))


def test_the_tests_are_there() -> None:
    assert len(TESTS) > 40
    missing = []
    for reference in TESTS:
        path, _, name = reference.partition("::")
        file = ROOT / "tests" / path
        if not file.is_file() or name not in names(file):
            missing.append(reference)
    assert missing == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_call_between_services_is_spoken_of(service: str) -> None:
    said = set(SPANS.findall(TEXT))
    methods = [name for name in dir(SERVICES[service]) if not name.startswith("_")]
    assert [name for name in methods if not {name, f"{service}.{name}"} & said] == []


def test_every_route_that_asks_for_no_key_is_spoken_of() -> None:
    changing = [route for route in routes() if (route.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}]
    own = [route for route in changing if permission_of(route) == PUBLIC or hasattr(route.endpoint, "own_key")]
    assert len(own) > 10
    assert sorted({route.path for route in own if not _is_named(route.path)}) == []


def _is_named(path: str) -> bool:
    """As a whole, or by its end where it stands behind another one."""
    return path in TEXT or any(f"`{path[path.index(part) :]}`" in TEXT for part in ("/connect",) if part in path)
