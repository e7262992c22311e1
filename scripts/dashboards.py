"""Writes deploy/dashboards/grafana.json from the table below; with --check says whether it is current.

python scripts/dashboards.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[1] / "deploy" / "dashboards" / "grafana.json"

RATE = "[$__rate_interval]"
QUANTILES = (0.5, 0.95, 0.99)


def rate(name: str, by: str, where: str = "") -> list[tuple[str, str]]:
    return [(f"sum by ({by}) (rate({name}{where}{RATE}))", f"{{{{{by}}}}}")]


def quantiles(name: str, by: str = "") -> list[tuple[str, str]]:
    labels = ", ".join(filter(None, ("le", by)))
    legend = f" {{{{{by}}}}}" if by else ""
    return [
        (f"histogram_quantile({q}, sum by ({labels}) (rate({name}_bucket{RATE})))", f"p{q * 100:g}{legend}")
        for q in QUANTILES[-1 if by else 0 :]
    ]


def events(*types: str) -> list[tuple[str, str]]:
    return [(f'sum(rate(linkflow_events_total{{type="{type}"}}{RATE}))', type) for type in types]


def mean(name: str) -> str:
    return f"sum(rate({name}_sum{RATE})) / sum(rate({name}_count{RATE}))"


ENDS = ("ExecutionCompleted", "ExecutionFailed", "ExecutionCancelled", "ExecutionTimedOut")
ROWS: list[tuple[str, list[tuple[str, str, list[tuple[str, str]]]]]] = [
    (
        "Runs",
        [
            ("Started and ended", "ops", events("ExecutionStarted", *ENDS)),
            ("Node runs", "ops", events("NodeCompleted", "NodeFailed")),
            ("Attempts by node type, p99", "s", quantiles("linkflow_node_seconds", "type")),
        ],
    ),
    (
        "Queues",
        [
            ("Age of the oldest task", "s", [("max by (queue) (linkflow_queue_oldest_age_seconds)", "{{queue}}")]),
            ("Waiting and with workers", "short", [
                ("max by (queue) (linkflow_queue_waiting)", "waiting {{queue}}"),
                ("max by (queue) (linkflow_queue_leased)", "leased {{queue}}"),
            ]),
            ("Due until taken", "s", quantiles("linkflow_task_wait_seconds")),
            ("Workers", "short", [
                ("max by (queue) (linkflow_queue_workers)", "{{queue}}"),
                ("sum(linkflow_worker_running)", "node runs at once"),
            ]),
            ("Who is there for tasks, and who is on the way", "short", [
                ("max by (queue) (linkflow_queue_places)", "places {{queue}}"),
                ("max by (queue) (linkflow_queue_invited)", "invited {{queue}}"),
                *rate("linkflow_workers_invoked_total", "outcome"),
            ]),
            ("Dead letters", "short", [("max by (queue) (linkflow_dead_letters)", "{{queue}}")]),
            ("Timers: how late", "s", quantiles("linkflow_timer_lag_seconds")),
        ],
    ),
    (
        "API",
        [
            ("Requests by status", "reqps", rate("linkflow_http_requests_total", "status")),
            ("Latency", "s", quantiles("linkflow_http_seconds")),
            ("Slowest routes, p99", "s", quantiles("linkflow_http_seconds", "route")),
        ],
    ),
    (
        "Inside",
        [
            ("Transactions", "s", quantiles("linkflow_commit_seconds")),
            ("Runs that share one", "short", [
                (mean("linkflow_commit_executions"), "mean")
            ]),
            ("Calls between services, p99", "s", quantiles("linkflow_rpc_seconds", "method")),
            ("Failed calls", "ops", rate("linkflow_rpc_errors_total", "code")),
            ("Memory", "bytes", [("process_resident_memory_bytes", "{{instance}}")]),
            ("Processor", "percentunit", [(f"rate(process_cpu_seconds_total{RATE})", "{{instance}}")]),
        ],
    ),
]  # fmt: skip


def panel(id: int, title: str, unit: str, queries: list[tuple[str, str]], x: int, y: int) -> dict[str, Any]:
    return {
        "id": id,
        "type": "timeseries",
        "title": title,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": 8, "w": 8, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8}}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}},
        "targets": [
            {"refId": chr(65 + at), "expr": expr, "legendFormat": legend} for at, (expr, legend) in enumerate(queries)
        ],
    }


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        place = {"h": 1, "w": 24, "x": 0, "y": y}
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "panels": []})
        y += 1
        for at, (name, unit, queries) in enumerate(row):
            panels.append(panel(len(panels) + 1, name, unit, queries, 8 * (at % 3), y + 8 * (at // 3)))
        y += 8 * -(-len(row) // 3)
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": "linkflow",
        "title": "LinkFlow",
        "tags": ["linkflow"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [source]},
        "panels": panels,
    }


def main() -> int:
    text = json.dumps(dashboard(), indent=2) + "\n"
    if "--check" in sys.argv:
        current = FILE.exists() and FILE.read_text() == text
        if not current:
            print(f"{FILE.name} is old: run python scripts/dashboards.py", file=sys.stderr)
        return 0 if current else 1
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
