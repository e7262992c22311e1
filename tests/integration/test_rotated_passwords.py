"""Passwords that change while an environment lives: real servers refuse the old one, Secrets Manager (moto) has the new."""

# ruff: noqa: F811 - fixtures that are imported
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
import redis

from linkflow import bootstrap
from linkflow.domain.errors import Unavailable
from linkflow.postgres.database import Database
from tests.rotating import Role, Secrets, address, aws, role, secrets  # noqa: F401 - fixtures

SECRET = "s" * 32

Build = Callable[..., bootstrap.System]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Builds what a function has, from its settings as the template gives them."""
    monkeypatch.setattr(bootstrap, "_named", {})

    def build(**settings: str) -> bootstrap.System:
        for name, value in {"LINKFLOW_SECRET": SECRET, "LINKFLOW_DB_TIMEOUT": "3", **settings}.items():
            monkeypatch.setenv(name, value)
        return bootstrap.System(bootstrap._settings(), "history", on_lambda=True)

    return build


async def test_a_password_of_the_database_that_was_rotated_is_taken_up(
    database_url: str, role: Role, secrets: Secrets, environment: Build
) -> None:
    arn = secrets.make(json.dumps({"password": "one"}))
    system = environment(DATABASE_URL=address(database_url, role.name, f"{{{{secretsmanager:{arn}:password}}}}"))
    try:
        await system.database.ping()
        for password in ("two", "three/:@"):
            secrets.put(arn, json.dumps({"password": password}))
            role.becomes(password)
            await asyncio.gather(*(system.database.ping() for _ in range(3)))
            system._parts["renewal"]._providers.clear()  # as if `MAX_AGE` had passed
    finally:
        await system.close()


async def test_databases_that_are_further_ones_have_secrets_of_their_own(
    database_url: str, role: Role, secrets: Secrets, environment: Build
) -> None:
    arn = secrets.make("one")
    b = address(database_url, role.name, f"{{{{secretsmanager:{arn}}}}}")
    system = environment(DATABASE_URL=database_url, LINKFLOW_DATABASES=f"b={b}")
    try:
        assert system.shards is not None
        other = system.shards.databases["b"]
        await other.ping()
        secrets.put(arn, "two")
        role.becomes("two")
        await other.ping()
    finally:
        await system.close()


async def test_while_a_rotation_is_under_way_it_is_looked_again(database_url: str, role: Role) -> None:
    """The database has the new password before the secret says so."""
    old, new = (address(database_url, role.name, password) for password in ("one", "two"))
    said: list[str] = []

    async def renew() -> str:
        said.append(new if said else old)
        return said[-1]

    database = Database(old, size=1, timeout=5, renew=renew)
    try:
        role.becomes("two")
        await database.ping()
        assert said == [old, new]
    finally:
        await database.close()


async def test_what_stays_refused_is_unavailable(
    database_url: str, role: Role, secrets: Secrets, environment: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = secrets.make(address(database_url, role.name, "one"))
    system = environment(DATABASE_URL=f"{{{{secretsmanager:{arn}}}}}", LINKFLOW_DB_TIMEOUT="0.4")
    try:
        role.becomes("two")
        with pytest.raises(Unavailable):
            await system.database.ping()
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # nobody to ask either
        system._parts["renewal"]._providers.clear()
        with pytest.raises(Unavailable):
            await system.database.ping()
    finally:
        await system.close()


@pytest.mark.parametrize("cluster", [False, True])
async def test_a_password_of_valkey_that_was_rotated_is_taken_up(
    cluster_url: str,
    secrets: Secrets, environment: Build, cluster: bool,
) -> None:  # fmt: skip
    parts = urlsplit(cluster_url)
    admin = redis.Redis(port=parts.port or 0)
    admin.execute_command("ACL", "SETUSER", "ann", "reset", "on", ">one", "~*", "&*", "+@all")
    server, more = parts._replace(query="").geturl(), "?cluster=true" if cluster else ""
    arn = secrets.make(address(server, "ann", "one") + more)
    system = environment(REDIS_URL=f"{{{{secretsmanager:{arn}}}}}")
    try:
        await system.valkey.commands.execute_command("SET", "a", 1)
        admin.execute_command("ACL", "SETUSER", "ann", "resetpass", ">two")
        admin.execute_command("CLIENT", "KILL", "USER", "ann")
        secrets.put(arn, address(server, "ann", "two") + more)
        assert await system.valkey.commands.execute_command("GET", "a") == b"1"
        assert await system.valkey.blocking.execute_command("PING") in (b"PONG", "PONG")
    finally:
        await system.close()
        admin.close()


async def test_a_step_of_a_deployment_asks_for_secrets_each_time(secrets: Secrets, environment: Build) -> None:
    """The environment that migrates may be warm from the deployment before."""
    arn = secrets.make("postgresql://a")
    assert environment(DATABASE_URL=f"{{{{secretsmanager:{arn}}}}}").config.database_url == "postgresql://a"
    secrets.put(arn, "postgresql://b")
    assert bootstrap._settings().database_url == "postgresql://b"
