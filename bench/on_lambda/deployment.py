"""The deployed functions on this machine: their handlers, as they are, under AWS's runtime interface emulator, with the
template's memory, timeouts and settings, on the benchmark's own Postgres and Valkey."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.children import ROOT
from tests.e2e.topologies import HttpApi
from tests.lambda_pool import Function, LambdaPool

FUNCTIONS = ("api", "worker", "timer")
"""Those that are invoked: Frontend, History and Matching run within whoever calls them."""
PATIENCE = 120.0


@dataclass(frozen=True)
class Shape:
    """What the template gives a function."""

    memory: int
    timeout: int


def shapes(template: str) -> dict[str, Shape]:
    """Memory in MB and timeout in seconds of each function, by the name of its folder."""
    whole = _number(template.partition("\nResources:")[0], "MemorySize") or 128
    found = {}
    for block in re.split(r"\n(?=  \w+:)", template.partition("\nResources:")[2]):
        if folder := re.search(r"CodeUri: functions/(\w+)", block):
            timeout = _number(block, "Timeout") or _default(template, block)
            found[folder[1]] = Shape(_number(block, "MemorySize") or whole, timeout)
    return found


def _number(text: str, name: str) -> int:
    found = re.search(rf"^ +{name}: (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _default(template: str, block: str) -> int:
    """A timeout that is a parameter."""
    found = re.search(r"Timeout: !Ref (\w+)", block)
    at = re.search(rf"^  {found[1]}:\n(?:    .*\n)*?    Default: (\d+)", template, re.MULTILINE) if found else None
    return int(at[1]) if at else 3


@dataclass(frozen=True)
class Deployment:
    """Functions behind an HTTP API at `url`; their logs in `logs`, one file each."""

    url: str
    pool: LambdaPool
    logs: Path
    shapes: dict[str, Shape]

    def settle(self, done: Callable[[], bool] = lambda: True) -> None:
        """Wait until it is done and every function has gone to rest, its workers included."""
        deadline = time.monotonic() + PATIENCE
        while not (self.pool.quiet and done()):
            if time.monotonic() > deadline:
                raise RuntimeError("the functions do not come to rest")
            time.sleep(0.01)

    def invoke(self, name: str, event: dict[str, Any]) -> None:
        """One invocation as AWS's scheduler makes it."""
        self.pool.accept(f"lf-{name}", "RequestResponse", json.dumps(event).encode())


@contextlib.contextmanager
def deployed(database_url: str, redis_url: str, secret: str, allow: str, folder: Path) -> Iterator[Deployment]:
    """The functions, ready to be called; none has been started yet. `allow` is an address that nodes may call."""
    found, bridge = shapes((ROOT / "template.yaml").read_text()), HttpApi()
    logs = folder / "lambda"
    env = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "LINKFLOW_SECRET": secret,
        "LINKFLOW_PUBLIC_URL": bridge.url,
        "LINKFLOW_ENVIRONMENT": "aws",
        "LINKFLOW_POOL_SIZE": "2",
        "LINKFLOW_WORKER_URL": "lambda:lf-worker",
        "LINKFLOW_TIMER_URL": "lambda:lf-timer",
        "LINKFLOW_RATE_LIMIT": "1000000",
        "LINKFLOW_EGRESS": json.dumps({"allow": [allow]}),
    }
    functions = {
        f"lf-{name}": Function(
            folder=ROOT / "functions" / name, env=env, cap=4, memory=found[name].memory, timeout=found[name].timeout
        )
        for name in FUNCTIONS
    }
    with LambdaPool(functions, logs=logs) as pool, bridge:
        env["AWS_ENDPOINT_URL_LAMBDA"] = pool.url  # before any environment is there
        bridge.serve(pool, "lf-api")
        yield Deployment(bridge.url, pool, logs, found)
