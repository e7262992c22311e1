"""Numbers of `linkflow.metrics` for CloudWatch, which reads them out of a function's log (Embedded Metric Format).

Written here and not by Powertools: its metrics take 60 ms of processor time to import, a cold start's worth, for what
is one JSON object. Only what somebody watches goes out, under the names that Prometheus has it by, and only where it is
not zero: CloudWatch asks money for each name and set of labels in an hour in which it hears of it, and idle is free.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from linkflow import metrics
from linkflow.metrics import Counter, Histogram

NAMESPACE = "LinkFlow"
MOST_VALUES = 100
"""Values of one metric in one line, as CloudWatch takes them."""

EVENTS = frozenset({
    "ExecutionStarted", "ExecutionCompleted", "ExecutionFailed", "ExecutionTimedOut", "ExecutionCancelled",
    "NodeFailed",
})  # fmt: skip
TIMES = (metrics.TASK_WAIT_SECONDS, metrics.TIMER_LAG_SECONDS, metrics.HTTP_SECONDS)
WORST = (metrics.QUEUE_OLDEST_SECONDS,)
SUMS = (metrics.DEAD_LETTERS,)
FAILED = metrics.HTTP_REQUESTS


class Emf:
    """What has happened since the last look, as lines for the log."""

    def __init__(self, deployment: str = "") -> None:
        """`deployment` tells one from another in the same account: the dimension ``service``, as Powertools has it."""
        self._common = {"service": deployment} if deployment else {}
        self._seen: dict[tuple[str, Any], int] = {}
        for one in TIMES:
            one.keep(MOST_VALUES)

    def lines(self, now_ms: int) -> list[str]:
        """Empty where there is nothing to tell."""
        return [_line(now_ms, name, unit, value, labels | self._common) for name, unit, value, labels in self._news()]

    def _news(self) -> Iterator[tuple[str, str, Any, dict[str, str]]]:
        for (type,), count in list(metrics.EVENTS.values.items()):
            name = getattr(type, "__name__", str(type))
            if name in EVENTS and (more := self._more(metrics.EVENTS, type, count)):
                yield metrics.EVENTS.name, "Count", more, {"type": name}
        errors = sum(count for labels, count in list(FAILED.values.items()) if str(labels[-1]) >= "500")
        if more := self._more(FAILED, "5xx", errors):
            yield FAILED.name, "Count", more, {"status": "5xx"}
        for one in TIMES:
            if values := _taken(one):
                yield one.name, "Seconds", values, {}
        for gauge in WORST:
            if value := max(gauge.values.values(), default=0):
                yield gauge.name, "Seconds", value, {}
        for gauge in SUMS:
            if value := sum(gauge.values.values()):
                yield gauge.name, "Count", value, {}

    def _more(self, one: Counter, key: Any, count: int) -> int:
        before = self._seen.get((one.name, key), 0)
        self._seen[one.name, key] = count
        return count - before


def _taken(one: Histogram) -> list[float]:
    values = [round(value, 6) for value in one.recent or ()]
    if one.recent is not None:
        one.recent.clear()
    return values


def _line(now_ms: int, name: str, unit: str, value: Any, labels: dict[str, str]) -> str:
    told = {"Namespace": NAMESPACE, "Dimensions": [list(labels)], "Metrics": [{"Name": name, "Unit": unit}]}
    about = {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [told]}, **labels, name: value}
    return msgspec.json.encode(about).decode()
