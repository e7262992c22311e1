"""The benchmark runs and writes what it says it writes. Its figures are nobody's business here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = ("chain-pure", "chain-step", "idle-latency", "webhook-sync", "webhook-async", "fan-out", "timers")


STANDING = ("expressions", "growth", "in-flight", "memory", "startup")


@pytest.fixture
def result(database_url: str, redis_url: str, tmp_path: Path) -> dict:
    """What a run with tiny sizes writes, on the tests' own stores."""
    return bench(database_url, redis_url, tmp_path)


def bench(database_url: str, redis_url: str, tmp_path: Path, *more: str) -> dict:
    output = tmp_path / "latest.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--tiny", "--output", str(output), *more],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "targets" in done.stdout, "the table is printed"
    return json.loads(output.read_text())


def test_quick_run_writes_every_workload_with_its_figures(result: dict) -> None:
    assert set(result) >= {"machine", "workloads", "peers", "floor", "generator_ceiling"}
    assert result["machine"]["postgres"]["synchronous_commit"] == "on"
    assert result["peers"] == {}
    assert tuple(result["workloads"]) == WORKLOADS
    for name, figures in result["workloads"].items():
        assert set(figures) >= {"rate", "unit", "p50_ms", "p99_ms", "floor_ratio", "spread"}, name
        assert figures["rate"] > 0, name
        assert figures["problems"] == {}, name
        assert figures["stored"]["runs_with_missing_events"] == 0, name
    assert result["workloads"]["chain-pure"]["floor_ratio"] > 0
    assert set(result["floor"]["rates"]) == {"1", "20", "100"}


def test_processes_and_databases(database_url: str, redis_url: str, tmp_path: Path) -> None:
    found = bench(database_url, redis_url, tmp_path, "--workloads", "processes")["workloads"]["processes"]
    assert found["problems"] == {}
    for variants in found["variants"].values():
        assert list(variants) == ["one", "worker", "two", "two-databases", "two-and-two"]
        assert all(figures["ratio"] >= 0 for figures in variants.values())  # a busy machine may finish none in 0.3 s
        assert {"postgres", "postgres2"} <= set(variants["two-databases"]["cores"])


def test_standing_workloads_and_their_pictures(database_url: str, redis_url: str, tmp_path: Path) -> None:
    found = bench(database_url, redis_url, tmp_path, "--workloads", ",".join(STANDING))["workloads"]
    assert tuple(found) == STANDING
    assert all(figures["problems"] == {} for figures in found.values())
    assert [level["stored"] for level in found["growth"]["levels"]] == [0, 200]
    assert min(found["expressions"]["kinds"].values()) == found["expressions"]["rate"] > 0
    assert found["growth"]["growth_ratio"] > 0
    assert [level["in_flight"] for level in found["in-flight"]["levels"]] == [1, 2, 5]
    assert found["memory"]["idle_mb"] > 0
    assert [after["runs"] for after in found["memory"]["after"]] == [20, 60]
    functions = found["startup"]["functions"]
    assert set(functions) == {"api", "frontend", "history", "matching", "timer", "worker"}
    assert all(one["first_cpu_ms"] > 0 for one in functions.values())
    draw = [
        sys.executable,
        "-m",
        "bench.pictures",
        "--result",
        str(tmp_path / "latest.json"),
        "--folder",
        str(tmp_path),
    ]
    subprocess.run(draw, cwd=ROOT, check=True, timeout=60)
    for name in ("throughput", "latency", "growth"):
        assert ElementTree.parse(tmp_path / f"{name}.svg").getroot().tag.endswith("svg")
