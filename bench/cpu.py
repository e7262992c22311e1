"""CPU time of processes, from /proc. Elsewhere than on Linux every figure is zero."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Usage(NamedTuple):
    """CPU seconds by name, the whole machine's busy seconds, and when that was (s)."""

    seconds: dict[str, float]
    machine: float
    at: float


class Meter:
    """Watches process trees by name: a root stands for itself and all that it started, ended ones included."""

    def __init__(self, roots: Mapping[str, int | None]) -> None:
        self._roots = {name: pid for name, pid in roots.items() if pid}

    def read(self) -> Usage:
        children = children_by_parent()
        seconds = {name: tree(pid, children) for name, pid in self._roots.items()}
        return Usage(seconds, _machine(), time.perf_counter())

    def since(self, before: Usage) -> dict[str, float]:
        """Cores used since `before`, by name; ``others`` is everything on the machine that is not ours."""
        now = self.read()
        length = max(now.at - before.at, 1e-9)
        cores = {name: (now.seconds[name] - before.seconds.get(name, 0.0)) / length for name in now.seconds}
        cores["others"] = max(0.0, (now.machine - before.machine) / length - sum(cores.values()))
        return {name: round(value, 4) for name, value in cores.items()}


def parent_of(pid: int) -> int | None:
    """The process that started one; None where that is not known (or another machine's)."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat behind the name, state first."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def children_by_parent() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in PROC.iterdir() if PROC.exists() else ():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            found.setdefault(int(fields[1]), []).append(int(entry.name))
    return found


def tree(pid: int, children: Mapping[int, list[int]]) -> float:
    """CPU seconds of a process and all that it has started."""
    fields = _stat(pid)
    own = sum(map(int, fields[11:15])) / TICK if fields else 0.0  # user and system, its own and its ended children's
    return own + sum(tree(child, children) for child in children.get(pid, ()))


def _machine() -> float:
    """Busy CPU seconds of all cores since boot."""
    try:
        first = (PROC / "stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, softirq = map(int, first[1:8])
    return (user + nice + system + irq + softirq) / TICK
