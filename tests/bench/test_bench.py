"""The benchmark runs and writes what it says it writes. Its figures are nobody's business here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit
from xml.etree import ElementTree

import pytest
import redis

from tests.conftest import TEST_REDIS_DATABASE, fresh_database

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = ("chain-pure", "chain-step", "idle-latency", "webhook-sync", "webhook-async", "fan-out", "timers")


STANDING = ("expressions", "growth", "in-flight", "memory", "startup")


class Result(NamedTuple):
    """What the benchmark wrote, and where."""

    found: dict
    folder: Path

    @property
    def workloads(self) -> dict:
        return self.found["workloads"]


@pytest.fixture(scope="module")
def result(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Result]:
    """One run with tiny sizes, on the tests' own stores."""
    folder = tmp_path_factory.mktemp("bench")
    redis_url = urlunsplit(urlsplit(valkey.url)._replace(path=f"/{TEST_REDIS_DATABASE}"))
    chosen = ",".join((*WORKLOADS, *STANDING, "processes"))
    with fresh_database(postgres.url, migrated_template) as url, redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        yield Result(bench(url, redis_url, folder, "--workloads", chosen), folder)
        client.flushdb()


def bench(database_url: str, redis_url: str, folder: Path, *more: str) -> dict:
    output = folder / "latest.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--tiny", "--output", str(output), *more],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url, "REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "targets" in done.stdout, "the table is printed"
    return json.loads(output.read_text())


def test_it_writes_every_workload_with_its_figures(result: Result) -> None:
    found = result.found
    assert set(found) >= {"machine", "workloads", "peers", "floor", "generator_ceiling"}
    assert found["machine"]["postgres"]["synchronous_commit"] == "on"
    assert found["peers"] == {}
    assert tuple(found["workloads"]) == (*WORKLOADS, *STANDING, "processes")
    for name in WORKLOADS:
        figures = found["workloads"][name]
        assert set(figures) >= {"rate", "unit", "p50_ms", "p99_ms", "floor_ratio", "spread"}, name
        assert figures["rate"] > 0, name
        assert figures["problems"] == {}, name
        assert figures["stored"]["runs_with_missing_events"] == 0, name
    assert found["workloads"]["chain-pure"]["floor_ratio"] > 0
    assert set(found["floor"]["rates"]) == {"1", "20", "100"}


def test_processes_and_databases(result: Result) -> None:
    found = result.workloads["processes"]
    assert found["problems"] == {}
    for variants in found["variants"].values():
        assert list(variants) == ["one", "worker", "two", "two-databases", "two-and-two"]
        assert all(figures["ratio"] >= 0 for figures in variants.values())  # a busy machine may finish none in 0.3 s
        assert {"postgres", "postgres2"} <= set(variants["two-databases"]["cores"])


def test_standing_workloads(result: Result) -> None:
    found = {name: result.workloads[name] for name in STANDING}
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


def test_pictures(result: Result) -> None:
    places = ("--result", str(result.folder / "latest.json"), "--folder", str(result.folder))
    subprocess.run([sys.executable, "-m", "bench.pictures", *places], cwd=ROOT, check=True, timeout=60)
    for name in ("throughput", "latency", "growth"):
        assert ElementTree.parse(result.folder / f"{name}.svg").getroot().tag.endswith("svg")
