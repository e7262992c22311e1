"""What a month of runs would cost, from what runs were measured to take, beside what others ask for the same. Pure."""

from __future__ import annotations

from math import ceil

from msgspec import Struct

from . import costing
from .costing import Prices, Usage
from .measured import CALLS, CALLS_ALONE, NODES, PURE, TICK_MS, Taken
from .prices import AWS, TEMPORAL_CLOUD

N8N_RATE = 74.4
"""Runs of ten nodes a second that n8n 2.41 made on two cores (docs/performance.md)."""
N8N_LOAD = 0.5
"""How much of that is planned with."""
N8N_DISK_GB = 30
TEMPORAL_HOURS = 744.0
"""Of a month, as Temporal Cloud counts."""


class Month(Struct, frozen=True, kw_only=True):
    """What is asked for: `executions` a month of `nodes` node runs each, `calls` of which have an effect outside and
    are recorded by themselves. `alone`: each execution has a worker for itself, as where few come. History is kept for
    `kept` months; with `idle` the least that the stores cost is counted too."""

    executions: float
    nodes: int
    calls: int = 0
    alone: bool = False
    kept: float = 3.0
    hours: float | None = None
    """Of the month in which anything runs, and so the database is up; None: executions come one by one, as far from
    each other as they can."""
    idle: bool = True

    @property
    def up(self) -> float:
        """Hours for which the database is up."""
        spread = self.executions * costing.AWAKE_HOURS if self.hours is None else self.hours
        return min(costing.HOURS_A_MONTH, spread)


def usage(month: Month) -> Usage:
    """Of all its runs. Measured are runs of ten nodes: more nodes count in proportion, fewer no less where a run costs
    something by itself: its request, and the worker that waits for more where it is alone."""
    pure, calls = (month.nodes - month.calls) / NODES, month.calls / NODES
    if not calls:
        parts = [(PURE, max(1.0, pure))]
    elif month.alone:
        parts = [(PURE, pure), (CALLS_ALONE, max(1.0, calls))]
    else:
        parts = [(PURE, pure), (CALLS, calls)]

    def total(of: str) -> float:
        return float(month.executions * sum(getattr(taken, of) * share for taken, share in parts))

    return Usage(
        node_runs=month.executions * month.nodes,
        gb_seconds=total("gb_seconds"),
        invocations=month.executions * _invocations(parts),
        http_requests=month.executions,
        database_cpu_s=total("database_cpu_s"),
        database_writes=total("database_writes"),
        stored_gb_months=total("stored_gb") * month.kept,
        cache_units=total("cache_units"),
        log_gb=total("log_gb"),
    )


def _invocations(parts: list[tuple[Taken, float]]) -> float:
    """A run is one request, and wakes its workers as often however many calls it makes."""
    return max(taken.invocations for taken, share in parts if share)


def bill(month: Month, prices: Prices = AWS, architecture: str = "arm64") -> dict[str, float]:
    """Dollars by part, and their `total`."""
    parts = costing.bill(usage(month), prices, architecture)
    if month.idle:
        least = costing.idle_month(_TICK, prices, architecture)
        # What it keeps up at least, of which the runs above have used some; and looks at it while nothing runs.
        up = month.up * costing.LEAST_ACU * prices["aurora.capacity"].dollars - parts["database compute"]
        least["database"] = max(0.0, up) + least["database"] * (1 - month.up / costing.HOURS_A_MONTH)
        parts |= {f"idle: {name}": dollars for name, dollars in least.items()}
    return {**parts, "total": sum(parts.values())}


_TICK = Usage(node_runs=1, invocations=1, gb_seconds=costing.gb_seconds(TICK_MS, 512))


def others(month: Month, prices: Prices = AWS) -> dict[str, float]:
    """Dollars for the same number of steps elsewhere; what each leaves out stands in docs/cost.md."""
    runs, actions = month.executions, month.executions * (1 + month.nodes)
    server = costing.HOURS_A_MONTH * prices["ec2.t4g.medium"].dollars + N8N_DISK_GB * prices["ebs.gp3"].dollars
    per_second = runs * month.nodes / NODES / (costing.HOURS_A_MONTH * 3600)
    stored = usage(month).stored_gb_months
    temporal = actions / costing.MILLION * TEMPORAL_CLOUD["actions"].dollars
    temporal += stored * TEMPORAL_HOURS * TEMPORAL_CLOUD["retained"].dollars
    return {
        "AWS Step Functions, Standard": runs * costing.step_functions_standard(month.nodes, prices),
        "AWS Step Functions, Express": runs * costing.step_functions_express(0.1 * max(1, month.calls), prices=prices),
        "n8n on a server": server * max(1, ceil(per_second / (N8N_RATE * N8N_LOAD))),
        "Temporal Cloud, and a server for its workers": temporal * (1 + TEMPORAL_CLOUD["plan"].dollars) + server,
    }
