"""What an environment of a function holds: one connection to each store, looked at before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest
import redis

from linkflow import bootstrap
from linkflow.bootstrap import System


@pytest.fixture
async def environment(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[System]:
    for name, value in {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "LINKFLOW_SECRET": "s" * 32}.items():
        monkeypatch.setenv(name, value)
    system = System(bootstrap._settings(), "history", on_lambda=True)
    system.serve_all(("history", "matching"))
    yield system
    await system.close()


@pytest.fixture
def admin(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as made:
        yield made


def sessions(admin: psycopg.Connection[Any]) -> list[int]:
    """Processes of Postgres that work for others in this database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [pid for (pid,) in admin.execute(query + " AND backend_type = 'client backend'")]


async def test_calls_at_once_share_it(environment: System, admin: psycopg.Connection[Any], redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as valkey:
        before = {client["id"] for client in valkey.client_list()}
        await asyncio.gather(*(environment.database.ping() for _ in range(20)))
        await asyncio.gather(*(environment.valkey.commands.execute_command("PING") for _ in range(20)))
        assert len(sessions(admin)) == 1
        assert len({client["id"] for client in valkey.client_list()} - before) == 1


async def test_one_that_was_ended_while_the_function_was_frozen_is_replaced(
    environment: System, admin: psycopg.Connection[Any], redis_url: str
) -> None:
    """The database ends sessions that are idle for two minutes; a Valkey that restarts ends its own."""
    await environment.database.ping()
    await environment.valkey.ping()
    for pid in sessions(admin):
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
    with redis.Redis.from_url(redis_url) as valkey:
        own = valkey.client_id()
        for client in valkey.client_list():
            if client["id"] != str(own) and client["db"] == "15":
                valkey.client_kill_filter(_id=client["id"])
    await environment.database.ping()
    await environment.valkey.ping()
    assert len(sessions(admin)) == 1
