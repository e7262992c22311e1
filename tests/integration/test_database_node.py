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


@pytest.fixture
def people(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(
            "CREATE TABLE people (\"Id\" int PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', tags text[], data jsonb,"
            ' born date, "odd ""name" numeric(10, 2))'
        )


async def test_without_sql(ask: Any, people: None):
    rows = [
        {"Id": 1, "name": "Ada", "tags": ["a", "b"], "data": {"x": [1]}, "born": "1815-12-10", 'odd "name': "1.5"},
        {"Id": 2, "name": "'; drop table people; --", "tags": None, "data": [1, "two"], "born": None, 'odd "name': 2},
        {"Id": 3},
        {"Id": 4, "name": None} | {"name": "Grace"},
    ]
    output = await ask(operation="insert", table="people", rows=rows)
    assert output == {"rows_affected": 4}
    found = await ask(operation="select", table="public.people", order_by="Id")
    assert found["rows"][:2] == [rows[0] | {'odd "name': "1.50"}, rows[1] | {'odd "name': "2.00"}]
    assert (found["rows"][2]["name"], found["rows_affected"]) == ("nobody", 4)

    async def ids(where: dict[str, Any], **more: Any) -> list[int]:
        config = {"operation": "select", "table": "people", "columns": "Id", "order_by": ["-Id"], **more}
        return [row["Id"] for row in (await ask(where=where, **config))["rows"]]

    assert await ids({}) == [4, 3, 2, 1]
    assert await ids({"Id": {"gt": 1, "lte": 3}}) == [3, 2]
    assert await ids({"Id": {"in": [1, 4, 9]}}, limit=1) == [4]
    assert await ids({"Id": {"not_in": ["1"]}, "name": {"like": "%a%e%"}}) == [4, 2]
    assert (await ids({"Id": {"in": []}}), await ids({"Id": {"not_in": []}}, offset=3)) == ([], [1])
    assert (await ids({"born": None}), await ids({"born": {"is_null": False}})) == ([4, 3, 2], [1])
    assert (await ids({"born": "1815-12-10"}), await ids({"data": {"eq": {"x": [1]}}})) == ([1], [1])
    assert await ids({"tags": {"eq": ["a", "b"]}, 'odd "name': {"ne": 7}}) == [1]
    one = await ask(operation="update", table="people", values={"name": "A", "data": None}, where={"Id": 1},
                    returning=["Id", "name", "data"], single_row=True)  # fmt: skip
    assert one == {"row": {"Id": 1, "name": "A", "data": None}, "rows_affected": 1}
    both = await ask(
        operation="upsert", table="people", rows=[{"Id": 1, "name": "B"}, {"Id": 9, "name": "C"}], key="Id"
    )
    assert both == {"rows_affected": 2}
    kept = await ask(operation="upsert", table="people", rows={"Id": 1, "name": "no"}, key="Id", on_conflict="ignore")
    assert kept == {"rows_affected": 0}
    assert (await ask('select name from people where "Id" in (1, 9) order by 1'))["rows"] == [
        {"name": "B"},
        {"name": "C"},
    ]
    assert (await ask(operation="delete", table="people", where={"name": "C"}, returning="*"))["rows"][0]["Id"] == 9
    assert await ask(operation="delete", table="people", all_rows=True) == {"rows_affected": 4}
    assert await ask(operation="insert", table="people", rows=[]) == {"rows_affected": 0}


async def test_names_and_conditions_that_make_no_statement(ask: Any, people: None):
    select = {"operation": "select", "table": "people"}
    for bad in (
        {"table": "a.b.c"}, {"table": "peo%ple"}, {"columns": ["x\0"]}, {"where": {"Id": {"in": 1}}}, {"where": {"": 1}},
        {"operation": "update", "values": {}, "where": {"Id": 1}}, {"operation": "insert", "rows": [{}]},
        {"operation": "delete", "where": {}},
    ):  # fmt: skip
        assert (await failing(ask(**{**select, **bad}))).error.code == "db_invalid", bad
    failure = await failing(ask(**select, where={'x" = 1; drop table people; --': 1}))
    assert failure.error.details == {"sqlstate": "42703"}
    assert (await ask(**select))["rows"] == []


async def test_an_insert_is_whole_or_nothing(ask: Any, people: None):
    rows = [{"Id": 1}, {"Id": 2, "name": "x"}, {"Id": 1, "name": "twice"}]
    failure = await failing(ask(operation="insert", table="people", rows=rows))
    assert failure.error.details == {"sqlstate": "23505"}
    assert (await ask("select 1 from people"))["rows"] == []


async def test_bounds_hold_before_memory_is_full(ask: Any):
    failure = await failing(ask("select repeat('x', 1000) from generate_series(1, 1000000)", max_bytes=100_000))
    assert (failure.error.code, failure.error.retryable) == ("db_too_large", False)
    failure = await failing(ask("select n from generate_series(1, 1000000) as n", max_rows=5))
    assert failure.error.code == "db_too_many_rows"


async def test_reading_only(ask: Any):
    await ask("create table t (n int)", operation="execute")
    failure = await failing(ask("insert into t values (1)", operation="execute", read_only=True))
    assert failure.error.details == {"sqlstate": "25006"}
    assert (await ask("with x as (select 1 as n) select * from x", read_only=True))["rows"] == [{"n": 1}]


async def test_what_takes_too_long_is_cancelled_on_the_server(ask: Any, empty_database_url: str):
    assert (await failing(ask("select pg_sleep(60)", timeout=0.3))).error.code == "db_timeout"
    with psycopg.connect(empty_database_url) as connection:
        query = (
            "select count(*) from pg_stat_activity where datname = current_database() and query like '%pg_sleep(60)%'"
        )
        assert connection.execute(f"{query} and pid <> pg_backend_pid()").fetchone() == (0,)
    # The server has the bound as well, should this worker be gone.
    assert (await ask("select current_setting('statement_timeout') as s", timeout=7))["rows"] == [{"s": "7s"}]


async def test_an_authority_of_the_credentials_own(egress: EgressClient, empty_database_url: str):
    """This server has no TLS, which a credential with an authority does not put up with."""
    secrets = {"database": {"connection_string": empty_database_url, "ca": "-----BEGIN CERTIFICATE-----"}}
    failure = await failing(run("database", {"query": "select 1"}, egress=egress, credentials=secrets))
    assert failure.error.code == "db_connect"
