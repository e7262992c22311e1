"""``python -m bench``: measure, print a table, write ``bench/results/latest.json``. See README.md."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.lambda_environment import NoEmulator

from . import processes
from .children import ROOT
from .lab import Lab
from .on_lambda import money
from .peers import measure
from .peers.each import PEERS
from .peers.ratios import lines
from .report import RESULTS, save, table, verdict
from .sizes import IN_FLIGHT, QUICK, TINY, Size
from .workloads import ALONE, EXTRA, OWN_LAB, WITH_PEERS, WORKLOADS, ceiling

BOUND = 1.5
"""A workload that comes this close to the generator's own ceiling says more about the generator."""

CEILINGS = {
    "chain-pure": f"grpc_{IN_FLIGHT}",
    "chain-step": f"grpc_{IN_FLIGHT}",
    "chain-step-bare": f"grpc_{IN_FLIGHT}",
    "idle-latency": "grpc_1",
    "webhook-sync": f"http_{IN_FLIGHT}",
    "webhook-async": f"http_{IN_FLIGHT}",
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of LinkFlow, end to end.")
    known = [*WORKLOADS, *EXTRA]
    parser.add_argument("--workloads", help=f"some of {', '.join(known)}")
    parser.add_argument(
        "--all", action="store_true", help="every workload, those that need it on new stores, and peers"
    )
    parser.add_argument("--seconds", type=float, help="length of one run of a workload")
    parser.add_argument("--runs", type=int, help="runs of each workload; figures are their medians")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work, not how fast is it")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)  # for the test of the benchmark itself
    parser.add_argument("--peers", nargs="?", const=",".join(PEERS), default="", metavar="NAMES",
                        help=f"measure peers too (installs them first): all, or some of {', '.join(PEERS)}")  # fmt: skip
    parser.add_argument("--output", type=Path, default=RESULTS / "latest.json", help="where the figures go")
    options = parser.parse_args()
    if options.all and not options.peers:
        options.peers = ",".join(PEERS)
    options.peers = _chosen(parser, "peer", options.peers, PEERS)
    chosen = _chosen(parser, "workload", options.workloads or ",".join(WORKLOADS), known)
    options.stages = stages(
        chosen, not options.workloads and bool(options.peers), not options.workloads and options.all
    )
    return options


def stages(chosen: Sequence[str], peers: bool, everything: bool) -> list[list[str]]:
    """Which workloads share stores and a server. `peers` adds what those are held against, `everything` the rest."""
    first = [name for name in chosen if name not in OWN_LAB]
    first += [name for name in WITH_PEERS if peers and name not in first]
    first += [name for name in EXTRA if everything and name not in (*first, *ALONE)]
    alone = [name for name in chosen if name in OWN_LAB] + [name for name in ALONE if everything]
    return [names for names in (first, *([name] for name in dict.fromkeys(alone))) if names]


def _chosen(parser: argparse.ArgumentParser, what: str, text: str, known: Collection[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in known]:
        parser.error(f"unknown {what} {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def _size(options: argparse.Namespace) -> Size:
    size = TINY if options.tiny else QUICK if options.quick else Size()
    if options.seconds:
        size = replace(size, seconds=options.seconds, warm_up=min(size.warm_up, options.seconds))
    return replace(size, runs=options.runs) if options.runs else size


def _machine() -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in cpu.read_text().split("\n") if line.startswith("model name")] \
        if cpu.exists() else []  # fmt: skip
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "cpu": models[0] if models else platform.processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "revision": revision,
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def _measure(lab: Lab, names: list[str], size: Size, result: dict[str, Any]) -> None:
    limits = result.setdefault("generator_ceiling", {}) or ceiling(lab, min(1.0, size.seconds / 2))
    result["generator_ceiling"] = limits
    for name in names:
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        begin = time.perf_counter()
        try:
            figures = {**WORKLOADS, **EXTRA}[name](lab, size)
        except NoEmulator as error:
            print(f"not measured: {error}", file=sys.stderr)
            continue
        limit = limits.get(CEILINGS.get(name, ""))
        if limit:
            figures["generator_ceiling"] = limit
            figures["generator_bound"] = figures["rate"] * BOUND > limit
        if "floor" in figures:
            result["floor"] = figures["floor"]
        result["workloads"][name] = figures
        print(f"{figures['rate']:,.0f} {figures['unit']} ({time.perf_counter() - begin:.0f} s)", verdict(name, figures),
              file=sys.stderr, flush=True)  # fmt: skip


def main() -> int:
    """Measure what was asked for. The exit code says whether it could be measured, not whether targets were met."""
    options = _options()
    size = _size(options)
    result: dict[str, Any] = {"machine": _machine(), "workloads": {}, "peers": {}}
    RESULTS.mkdir(parents=True, exist_ok=True)
    for at, names in enumerate(options.stages):
        with (
            tempfile.TemporaryDirectory(prefix="home-", dir=RESULTS, ignore_cleanup_errors=True) as home,
            Lab(Path(home)) as lab,
        ):
            result["machine"]["postgres"] = lab.settings(must_be_durable=not options.tiny)
            print(f"LinkFlow is process {lab.server.pid}, the generator {lab.generator.pid}", file=sys.stderr)
            _measure(lab, names, size, result)
            if options.peers and at == 0:
                lab.server.stop()  # they have the machine for themselves
                result["peers"] = measure(lab, size, result["workloads"], options.peers)
        save(result, options.output)
    print(table(result))
    if "lambda" in result["workloads"]:
        print("\n".join(money.lines(result["workloads"]["lambda"])))
    if "processes" in result["workloads"]:
        print("\n".join(processes.lines(result["workloads"]["processes"])))
    print("\n".join(lines(result["peers"], result["workloads"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
