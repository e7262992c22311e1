"""Numbers of a process: how they are counted, and that what is shown is what Prometheus reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families as parsed

from linkflow import metrics
from linkflow.cli.prometheus import exposition
from linkflow.domain.events import ExecutionStarted
from linkflow.metrics import Counter, Gauge, Histogram
from tests.lambda_environment import ROOT


@pytest.fixture
def own() -> Iterator[None]:
    """Instruments that are made here go again."""
    before = list(metrics.INSTRUMENTS)
    yield
    metrics.INSTRUMENTS[:] = before


def shown() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parsed(exposition().decode())
        for sample in family.samples
    }


@pytest.mark.usefixtures("own")
def test_prometheus_reads_what_was_counted() -> None:
    calls, room = Counter("t_calls_total", "Calls.", ["who"]), Gauge("t_room", 'Of "it", a \\ and a\nline.')
    time = Histogram("t_seconds", "Time.", ["who"], bounds=(0.1, 1.0))
    calls.add('a "b"\n\\')
    calls.add('a "b"\n\\', by=2)
    room.set(1.5)
    for value in (0.1, 0.5, 7.0):
        time.observe(value, "x")
    found = shown()
    assert found["t_calls_total", (("who", 'a "b"\n\\'),)] == 3
    assert found["t_room", ()] == 1.5
    assert [found["t_seconds_bucket", (("le", le), ("who", "x"))] for le in ("0.1", "1.0", "+Inf")] == [1, 2, 3]
    assert found["t_seconds_sum", (("who", "x"),)] == pytest.approx(7.6)
    assert found["t_seconds_count", (("who", "x"),)] == 3
    assert any(name == "process_resident_memory_bytes" for name, _ in found)


@pytest.mark.usefixtures("own")
def test_names_that_others_give_do_not_fill_the_memory() -> None:
    calls, time, room = Counter("t_total", "", ["q"]), Histogram("t_seconds", "", ["q"]), Gauge("t_room", "", ["q"])
    for number in range(2 * metrics.MOST_SERIES):
        calls.add(f"q{number}")
        time.observe(1.0, f"q{number}")
        room.set(1.0, f"q{number}")
    assert len(calls.values) == metrics.MOST_SERIES + 1
    assert calls.values[metrics.OTHER,] == metrics.MOST_SERIES
    assert len(time.counts) == metrics.MOST_SERIES + 1
    assert sum(time.counts[metrics.OTHER,]) == metrics.MOST_SERIES
    assert len(room.values) == metrics.MOST_SERIES


def test_events_are_counted_by_their_type() -> None:
    before = metrics.EVENTS.values[ExecutionStarted,]
    metrics.EVENTS.values.update([(ExecutionStarted,)])
    try:
        assert shown()["linkflow_events_total", (("type", "ExecutionStarted"),)] == before + 1
    finally:
        metrics.EVENTS.values[ExecutionStarted,] = before


def test_every_name_is_good_and_documented() -> None:
    told = (ROOT / "docs" / "operations.md").read_text()
    for one in metrics.INSTRUMENTS:
        assert re.fullmatch("linkflow_[a-z_]+", one.name)
        assert (one.kind == "counter") == one.name.endswith("_total")
        assert one.help.endswith((".", "…"))
        assert f"`{one.name}`" in told, f"docs/operations.md does not have {one.name}"
