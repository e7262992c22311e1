"""A deployment on Lambda in which nothing happens asks its database for nothing, and holds no connection to it: one that
pauses by itself then does, and costs nothing. Handlers as deployed, under AWS's runtime interface emulator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from tests.e2e.topologies import ROOT, http_event, settings
from tests.lambda_pool import Function, LambdaPool, NoEmulator, emulator

TICK = {"tick": {"seconds": 55}}
STATE, SINCE = "lf:{clock}:state", "lf:{clock}:since"


@pytest.fixture
def pool(database_url: str, redis_url: str, tmp_path: Path) -> Iterator[LambdaPool]:
    try:
        emulator()
    except NoEmulator as missing:
        pytest.fail(str(missing))
    env = settings(database_url, redis_url, "http://127.0.0.1:1", {}) | {
        "LINKFLOW_ENVIRONMENT": "aws",
        "LINKFLOW_WORKER_URL": "lambda:lf-worker",
        "LINKFLOW_TIMER_URL": "lambda:lf-timer",
    }
    functions = {f"lf-{name}": Function(ROOT / "functions" / name, env=env, cap=1) for name in ("timer", "api")}
    with LambdaPool(functions, logs=tmp_path) as made:
        env["AWS_ENDPOINT_URL_LAMBDA"] = made.url
        yield made


@pytest.fixture
def cache(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as made:
        yield made


@pytest.fixture
def seen(postgres: Any, database_url: str) -> Callable[[], tuple[int, int]]:
    """Sessions that clients of the database have begun, and those that are open, as another database of the server sees
    them. Not transactions: autovacuum has some of its own."""
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]

    def look() -> tuple[int, int]:
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            query = "SELECT sessions, numbackends FROM pg_stat_database WHERE datname = %s"
            row = admin.execute(query, (name,)).fetchone()
        assert row is not None
        return int(row[0]), int(row[1])

    return look


def _closed(seen: Callable[[], tuple[int, int]]) -> int:
    """Sessions so far, once nobody is connected: a server counts when one ends."""
    deadline = time.monotonic() + 10
    while (found := seen())[1]:
        assert time.monotonic() < deadline, "a connection stays open"
        time.sleep(0.02)
    return found[0]


def test_an_idle_deployment_leaves_its_database_alone(
    pool: LambdaPool, cache: Any, seen: Callable[[], tuple[int, int]]
) -> None:
    pool.invoke("lf-timer", TICK)
    assert cache.get(STATE) is None, "a store that has just begun to know anything is not believed"
    cache.set(SINCE, 1)  # long ago
    assert pool.invoke("lf-timer", TICK) == {"ok": {"timers": 0, "schedules": 0, "swept": 0, "rested": False}}
    assert cache.get(STATE) == b"rest"
    assert cache.pttl(STATE) > 5 * 3_600_000
    before = _closed(seen)
    for _ in range(5):
        assert pool.invoke("lf-timer", TICK)["ok"]["rested"]
    assert seen() == (before, 0)

    for path, status in (("/health/live", 200), ("/.env", 404)):
        assert pool.invoke("lf-api", http_event("GET", path, [("host", "lf")], b""))["statusCode"] == status
    assert (cache.get(STATE), seen()) == (b"rest", (before, 0)), "neither pages nor strangers are work"

    event = http_event("GET", "/api/v1/health", [("host", "lf")], b"")
    assert pool.invoke("lf-api", event)["statusCode"] == 200
    assert cache.get(STATE) == b"busy", "a function works: the clock may not rest"
    pool.invoke("lf-timer", TICK)
    assert seen()[1] > 0
    assert cache.get(STATE) == b"busy"


def test_a_function_that_cannot_say_that_it_works_calls_the_clock(
    pool: LambdaPool, cache: Any, seen: Callable[[], tuple[int, int]]
) -> None:
    cache.set(SINCE, 1)
    pool.invoke("lf-timer", TICK)
    cache.execute_command("CLIENT", "PAUSE", 60000, "WRITE")  # it reads, and hangs where somebody writes
    event = http_event("GET", "/api/v1/health", [("host", "lf")], b"")
    ticks = pool.invocations("lf-timer")
    assert pool.invoke("lf-api", event)["statusCode"] == 200
    cache.execute_command("CLIENT", "UNPAUSE")
    deadline = time.monotonic() + 10
    while not (pool.quiet and pool.invocations("lf-timer") > ticks):
        assert time.monotonic() < deadline, json.dumps(pool.report())
        time.sleep(0.02)
    assert cache.get(STATE) == b"busy"
    assert seen()[1] > 0, "it looked"
