"""What CloudWatch hears: only what happened since the last line, under Prometheus' names, and nothing while idle."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from linkflow import metrics
from linkflow.domain.events import ExecutionFailed, ExecutionStarted, NodeScheduled
from linkflow.transports.emf import MOST_VALUES, NAMESPACE, Emf


@pytest.fixture
def emf() -> Iterator[Emf]:
    made = Emf()
    made.lines(0)  # what other tests have counted
    for gauge in (metrics.QUEUE_OLDEST_SECONDS, metrics.DEAD_LETTERS):
        gauge.clear()
    yield made
    for one in metrics.INSTRUMENTS:
        one.clear()
        if isinstance(one, metrics.Histogram):
            one.recent = None


def told(emf: Emf) -> dict[tuple[str, ...], Any]:
    found = {}
    for line in map(json.loads, emf.lines(1_700_000_000_000)):
        about = line.pop("_aws")
        assert about["Timestamp"] == 1_700_000_000_000
        (metric,) = about["CloudWatchMetrics"]
        (labels,), (one,) = metric["Dimensions"], metric["Metrics"]
        assert metric["Namespace"] == NAMESPACE
        assert set(line) == {one["Name"], *labels}
        found[one["Name"], *(line[label] for label in labels), one["Unit"]] = line[one["Name"]]
    return found


def test_nothing_is_said_while_nothing_happens(emf: Emf) -> None:
    metrics.QUEUE_OLDEST_SECONDS.set(0, "default")
    metrics.DEAD_LETTERS.set(0, "default")
    assert emf.lines(0) == []


def test_what_happened_since_the_last_look(emf: Emf) -> None:
    metrics.EVENTS.values.update([(ExecutionStarted,), (ExecutionStarted,), (ExecutionFailed,), (NodeScheduled,)])
    metrics.HTTP_REQUESTS.add("GET", "/x", "200")
    metrics.HTTP_REQUESTS.add("GET", "/x", "503")
    metrics.HTTP_REQUESTS.add("POST", "/y", "500")
    metrics.TASK_WAIT_SECONDS.observe(0.25, "default")
    metrics.TASK_WAIT_SECONDS.observe(0.5, "gpu")
    metrics.QUEUE_OLDEST_SECONDS.replace({("a",): 3.0, ("b",): 7.0})
    metrics.DEAD_LETTERS.replace({("a",): 1, ("b",): 2})
    gauges = {
        ("linkflow_queue_oldest_age_seconds", "Seconds"): 7.0,
        ("linkflow_dead_letters", "Count"): 3,
    }
    assert told(emf) == gauges | {
        ("linkflow_events_total", "ExecutionStarted", "Count"): 2,
        ("linkflow_events_total", "ExecutionFailed", "Count"): 1,
        ("linkflow_http_requests_total", "5xx", "Count"): 2,
        ("linkflow_task_wait_seconds", "Seconds"): [0.25, 0.5],
    }
    assert told(emf) == gauges
    metrics.EVENTS.values.update([(ExecutionStarted,)])
    assert told(emf) == gauges | {("linkflow_events_total", "ExecutionStarted", "Count"): 1}


def test_a_line_has_at_most_as_many_values_as_cloudwatch_takes(emf: Emf) -> None:
    for at in range(3 * MOST_VALUES):
        metrics.TIMER_LAG_SECONDS.observe(float(at))
    (values,) = told(emf).values()
    assert values == [float(at) for at in range(2 * MOST_VALUES, 3 * MOST_VALUES)]


def test_names_are_those_of_prometheus(emf: Emf) -> None:
    metrics.EVENTS.values.update([(ExecutionStarted,)])
    metrics.DEAD_LETTERS.set(1, "a")
    names = {one.name for one in metrics.INSTRUMENTS}
    assert {name for name, *_ in told(emf)} <= names
