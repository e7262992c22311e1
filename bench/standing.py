"""Workloads about what stays: growth of the store, memory, start-up, and how load and latency go together."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from . import workflows
from .fill import fill
from .lab import Lab
from .memory import own, resident
from .report import combine
from .sizes import Figures, Size
from .startup import measure

TRIGGER = {"i": 0, "name": "order-42"}
LEVELS = (1, 2, 5, 10, 20, 50, 100, 200)


def _level(lab: Lab, size: Size, ask: dict[str, Any]) -> Figures:
    lab.load("runs", seconds=size.warm_up, **ask)
    runs = [lab.load("runs", seconds=size.seconds, lead=size.lead, **ask) for _ in range(size.runs)]
    return combine(runs, "executions/s")


def _cost(figures: Figures) -> float:
    costs = figures["cpu_ms_per_unit"]
    return float(costs.get("linkflow", 0.0) + costs.get("postgres", 0.0))


def growth(lab: Lab, size: Size) -> Figures:
    """chain-pure on a store with more and more runs in it, each level by turns with a store that has none: machines are
    faster at one time than at another, by more than what is looked for."""
    workflow, now = lab.save({**workflows.chain_pure(), "name": "bench growth"}), round(time.time() * 1000)
    full = (lab, _asking(workflow, size))
    levels: list[Figures] = [{"stored": 0, "fill_s": 0.0, **_level(lab, size, full[1])}]
    for stored in size.stored:
        begin = time.perf_counter()
        fill(lab.database, workflow["id"], now, levels[-1]["stored"], stored)
        filled = round(time.perf_counter() - begin, 1)
        with Lab(lab.home / f"beside-{stored}", own_stores=True) as empty:
            bare = (empty, _asking(empty.save(workflows.chain_pure()), size))
            beside, found = _by_turns(size, (bare, full))
        levels.append({"stored": stored, "fill_s": filled, **found, "beside": beside, **_ratios(beside, found)})
    last = levels[-1]
    problems = {name: count for level in levels for name, count in level["problems"].items()}
    return {**last, "levels": levels, "problems": problems, "stored": lab.checked(workflow, problems)}


def _asking(workflow: dict[str, Any], size: Size) -> dict[str, Any]:
    return {"at": "linkflow", "workflow": workflow, "trigger": TRIGGER, "in_flight": size.in_flight}


def _by_turns(size: Size, sides: Sequence[tuple[Lab, dict[str, Any]]]) -> list[Figures]:
    """The same load on each, over and over, in an order that turns about."""
    for lab, ask in sides:
        lab.load("runs", seconds=size.warm_up, **ask)
    runs: list[list[dict[str, Any]]] = [[] for _ in sides]
    for turn in range(size.turns):
        for at in (range(len(sides)), reversed(range(len(sides))))[turn % 2]:
            lab, ask = sides[at]
            runs[at].append(lab.load("runs", seconds=size.seconds, lead=size.lead, **ask))
    return [combine(found, "executions/s") for found in runs]


def _ratios(beside: Figures, found: Figures) -> dict[str, float]:
    return {
        "growth_ratio": round(found["rate"] / (beside["rate"] or 1.0), 3),
        "cpu_ratio": round(_cost(beside) / (_cost(found) or 1.0), 3),
    }


def in_flight(lab: Lab, size: Size) -> Figures:
    """chain-pure with one run in flight, and with more: rate and latency."""
    workflow = lab.save({**workflows.chain_pure(), "name": "bench in-flight"})
    levels = []
    for count in LEVELS if size.in_flight > 10 else LEVELS[:3]:
        ask = {"at": "linkflow", "workflow": workflow, "trigger": TRIGGER, "in_flight": count}
        levels.append({"in_flight": count, **_level(lab, size, ask)})
    problems = {name: count for level in levels for name, count in level["problems"].items()}
    best = max(levels, key=lambda level: float(level["rate"]))
    return {**best, "levels": levels, "problems": problems, "stored": lab.checked(workflow, problems)}


def memory(lab: Lab, size: Size) -> Figures:
    """Memory idle, under load, and after more and more runs: what is kept of each would show."""
    workflow = lab.save({**workflows.chain_pure(), "name": "bench memory"})
    ask = {"at": "linkflow", "workflow": workflow, "trigger": TRIGGER, "in_flight": size.in_flight}
    idle, server = resident(lab.roots), own(lab.server.pid)
    done, figures = 0, {}
    after: list[Figures] = []
    for runs in size.leak:
        figures = combine([lab.load("runs", limit=runs - done, seconds=600.0, **ask)], "executions/s")
        busy = own(lab.server.pid)
        time.sleep(min(2.0, size.seconds))
        done = runs
        after.append({"runs": runs, "at_once_mb": busy, "linkflow_mb": own(lab.server.pid), "all": resident(lab.roots)})
    steps = [
        (late["linkflow_mb"] - soon["linkflow_mb"]) * 1024 / (late["runs"] - soon["runs"])
        for soon, late in pairwise(after)
    ]
    return {
        **figures, "idle_mb": server, "idle": idle, "after": after, "kb_per_run": [round(step, 3) for step in steps],
        "stored": lab.checked(workflow, figures["problems"]),
    }  # fmt: skip


def startup(lab: Lab, size: Size) -> Figures:
    """New processes: `linkflow --help`, each function's import beyond Python's own start, without and with its first
    answer, and its cold start on Lambda's runtime."""
    found = measure(max(1, 2 * size.runs - 1), lab.url, lab.redis_url, lambdas=size.lambdas)
    functions = found["functions"].values()
    most = {
        f"{name}_ms": max(one[f"{field}_ms"] for one in functions)
        for name, field in (("import_cpu", "cpu"), ("first_cpu", "first_cpu"), ("cold", "cold"))
        if all(f"{field}_ms" in one for one in functions)
    }
    _tell(found)
    return {
        "rate": round(1000 / found["help"]["wall_ms"], 1), "unit": "starts/s", "p50_ms": found["help"]["wall_ms"],
        "p99_ms": found["help"]["wall_ms"], "floor_ratio": None, "spread": 0.0, "runs": [], "cores": {}, "problems": {},
        "cpu_ms_per_unit": {}, "help_cpu_ms": found["help"]["cpu_ms"], **most, **found,
    }  # fmt: skip


def _tell(found: dict[str, Any]) -> None:
    for name, one in found["functions"].items():
        words = f"{name}: import {one['cpu_ms']:.0f} ms of CPU, with a first answer {one['first_cpu_ms']:.0f}"
        if "cold_ms" in one:
            words += f"; on Lambda's runtime cold {one['cold_ms']:.0f} ms, warm {one['warm_ms']:.1f}"
        print(f"\n  {words}", end="", file=sys.stderr)
    if found.get("layer_mb"):
        print(f"\n  layer: {found['layer_mb']} MB zipped", end="", file=sys.stderr)
    print(file=sys.stderr, flush=True)
