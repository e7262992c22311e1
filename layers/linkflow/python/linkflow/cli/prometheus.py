"""The numbers of `linkflow.metrics` as Prometheus reads them, with those of the process itself."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from linkflow.metrics import families

CONTENT = CONTENT_TYPE_LATEST


class _Ours(Collector):
    def collect(self) -> Iterator[Metric]:
        for one, samples in families():
            name = one.name.removesuffix("_total") if one.kind == "counter" else one.name
            family = Metric(name, one.help, one.kind)
            for suffix, labels, values, value in samples:
                suffix = "_total" if one.kind == "counter" else suffix
                family.add_sample(name + suffix, dict(zip(labels, values, strict=True)), value)
            yield family


_registry = CollectorRegistry()
_registry.register(_Ours())
ProcessCollector(registry=_registry)
PlatformCollector(registry=_registry)


def exposition() -> bytes:
    """All of it, in the text format of `CONTENT`."""
    return generate_latest(_registry)
