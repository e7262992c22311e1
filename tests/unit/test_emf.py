"""What CloudWatch hears: only what happened since the last line, under Prometheus' names, and nothing while idle."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from linkflow import metrics
from linkflow.domain.events import ExecutionFailed, ExecutionStarted, NodeScheduled
from linkflow.transports.emf import MOST_VALUES, NAMESPACE, Emf

NOW = time.time_ns() // 1_000_000  # CloudWatch takes no lines that are two weeks old, and Powertools warns of them


@pytest.fixture
def emf(capsys: pytest.CaptureFixture[str]) -> Iterator[Emf]:
    made = Emf("blue")
    made.tell(NOW)  # what other tests have counted
    capsys.readouterr()
    for gauge in (metrics.QUEUE_OLDEST_SECONDS, metrics.DEAD_LETTERS):
        gauge.clear()
    yield made
    for one in metrics.INSTRUMENTS:
        one.clear()
        if isinstance(one, metrics.Histogram):
            one.recent = None


def lines(emf: Emf, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    emf.tell(NOW)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def told(emf: Emf, capsys: pytest.CaptureFixture[str]) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for line in lines(emf, capsys):
        about = line.pop("_aws")
        assert about["Timestamp"] == NOW
        (metric,) = about["CloudWatchMetrics"]
        (labels,) = metric["Dimensions"]
        assert metric["Namespace"] == NAMESPACE
        assert line["service"] == "blue"
        assert set(line) == {*labels, *(one["Name"] for one in metric["Metrics"])}
        for one in metric["Metrics"]:
            about_it = (line[label] for label in labels if label != "service")
            found[one["Name"], *about_it, one["Unit"]] = line[one["Name"]]
    return found


def test_nothing_is_said_while_nothing_happens(emf: Emf, capsys: pytest.CaptureFixture[str]) -> None:
    metrics.QUEUE_OLDEST_SECONDS.set(0, "default")
    metrics.DEAD_LETTERS.set(0, "default")
    assert lines(emf, capsys) == []


def test_what_happened_since_the_last_look(emf: Emf, capsys: pytest.CaptureFixture[str]) -> None:
    metrics.EVENTS.values.update([(ExecutionStarted,), (ExecutionStarted,), (ExecutionFailed,), (NodeScheduled,)])
    metrics.HTTP_REQUESTS.add("GET", "/x", "200")
    metrics.HTTP_REQUESTS.add("GET", "/x", "503")
    metrics.HTTP_REQUESTS.add("POST", "/y", "500")
    metrics.TASK_WAIT_SECONDS.observe(0.25, "default")
    metrics.TASK_WAIT_SECONDS.observe(0.5, "gpu")
    metrics.QUEUE_OLDEST_SECONDS.replace({("a",): 3.0, ("b",): 7.0})
    metrics.DEAD_LETTERS.replace({("a",): 1, ("b",): 2})
    gauges = {
        ("linkflow_queue_oldest_age_seconds", "Seconds"): [7.0],
        ("linkflow_dead_letters", "Count"): [3.0],
    }
    assert told(emf, capsys) == gauges | {
        ("linkflow_events_total", "ExecutionStarted", "Count"): [2.0],
        ("linkflow_events_total", "ExecutionFailed", "Count"): [1.0],
        ("linkflow_http_requests_total", "5xx", "Count"): [2.0],
        ("linkflow_task_wait_seconds", "Seconds"): [0.25, 0.5],
    }
    assert told(emf, capsys) == gauges
    metrics.EVENTS.values.update([(ExecutionStarted,)])
    assert told(emf, capsys) == gauges | {("linkflow_events_total", "ExecutionStarted", "Count"): [1.0]}


def test_a_line_has_at_most_as_many_values_as_cloudwatch_takes(emf: Emf, capsys: pytest.CaptureFixture[str]) -> None:
    for at in range(3 * MOST_VALUES):
        metrics.TIMER_LAG_SECONDS.observe(float(at))
    (values,) = told(emf, capsys).values()
    assert values == [float(at) for at in range(2 * MOST_VALUES, 3 * MOST_VALUES)]


def test_names_are_those_of_prometheus(emf: Emf, capsys: pytest.CaptureFixture[str]) -> None:
    metrics.EVENTS.values.update([(ExecutionStarted,)])
    metrics.DEAD_LETTERS.set(1, "a")
    names = {one.name for one in metrics.INSTRUMENTS}
    assert {name for name, *_ in told(emf, capsys)} <= names


def test_numbers_with_the_same_labels_share_a_line(emf: Emf, capsys: pytest.CaptureFixture[str]) -> None:
    metrics.TASK_WAIT_SECONDS.observe(0.25, "default")
    metrics.TIMER_LAG_SECONDS.observe(0.5)
    (line,) = lines(emf, capsys)
    (about,) = line["_aws"]["CloudWatchMetrics"]
    assert [one["Name"] for one in about["Metrics"]] == [metrics.TASK_WAIT_SECONDS.name, metrics.TIMER_LAG_SECONDS.name]


def test_a_stack_without_a_name_has_no_dimension_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    emf = Emf()
    lines(emf, capsys)
    metrics.EVENTS.values.update([(ExecutionStarted,)])
    (line,) = lines(emf, capsys)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["type"]]
    metrics.EVENTS.clear()
