"""What happens to runs when one of the services is lost: the table of docs/containers.md.

python -m tests.e2e.losing
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkflow.local.stack import LocalStack
from tests.e2e.containers import Containers
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound

HOW = {"kill": "killed", "end": "replaced (SIGTERM)", "cut": "cut off the network"}
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
        cells = (self.service, HOW[self.how], f"{self.seconds:.0f} s" if self.seconds else "as it starts", f"{len(self.runs)} of {len(self.runs)}",
                 f"{self.longest:.1f} s", f"{self.recovered:.1f} s")  # fmt: skip
        return f"| {' | '.join(cells)} |"


HEAD = """| lost | how | for | runs that ended as they should | longest start | all ended after |
|---|---|---|---|---|---|"""


class Load:
    """Runs that are started one after another, each with two calls out, a pause and a join of it all."""

    def __init__(self, containers: Containers) -> None:
        self.person = Person(containers.url, patience=60.0)
        self.place = containers.web.place("/work", lambda call: {"n": call.body["n"] + 1})
        url = containers.web.url("/work")
        retry = {"max_attempts": 5, "initial_interval": 0.1}
        steps = (
            http("one", url, method="POST", body={"n": "{{ trigger.n }}"}, retry=retry),
            node("rest", "delay", {"milliseconds": 500}),
            http("two", url, method="POST", body={"n": "{{ one.data.n }}"}, retry=retry),
            node("out", "transform", {"keep": False, "fields": {"n": "{{ two.data.n }}"}}),
        )
        self.workflow = self.person.save(workflow(*steps))["id"]

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


def lose(containers: Containers, load: Load, service: str, how: str, seconds: float) -> Loss:
    """Lose `service` by `kill` (SIGKILL, started again after a while), `end` (SIGTERM, as an update does it) or `cut`
    (its network)."""
    loss = Loss(service, how, seconds)
    away, back = _ways(containers, service)[how]
    with load.running(loss):
        time.sleep(4 * PACE)
        away()
        time.sleep(seconds)
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


def table(containers: Containers) -> Iterator[str]:
    """The rows of the table, as they are measured."""
    load = Load(containers)
    yield HEAD
    for how, seconds in (("kill", 1.0), ("end", 0.0), ("cut", 5.0)):
        for service in containers.processes:
            if how != "cut" or containers.isolated:
                yield lose(containers, load, service, how, seconds).row()


def _ways(containers: Containers, service: str) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    process, networks = containers.processes[service], containers.networks

    def again() -> None:
        process.start().wait()

    ways: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
        "kill": (process.kill, again), "end": (process.end, again)
    }  # fmt: skip
    if networks is not None:
        ways["cut"] = (lambda: networks.cut(service), lambda: networks.mend(service))
    return ways


def main() -> None:
    """On embedded stores of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder) / "stores") as stores,
        Containers(Path(folder), stores.database_url, stores.redis_url) as containers,
    ):
        for row in table(containers):
            print(row, flush=True)
        assert_sound(stores.database_url)


if __name__ == "__main__":
    main()
