"""What happens to runs when one of the services or stores is lost: the table of docs/containers.md.

make losing
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.process import children, send
from linkflow.local.server import EmbeddedServer
from linkflow.local.valkey import EmbeddedValkey
from tests.e2e.containers import Containers
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound

HOW = {
    "kill": ("killed (SIGKILL)", 1.0),
    "end": ("replaced (SIGTERM)", 0.0),
    "freeze": ("frozen (SIGSTOP)", 5.0),
    "cut": ("cut off the network", 5.0),
}
"""Ways of losing something, and for how many seconds."""
Way = tuple[Callable[[], Any], Callable[[], Any]]
"""How to lose it, and how to have it back."""
PACE = 0.15
"""Seconds between two starts."""


@dataclass
class Loss:
    """One service lost for a while, with runs under way."""

    service: str
    how: str
    seconds: float
    runs: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds that a start took in the worst case, with all that was asked again."""
    recovered: float = 0.0
    """Seconds from the service's return until the last run had ended."""

    def row(self) -> str:
        cells = (self.service, HOW[self.how][0], f"{self.seconds:.0f} s" if self.seconds else "as it starts", f"{len(self.runs)} of {len(self.runs)}",
                 f"{self.longest:.1f} s", f"{self.recovered:.1f} s")  # fmt: skip
        return f"| {' | '.join(cells)} |"


HEAD = """| lost | how | for | runs that ended as they should | longest start | all ended after |
|---|---|---|---|---|---|"""


class Load:
    """Runs that are started one after another, each with two calls out, a pause and a join of it all."""

    def __init__(self, containers: Containers) -> None:
        self.person = Person(containers.url, patience=60.0)
        self.faults: list[str] = []
        """Answers that say 500: whoever is lost, an API that is there says what it lacks."""
        self.person.http.event_hooks["response"] = [self._noted]
        self.place = containers.web.place("/work", lambda call: {"n": call.body["n"] + 1})
        self.workflow = self.person.save(workflow(*self.steps(containers.web.url("/work"))))["id"]

    def steps(self, url: str) -> list[dict[str, Any]]:
        retry = {"max_attempts": 5, "initial_interval": 0.1}
        return [
            http("one", url, method="POST", body={"n": "{{ trigger.n }}"}, retry=retry),
            node("rest", "delay", {"milliseconds": 500}),
            http("two", url, method="POST", body={"n": "{{ one.data.n }}"}, retry=retry),
            node("out", "transform", {"keep": False, "fields": {"n": "{{ two.data.n }}"}}),
        ]

    def started(self, runs: list[str]) -> None:
        """The last of them has just begun."""

    def _noted(self, answer: httpx.Response) -> None:
        if answer.status_code == 500:
            self.faults.append(f"{answer.request.method} {answer.request.url}: {answer.read()[:500]!r}")

    @contextmanager
    def running(self, loss: Loss) -> Iterator[None]:
        """Starts go on while the body runs."""
        ending = threading.Event()
        failure: list[BaseException] = []

        def start() -> None:
            try:
                while not ending.wait(PACE):
                    began = time.monotonic()
                    loss.runs.append(self.person.start(self.workflow, {"n": len(loss.runs)}))
                    loss.longest = max(loss.longest, time.monotonic() - began)
                    self.started(loss.runs)
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=start)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(90)
        assert not failure, failure

    def check(self, loss: Loss, since: float) -> None:
        """Every run ended as it had to."""
        for at, id in enumerate(loss.runs):
            run = self.person.end(id, timeout=90.0)
            assert (run.status, run.result) == ("completed", {"n": at + 2}), f"{loss.service}: {id} {run.error}"
        loss.recovered = time.monotonic() - since
        assert not self.faults, f"{loss.service} {loss.how}: {self.faults}"


def lose(load: Load, service: str, how: str, way: Way) -> Loss:
    """Lose `service` for a while, with runs under way and further ones asked for."""
    loss = Loss(service, how, HOW[how][1])
    away, back = way
    with load.running(loss):
        time.sleep(4 * PACE)
        away()
        time.sleep(loss.seconds)
        back()
        since = time.monotonic()
        time.sleep(2 * PACE)
    load.check(loss, since)
    return loss


def lose_each(containers: Containers, load: Load) -> Loss:
    """One after the other, killed and started again at once, while runs are started."""
    loss = Loss("each", "kill", 0.0)
    with load.running(loss):
        for process in containers.processes.values():
            process.restart()
    load.check(loss, time.monotonic())
    return loss


def table(containers: Containers, *stores: EmbeddedServer) -> Iterator[str]:
    """The rows of the table, as they are measured. Stores are lost as well where they are ours to lose."""
    load = Load(containers)
    yield HEAD
    for how in HOW:
        for name in containers.processes:
            if (way := _ways(containers, name).get(how)) is not None:
                yield lose(load, name, how, way).row()
        for store in stores:
            yield lose(load, store.name, how, _ways_of_store(containers, store)[how]).row()


def _ways(containers: Containers, service: str) -> dict[str, Way]:
    process, networks = containers.processes[service], containers.networks

    def again() -> None:
        process.start().wait()

    ways: dict[str, Way] = {
        "kill": (process.kill, again), "end": (process.end, again), "freeze": (process.freeze, process.thaw)
    }  # fmt: skip
    if networks is not None:
        ways["cut"] = (lambda: networks.cut(service), lambda: networks.mend(service))
    return ways


def _ways_of_store(containers: Containers, store: EmbeddedServer) -> dict[str, Way]:
    wire = containers.stores[store.name]

    def again() -> None:
        store.start()
        wire.targets[:] = [(wire.targets[0][0], store.port)]

    def all_get(number: signal.Signals) -> None:
        for pid in (store._pid, *children(store._pid)):
            send(pid, number)

    return {
        "kill": (store.kill, again),
        "end": (store.stop, again),
        "freeze": (lambda: all_get(signal.SIGSTOP), lambda: all_get(signal.SIGCONT)),
        "cut": (wire.hold, wire.let_go),
    }


def main() -> None:
    """On embedded stores of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "stores") as postgres,
        EmbeddedValkey(Path(folder) / "stores") as valkey,
        Containers(Path(folder), postgres.url, valkey.url) as containers,
    ):
        for row in table(containers, postgres, valkey):
            print(row, flush=True)
        assert_sound(postgres.url)


if __name__ == "__main__":
    main()
