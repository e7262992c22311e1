"""Numbers of `linkflow.metrics` for CloudWatch, which reads them out of a function's log (Embedded Metric Format).

Powertools writes them; what is said is ours. Only what somebody watches goes out, under the names that Prometheus has
it by, and only where it is not zero: CloudWatch asks money for each name and set of labels in an hour in which it hears
of it, and idle is free. Powertools is imported (10 ms) with the first number: no part of a start, and none of a clock
that rests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

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

Label = tuple[str, str] | tuple[()]
"""Name and value, or none."""


class Emf:
    """What has happened since the last look."""

    def __init__(self, deployment: str = "") -> None:
        """`deployment` tells one from another in the same account: the dimension ``service``, as Powertools has it."""
        self._deployment = deployment
        self._seen: dict[tuple[str, Any], int] = {}
        for one in TIMES:
            one.keep(MOST_VALUES)

    def tell(self, now_ms: int) -> None:
        """Write it to the log: a line for each set of labels, none where there is nothing to tell."""
        told: defaultdict[Label, list[tuple[str, str, Sequence[float]]]] = defaultdict(list)
        for name, unit, values, label in self._news():
            told[label].append((name, unit, values))
        for label, found in told.items():
            self._write(now_ms, label, found)

    def _write(self, now_ms: int, label: Label, told: Sequence[tuple[str, str, Sequence[float]]]) -> None:
        from aws_lambda_powertools.metrics import EphemeralMetrics

        written = EphemeralMetrics(namespace=NAMESPACE, service=self._deployment)
        written.set_timestamp(now_ms)
        if label:
            written.add_dimension(*label)
        for name, unit, values in told:
            for value in values:
                written.add_metric(name, unit, value)
        if written.metric_set:  # with a hundred values it has written them already
            written.flush_metrics()

    def _news(self) -> Iterator[tuple[str, str, Sequence[float], Label]]:
        for (type,), count in list(metrics.EVENTS.values.items()):
            name = getattr(type, "__name__", str(type))
            if name in EVENTS and (more := self._more(metrics.EVENTS, type, count)):
                yield metrics.EVENTS.name, "Count", [more], ("type", name)
        errors = sum(count for labels, count in list(FAILED.values.items()) if str(labels[-1]) >= "500")
        if more := self._more(FAILED, "5xx", errors):
            yield FAILED.name, "Count", [more], ("status", "5xx")
        for one in TIMES:
            if values := _taken(one):
                yield one.name, "Seconds", values, ()
        for gauge in WORST:
            if value := max(gauge.values.values(), default=0):
                yield gauge.name, "Seconds", [value], ()
        for gauge in SUMS:
            if value := sum(gauge.values.values()):
                yield gauge.name, "Count", [value], ()

    def _more(self, one: Counter, key: Any, count: int) -> int:
        before = self._seen.get((one.name, key), 0)
        self._seen[one.name, key] = count
        return count - before


def _taken(one: Histogram) -> list[float]:
    values = [round(value, 6) for value in one.recent or ()]
    if one.recent is not None:
        one.recent.clear()
    return values
