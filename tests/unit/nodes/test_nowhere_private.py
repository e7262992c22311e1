"""No node type goes where nobody allowed it: not to this machine, nor to a cloud's metadata, under whatever spelling."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from linkflow.config import Egress
from linkflow.domain.outcomes import Failed
from linkflow.nodes import egress as egress_of_nodes
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.registry import Registry
from tests.unit.nodes.peers import run
from tests.unit.nodes.test_secrets_stay import CASES as SERVICES

NODES = Path(egress_of_nodes.__file__).parent
AWS = {"access_key_id": "AKID", "secret_access_key": "s", "region": "eu-central-1", "endpoint": "PEER"}
AI = {"api_key": "k", "provider": "compatible", "base_url": "PEER/v1", "model": "m"}
MORE: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "action_http_request": [
        ({"url": "PEER/x"}, {}),
        ({"url": "PEER/x", "pagination": {"mode": "link"}}, {}),
        ({"url": "http://93.184.216.34/x", "proxy": "PEER"}, {}),
        ({"url": "http://93.184.216.34/x"},
         {"kind": "oauth2_client", "token_url": "PEER/t", "client_id": "i", "client_secret": "s"}),
    ],
    "action_ai": [({"prompt": "x"}, AI), ({"prompt": "x", "endpoint": "PEER/v1"}, {})],
    "action_ai_agent": [({"prompt": "x"}, AI)],
    "action_ai_classify": [({"text": "x", "classes": ["a", "b"]}, AI)],
    "action_ai_embeddings": [({"input": "x"}, AI)],
    "action_aws_lambda": [({"function": "f"}, AWS)],
    "action_aws_sqs": [({"operation": "send", "queue": "PEER/1/q", "body": "x"}, AWS)],
    "action_aws_sns": [({"topic": "arn:aws:sns:eu-central-1:1:t", "message": "x"}, AWS)],
    "action_aws_eventbridge": [({"source": "s", "detail_type": "t", "detail": {}}, AWS)],
    "action_aws_step_functions": [({"state_machine": "arn:aws:states:eu-central-1:1:stateMachine:m"}, AWS)],
    "action_s3": [({"operation": "get", "bucket": "bucket", "key": "k"}, AWS)],
    "action_database": [({"query": "select 1"}, {"connection_string": "postgresql://u:p@ADDRESS/d"})],
    "action_mysql": [({"query": "select 1"}, {"connection_string": "mysql://u:p@ADDRESS/d"})],
    "action_redis": [({"operation": "get", "key": "k"}, {"url": "redis://ADDRESS/0"})],
    "action_email": [({"to": "a@b.example", "subject": "s", "text": "t"}, {"host": "HOST", "port": "PORT", "from": "f@b.example"})],
}  # fmt: skip
CASES = [(type, *case) for cases in (SERVICES, MORE) for type, each in cases.items() for case in each]
PRIVATE = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "100.64.0.1")


@pytest.fixture
async def listener() -> AsyncIterator[tuple[int, list[str]]]:
    """Its port, and who has come."""
    came: list[str] = []
    server = await asyncio.start_server(lambda _, writer: came.append("somebody") or writer.close(), None, 0)  # type: ignore[func-returns-value]
    yield server.sockets[0].getsockname()[1], came
    server.close()


@pytest.fixture
async def strict() -> AsyncIterator[EgressClient]:
    client = EgressClient(Egress())
    yield client
    await client.aclose()


def test_every_type_that_goes_out_is_here() -> None:
    going = {node.type for node in Registry.load().every() if any(one.code == "egress_refused" for one in node.faults)}
    assert going == {type for type, *_ in CASES}
    others = {node.type for node in Registry.load().every() if not node.pure} - going
    assert others == {"action_code", "action_storage", "crypto", "html", "jsonata", "markdown", "template", "xml"}


@pytest.mark.parametrize("host", PRIVATE)
async def test_it_is_refused_before_a_byte_is_sent(
    strict: EgressClient, listener: tuple[int, list[str]], host: str
) -> None:
    port, came = listener

    def placed(value: Any) -> Any:
        if isinstance(value, str):
            at = value.replace("PEER", f"http://{host}:{port}").replace("ADDRESS", f"{host}:{port}")
            return port if at == "PORT" else at.replace("HOST", host.strip("[]"))
        return {name: placed(one) for name, one in value.items()} if isinstance(value, dict) else value

    async def left_by(type: str, config: dict[str, Any], secrets: dict[str, Any]) -> str:
        slots = Registry.load().resolve(type).slots  # type: ignore[union-attr]
        credentials = {slots[0].name: placed(secrets)} if secrets and slots else {}
        try:
            outcome = await run(type, placed(config), egress=strict, credentials=credentials)
        except NodeFailure as failure:
            return failure.error.code
        return outcome.error.code if isinstance(outcome, Failed) else "done"

    found = await asyncio.gather(*(left_by(*case) for case in CASES))
    assert [(case, code) for case, code in zip(CASES, found, strict=True) if code != "egress_refused"] == []
    assert came == []


def test_few_modules_open_connections() -> None:
    """Each dials an address that the client for going out has checked."""
    network = {"aiohttp", "httpx", "requests", "urllib3", "http.client", "urllib.request", "socket", "ftplib", "ssl"}
    drivers = {"psycopg", "pymysql", "aiosmtplib", "smtplib", "redis", "boto3", "botocore", "asyncpg"}

    def reached(path: Path) -> Iterator[str]:
        for one in ast.walk(ast.parse(path.read_text())):
            if isinstance(one, ast.Import):
                yield from (alias.name for alias in one.names)
            elif isinstance(one, ast.ImportFrom) and one.module:
                yield one.module

    users = {
        str(path.relative_to(NODES))
        for path in NODES.rglob("*.py")
        if any(name in network | drivers or name.partition(".")[0] in drivers for name in reached(path))
    }
    assert users == {
        "addresses.py", "ambient.py", "certificates.py", "egress.py", "mysql_client.py", "outgoing.py",
        "redis_client.py", "smtp.py", "sql.py",
    }  # fmt: skip
