"""The database node against a real Postgres."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.peers import codes, run


@pytest.fixture
async def egress(empty_database_url: str) -> AsyncIterator[EgressClient]:
    parts = urlsplit(empty_database_url)
    client = EgressClient(Egress(allow=(f"{parts.hostname}:{parts.port or 5432}", "127.0.0.1", "::1")))
    yield client
    await client.aclose()


@pytest.fixture
def ask(egress: EgressClient, empty_database_url: str) -> Any:
    """Runs the node with this test's database as its credential."""

    async def ask(query: str = "", params: Any = (), **config: Any) -> Any:
        given = {"params": params if isinstance(params, dict) else list(params), **({"query": query} if query else {})}
        secrets = {"database": {"connection_string": empty_database_url}}
        return (await run("database", {**given, **config}, egress=egress, credentials=secrets)).output

    return ask


async def failing(call: Any) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    return caught.value


async def test_rows(ask: Any):
    output = await ask("select $1::int as a, $2::text as b", [1, "x"])
    assert output == {"rows": [{"a": 1, "b": "x"}], "rows_affected": 1}
    assert (await ask("select %s::text as a", ["$"]))["rows"] == [{"a": "$"}]
    assert (await ask("select %(n)s::int as a", {"n": 5}))["rows"] == [{"a": 5}]
    assert await ask("select 1 as a", single_row=True) == {"row": {"a": 1}, "rows_affected": 1}
    assert await ask("select 1 as a where false", single_row=True) == {"row": None, "rows_affected": 0}
    assert (await ask("select '100%' as a"))["rows"] == [{"a": "100%"}]


async def test_values_are_never_part_of_the_query(ask: Any):
    evil = "'; drop table users; --"
    assert (await ask("select $1::text as a", [evil]))["rows"] == [{"a": evil}]
    assert (await ask("select %s as a", [evil]))["rows"] == [{"a": evil}]


async def test_values_that_json_lacks(ask: Any):
    [row] = (
        await ask(
            "select timestamptz '2026-01-01 00:00Z' at time zone 'UTC' as t, 1.10::numeric as n, "
            "'\\x00ff'::bytea as b, "
            "'{1,2}'::int[] as l, '{\"a\": [1]}'::jsonb as j, interval '90 seconds' as i, date '2026-01-02' as d, "
            "'6f1c1d2e-0000-7000-8000-000000000000'::uuid as u, '10.0.0.1'::inet as ip, null as z"
        )
    )["rows"]
    assert row == {
        "t": "2026-01-01T00:00:00", "n": "1.10", "b": "AP8=", "l": [1, 2], "j": {"a": [1]}, "i": 90.0,
        "d": "2026-01-02", "u": "6f1c1d2e-0000-7000-8000-000000000000", "ip": "10.0.0.1", "z": None,
    }  # fmt: skip


async def test_objects_and_lists_as_parameters(ask: Any):
    assert (await ask("select $1::jsonb as a", [{"x": [1]}]))["rows"] == [{"a": {"x": [1]}}]
    assert (await ask("select 2 = any($1::int[]) as a", [[1, 2]]))["rows"] == [{"a": True}]


async def test_execute_and_transaction(ask: Any):
    assert await ask("create table t (id int primary key)", operation="execute") == {"rows_affected": 0}
    assert await ask("insert into t select generate_series(1, 3)", operation="execute") == {"rows_affected": 3}
    queries = [{"query": "insert into t values ($1) returning id", "params": [4]}, "select count(*) as n from t"]
    output = await ask(operation="transaction", queries=queries)
    assert output["results"] == [{"rows": [{"id": 4}], "rows_affected": 1}, {"rows": [{"n": 4}], "rows_affected": 1}]
    failure = await failing(ask(operation="transaction", queries=["delete from t", "insert into nope values (1)"]))
    assert (failure.error.code, failure.error.retryable) == ("db_error", False)
    assert failure.error.details == {"sqlstate": "42P01"}
    assert (await ask("select count(*) as n from t"))["rows"] == [{"n": 4}]


async def test_too_many_rows_fail(ask: Any):
    failure = await failing(ask("select generate_series(1, 11)", max_rows=10))
    assert failure.error.code == "db_too_many_rows"


async def test_timeout(ask: Any):
    started = time.monotonic()
    failure = await failing(ask("select pg_sleep(5)", timeout=0.3))
    assert (failure.error.code, failure.error.retryable) == ("db_timeout", True)
    assert time.monotonic() - started < 3


async def test_the_address_is_checked(empty_database_url: str):
    secrets = {"database": {"connection_string": empty_database_url}}
    for where in ("credentials", "connections"):
        failure = await failing(run("database", {"query": "select 1"}, egress=EgressClient(), **{where: secrets}))
        assert failure.error.code == "egress_refused"


@pytest.mark.parametrize(
    "text",
    ["host=/tmp user=x", "host=a,b user=x", "user=x dbname=y", "host=127.0.0.1",
     "host=127.0.0.1 user=x passfile=/etc/passwd",
     "host=127.0.0.1 user=x service=y", "host=127.0.0.1 user=x hostaddr=10.0.0.1", "host=127.0.0.1 user=x sslkey=/k",
     "host=127.0.0.1 user=x port=no", "nonsense"],
)  # fmt: skip
async def test_connection_strings_that_lead_elsewhere(text: str):
    egress = EgressClient(Egress(allow=("127.0.0.1",)))
    secrets = {"database": {"connection_string": text}}
    failure = await failing(run("database", {"query": "select 1"}, egress=egress, credentials=secrets))
    assert (failure.error.code, failure.error.retryable) == ("bad_credential", False)


async def test_the_workers_own_password_is_not_used(egress: EgressClient, empty_database_url: str, monkeypatch: Any):
    parts = urlsplit(empty_database_url)
    if not parts.password:
        pytest.skip("this server asks for no password")
    monkeypatch.setenv("PGPASSWORD", parts.password)
    secrets = {
        "database": {"connection_string": f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"}
    }
    failure = await failing(run("database", {"query": "select 1"}, egress=egress, credentials=secrets))
    assert failure.error.code == "db_connect"


async def test_a_lost_connection_can_be_retried(ask: Any, empty_database_url: str):
    failure = await failing(ask("select pg_terminate_backend(pg_backend_pid())"))
    assert (failure.error.code, failure.error.retryable) == ("db_connect", True)
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


async def test_what_is_missing(egress: EgressClient):
    assert codes("database", {}) == [("", "invalid_value")]
    assert codes("database", {"operation": "transaction"}) == [("", "invalid_value")]
    config = {"query": "select 1", "connection_string": "postgresql://x@127.0.0.1/x"}
    assert codes("database", config) == []
    assert (await failing(run("database", config, egress=egress))).error.code == "no_credential"
