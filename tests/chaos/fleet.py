"""Every service a process of its own, with wires between all of them and to the stores, and a clock for each.

The processes are forked from one that has imported everything (`zygote`), so that killing one costs 20 ms.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.valkey import EmbeddedValkey
from tests.chaos.clocks import Clock
from tests.chaos.wire import Loop, Wire
from tests.chaos.zygote import Zygote
from tests.e2e.topologies import SERVICES, Process, free_ports, settings

PROCESSES = (*SERVICES, "api")
PATIENT = {
    "LINKFLOW_LEASE": "0.6",
    "LINKFLOW_REPUBLISH_AFTER": "0.6",
    "LINKFLOW_SWEEP_INTERVAL": "0.2",
    "LINKFLOW_MAX_DELIVERIES": "1000",
    "LINKFLOW_TOKEN_TTL": "86400",
    "LINKFLOW_DB_TIMEOUT": "5",
}
"""What was lost is found within a second, and however often a task is lost it is no dead letter."""

SETTINGS = {"fsync": "off", "full_page_writes": "off"}
"""Processes are killed, never the power: what the kernel holds is safe, and recovery need not sync every file."""


class Service(Process):
    """A forked `linkflow serve`."""

    def __init__(self, name: str, service: str, port: int, env: dict[str, str], folder: Path, zygote: Zygote) -> None:
        where = ["--http" if service == "api" else "--grpc", f"127.0.0.1:{port}"]
        super().__init__(name, ["serve", service, *where], port, env, folder / f"{name}.log")
        self.service = service
        self.clock = Clock(folder / f"{name}.clock")
        self._zygote = zygote

    def start(self) -> Service:
        assert self._popen is None, f"{self.name} runs"
        self._popen = self._zygote.spawn(self._command, self._env, self.log, self.clock.path)
        self.starts += 1
        return self

    def wait(self) -> None:
        """Until it listens, or was killed meanwhile."""
        try:
            super().wait()
        except AssertionError:
            if (running := self._popen) is None or running.poll() != -signal.SIGKILL:
                raise

    def change(self, **env: str) -> None:
        """Other settings from its next start on."""
        self._env |= env

    def strike(self) -> None:
        """SIGKILL, from any thread, and wait for its end; `kill` or `restart` see to the rest."""
        if (running := self._popen) is not None:
            running.kill()
            running.wait(10)

    def signal(self, number: signal.Signals) -> None:
        if (running := self._popen) is not None:
            running.send_signal(number)


class Fleet:
    """Stores, wires, processes. `twin` makes a second process of a service, behind the same address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres, self.valkey = EmbeddedPostgres(folder, settings=SETTINGS), EmbeddedValkey(folder)
        self.loop = Loop()
        self.zygote = Zygote()
        self.wires: dict[str, Wire] = {}
        self.processes: dict[str, Service] = {}

    def start(self) -> None:
        from linkflow.postgres.migrate import migrate

        self.postgres.start()
        self.valkey.start()
        migrate(self.postgres.url)
        self.wires["postgres"] = Wire(self.loop, ("127.0.0.1", self.postgres.port))
        self.wires["valkey"] = Wire(self.loop, ("127.0.0.1", self.valkey.port))
        for name in PROCESSES:
            self.wires[name] = Wire(self.loop)
        self.url = f"http://127.0.0.1:{self.wires['api'].port}"
        stores = (self.wires["postgres"].url(self.postgres.url), self.wires["valkey"].url(self.valkey.url))
        peers = {f"LINKFLOW_{name.upper()}_URL": f"grpc://127.0.0.1:{self.wires[name].port}" for name in SERVICES}
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.folder),
            **settings(*stores, self.url, {**PATIENT, **peers}),
        }
        for name in PROCESSES:
            self.twin(name, name)
        self.ready()

    def twin(self, name: str, service: str) -> Service:
        """A process of a service, not started."""
        (port,) = free_ports(1)
        made = self.processes[name] = Service(name, service, port, dict(self.env), self.folder, self.zygote)
        self.wires[service].targets.append(("127.0.0.1", port))
        return made

    def drop(self, name: str) -> None:
        """End a process for good, and take it out of its wire."""
        gone = self.processes.pop(name)
        gone.kill()
        self.wires[gone.service].targets.remove(("127.0.0.1", gone.port))

    def __getitem__(self, name: str) -> Service:
        return self.processes[name]

    def ready(self) -> None:
        """Stores and the six processes run, clocks are right, no trap waits."""
        for wire in self.wires.values():
            wire.clear()
        self.start_stores()
        for name in [name for name in self.processes if name not in PROCESSES]:
            self.drop(name)
        for process in self.processes.values():
            process.signal(signal.SIGCONT)
            process.clock.set()
        self.revive()

    def start_stores(self) -> None:
        """Start what does not run; a store may have another port than before."""
        for name, store in (("postgres", self.postgres), ("valkey", self.valkey)):
            store.start()
            self.wires[name].targets[:] = [("127.0.0.1", store.port)]

    def revive(self) -> None:
        """Start what does not run."""
        dead = [process for process in self.processes.values() if not process.running]
        for process in dead:
            process.kill()
            process.start()
        for process in dead:
            process.wait()

    def tidy(self) -> None:
        """Workers look at their queues all the time."""

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        self.zygote.close()
        for wire in self.wires.values():
            wire.close()
        self.loop.close()
        self.valkey.stop()
        self.postgres.stop()

    def logs(self, lines: int = 40) -> str:
        return "\n".join(f"=== {p.name}\n{p.tail(lines)}" for p in self.processes.values() if p.log.exists())


class Nurse:
    """Brings back what dies, a moment later, as whoever runs a service would."""

    def __init__(self, fleet: Fleet, pause: float = 0.02) -> None:
        self._fleet, self._pause = fleet, pause
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nurse", daemon=True)
        self.error: BaseException | None = None

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._pause):
                self._fleet.revive()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Nurse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        if self.error is not None:
            raise self.error


@contextmanager
def fleet(folder: Path) -> Iterator[Fleet]:
    made = Fleet(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
