"""``python -m bench``: measure, print a table, write ``bench/results/latest.json``. See README.md."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from .children import ROOT
from .lab import Lab
from .report import RESULTS, save, table, verdict
from .sizes import IN_FLIGHT, QUICK, TINY, Size
from .workloads import EXTRA, WORKLOADS, ceiling

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
    parser.add_argument("--workloads", default=",".join(WORKLOADS), help=f"some of {', '.join(known)}")
    parser.add_argument("--seconds", type=float, help="length of one run of a workload")
    parser.add_argument("--runs", type=int, help="runs of each workload; figures are their medians")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work, not how fast is it")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)  # for the test of the benchmark itself
    parser.add_argument("--peers", action="store_true", help="measure DBOS and Temporal too (installs them first)")
    parser.add_argument("--output", type=Path, default=RESULTS / "latest.json", help="where the figures go")
    options = parser.parse_args()
    options.names = [name.strip() for name in options.workloads.split(",") if name.strip()]
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"unknown workload {', '.join(unknown)}; there are {', '.join(known)}")
    return options


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


def _measure(lab: Lab, names: list[str], size: Size) -> dict[str, Any]:
    limits = ceiling(lab, min(1.0, size.seconds / 2))
    result: dict[str, Any] = {"generator_ceiling": limits, "workloads": {}}
    for name in names:
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        begin = time.perf_counter()
        figures = {**WORKLOADS, **EXTRA}[name](lab, size)
        limit = limits.get(CEILINGS.get(name, ""))
        if limit:
            figures["generator_ceiling"] = limit
            figures["generator_bound"] = figures["rate"] * BOUND > limit
        if "floor" in figures:
            result["floor"] = figures["floor"]
        result["workloads"][name] = figures
        print(f"{figures['rate']:,.0f} {figures['unit']} ({time.perf_counter() - begin:.0f} s)", verdict(name, figures),
              file=sys.stderr, flush=True)  # fmt: skip
    return result


def main() -> int:
    """Measure what was asked for. The exit code says whether it could be measured, not whether targets were met."""
    options = _options()
    size = _size(options)
    machine = _machine()
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="home-", dir=RESULTS, ignore_cleanup_errors=True) as home:
        peers: dict[str, Any] = {}
        with Lab(Path(home)) as lab:
            machine["postgres"] = lab.settings(must_be_durable=not options.tiny)
            print(f"LinkFlow is process {lab.server.pid}, the generator {lab.generator.pid}", file=sys.stderr)
            result = _measure(lab, options.names, size)
            url = lab.url
            lab.server.stop()
            if options.peers:  # they have the machine for themselves
                from .peers import measure

                peers = measure(url, options.quick)
    result = {"machine": machine, **result, "peers": peers}
    save(result, options.output)
    print(table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
