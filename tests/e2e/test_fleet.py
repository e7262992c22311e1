"""More than one machine: two of every service, each in a network of its own, two databases for runs, and a Valkey cluster of
three. Half of all shards is moved to the second database while runs are started, then every process is replaced."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from linkflow.domain.ids import SHARDS, shard_of_workflow
from linkflow.local import binaries
from tests.conftest import fresh_database
from tests.e2e.conftest import emptied
from tests.e2e.containers import Containers, named
from tests.e2e.losing import Load, Loss
from tests.e2e.soundness import assert_sound
from tests.e2e.topologies import free_ports

SLOTS = 16384
L = TypeVar("L", bound=Load)


@contextmanager
def valkey_cluster(folder: Path, host: str, count: int = 3) -> Iterator[list[redis.Redis]]:
    """Nodes at `host` that share the slots."""
    ports = free_ports(2 * count)
    servers, admins = [], []
    for at, (port, bus) in enumerate(zip(ports[::2], ports[1::2], strict=True)):
        home = folder / f"node-{at}"
        home.mkdir()
        options = (
            f"--port {port} --cluster-port {bus} --bind {host} --protected-mode no --cluster-enabled yes --dir {home}"
        )
        servers.append(subprocess.Popen([binaries.valkey(), *options.split(), "--save", ""], stdout=subprocess.DEVNULL))
        admins.append(redis.Redis(host=host, port=port, retry=Retry(ConstantBackoff(0.05), 100)))
    try:
        for at, admin in enumerate(admins):
            admin.execute_command("CLUSTER ADDSLOTSRANGE", at * SLOTS // count, (at + 1) * SLOTS // count - 1)
            if at:
                admin.execute_command("CLUSTER MEET", host, ports[0], ports[1])
        while any(admin.execute_command("CLUSTER INFO")["cluster_state"] != "ok" for admin in admins):
            time.sleep(0.05)
        yield admins
    finally:
        for admin in admins:
            admin.close()
        for server in servers:
            server.kill()
            server.wait()


@pytest.mark.slow
def test_a_fleet_moves_half_of_its_runs_and_is_replaced_under_load(postgres, valkey, tmp_path: Path) -> None:
    with fresh_database(postgres.url) as first, fresh_database(postgres.url) as second:
        containers = Containers(tmp_path, first, emptied(valkey.url, "containers"), scale=2)
        with valkey_cluster(tmp_path, containers.here) as nodes:
            port = nodes[0].connection_pool.connection_kwargs["port"]
            containers.extra = {
                "REDIS_URL": f"redis://{containers.here}:{port}?cluster=true",
                "LINKFLOW_DATABASES": f"b={named('postgres', second)}",
                "LINKFLOW_PARTITIONS": "6",
            }
            with containers:
                run(containers)
                held = [node.execute_command("DBSIZE") for node in nodes]
            assert all(held), f"queues lie on every node: {held}"
        started = sum(map(count, (first, second)))
        assert count(second) > 0, "runs lie in both databases"
        assert count(first) > 0, "runs lie in both databases"
        for database in (first, second):
            assert_sound(database)
        assert started >= 20


def run(containers: Containers) -> None:
    loads = spread(Load, containers, 4)
    losses = [Loss("each", "end", 0.0) for _ in loads]
    with ExitStack() as running:
        for load, one in zip(loads, losses, strict=True):
            running.enter_context(load.running(one))
        containers.linkflow("shards", "move", "--from", "2048", "--to", "4095", "--database", "b")
        for process in containers.processes.values():
            process.end()
            process.start().wait()
    since = time.monotonic()
    for load, one in zip(loads, losses, strict=True):
        load.check(one, since)


def spread(kind: type[L], containers: Containers, wanted: int) -> list[L]:
    """Loads in turn in the lower and in the upper half of the shards: a workflow is in one."""
    found: list[L] = []
    while len(found) < wanted:
        load = kind(containers)
        if shard_of_workflow(load.workflow) // (SHARDS // 2) == len(found) % 2:
            found.append(load)
    return found


def count(database: str) -> int:
    with psycopg.connect(database) as connection:
        (found,) = connection.execute("SELECT count(*) FROM executions").fetchone() or (0,)
        return int(found)
