"""A rolling upgrade: the next release beside today's, two databases, a Valkey cluster, half of the shards on the move, and
runs all the while. What a release may change is changed in the newer one (`tests.upgrade.newer`): what is written by
either has to be of use to the other, or to wait for it."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from linkflow import __version__
from tests.conftest import fresh_database
from tests.e2e.conftest import emptied
from tests.e2e.containers import Containers, named
from tests.e2e.documents import node
from tests.e2e.losing import Load, Loss
from tests.e2e.test_fleet import count, spread, valkey_cluster
from tests.e2e.topologies import ROOT
from tests.upgrade.newer import VERSION, build

LATER = 4
"""So many starts later a run gets the event that it waits for."""


class Waiting(Load):
    """Runs that wait in their middle, some of them from one release into the other."""

    told = 0

    def steps(self, url: str) -> list[dict[str, Any]]:
        one, *others = super().steps(url)
        return [one, node("wait", "wait_for_event", {"event": "go"}), *others]

    def started(self, runs: list[str]) -> None:
        while self.told < len(runs) - LATER:
            self.tell(runs)

    def tell(self, runs: list[str]) -> None:
        path = f"{self.person.base}/executions/{runs[self.told]}/signal"
        self.person.post(path, {"name": "go"}, **{"Idempotency-Key": runs[self.told]})
        self.told += 1

    def check(self, loss: Loss, since: float) -> None:
        while self.told < len(loss.runs):
            self.tell(loss.runs)
        super().check(loss, since)


@pytest.mark.slow
def test_the_next_release_takes_over_with_runs_in_flight(postgres, valkey, tmp_path: Path) -> None:
    newer = build(tmp_path / "newer")
    with fresh_database(postgres.url) as first, fresh_database(postgres.url) as second:
        containers = Containers(tmp_path, first, emptied(valkey.url, "containers"), scale=2, first=1)
        with valkey_cluster(tmp_path, containers.here) as nodes:
            port = nodes[0].connection_pool.connection_kwargs["port"]
            containers.extra = {
                "REDIS_URL": f"redis://{containers.here}:{port}?cluster=true",
                "LINKFLOW_DATABASES": f"b={named('postgres', second)}",
                "LINKFLOW_PARTITIONS": "6",
            }
            with containers:
                upgrade(containers, newer)
        assert count(first) > 0
        assert count(second) > 0
        for database in (first, second):
            both_wrote(database)
            sound_to_the_newer(database, newer)


def upgrade(containers: Containers, newer: Path) -> None:
    chance = random.Random(seed := random.randrange(10**6))
    print(f"The order is drawn from {seed}.")
    loads = spread(Waiting, containers, 2)
    losses = [Loss("each", "end", 0.0) for _ in loads]
    with ExitStack() as running:
        for load, loss in zip(loads, losses, strict=True):
            running.enter_context(load.running(loss))
        until(lambda: all(len(loss.runs) > LATER for loss in losses))
        containers.linkflow("migrate", PYTHONPATH=str(newer))
        for name in chance.sample(sorted(containers.services), len(containers.services)):
            renew(containers, name, newer)
        assert version(containers.url_of(latest(containers, "api"))) == VERSION
        if containers.isolated:
            assert version(containers.url) == __version__
            containers.linkflow("shards", "move", "--from", "2048", "--to", "4095", "--database", "b")
            wanted = [len(loss.runs) + 2 * LATER for loss in losses]
            until(lambda: all(len(loss.runs) >= many for loss, many in zip(losses, wanted, strict=True)))
            for load in loads[1:]:
                load.person.http.base_url = containers.url_of("api-2")
            for name in chance.sample(sorted(containers.services), len(containers.services)):
                if name == "api":
                    loads[0].person.http.base_url = containers.url_of("api-2")
                containers.processes[name].end()
        else:
            containers.linkflow("shards", "move", "--from", "2048", "--to", "4095", "--database", "b")
    since = time.monotonic()
    for load, loss in zip(loads, losses, strict=True):
        load.check(loss, since)


def renew(containers: Containers, name: str, newer: Path) -> None:
    """The newer one starts beside the old; where there is no room for two, in its place."""
    process = containers.processes[latest(containers, name)]
    if process.running:
        process.end()
    process.change(PYTHONPATH=str(newer))
    process.start().wait()


def latest(containers: Containers, name: str) -> str:
    return f"{name}-2" if containers.isolated else name


def version(url: str) -> str:
    return str(httpx.get(f"{url}/api/v1/health", trust_env=False).json()["version"])


def until(done: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.05)


def both_wrote(database: str) -> None:
    """Events of both releases, and runs that have some of each."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT string_agg(convert_from(events, 'UTF8'), '' ORDER BY first_event) FROM history GROUP BY execution_id"
        ).fetchall()
    ends = [text.split('"type":"NodeCompleted"')[1:] for (text,) in rows]
    of = [[f'"release":"{VERSION}"' in one for one in run] for run in ends]
    assert any(any(run) and not all(run) for run in of), "some runs began in one release and ended in the other"
    waits = [text.partition('"type":"WaitStarted"')[2].partition("}")[0] for (text,) in rows]
    assert {'"version":2' in one for one in waits} == {True, False}, "waits of both versions"


def sound_to_the_newer(database: str, newer: Path) -> None:
    """Whoever reads these databases from now on is the newer release."""
    code = f"from tests.e2e.soundness import assert_sound; assert_sound({database!r})"
    env = {**os.environ, "PYTHONPATH": f"{newer}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
