"""The ways in which the product runs, as an operator starts each: `linkflow up`, the services of compose.yaml, and the
template on an emulator of AWS (`functions`). A `Stage` is one of them, up and ready."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from linkflow.local.stack import LocalStack
from tests.e2e.containers import SHORT, Containers
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import Process, free_ports, until_ready

LINKFLOW = Path(sys.executable).with_name("linkflow")
LOOPBACK = json.dumps({"allow": ["127.0.0.0/8"]})
PATIENCE = 60.0
"""Seconds that `linkflow up` may take, with a database to be made."""
ENDING = 20.0
"""Seconds within which counted numbers have to be where they are read."""


@dataclass
class Stage:
    """One deployment. `stores` are the variables by which an operator's command finds its Postgres and Valkey."""

    url: str
    web: Web
    folder: Path
    stores: Mapping[str, str]
    numbers: Callable[[], str]
    """What is counted, as text: Prometheus's, or what the functions wrote into their logs."""
    logs: Callable[[], str]
    end: Callable[[], object]
    """Tell all of it to end, as a deployment does it. Raises where something does not."""
    headers: dict[str, str] = field(default_factory=dict)
    left_to: Callable[[str], None] = lambda queue: None
    """A queue is a worker's beside this deployment from now on."""

    def somebody(self) -> Person:
        """Registers."""
        return Person(self.url, headers=self.headers)

    @contextmanager
    def worker(self, name: str, queue: str, **env: str) -> Iterator[Process]:
        """`linkflow worker` on the same stores, as a process of its own."""
        variables = {**surroundings(), **self.stores, "LINKFLOW_EGRESS": self._reach(), **env}
        log = self.folder / f"{name}.log"
        process = Process(name, [str(LINKFLOW), "worker", "--queue", queue], 0, variables, log).start()
        try:
            until = time.monotonic() + PATIENCE
            while "serves" not in process.tail():
                assert process.running, process.tail()
                assert time.monotonic() < until, process.tail()
                time.sleep(0.05)
            yield process
        finally:
            process.kill()

    def _reach(self) -> str:
        return json.dumps({"allow": [self.web.address.rpartition(":")[0]]})


def surroundings() -> dict[str, str]:
    """What a command needs of ours, and no setting."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


@contextmanager
def one_process(folder: Path) -> Iterator[Stage]:
    """`linkflow up`, with a Postgres and a Valkey of its own, in a home of its own."""
    home, (port, probes) = folder / "home", free_ports(2)
    env = {**surroundings(), **SHORT, "LINKFLOW_EGRESS": LOOPBACK, "LINKFLOW_CONFIG": str(folder / "config")}
    command = [str(LINKFLOW), "up", "--home", str(home), "--port", str(port), "--probes", f"127.0.0.1:{probes}"]
    process = Process("up", command, port, env, folder / "up.log")
    with closing(Web()) as web:
        try:
            process.start().wait()
            until_ready(url := f"http://127.0.0.1:{port}", PATIENCE)
            yield Stage(
                url, web, folder, {"LINKFLOW_HOME": str(home)}, lambda: _metrics(f"http://127.0.0.1:{probes}/metrics"),
                process.tail, process.end,
            )  # fmt: skip
        finally:
            with contextlib.suppress(AssertionError):
                process.end() if process.running else None  # it takes its stores along
            process.kill()


@contextmanager
def six_services(folder: Path) -> Iterator[Stage]:
    """compose.yaml's services by its own commands, each in a network of its own where that is allowed."""
    with (
        LocalStack(folder / "stores") as stores,
        Containers(folder, stores.database_url, stores.redis_url) as services,
    ):
        where = {"DATABASE_URL": stores.database_url, "REDIS_URL": stores.redis_url, "LINKFLOW_HOME": str(folder)}
        print(
            f"           services are {'in networks of their own' if services.isolated else 'on loopback'}", flush=True
        )

        def numbers() -> str:
            return "".join(_metrics(services.probe(name, "/metrics")) for name in services.processes)

        def end() -> None:
            for process in services.processes.values():
                process.end()

        yield Stage(services.url, services.web, folder, where, numbers, services.logs, end)


def _metrics(url: str) -> str:
    return httpx.get(url, trust_env=False, timeout=10.0).raise_for_status().text
