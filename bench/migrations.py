"""``python -m bench.migrations``: all migrations on a full database, with writers at it; how long does one have to wait?

The database has the schema of release 0.1 and so many runs, most of them closed. Each writer does what the engine does for
a transition, with the columns that old code knows: a new run with its history, a further transition of it, and one of an
old run that is open. The longest of these transactions is what nobody should notice.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from linkflow.local.postgres import EmbeddedPostgres
from linkflow.postgres.migrate import migrate

RELEASE = 4
"""The last migration of release 0.1."""
TARGET_MS = 2000
CHUNK = 100_000
OPEN = 100
"""One run in so many is open."""
EVENTS = b'[{"type":"NodeCompleted","output":"' + b"x" * 400 + b'"}]'
STATE = b'{"nodes":{"a":{"status":"completed","output":"' + b"x" * 600 + b'"}}}'

FILL = """
WITH made AS (
  SELECT (lpad(to_hex(%(now)s - n * 1000), 12, '0') || '7000' || '8' || substr(md5('run ' || n), 1, 15))::uuid AS id,
         md5('workspace ' || n %% 10)::uuid AS workspace, md5('workflow ' || n %% 100)::uuid AS workflow, n
  FROM generate_series(%(last)s::bigint, %(first)s::bigint, -1) n
), runs AS (
  INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at,
                          closed_at, state)
  SELECT id, n %% 4096, workspace, workflow, 1, CASE WHEN n %% %(open)s = 0 THEN 0 WHEN n %% 50 = 1 THEN 2 ELSE 1 END,
         (ARRAY['api', 'webhook', 'schedule', 'manual'])[1 + n %% 4], 4, %(now)s - n * 1000,
         CASE WHEN n %% %(open)s = 0 THEN 0 ELSE %(now)s - n * 1000 + 20 END, %(state)s
  FROM made
)
INSERT INTO history (execution_id, first_event, last_event, events) SELECT id, 1, 4, %(events)s FROM made
"""
START = """
INSERT INTO executions (id, shard, workspace_id, workflow_id, workflow_version, status, mode, version, started_at, state)
VALUES (%(id)s, 1, md5('workspace 1')::uuid, md5('workflow 1')::uuid, 1, 0, 'api', 1, %(now)s, %(state)s)
"""
WRITE = "INSERT INTO history (execution_id, first_event, last_event, events) VALUES (%(id)s, %(event)s, %(event)s, %(events)s)"
STEP = "UPDATE executions SET version = version + 1, state = %(state)s WHERE id = %(id)s RETURNING version"
OLD = "SELECT id FROM executions WHERE status = 0 ORDER BY id LIMIT 5000"


class Writer(threading.Thread):
    """Writes until it is stopped. `longest` is the longest transaction, in ms; `done` how many there were."""

    def __init__(self, url: str, number: int) -> None:
        super().__init__(daemon=True)
        self._url, self._number = url, number
        self._stop_it = threading.Event()
        self.longest, self.done = 0.0, 0
        self.failed: Exception | None = None

    def run(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as database:
                old = [id for (id,) in database.execute(OLD)]
                while not self._stop_it.is_set():
                    self._timed(database, old[(self.done * 7 + self._number) % len(old)])
        except Exception as error:
            self.failed = error

    def _timed(self, database: psycopg.Connection, old: object) -> None:
        begin = time.perf_counter()
        now = time.time_ns() // 1_000_000
        id = f"{now:012x}7{self._number:03x}8{self.done:015x}"
        with database.transaction():
            database.execute(START, {"id": id, "now": now, "state": STATE})
            database.execute(WRITE, {"id": id, "event": 1, "events": EVENTS})
            for one in (id, old):
                row = database.execute(STEP, {"id": one, "state": STATE}).fetchone()
                assert row is not None
                database.execute(WRITE, {"id": one, "event": 1000 + row[0], "events": EVENTS})
        self.longest = max(self.longest, 1000 * (time.perf_counter() - begin))
        self.done += 1

    def stop(self) -> None:
        self._stop_it.set()
        self.join()
        if self.failed:
            raise self.failed


@contextmanager
def writers(url: str, count: int) -> Iterator[list[Writer]]:
    made = [Writer(url, number) for number in range(count)]
    for writer in made:
        writer.start()
    try:
        yield made
    finally:
        for writer in made:
            writer.stop()


def fill(url: str, runs: int) -> None:
    now = time.time_ns() // 1_000_000
    with psycopg.connect(url, autocommit=True) as database:
        for first in range(1, runs + 1, CHUNK):
            args = {"first": first, "last": min(runs, first + CHUNK - 1), "now": now, "open": OPEN}
            database.execute(FILL, {**args, "state": STATE, "events": EVENTS})
        database.execute("ANALYZE")
        database.execute("CHECKPOINT")


def measure(url: str, runs: int, count: int, quiet_seconds: float) -> tuple[float, float, float, int]:
    """The longest transaction in ms without and with migrations beside it, how long these took, and what was written."""
    migrate(url, RELEASE)
    fill(url, runs)
    with writers(url, count) as before:
        time.sleep(quiet_seconds)
    with writers(url, count) as beside:
        time.sleep(quiet_seconds / 5)
        begin = time.perf_counter()
        migrate(url)
        took = time.perf_counter() - begin
        time.sleep(quiet_seconds / 5)
    written = sum(writer.done for writer in beside)
    return max(w.longest for w in before), max(w.longest for w in beside), took, written


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.migrations", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--quiet", type=float, default=10.0, help="seconds of writing without migrations, to compare")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="migrations-") as home, EmbeddedPostgres(Path(home)) as server:
        before, beside, took, written = measure(server.url, options.runs, options.writers, options.quiet)
    print(
        f"{options.runs} runs; migrations took {took:.1f} s beside {options.writers} writers ({written} transactions)"
    )
    print(f"longest transaction: {before:.0f} ms before, {beside:.0f} ms beside migrations (target < {TARGET_MS} ms)")
    return 0 if beside < TARGET_MS else 1


if __name__ == "__main__":
    sys.exit(main())
