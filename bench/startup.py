"""What a start costs: `linkflow --help`, and the import of each function's handler, each in new processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .children import ROOT

FUNCTIONS = ("api", "frontend", "history", "matching", "timer", "worker")
SETTINGS = {
    "LINKFLOW_SECRET": "bench-bench-bench-bench-bench-bench",
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1",
}
"""So that the parts are made; nobody is called."""

LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| (\s*)(\S+)")


def measure(runs: int) -> dict[str, Any]:
    """ms of wall time and of CPU, medians, by what was started; and the imports that cost a function most. Bytecode is
    there, as in an image that was built with it."""
    with tempfile.TemporaryDirectory(prefix="linkflow-bytecode-") as bytecode:
        return _measure(runs, {**_environ(), "PYTHONPYCACHEPREFIX": bytecode})


def _measure(runs: int, environ: dict[str, str]) -> dict[str, Any]:
    help_ = _timed([str(Path(sys.executable).with_name("linkflow")), "--help"], runs, environ)
    bare = _timed([sys.executable, "-c", "pass"], runs, environ)
    functions = {}
    for name in FUNCTIONS:
        command = [sys.executable, "-c", "import handler"]
        timed = _timed(command, runs, environ, ROOT / "functions" / name)
        functions[name] = {
            **{field: round(max(0.0, timed[field] - bare[field]), 1) for field in timed},
            "top": _slowest([sys.executable, "-X", "importtime", *command[1:]], environ, ROOT / "functions" / name),
        }
    return {"help": help_, "python": bare, "functions": functions}


def _environ() -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}, **SETTINGS}


def _timed(command: Sequence[str], runs: int, environ: dict[str, str], where: Path = ROOT) -> dict[str, float]:
    """The first start, which writes bytecode, does not count."""
    walls, cpus = [], []
    subprocess.run(command, cwd=where, env=environ, stdout=subprocess.DEVNULL, check=True)
    for _ in range(runs):
        before, begin = os.times(), time.perf_counter()
        subprocess.run(command, cwd=where, env=environ, stdout=subprocess.DEVNULL, check=True)
        walls.append(time.perf_counter() - begin)
        after = os.times()
        cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return {"wall_ms": round(1000 * median(walls), 1), "cpu_ms": round(1000 * median(cpus), 1)}


def _slowest(command: Sequence[str], environ: dict[str, str], where: Path) -> list[tuple[str, float]]:
    """The modules that take longest by themselves, in ms."""
    done = subprocess.run(command, cwd=where, env=environ, capture_output=True, text=True, check=True)
    found = [(name, round(int(own) / 1000, 1)) for own, _, _, name in LINE.findall(done.stderr)]
    return sorted(found, key=lambda item: -item[1])[:8]
