"""The set-up that is measured: Postgres, Valkey, LinkFlow, stand-ins and the load generator, each its own process."""

from __future__ import annotations

import base64
import contextlib
import time
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psycopg

from linkflow.cli.client import Api
from linkflow.config import load
from linkflow.local.stack import LocalStack
from linkflow.postgres.migrate import migrate

from . import queries
from .children import Child
from .cpu import Meter, parent_of
from .workflows import STEP_QUEUE

SETTINGS = ("synchronous_commit", "fsync", "full_page_writes", "wal_level", "shared_buffers", "server_version")


class Lab:
    """Started with `with`. Everything is new and thrown away in the end, but for stores that the environment names, unless
    it has to have stores of its own."""

    def __init__(self, home: Path, *, own_stores: bool = False) -> None:
        self.home = home
        self._own_stores = own_stores
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Lab:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _start(self) -> None:
        config = load()
        if self._own_stores:
            config = msgspec.structs.replace(config, database_url="", redis_url="")
        stack = LocalStack(self.home, config)
        config = self._open.enter_context(stack)
        migrate(config.database_url)
        self.url, self.redis_url, self.secret = config.database_url, config.redis_url, config.secret
        self.standin = self._child("standin", {"secret": config.secret})
        self.address = f"127.0.0.1:{self.standin.ready['http']}"
        config = msgspec.structs.replace(
            config,
            rate_limit=1_000_000,
            api_rate_limit=0,
            worker_queues=("default", STEP_QUEUE),
            egress=msgspec.structs.replace(config.egress, allow=(*config.egress.allow, self.address)),
        )
        self.config = config
        self.server = self._child("server", {"config": msgspec.to_builtins(config)})
        self.http = self.server.ready["http"]
        self.api = Api(self.home, f"http://127.0.0.1:{self.http}")
        self._open.callback(self.api.close)
        self.api.sign_in()
        ports = {"linkflow": self.server.ready["grpc"], "null": self.standin.ready["grpc"]}
        workspace = self.api.workspace
        self.generator = self._child("generator", {"secret": config.secret, "grpc": ports, "workspace": workspace})
        self.database = self._open.enter_context(psycopg.connect(self.url, autocommit=True))
        self.roots = self._roots(stack, config.redis_url)
        self.meter = Meter(self.roots)

    def _child(self, module: str, settings: dict[str, Any]) -> Child:
        child = Child(module, settings)
        self._open.callback(child.stop)
        return child

    def _roots(self, stack: LocalStack, redis_url: str) -> dict[str, int | None]:
        """Who is watched. Stores that somebody else runs may be on another machine: those are not."""
        import redis

        postgres = valkey = None
        if stack.postgres is not None:
            postgres = parent_of(self.database.info.backend_pid)
        if stack.valkey is not None:
            with redis.Redis.from_url(redis_url) as connection:
                valkey = int(connection.info("server")["process_id"])
        return {
            "linkflow": self.server.pid, "postgres": postgres, "valkey": valkey, "generator": self.generator.pid,
            "standin": self.standin.pid,
        }  # fmt: skip

    def settings(self, must_be_durable: bool) -> dict[str, str]:
        """What Postgres says of its own settings. Raises `RuntimeError` where a commit is not durable but must be."""
        found = {name: self._show(name) for name in SETTINGS}
        if must_be_durable and (found["synchronous_commit"], found["fsync"]) != ("on", "on"):
            raise RuntimeError(f"Commits are not durable here, so no figure would mean anything: {found}")
        return found

    def _show(self, name: str) -> str:
        row = self.database.execute("SELECT current_setting(%s)", (name,)).fetchone()
        assert row is not None
        return str(row[0])

    def save(self, document: dict[str, Any]) -> dict[str, Any]:
        """Create and activate a workflow over the API: its id, version and, if it has one, its webhook's path."""
        saved = self.api.save_workflow(document)
        active = self.api.post(f"{self.api.base}/workflows/{saved['id']}/activate")["workflow"]
        hooks = [trigger["url"] for trigger in active["triggers"] if trigger["type"] == "webhook"]
        path = urlsplit(hooks[0]).path if hooks else ""
        return {"id": saved["id"], "version": active["version"], "path": path}

    def load(self, command: str, **ask: Any) -> dict[str, Any]:
        """Have the generator do something, and see who used how much CPU meanwhile."""
        before = self.meter.read()
        result = self.generator.ask(command, **ask)
        return {**result, "cpu": self.meter.since(before), "problems": result.get("problems", {})}

    def running(self, workflow: dict[str, Any]) -> int:
        """Runs of a workflow that are not over."""
        row = self.database.execute(queries.RUNNING, {"workflow": workflow["id"]}).fetchone()
        assert row is not None
        return int(row[0])

    def settle(self, workflow: dict[str, Any], patience: float = 120.0) -> float:
        """Wait until no run is under way; the seconds that took."""
        begin = time.perf_counter()
        while self.running(workflow) and time.perf_counter() - begin < patience:
            time.sleep(0.02)
        return time.perf_counter() - begin

    def stored(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """What Postgres holds of a workflow's runs, and in how many transactions their history was written."""
        args = {"workflow": workflow["id"]}
        runs = self.database.execute(queries.RUNS, args).fetchone()
        rows = self.database.execute(queries.ROWS, args).fetchone()
        assert runs is not None
        assert rows is not None
        return {
            "completed": runs[0],
            "not_completed": runs[1],
            "runs_with_missing_events": runs[2],
            "events_per_run": float(runs[3] or 0),
            "history_rows": rows[0],
            "transactions": rows[1],
            "rows_per_transaction": round(rows[0] / rows[1], 1) if rows[1] else 0.0,
        }

    def checked(self, workflow: dict[str, Any], problems: dict[str, int]) -> dict[str, Any]:
        """Wait for the last run and look at what is stored; what is not as it should be is added to `problems`."""
        self.settle(workflow)
        stored = self.stored(workflow)
        for what in ("not_completed", "runs_with_missing_events"):
            if stored[what]:
                problems[what] = stored[what]
        return stored

    def lateness(self, workflow: dict[str, Any]) -> list[float]:
        """How late each run of the timer workflow closed, in ms, in order."""
        rows = self.database.execute(queries.LATENESS, {"workflow": workflow["id"]}).fetchall()
        return [float(late) for (late,) in rows]

    def sample(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """One run as it is stored, transition by transition; and `two`, the same run in two, as it was before the head
        start and as the peers' figures and `engine.md`'s floor have it."""
        from linkflow.domain import events as e

        found = self.database.execute(queries.SAMPLE, {"workflow": workflow["id"]}).fetchall()
        if len(found) > 2:
            raise RuntimeError(f"A chain-pure run has {len(found)} transitions, and the floor knows one or two.")
        every = [event for row in found for event in e.decode(bytes(row[2]))]
        stored = _transitions(found[0][0], every, [row[1] for row in found])
        return {"stored": stored, "two": _transitions(found[0][0], every, [2, every[-1].event_id])}

    def floor(self, sample: dict[str, Any]) -> Child:
        """The floor's process; stop it when done."""
        return Child("floor", {"url": self.url, "sample": sample})


def _transitions(id: str, events: list[Any], ends: list[int]) -> list[dict[str, Any]]:
    """The events cut behind these ids, and the state at each cut."""
    from linkflow.domain import events as e
    from linkflow.domain.evolve import fold
    from linkflow.domain.state import encode

    cuts, begin = [], 0
    for end in ends:
        data, state = e.encode(events[begin:end]), encode(fold(id, events[:end]))
        coded = {"events": base64.b64encode(data).decode(), "state": base64.b64encode(state).decode()}
        cuts.append({"first": begin + 1, "last": end, **coded})
        begin = end
    return cuts
