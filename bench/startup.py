"""What a start costs, in new processes: `linkflow --help`; the import of each function's handler, alone and with a first
answer from the stores; and a whole cold start on Lambda's runtime."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from linkflow.contracts.base import ANY_WORKSPACE, Caller
from linkflow.transports.tokens import TokenSigner

from . import cold
from .children import ROOT

FUNCTIONS = ("api", "frontend", "history", "matching", "timer", "worker")
NOBODY = "00000000-0000-0000-0000-000000000000"
SECRET = "bench-bench-bench-bench-bench-bench"

FIRST = """
import json, sys
import handler
class Context:
    aws_request_id = "bench"
    def get_remaining_time_in_millis(self):
        return 30_000
print(json.dumps(handler.lambda_handler(json.loads(sys.argv[1]), Context())))
"""
"""A handler's import and its first answer."""

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")


def measure(runs: int, database_url: str, redis_url: str, *, lambdas: bool = True) -> dict[str, Any]:
    """ms of wall time and of CPU, medians, by what was started; the imports that cost a function most; with `lambdas`
    also cold starts, where the emulator is. Bytecode is there, as in an image that was built with it."""
    settings = {"LINKFLOW_SECRET": SECRET, "DATABASE_URL": database_url, "REDIS_URL": redis_url}
    there = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    if not lambdas:
        return _measure(runs, {**there, **settings})
    with tempfile.TemporaryDirectory(prefix="linkflow-bytecode-") as bytecode:
        found = _measure(runs, {**there, **settings, "PYTHONPYCACHEPREFIX": bytecode})
    started = cold.measure(events(), settings, runs)
    found["layer_mb"] = started.get("layer_mb")
    for name, times in started.get("functions", {}).items():
        found["functions"][name].update(times)
    return found


def events() -> dict[str, Any]:
    """One event for each function, which asks something of a store."""
    signer = TokenSigner(SECRET)
    caller = Caller(ANY_WORKSPACE, frozenset({"*"}), "bench")

    def call(service: str, method: str, **body: Any) -> dict[str, Any]:
        return {"service": service, "method": method, "token": signer.sign(service, caller), "body": body}

    path = "/health/ready"
    request = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "bench"}
    return {
        "api": {
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": {"host": "bench"},
            "requestContext": {"http": request, "stage": "$default", "requestId": "bench"}, "isBase64Encoded": False,
        },
        "frontend": call("frontend", "list", workspace_id=NOBODY),
        "history": call("history", "list", workspace_id=NOBODY),
        "matching": call("matching", "stats", queues=["default"]),
        "timer": {"tick": {"seconds": 0.01}},
        "worker": {"drain": {"queues": ["default"], "seconds": 0.01}},
    }  # fmt: skip


def _measure(runs: int, environ: dict[str, str]) -> dict[str, Any]:
    help_ = _timed([str(Path(sys.executable).with_name("linkflow")), "--help"], runs, environ)
    bare = _timed([sys.executable, "-c", "pass"], runs, environ)
    functions = {}
    for name, event in events().items():
        folder = ROOT / "functions" / name
        command = [sys.executable, "-c", "import handler"]
        first = [sys.executable, "-c", FIRST, json.dumps(event)]
        done = subprocess.run(first, cwd=folder, env=environ, capture_output=True, text=True, check=True)
        cold.check(json.loads(done.stdout.splitlines()[-1]))
        timed = _timed(command, runs, environ, folder, warm=True)
        answered = _timed(first, runs, environ, folder, warm=True)
        functions[name] = {
            **{field: round(max(0.0, timed[field] - bare[field]), 1) for field in timed},
            "first_wall_ms": round(answered["wall_ms"] - bare["wall_ms"], 1),
            "first_cpu_ms": round(answered["cpu_ms"] - bare["cpu_ms"], 1),
            "top": _slowest([sys.executable, "-X", "importtime", *command[1:]], environ, folder),
        }
    return {"help": help_, "python": bare, "functions": functions}


def _timed(
    command: Sequence[str], runs: int, environ: dict[str, str], where: Path = ROOT, *, warm: bool = False
) -> dict[str, float]:
    """The first start, which writes bytecode, does not count. `warm`: that has been done."""
    walls, cpus = [], []
    if not warm:
        subprocess.run(command, cwd=where, env=environ, stdout=subprocess.DEVNULL, check=True)
    for _ in range(runs):
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, cwd=where, env=environ, stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - begin)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_ms": round(1000 * median(walls), 1), "cpu_ms": round(1000 * median(cpus), 1)}


def _slowest(command: Sequence[str], environ: dict[str, str], where: Path) -> list[tuple[str, float]]:
    """The modules that take longest by themselves, in ms."""
    done = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, check=True)
    found = [(name, round(int(own) / 1000, 1)) for own, _, _, name in LINE.findall(done.stderr)]
    return sorted(found, key=lambda item: -item[1])[:8]
