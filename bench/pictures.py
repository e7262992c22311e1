"""``python -m bench.pictures``: draws what ``bench/results/latest.json`` holds as SVG, for docs/performance.md."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .children import ROOT
from .drawing import Bar, Series, Words, bars, figure, lines
from .peers.ratios import DURABLE, cpu_of
from .report import RESULTS

Result = dict[str, Any]
GROUPS = ("LinkFlow", "peers")
CASES = {
    "chain-pure": "ten pure nodes",
    "webhook": "webhook, ten pure nodes",
    "chain-step": "ten recorded steps, busy",
    "chain-step alone": "ten recorded steps, alone",
}


def pictures(result: Result) -> dict[str, str]:
    """The pictures that the figures allow, by file name."""
    found: dict[str, str] = {}
    for draw in (_load, _growth, _peers, _cost):
        found |= draw(result, _machine(result))
    return found


def _machine(result: Result) -> str:
    about = result.get("machine", {})
    words = [
        about.get("cpu"),
        f"{about['cores']} cores for everything" if "cores" in about else "",
        about.get("at", "")[:10],
    ]
    return ", ".join(word for word in words if word)


def _levels(result: Result, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = result["workloads"].get(name, {}).get("levels") or []
    return found


def _load(result: Result, small: str) -> dict[str, str]:
    if not (levels := _levels(result, "in-flight")):
        return {}
    labels = [str(level["in_flight"]) for level in levels]
    rates = [Series("chain-pure", [level["rate"] for level in levels])]
    spread = [Series(name, [level[f"{name}_ms"] for level in levels]) for name in ("p50", "p99")]
    return {
        "throughput.svg": lines(Words("Throughput of chain-pure", "executions/s", small), "executions in flight", labels, rates),
        "latency.svg": lines(Words("Latency, start to completed", "ms", small), "executions in flight", labels, spread),
    }  # fmt: skip


def _growth(result: Result, small: str) -> dict[str, str]:
    if not (levels := _levels(result, "growth")):
        return {}
    labels = [f"{level['stored']:,}" for level in levels]
    rates = [
        Series("with so many stored", [level["rate"] for level in levels]),
        Series("empty store, by turns", [level.get("beside", level)["rate"] for level in levels]),
    ]
    names = [name for name in ("LinkFlow", "Postgres") if name.lower() in levels[0]["cpu_ms_per_unit"]]
    costs = [Series(name, [level["cpu_ms_per_unit"][name.lower()] for level in levels]) for name in names]
    return {
        "growth.svg": lines(Words("chain-pure on a store that grows", "executions/s", small), "stored executions", labels, rates),
        "growth-cpu.svg": lines(Words("CPU of one chain-pure run", "ms", small), "stored executions", labels, costs),
    }  # fmt: skip


def _peers(result: Result, small: str) -> dict[str, str]:
    """LinkFlow's chains and the peers', the fastest and the cheapest first."""
    peers = {name: peer for name, peer in result.get("peers", {}).items() if peer.get("rate")}
    if not peers:
        return {}
    rates, costs = [], []
    for name, durable in DURABLE.items():
        if ours := result["workloads"].get(name):
            below = f"on disk: {durable}"
            rates.append(Bar(name, ours["rate"], figure(ours["rate"]), 0, below))
            costs.append(Bar(name, cpu_of(ours), f"{figure(cpu_of(ours))} ms", 0, below))
    for name, peer in peers.items():
        below = f"{peer['version']}, on disk: {peer['durable']}"
        rates.append(Bar(name, peer["rate"], figure(peer["rate"]), 1, below))
        if peer["cpu_ms"]:
            costs.append(Bar(name, peer["cpu_ms"], f"{figure(peer['cpu_ms'])} ms", 1, below))
    found = {
        "peers.svg": bars(
            Words("A run of ten steps, 50 in flight", "executions/s", small), sorted(rates, key=lambda bar: -bar.value), GROUPS
        ),
        "peers-cpu.svg": bars(
            Words("CPU of a run of ten steps", "ms in all processes", small), sorted(costs, key=lambda bar: bar.value), GROUPS
        ),
    }  # fmt: skip
    return found if any(bar.value for bar in costs) else {"peers.svg": found["peers.svg"]}


def _cost(result: Result, small: str) -> dict[str, str]:
    if not (figures := result["workloads"].get("lambda")):
        return {}
    rows = []
    for name, case in figures["cases"].items():
        dollars = case["per_million_node_runs"]["total"]
        rows.append(Bar(CASES[name], dollars, f"${dollars:.2f}", 0, _invocations(case["invocations_per_run"])))
    others = figures["step_functions"]
    rows.append(
        Bar("Step Functions Express", others["express"], f"${others['express']:.2f}", 1, "keeps nothing by itself")
    )
    rows.append(
        Bar("Step Functions Standard", others["standard"], f"${others['standard']:.2f}", 1, "ten transitions a run")
    )
    words = Words(
        "A million node runs on AWS",
        "dollars",
        "us-east-1, runs of ten nodes; measured here, reckoned for 512 MB on arm64",
    )
    return {"cost.svg": bars(words, rows, ("LinkFlow", "Step Functions"))}


def _invocations(count: float) -> str:
    return f"{count:.3g} invocation{'' if count == 1 else 's'} a run"


def main() -> None:
    """Draw, and say what was drawn."""
    parser = argparse.ArgumentParser(prog="python -m bench.pictures", description="Pictures of a benchmark's figures.")
    parser.add_argument("--result", type=Path, default=RESULTS / "latest.json")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, text in pictures(json.loads(options.result.read_text())).items():
        (options.folder / name).write_text(text)
        print(options.folder / name)


if __name__ == "__main__":
    main()
