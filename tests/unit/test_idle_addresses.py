"""Which calls of the HTTP API the clock of a deployment hears of: pages and strangers leave it, and the database, alone."""

from __future__ import annotations

import pytest

from linkflow.http.app import routes
from linkflow.transports.lambda_door import works


def test_whatever_changes_something_is_heard_of() -> None:
    silent = {(route.path, *(route.methods or ())) for route in routes() if not works({"rawPath": route.path})}
    assert silent == {
        ("/", "GET"), ("/console", "GET"), ("/console/", "GET"), ("/console/assets/{name}", "GET"),
        ("/account/{page}", "GET"), ("/health/live", "GET"), ("/health/ready", "GET"),
    }  # fmt: skip


@pytest.mark.parametrize("path", ["/.env", "/wp-login.php", "/favicon.ico", "/docs", "/openapi.json"])
def test_strangers_wake_no_database(path: str) -> None:
    assert not works({"rawPath": path})


def test_an_event_of_another_kind_is_taken_for_work() -> None:
    assert all(works(event) for event in ({}, None, {"rawPath": "/api/v1/user"}))
