"""What the start of a Lambda function must not drag along: every cold start pays for every module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"

NOBODY = {
    "aiohttp", "argon2", "aws_lambda_powertools", "boto3", "botocore", "click", "cryptography", "email_validator",
    "grpc", "httpx", "jwt", "linkflow.domain.importing", "linkflow.nodes.outgoing", "multiprocessing", "pydantic.v1",
    "redis", "rich", "uvloop",
}  # fmt: skip
SERVICES = NOBODY | {"fastapi", "linkflow.http", "linkflow.nodes", "mangum", "opentelemetry", "pydantic", "starlette"}

WITHOUT = {
    "api": NOBODY,
    "frontend": SERVICES,
    "history": SERVICES,
    "matching": SERVICES,
    "migrate": SERVICES,
    "timer": SERVICES,
    "worker": NOBODY | {"fastapi", "linkflow.http", "mangum", "opentelemetry", "starlette"},
}

START = """
import gc, json, os, sys
import handler
print(json.dumps({
    "modules": sorted(name for name, module in sys.modules.items() if module is not None),
    "callable": callable(handler.lambda_handler), "collecting": gc.isenabled(), "frozen": gc.get_freeze_count(),
}))
"""


def test_every_function_is_held_to_something() -> None:
    assert set(WITHOUT) == {path.parent.name for path in FUNCTIONS.glob("*/handler.py")}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_function_starts_with_what_it_needs(name: str) -> None:
    environ = {
        "PATH": os.environ.get("PATH", ""),
        "LINKFLOW_SECRET": "x" * 32,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-c", START], cwd=FUNCTIONS / name, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stderr == "", "nothing failed, and nobody warns"
    found = json.loads(done.stdout)
    assert sorted(WITHOUT[name] & set(found["modules"])) == []
    assert found["callable"]
    assert found["collecting"]
    if name == "migrate":  # once a deployment: it may be slow
        return
    assert "psycopg" in found["modules"], "what the first request needs is there"
    assert "hiredis" in found["modules"]
    assert found["frozen"] > 10_000, "what stays is not looked at again"


def test_help_needs_nothing_but_the_command_line() -> None:
    code = "import json, sys, linkflow.cli; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "asyncio",
        "fastapi",
        "httpx",
        "linkflow.bootstrap",
        "linkflow.cli.admin",
        "msgspec",
        "psycopg",
        "pydantic",
    }
    assert sorted(heavy & set(json.loads(done.stdout))) == []
