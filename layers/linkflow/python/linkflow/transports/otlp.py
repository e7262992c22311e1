"""Spans to an OpenTelemetry collector (OTLP over HTTP, protobuf), in batches from a thread of its own.

Set up by OpenTelemetry's own variables: ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``…_TRACES_ENDPOINT``) switches it on,
``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_SERVICE_NAME``; ``OTEL_TRACES_SAMPLER_ARG`` is the
part of traces that is kept, by their ids, so that all processes keep the same ones.
"""

from __future__ import annotations

import os
from typing import Any

from linkflow.config import BadConfig
from linkflow.tracing import CLIENT, CONSUMER, PRODUCER, SERVER, Span

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def wanted() -> bool:
    """Does the environment name a collector?"""
    return any(os.environ.get(name) for name in ENDPOINTS)


class Otlp:
    """Call it with spans. Raises `BadConfig` where the extra is missing or a setting is wrong."""

    def __init__(self, service: str, version: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk import resources, trace
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
        except ImportError as error:
            raise BadConfig(f"{' or '.join(ENDPOINTS)} needs the extra linkflow[otel]: {error}") from None
        named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", f"linkflow-{service}"), "service.version": version}
        self._resource = resources.Resource.create(named)
        self._processor = BatchSpanProcessor(OTLPSpanExporter())
        self._bound = round(_part() * 2**64)
        self._trace: Any = trace
        self._link, self._status, self._codes, self._flags = Link, Status, StatusCode, TraceFlags(TraceFlags.SAMPLED)
        self._context = SpanContext
        kinds = {SERVER: SpanKind.SERVER, CLIENT: SpanKind.CLIENT, PRODUCER: SpanKind.PRODUCER}
        self._kinds = {**kinds, CONSUMER: SpanKind.CONSUMER}
        self._other = SpanKind.INTERNAL

    def __call__(self, span: Span) -> None:
        if span.trace & (2**64 - 1) >= self._bound:
            return
        status = self._status(self._codes.ERROR, span.error) if span.error else self._status(self._codes.UNSET)
        self._processor.on_end(
            self._trace.ReadableSpan(
                name=span.name,
                context=self._of(span.trace, span.id),
                parent=self._of(span.trace, span.parent) if span.parent else None,
                resource=self._resource,
                attributes=span.attributes,
                links=[self._link(self._of(*one)) for one in span.links],
                kind=self._kinds.get(span.kind, self._other),
                status=status,
                start_time=span.start,
                end_time=span.end,
            )
        )

    def close(self) -> None:
        """Send what is left."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]

    def _of(self, trace: int, id: int) -> Any:
        return self._context(trace, id, is_remote=False, trace_flags=self._flags)


def _part() -> float:
    text = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "1")
    try:
        part = float(text)
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise BadConfig(f"OTEL_TRACES_SAMPLER_ARG: {text!r} is no part of all traces; write a number from 0 to 1.")
    return part
