"""Peers on the same machine, in the same run: a chain of ten steps, with as many in flight as LinkFlow had.

They are optional. Each is installed on demand into ``.tools/peers``; one that cannot be had or fails says why, and stops
nothing.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from bench.cpu import Meter
from bench.lab import Lab
from bench.report import RESULTS, combine
from bench.sizes import Figures, Size

from .each import PEERS, Peer
from .ratios import with_ratios
from .running import Running
from .tools import Unavailable

WAVES = 5
"""A window lasts at least so many times as long as an execution."""

LONGEST = 45.0
"""Seconds of a window at most, but for what was asked for."""

TIME_LIMIT = 240.0
"""Seconds that one peer may take, once it runs."""


def measure(lab: Lab, size: Size, workloads: dict[str, Figures], names: list[str]) -> dict[str, Any]:
    """Figures by peer, with the ratios of LinkFlow's workloads over them."""
    found = {}
    for name in names:
        print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
        found[name] = _guarded(lab, size, PEERS[name])
        said = found[name].get("unavailable") or found[name].get("failed") or f"{found[name]['rate']:,.1f} executions/s"
        print(said, file=sys.stderr, flush=True)
    return with_ratios(found, workloads)


def _guarded(lab: Lab, size: Size, peer: Peer) -> dict[str, Any]:
    about = {"version": peer.version, "durable": peer.durable, "fair": peer.fair, "how": peer.how}
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="peer-", dir=RESULTS, ignore_cleanup_errors=True) as folder,
            peer.start(lab, Path(folder)) as running,
        ):
            return {**about, **_measured(running, size)}
    except Unavailable as error:
        return {**about, "unavailable": str(error)}
    except Exception as error:  # whatever a peer does, the other figures are wanted
        return {**about, "failed": f"{type(error).__name__}: {error}"[:500]}


def windows(size: Size, latency: float) -> list[float]:
    """The seconds of each window. Where an execution takes long, many in flight end in waves: one long window then."""
    if WAVES * latency <= size.seconds:
        return [size.seconds] * size.runs
    return [max(size.seconds * size.runs, min(WAVES * latency, LONGEST))]


def _measured(running: Running, size: Size) -> Figures:
    """One at a time, then many in flight: the same windows as LinkFlow's workloads have."""
    meter = Meter(running.roots)
    watchdog = threading.Timer(TIME_LIMIT, running.kill)
    watchdog.start()
    try:
        running.load(in_flight=1, seconds=size.warm_up / 2)
        alone = running.load(in_flight=1, seconds=size.seconds / 2)
        warm = running.load(in_flight=size.in_flight, seconds=size.warm_up)
        runs = []
        for seconds in windows(size, (warm["p50_ms"] or 1000 * warm["elapsed"]) / 1000):
            before = meter.read()
            window = running.load(in_flight=size.in_flight, seconds=seconds, lead=size.lead)
            runs.append({**window, "cpu": meter.since(before)})
    finally:
        watchdog.cancel()
    if not any(run["done"] for run in runs):
        raise RuntimeError(f"no run came to its end: {runs[-1]['problems']}")
    figures = combine(runs, "executions/s")
    # Runs of a slow peer go on long behind the window: what they cost is counted over all that were done.
    done, spent = sum(run["done"] for run in runs), [(run["cpu"], run["elapsed"]) for run in runs]
    cost = {
        name: round(1000 * sum(cores.get(name, 0.0) * seconds for cores, seconds in spent) / max(1, done), 3)
        for name in running.roots
        if name in figures["cores"]
    }
    figures |= {"cpu_ms_per_unit": cost, "idle_p50_ms": round(alone["p50_ms"], 2)}
    del figures["floor_ratio"]
    return figures
