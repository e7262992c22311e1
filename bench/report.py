"""Figures of several runs, the table for people, and the file for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).resolve().parent / "results"

TARGETS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "chain-pure": (("rate", ">=", 1500), ("floor_ratio", ">=", 0.3)),
    "chain-step": (("rate", ">=", 250),),
    "idle-latency": (("p50_ms", "<=", 15),),
    "webhook-sync": (("rate", ">=", 400), ("p99_ms", "<=", 250)),
    "webhook-async": (("rate", ">=", 1000),),
    "fan-out": (("rate", ">=", 5000),),
    "expressions": (("rate", ">=", 100_000),),
    "growth": (("growth_ratio", ">=", 0.9), ("cpu_ratio", ">=", 0.9)),
    "memory": (("idle_mb", "<=", 250),),
    "startup": (
        ("help_cpu_ms", "<=", 150),
        ("import_cpu_ms", "<=", 400),
        ("cold_ms", "<=", 800),
        ("layer_mb", "<=", 50),
    ),
    "timers": (("last_ms", "<=", 2000), ("steady_p99_ms", "<=", 100)),
}
"""The targets of the design, for a machine with two cores: field, relation, figure."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of sorted values; 0 of none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def spread(values: Sequence[float]) -> float:
    """Half the distance between the highest and the lowest, as a share of the median."""
    middle = median(values) if values else 0.0
    return (max(values) - min(values)) / 2 / middle if middle else 0.0


def combine(runs: Sequence[dict[str, Any]], unit: str) -> dict[str, Any]:
    """One workload's figures: medians over its runs, and how far the rates lie apart."""
    cpu = {name: median(run["cpu"].get(name, 0.0) for run in runs) for name in runs[0]["cpu"]}
    problems: dict[str, int] = {}
    for run in runs:
        for text, count in run["problems"].items():
            problems[text] = problems.get(text, 0) + count
    rates = [run["rate"] for run in runs]
    return {
        "rate": round(median(rates), 1),
        "unit": unit,
        "p50_ms": round(median(run["p50_ms"] for run in runs), 2),
        "p99_ms": round(median(run["p99_ms"] for run in runs), 2),
        "floor_ratio": None,
        "spread": round(spread(rates), 3),
        "runs": [round(rate, 1) for rate in rates],
        "cores": {name: round(value, 2) for name, value in cpu.items()},
        "cpu_ms_per_unit": {
            name: round(1000 * value / median(rates), 3) for name, value in cpu.items() if name != "others"
        }
        if median(rates)
        else {},
        "problems": problems,
    }


def verdict(name: str, figures: dict[str, Any]) -> str:
    """Which of the design's targets are met, as text."""
    words = []
    for field, relation, wanted in TARGETS.get(name, ()):
        value = figures.get(field)
        if value is not None:
            met = value >= wanted if relation == ">=" else value <= wanted
            words.append(f"{'met' if met else 'MISSED'} {field} {relation} {wanted:g}")
    if figures.get("problems"):
        words.append(f"{sum(figures['problems'].values())} PROBLEMS")
    if figures.get("generator_bound"):
        words.append("GENERATOR-BOUND")
    return ", ".join(words)


def table(result: dict[str, Any]) -> str:
    """The table that is printed."""
    rows = [("workload", "rate", "unit", "±", "p50 ms", "p99 ms", "floor", "LF/PG/VK/gen/other cores", "targets")]
    for name, found in result["workloads"].items():
        cores = found["cores"]
        used = "/".join(f"{cores.get(k, 0):.2f}" for k in ("linkflow", "postgres", "valkey", "generator", "others"))
        ratio = "" if found["floor_ratio"] is None else f"{found['floor_ratio']:.2f}"
        rows.append(
            (name, f"{found['rate']:,.0f}", found["unit"], f"{found['spread']:.0%}", f"{found['p50_ms']:.1f}",
             f"{found['p99_ms']:.1f}", ratio, used, verdict(name, found))
        )  # fmt: skip
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += _floor_lines(result.get("floor") or {})
    return "\n".join(lines)


def _floor_lines(floor: dict[str, Any]) -> list[str]:
    batches = floor.get("rates", {})
    rates = ", ".join(f"{rate:,.0f} at batch {size}" for size, rate in batches.items())
    two = f"; in two commits {floor['two_commits']:,}" if "two_commits" in floor else ""
    return ["", f"storage floor, executions/s: {rates}{two}"] if batches else []


def save(result: dict[str, Any], path: Path) -> None:
    """Write the result; a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(result, indent=2) + "\n")
    draft.replace(path)
