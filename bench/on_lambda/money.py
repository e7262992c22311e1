"""From what was taken to dollars. The arithmetic is `linkflow.domain.costing`; here is what it is fed with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.on_lambda.books import Books
from bench.on_lambda.deployment import Shape
from linkflow.domain import costing, prices
from linkflow.domain.costing import Usage

ROUND_TRIP_MS = 0.5
"""Between a function and a store in its own region, for each transaction and each Valkey command."""
KEPT_MONTHS = 3.0
"""How long the bytes of a run are paid for: the default retention is 90 days, which is what Standard keeps too."""
LOG_LINE = 26
"""Bytes that CloudWatch adds to an event."""


def usage(books: Books, shapes: Mapping[str, Shape], node_runs: int) -> tuple[Usage, dict[str, Any]]:
    """What so many node runs took, and by function what it comes to on Lambda."""
    taken = {name: one for name, one in books.functions.items() if one.invocations}
    stores, whole = books.stores, sum(one.cpu_ms for one in taken.values()) or 1.0
    trips = stores["transactions"] + stores["commands"]
    told, gb_seconds = {}, 0.0
    for name, one in taken.items():
        memory = shapes[name].memory
        there = costing.duration_ms(one.wall_ms, one.cpu_ms, memory, trips * one.cpu_ms / whole, ROUND_TRIP_MS)
        gb_seconds += costing.gb_seconds(there, memory, one.invocations)
        told[name] = {
            "invocations": one.invocations, "memory_mb": memory, "wall_ms": round(one.wall_ms / one.invocations, 2),
            "cpu_ms": round(one.cpu_ms / one.invocations, 2), "billed_ms": round(one.billed_ms / one.invocations, 2),
            "billed_ms_there": round(there / one.invocations + 0.5, 2),
        }  # fmt: skip
    invocations = sum(one.invocations for one in taken.values())
    made = Usage(
        node_runs=node_runs,
        gb_seconds=gb_seconds,
        invocations=invocations,
        http_requests=taken["api"].invocations if "api" in taken else 0,
        database_cpu_s=stores["cpu_ms"] / 1000,
        database_writes=costing.database_writes(stores["syncs"], stores["wal_bytes"]),
        stored_gb_months=stores["size_bytes"] / costing.GB * KEPT_MONTHS,
        cache_units=max(stores["commands"], stores["cache_bytes"] / 1024),
        log_gb=(stores["log_bytes"] + LOG_LINE * 3 * invocations) / costing.GB,
    )
    return made, told


def cost(books: Books, shapes: Mapping[str, Shape], runs: int, nodes: int) -> dict[str, Any]:
    """What runs of so many nodes took, each, and dollars by part for a million node runs."""
    used, told = usage(books, shapes, runs * nodes)
    each = {name: round(value / runs, 3) for name, value in books.stores.items()}
    return {
        "runs": runs,
        "functions": {name: {**one, "per_run": round(one["invocations"] / runs, 3)} for name, one in told.items()},
        "invocations_per_run": round(used.invocations / runs, 3),
        "billed_ms_per_run": round(sum(one.billed_ms for one in books.functions.values()) / runs, 2),
        "gb_seconds_per_run": round(used.gb_seconds / runs, 6),
        "stores_per_run": each,
        "per_million_node_runs": rounded(costing.per_million(used)),
    }


def cold_start(init_ms: float, shape: Shape) -> dict[str, Any]:
    """What an environment's start is billed."""
    seconds = costing.gb_seconds(init_ms, shape.memory)
    dollars = seconds * prices.AWS["lambda.duration.arm64"].dollars
    return {"init_ms": round(init_ms, 1), "dollars_per_million_starts": round(dollars * costing.MILLION, 3)}


def idle(tick: Mapping[str, float], shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """Dollars a month while nothing runs."""
    memory = shapes["timer"].memory
    there = costing.duration_ms(tick["wall_ms"], tick["cpu_ms"], memory)
    parts = costing.idle_month(Usage(node_runs=1, invocations=1, gb_seconds=costing.gb_seconds(there, memory)))
    told = {name: round(value, 2) for name, value in tick.items()}
    return {"tick": {**told, "billed_ms_there": round(there + 0.5, 2)}, **{k: round(v, 2) for k, v in parts.items()}}


def step_functions(nodes: int) -> dict[str, float]:
    """Dollars for a million states, in executions of so many that take less than a tenth of a second."""
    runs = costing.MILLION / nodes
    return {
        "standard": round(runs * costing.step_functions_standard(nodes), 3),
        "express": round(runs * costing.step_functions_express(0.1), 3),
    }


def rounded(parts: Mapping[str, float]) -> dict[str, float]:
    return {name: round(dollars, 4) for name, dollars in parts.items()}


def lines(figures: dict[str, Any]) -> list[str]:
    """The table for people."""
    cases = figures["cases"]
    parts = list(next(iter(cases.values()))["per_million_node_runs"])
    rows = [["dollars for a million node runs", *cases]]
    rows += [[part, *(f"{case['per_million_node_runs'][part]:,.3f}" for case in cases.values())] for part in parts]
    rows += [
        [words, *(f"{case[field]:,.2f}" for case in cases.values())]
        for words, field in (("invocations a run", "invocations_per_run"), ("billed ms a run, here", "billed_ms_per_run"))
    ]  # fmt: skip
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    text.insert(1, "  ".join("-" * width for width in widths))
    others, month = figures["step_functions"], figures["idle_month"]
    return [
        "", *text,
        f"Step Functions for the same: Standard {others['standard']:.2f}, Express {others['express']:.2f} (not durable).",
        "A month idle: " + ", ".join(f"{name} {month[name]:.2f}" for name in ("clock", "database", "valkey")) + ".",
    ]  # fmt: skip
