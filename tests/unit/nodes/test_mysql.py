"""The MySQL node against MySQL's protocol: see mysql_peer."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.mysql_client import read
from tests.unit.nodes.mysql_peer import REAL, mysql
from tests.unit.nodes.peers import codes, run


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with mysql(tmp_path) as found:
        yield found


@pytest.fixture
def ask(egress: EgressClient, url: str) -> Any:
    async def ask(query: str = "", params: Any = (), **config: Any) -> Any:
        given = {"params": params if isinstance(params, dict) else list(params), **({"query": query} if query else {})}
        secrets = {"mysql": {"connection_string": url}}
        return (await run("mysql", {**given, **config}, egress=egress, credentials=secrets)).output

    return ask


@pytest.fixture
async def people(ask: Any) -> None:
    await ask(
        "create table people (id integer primary key, name varchar(99) not null default 'nobody', age int,"
        " data text, `odd name` varchar(20))",
        operation="execute",
    )


async def failing(call: Any) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    assert "s3cret" not in json.dumps([caught.value.error.message, caught.value.error.details])
    return caught.value


async def test_rows(ask: Any):
    assert await ask("select %s as a, %s as b", [1, "ü'\\\"`;--"]) == {
        "rows": [{"a": 1, "b": "ü'\\\"`;--"}],
        "rows_affected": 1,
    }
    assert (await ask("select %(n)s as a, '100%%' as b", {"n": 5}))["rows"] == [{"a": 5, "b": "100%"}]
    assert (await ask("select '100%' as b"))["rows"] == [{"b": "100%"}]
    assert await ask("select 1 as a", single_row=True) == {"row": {"a": 1}, "rows_affected": 1}
    assert (await ask("select 2 in %s as a, %s as b", [[1, 2], {"x": [1]}]))["rows"] == [{"a": 1, "b": '{"x":[1]}'}]


async def test_execute_and_transaction(ask: Any, people: None):
    assert await ask("insert into people (id) values (1), (2)", operation="execute") == {"rows_affected": 2}
    queries = [{"query": "update people set age = %s", "params": [3]}, "select id, age from people order by id"]
    output = await ask(operation="transaction", queries=queries)
    assert output["results"][1] == {"rows": [{"id": 1, "age": 3}, {"id": 2, "age": 3}], "rows_affected": 2}
    failure = await failing(ask(operation="transaction", queries=["delete from people", "insert into nope values (1)"]))
    assert (failure.error.code, failure.error.retryable) == ("db_error", False)
    assert failure.error.details["errno"] in (1146, 1105)
    assert len((await ask("select 1 from people"))["rows"]) == 2


async def test_without_sql(ask: Any, people: None):
    rows = [{"id": 1, "name": "'; drop table people; --", "age": 36, "data": {"x": ["ü"]}, "odd name": "%s"}, {"id": 2}]
    output = await ask(operation="insert", table="people", rows=[*rows, {"id": 3, "age": 80}, {"id": 4, "age": 7}])
    assert output["rows_affected"] == 4
    config: dict[str, Any] = {"operation": "select", "table": "people", "order_by": "id"}
    found = (await ask(**config))["rows"]
    assert found[0] == rows[0] | {"data": '{"x":["ü"]}'}
    assert found[1] == {"id": 2, "name": "nobody", "age": None, "data": None, "odd name": None}

    async def ids(where: dict[str, Any], **more: Any) -> list[int]:
        return [row["id"] for row in (await ask(**{**config, "columns": "id", "where": where, **more}))["rows"]]

    assert await ids({"age": {"gt": 7, "lt": 81}}, order_by="-id") == [3, 1]
    assert (await ids({"age": None}), await ids({"age": {"is_null": False}}, offset=1)) == ([2], [3, 4])
    assert (await ids({"id": {"in": [1, 4]}}), await ids({"id": {"not_in": [1, 4]}}, limit=1)) == ([1, 4], [2])
    assert (await ids({"odd name": "%s"}), await ids({"name": {"like": "no%"}, "id": {"ne": 3}})) == ([1], [2, 4])
    assert await ask(operation="update", table="people", values={"name": "A"}, where={"id": {"lte": 2}}) == {
        "rows_affected": 2
    }
    await ask(operation="upsert", table="people", rows=[{"id": 1, "name": "B"}, {"id": 9, "name": "C"}], key="id")
    await ask(operation="upsert", table="people", rows={"id": 9, "name": "no"}, key="id", on_conflict="ignore")
    assert await ids({"name": {"in": ["B", "C"]}}) == [1, 9]
    assert await ask(operation="delete", table="people", where={"id": 9}) == {"rows_affected": 1}
    many = [{"id": n, "name": str(n)} for n in range(100, 1300)]
    assert await ask(operation="insert", table="people", rows=many) | {"insert_id": 0} == {
        "rows_affected": 1200,
        "insert_id": 0,
    }
    failure = await failing(ask(operation="insert", table="people", rows=[{"id": 50}, {"id": 100}]))
    assert failure.error.code == "db_error"
    assert await ids({"id": 50}) == []


async def test_bounds(ask: Any, people: None):
    await ask(operation="insert", table="people", rows=[{"id": n, "name": "x" * 99} for n in range(50)])
    assert (await failing(ask("select * from people", max_rows=49))).error.code == "db_too_many_rows"
    assert (await failing(ask("select * from people", max_bytes=1000))).error.code == "db_too_large"
    failure = await failing(ask("delete from people", operation="execute", read_only=True))
    assert failure.error.code == "db_error"
    assert len((await ask("select id from people", read_only=True))["rows"]) == 50


async def test_what_takes_too_long_is_cancelled(ask: Any, url: str):
    started = time.monotonic()
    failure = await failing(ask("select sleep(30)", timeout=0.3))
    assert (failure.error.code, failure.error.retryable) == ("db_timeout", True)
    call = asyncio.ensure_future(ask("select sleep(30)"))
    await asyncio.sleep(0.2)  # until it is at it
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert time.monotonic() - started < 3
    running = "select info from information_schema.processlist where info like 'select sleep%%' and id <> %s"
    while REAL and (await ask(running, [0]))["rows"]:
        assert time.monotonic() - started < 20
        await asyncio.sleep(0.1)


async def test_where_the_server_is(ask: Any, url: str, egress: EgressClient):
    config = {"query": "select 1"}
    assert (await failing(run("mysql", config, egress=egress))).error.code == "no_credential"
    secrets = {"mysql": {"connection_string": url}}
    assert (
        await failing(run("mysql", config, egress=EgressClient(), credentials=secrets))
    ).error.code == "egress_refused"
    wrong = {"mysql": {"connection_string": url.replace("s3cret", "s3crets")}}
    failure = await failing(run("mysql", config, egress=egress, credentials=wrong))
    assert (failure.error.code, failure.error.retryable, failure.error.details) == (
        "db_connect",
        False,
        {"errno": 1045},
    )
    away = {"mysql": {"connection_string": "mysql://x@127.0.0.1:9/x"}}
    failure = await failing(run("mysql", config, egress=egress, credentials=away))
    assert (failure.error.code, failure.error.retryable) == ("db_connect", True)


@pytest.mark.parametrize(
    "text", ["", "x", "mysql://host/db", "mysql://u@/db", "postgresql://u@h/d", "mysql://u@h:port/d", "mysql://u@h/a/b",
             "mysql://u@h/d?read_default_file=/etc/passwd", "mysql://u@h/d?ssl-mode=maybe", "mysql://u@h/d?local_infile=1"],
)  # fmt: skip
def test_connection_strings_that_lead_elsewhere(text: str):
    with pytest.raises(NodeFailure, match="mysql://user"):
        read(text)


async def test_tls(tmp_path: Path):
    if REAL:
        return  # its certificate is its own affair
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("db.example").configure_cert(context)
    ca = authority.cert_pem.bytes().decode()
    async with mysql(tmp_path, context) as found:
        port = urlsplit(found).port
        client = EgressClient(
            Egress(resolve={f"{name}:{port}": f"127.0.0.1:{port}" for name in ("db.example", "other.example")})
        )

        async def ask(host: str, query: str, ca: str) -> Any:
            secrets = {"mysql": {"connection_string": found.replace("127.0.0.1", host) + query, "ca": ca}}
            return (
                await run("mysql", {"query": "select 1 as a", "timeout": 20}, egress=client, credentials=secrets)
            ).output["rows"]

        assert await ask("db.example", "", ca) == [{"a": 1}]
        assert await ask("db.example", "?ssl-mode=REQUIRED", "") == [{"a": 1}]
        assert await ask("db.example", "", "") == [{"a": 1}]
        assert await ask("other.example", "?ssl-mode=verify_ca", ca) == [{"a": 1}]
        for host, query, authorities in (("other.example", "", ca), ("db.example", "?ssl-mode=verify_identity", "")):
            failure = await failing(ask(host, query, authorities))
            assert (failure.error.code, failure.error.retryable) == ("db_connect", False)
        assert (await failing(ask("db.example", "", "no pem"))).error.code == "bad_credential"


@pytest.mark.parametrize("plugin", [b"mysql_clear_password", b"dialog"])
async def test_a_server_that_wants_the_password_in_the_clear_does_not_get_it(plugin: bytes, egress: EgressClient):
    heard: list[bytes] = []

    def packet(number: int, body: bytes) -> bytes:
        return len(body).to_bytes(3, "little") + bytes([number]) + body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        capabilities = (0x0008_F7FF & ~0x0800).to_bytes(4, "little")  # without TLS
        writer.write(packet(0, b"\x0a8.0.0\0" + b"\1\0\0\0" + b"12345678\0" + capabilities[:2] + b"\x2d\2\0" + capabilities[2:]
                            + b"\x15" + b"\0" * 10 + b"123456789012\0" + b"mysql_native_password\0"))  # fmt: skip
        heard.append(await reader.read(4096))
        writer.write(packet(2, b"\xfe" + plugin + b"\0" + b"Password: "))
        heard.append(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    secrets = {"mysql": {"connection_string": f"mysql://ada:s3cret@127.0.0.1:{port}/x"}}
    failure = await failing(run("mysql", {"query": "select 1"}, egress=egress, credentials=secrets))
    assert (failure.error.code, failure.error.retryable) == ("db_connect", False)
    assert b"s3cret" not in b"".join(heard)
    server.close()


def test_what_is_missing():
    assert codes("mysql", {}) == [("", "invalid_value")]
    assert codes("mysql", {"operation": "update", "table": "t", "values": {"a": 1}}) == [("", "invalid_value")]
    assert codes("mysql", {"operation": "select", "table": "t", "where": "{{ input }}"}) == []
