"""The functions under AWS's runtime emulator, in the place of the processes of `fleet`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.valkey import EmbeddedValkey
from tests.chaos.fleet import PATIENT, SETTINGS
from tests.e2e import topologies
from tests.lambda_pool import LambdaPool

WORKER_SECONDS = 6
"""The worker function's timeout."""


class LambdaFleet:
    """Stores and functions; what a `Fleet` has of processes and wires it has none of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres, self.valkey = EmbeddedPostgres(folder, settings=SETTINGS), EmbeddedValkey(folder)
        self.wires: dict[str, object] = {}
        self.processes: dict[str, object] = {}
        self._stack = contextlib.ExitStack()

    def start(self) -> None:
        from linkflow.postgres.migrate import migrate

        self._stack.enter_context(self.postgres)
        self._stack.enter_context(self.valkey)
        migrate(self.postgres.url)
        made = self._stack.enter_context(
            topologies.lambda_(
                self.postgres.url, self.valkey.url, self.folder, worker_timeout=WORKER_SECONDS, every=0.5, **PATIENT
            )
        )
        assert made.pool is not None
        self.url, self.pool, self.logs = made.url, made.pool, made.logs

    def ready(self) -> None:
        """Nothing is harmed but for the time of a `with`."""
        self.pool.copies = lambda: 1

    def start_stores(self) -> None:
        """They are never killed here."""

    def revive(self) -> None:
        """A function that died is another one at the next call."""

    def tidy(self) -> None:
        """Where no run is open nobody is woken: a stale entry of a queue waits for the next wake, which this is."""
        self.pool.invoke("lf-worker", {"drain": {"queues": ["default"], "idle": 1.0}})

    def close(self) -> None:
        self._stack.close()


@contextmanager
def lambda_fleet(folder: Path) -> Iterator[LambdaFleet]:
    made = LambdaFleet(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()


def pool_of(fleet: object) -> LambdaPool:
    assert isinstance(fleet, LambdaFleet)
    return fleet.pool
