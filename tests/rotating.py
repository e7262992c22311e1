"""Who keeps secrets (Secrets Manager, by moto's server), and who changes passwords of the database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import psycopg
import pytest
from moto.server import ThreadedMotoServer

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}


class Secrets:
    """What an administrator does with Secrets Manager."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def make(self, value: str) -> str:
        name = f"secret-{os.urandom(6).hex()}"
        return str(self._client.create_secret(Name=name, SecretString=value)["ARN"])

    def put(self, arn: str, value: str) -> None:
        self._client.put_secret_value(SecretId=arn, SecretString=value)


class Role:
    """Somebody who may use the database: `name`, and at first ``one`` for a password."""

    def __init__(self, admin: psycopg.Connection[Any], name: str) -> None:
        self._admin, self.name = admin, name
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'one'")

    def becomes(self, password: str) -> None:
        """From now on that is the password, and whoever was connected is so no more."""
        self._admin.execute(f"ALTER ROLE {self.name} PASSWORD '{password}'")
        self._admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (self.name,))


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def secrets(aws: str, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    return Secrets(boto3.client("secretsmanager", region_name="eu-west-1"))


@pytest.fixture
def role(database_url: str) -> Iterator[Role]:
    """Somebody who may use the test's database."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        made = Role(admin, f"rotated_{os.urandom(4).hex()}")
        yield made
        admin.execute(f"DROP ROLE {made.name}")


def address(url: str, user: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}").geturl()
