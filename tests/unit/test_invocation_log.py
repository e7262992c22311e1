"""What a door tells of its invocations, and what `make deploy-local` makes of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.smoke import figures

STEP = """
import logging, sys
from linkflow.coldstart import cold_start
with cold_start():
    from linkflow.transports.lambda_step import StepDoor
    handler = StepDoor("migrate", lambda: {"applied": []})
for _ in range(2):
    handler({}, None)
"""


def said(level: str) -> list[Any]:
    env = {"PATH": os.environ["PATH"], "LINKFLOW_LOG_LEVEL": level, "AWS_LAMBDA_FUNCTION_NAME": "linkflow-migrate",
           "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", STEP], env=env, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if '"invocation"' in line]


def test_a_door_tells_of_each_invocation_only_where_it_is_asked_to() -> None:
    first, second = (figures._read(line, 7) for line in said("DEBUG"))
    assert first is not None
    assert second is not None
    assert (first.function, first.memory_mb, first.at) == ("migrate", 512, 7)
    assert first.init_ms > 0, "the first one was cold"
    assert second.init_ms == 0
    assert said("INFO") == []


def test_what_an_execution_is_billed() -> None:
    def one(function: str, init_ms: float, duration_ms: float) -> figures.Invocation:
        return figures.Invocation(function, 0, init_ms, duration_ms, 512)

    all_of_them = [one("api", 400.2, 10.1), one("api", 0, 10.0), one("worker", 0, 99.5), one("timer", 0, 1e6)]
    assert all_of_them[0].billed_ms == 411, "begun milliseconds, and initialising"
    assert figures.per_execution(all_of_them, 2) == "130.2 GB-ms billed, 1.5 invocations", "the clock's are nobody's"
    assert figures.table(all_of_them)[1].split() == ["api", "2", "1", "400", "+", "10", "10.0", "210"]


@pytest.mark.parametrize(
    "line", ["", "START RequestId: 1", '{"message":"invocation"}', json.dumps({"a": "invocation"})]
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert figures._read(line, 0) is None
