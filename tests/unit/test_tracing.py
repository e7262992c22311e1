"""Spans: whose they are, and that a collector understands them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from linkflow import tracing
from linkflow.config import BadConfig
from linkflow.contracts.history import CompleteBatch, Report
from linkflow.contracts.matching import ClaimRequest
from linkflow.transports.otlp import Otlp, wanted
from tests.e2e.collector import Collector

RUN = str(uuid.UUID(int=0x0192_0000_0000_7000_8000_0000_0000_0001))


@pytest.fixture
def spans() -> Iterator[list[tracing.Span]]:
    found: list[tracing.Span] = []
    tracing.begin(found.append)
    yield found
    tracing.begin(None)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (f"00-{'1' * 32}-{'2' * 16}-01", (int("1" * 32, 16), int("2" * 16, 16))),
        (f"01-{'1' * 32}-{'2' * 16}-01-more", (int("1" * 32, 16), int("2" * 16, 16))),
        (f"00-{'1' * 32}-{'2' * 16}-00", None),
        (f"00-{'0' * 32}-{'2' * 16}-01", None),
        (f"00-{'1' * 32}-{'0' * 16}-01", None),
        (f"ff-{'1' * 32}-{'2' * 16}-01", None),
        (f"00-{'g' * 32}-{'2' * 16}-01", None),
        ("00-1-2-01", None),
        ("", None),
    ],
)
def test_traceparent(header: str, found: tuple[int, int] | None) -> None:
    assert tracing.traceparent(header) == found


def test_a_call_is_a_span_of_each_run_that_it_is_about(spans: list[tracing.Span]) -> None:
    runs = [str(uuid.UUID(int=n + 1)) for n in range(tracing.MOST + 5)]
    reports = tuple(report(run) for run in runs for _ in "ab")
    tracing.served(CompleteBatch(reports, worker="w"), None, "history", "complete", 1)
    assert [span.trace for span in spans] == list(range(1, tracing.MOST + 1))
    assert {span.parent for span in spans} == {tracing.span_of(run) for run in runs[: tracing.MOST]}
    spans.clear()
    tracing.served(ClaimRequest("w"), None, "matching", "claim", 1)
    assert not spans


def report(run: str) -> Report:
    values: dict[str, Any] = {"execution_id": run}
    for name in Report.__struct_fields__:
        values.setdefault(name, None)
    return Report(**values)


def test_without_a_listener_nothing_is_kept() -> None:
    tracing.begin(None)
    tracing.run_span(RUN, "x", 1, 2)
    tracing.record(tracing.Span(1, 2, 0, "x", 1, 2))
    assert not tracing.on()


def test_a_collector_gets_the_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        assert wanted()
        out = Otlp("history", "1.2.3")
        tracing.begin(out)
        try:
            tracing.run_span(RUN, "node x", 1_000, 2_000, ("node", "a", 1), attributes={"n": 1}, error="boom")
        finally:
            tracing.begin(None)
            out.close()
        ((resource, span),) = collector.spans()
    assert resource == {
        **resource, "service.name": "linkflow-history", "service.version": "1.2.3", "deployment.environment.name": "test",
    }  # fmt: skip
    assert span.trace_id.hex() == RUN.replace("-", "")
    assert span.parent_span_id == tracing.span_of(RUN).to_bytes(8)
    assert (span.name, span.start_time_unix_nano, span.end_time_unix_nano) == ("node x", 1_000, 2_000)
    assert (span.status.code, span.status.message) == (2, "boom")


def test_a_part_of_the_traces_is_the_same_part_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
        for service in ("history", "worker"):
            out = Otlp(service, "1")
            for low in (0, 2**62, 2**63, 2**64 - 1):
                out(tracing.Span((7 << 64) + low, 1, 0, "x", 1, 2))
            out.close()
        kept = [span.trace_id[8:].hex() for _, span in collector.spans()]
    assert kept == ["0" * 16, "4" + "0" * 15] * 2


@pytest.mark.parametrize("part", ["a lot", "2", "-1"])
def test_a_part_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", part)
    with pytest.raises(BadConfig, match="OTEL_TRACES_SAMPLER_ARG"):
        Otlp("history", "1")
