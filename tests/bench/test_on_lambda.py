"""What runs take from AWS: reading the books, and the workload itself, small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.children import ROOT
from bench.on_lambda import money
from bench.on_lambda.books import Books, Taken, logged, reported
from bench.on_lambda.deployment import FUNCTIONS, Shape, shapes
from linkflow.domain import costing

LOG = (
    "22 Nov 2026 07:55:28,968 [INFO] (rapid) INIT START(type: on-demand, phase: init)\n"
    "22 Nov 2026 07:55:29,982 [INFO] (rapid) INIT REPORT(durationMs: 1013.550000)\n"
    "START RequestId: 1 Version: $LATEST\n"
    "REPORT RequestId: 1\tInit Duration: 0.03 ms\tDuration: 21.20 ms\tBilled Duration: 22 ms\tMemory Size: 512 MB\t\n"
    '{"level":"INFO"}\n'
    "REPORT RequestId: 2\tDuration: 8.00 ms\tBilled Duration: 8 ms\tMemory Size: 512 MB\t\n"
)
SHAPES = {name: Shape(512, 30) for name in FUNCTIONS}


def books() -> Books:
    functions = {"api": Taken(20, 200.0, 210, 100.0), "worker": Taken(2, 1000.0, 1001, 60.0), "timer": Taken()}
    stores = {
        "transactions": 40.0, "syncs": 20.0, "active_ms": 30.0, "wal_bytes": 409_600.0, "size_bytes": 80_000.0,
        "cpu_ms": 36.0, "commands": 100.0, "cache_bytes": 204_800.0, "log_bytes": 4_000.0,
    }  # fmt: skip
    return Books(functions, stores)


def test_the_emulators_reports_are_read() -> None:
    taken, starts = reported(LOG)
    assert (taken.invocations, taken.wall_ms, taken.billed_ms) == (2, pytest.approx(29.2), 30)
    assert starts == [1013.55]
    assert logged(LOG) == len("".join(line for line in LOG.splitlines(keepends=True) if "(rapid)" not in line))


def test_the_template_says_what_the_functions_have() -> None:
    found = shapes((ROOT / "template.yaml").read_text())
    assert set(found) == {"api", "frontend", "history", "matching", "worker", "timer", "migrate"}
    assert found["api"] == Shape(512, 30)
    assert found["worker"] == Shape(512, 300), "a parameter's default"
    assert found["timer"] == Shape(512, 60)


def test_a_functions_own_memory_goes_before_everybodys() -> None:
    text = (
        "Globals:\n  Function:\n    MemorySize: 512\n\nResources:\n  A:\n    CodeUri: functions/api\n    Timeout: 5\n"
        "  W:\n    CodeUri: functions/worker\n    MemorySize: 1024\n"
    )
    assert shapes(text) == {"api": Shape(512, 5), "worker": Shape(1024, 3)}


def test_what_was_taken_becomes_usage() -> None:
    used, told = money.usage(books(), SHAPES, 200)
    assert set(told) == {"api", "worker"}, "a function that was not invoked is not told of"
    assert (used.invocations, used.http_requests, used.node_runs) == (22, 20, 200)
    assert used.database_writes == 100, "log by 4 KB, which is more than its syncs"
    assert used.cache_units == 200, "KB, which are more than commands"
    waiting, computing, trips = 100 + 940, 160 * 1769 / 512, 140 * 0.5
    assert used.gb_seconds == pytest.approx((waiting + computing + trips + 22 * 0.5) / 1000 / 2)
    assert told["api"]["billed_ms_there"] == pytest.approx(
        (100 + 100 * 1769 / 512 + 140 * 0.5 * 100 / 160) / 20 + 0.5, abs=0.01
    )


def test_the_cost_of_a_million_node_runs_is_the_sum_of_its_parts() -> None:
    found = money.cost(books(), SHAPES, runs=20, nodes=10)
    parts = found["per_million_node_runs"]
    assert parts["total"] == pytest.approx(sum(value for name, value in parts.items() if name != "total"), abs=0.001)
    assert parts["http api"] == pytest.approx(0.1)
    assert found["functions"]["worker"]["per_run"] == 0.1
    assert found["stores_per_run"]["syncs"] == 1


def test_the_table_has_every_case_and_what_stands_beside_it() -> None:
    case = money.cost(books(), SHAPES, runs=20, nodes=10)
    month = money.idle({"wall_ms": 6.0, "cpu_ms": 2.0}, SHAPES)
    figures = {"cases": {"chain-pure": case}, "step_functions": money.step_functions(10), "idle_month": month}
    text = "\n".join(money.lines(figures))
    assert "chain-pure" in text
    assert f"{case['per_million_node_runs']['total']:,.3f}" in text
    assert "Standard 25.00, Express 0.11" in text
    assert f"clock {month['clock']:.2f}" in text


def test_a_cold_start_is_billed_by_its_initialisation() -> None:
    found = money.cold_start(1000.0, Shape(512, 30))
    assert found["dollars_per_million_starts"] == pytest.approx(0.5 * 0.0000133334 * costing.MILLION, rel=0.01)


def test_a_pure_run_takes_one_invocation_on_lambda(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """The whole workload, with two runs a case, on the handlers as they are deployed."""
    output = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--tiny", "--workloads", "lambda", "--output", str(output)],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url}, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "dollars for a million node runs" in done.stdout
    found = json.loads(output.read_text())["workloads"]["lambda"]
    assert found["problems"] == {}
    cases = found["cases"]
    assert list(cases) == ["chain-pure", "webhook", "chain-step", "chain-step alone"]
    for name in ("chain-pure", "webhook"):
        assert cases[name]["invocations_per_run"] == 1, "the head start needs no worker"
    assert set(cases["chain-step alone"]["functions"]) == {"api", "worker"}
    for case in cases.values():
        assert case["problems"] == {}
        assert 0 < case["per_million_node_runs"]["total"] < found["step_functions"]["standard"]
    assert found["cold"]["api"]["init_ms"] > 0
