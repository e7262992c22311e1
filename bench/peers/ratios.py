"""LinkFlow beside its peers: ratios of figures that were measured in one run, and the table of them. Pure."""

from __future__ import annotations

from typing import Any

STEP, END, NEVER = "every step", "the end", "nothing"
"""What is on the disk before a run goes on: each step before the next, all of it before the run is reported, or not
at all."""

AGAINST = {
    "chain-step-bare": "idle-step",
    "chain-pure": "idle-latency",
    "chain-step": "",
    "webhook-sync": "idle-webhook",
}
"""LinkFlow's workloads that peers are held against, and which workload is the same, one at a time."""

DURABLE = {"chain-step-bare": STEP, "chain-pure": END, "chain-step": STEP, "webhook-sync": END}

LOAD = {"standin"}
"""Processes that are no part of an engine: the service that chain-step calls."""


def cpu_of(figures: dict[str, Any]) -> float:
    """CPU ms of one execution in all processes that have a part in it, stores and client included."""
    cost: float = round(sum(ms for name, ms in figures.get("cpu_ms_per_unit", {}).items() if name not in LOAD), 3)
    return cost


def with_ratios(peers: dict[str, Any], workloads: dict[str, Any]) -> dict[str, Any]:
    """The peers' figures with `cpu_ms` and, by LinkFlow's workload, `ratio`: how many times as many executions a
    second (`rate`), as little CPU for one (`cpu`), and as short a time alone (`idle_p50`). None where one is not known."""
    found = {}
    for name, peer in peers.items():
        found[name] = dict(peer)
        if "rate" not in peer:
            continue
        found[name]["cpu_ms"] = cpu_of(peer)
        found[name]["ratio"] = {
            ours: _ratio(workloads[ours], workloads.get(alone, {}), found[name])
            for ours, alone in AGAINST.items()
            if ours in workloads
        }
    return found


def _ratio(ours: dict[str, Any], alone: dict[str, Any], peer: dict[str, Any]) -> dict[str, float | None]:
    return {
        "rate": _over(ours["rate"], peer["rate"]),
        "cpu": _over(peer["cpu_ms"], cpu_of(ours)),
        "idle_p50": _over(peer["idle_p50_ms"], alone.get("p50_ms")),
    }


def _over(above: float | None, below: float | None) -> float | None:
    return round(above / below, 2) if above and below else None


def lines(peers: dict[str, Any], workloads: dict[str, Any]) -> list[str]:
    """The table for people: each peer's figures, then LinkFlow over it, and why a peer is missing."""
    told = {name: peer for name, peer in peers.items() if "rate" in peer}
    missing = [
        f"{name}: {peer.get('unavailable') or peer.get('failed')}" for name, peer in peers.items() if name not in told
    ]
    if not told:
        return ["", *missing] if missing else []
    columns = [ours for ours in AGAINST if ours in workloads]
    rows = [["peer", "version", "on disk", "exec/s", "p50 alone", "CPU ms", *columns]]
    for name, peer in told.items():
        figures = _figures(peer["rate"], peer["idle_p50_ms"], peer["cpu_ms"])
        rows.append([name, peer["version"], peer["durable"], *figures, *(_cell(peer, ours) for ours in columns)])
    for ours in columns:
        alone = workloads.get(AGAINST[ours], {}).get("p50_ms")
        figures = _figures(workloads[ours]["rate"], alone, cpu_of(workloads[ours]))
        rows.append([f"our {ours}", "", DURABLE[ours], *figures, *("" for _ in columns)])
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text.insert(1, "  ".join("-" * width for width in widths))
    legend = (
        "LinkFlow over each peer: executions/s (CPU for one). * is the fair pair: the same is recorded before a run goes "
        "on. CPU is of all processes, stores and client included."
    )
    return ["", *text, legend, *missing]


def _figures(rate: float, alone: float | None, cpu: float) -> list[str]:
    return [f"{rate:,.1f}", f"{alone:,.1f}" if alone else "", f"{cpu:,.1f}"]


def _cell(peer: dict[str, Any], ours: str) -> str:
    ratio = peer["ratio"].get(ours)
    if ratio is None:
        return ""
    rate, cpu = (f"{ratio[field]:,.1f}x" if ratio[field] else "?" for field in ("rate", "cpu"))
    return f"{rate} ({cpu}){' *' if peer['fair'] == ours else ''}"
