"""Dashboards show numbers that there are."""

from __future__ import annotations

import re
import subprocess
import sys

from linkflow import metrics
from linkflow.metrics import INSTRUMENTS, Histogram
from linkflow.transports.emf import EVENTS, FAILED, SUMS, TIMES, WORST
from tests.lambda_environment import ROOT


def known() -> dict[str, set[str]]:
    """Every name that is exposed, with its labels."""
    found = {"process_resident_memory_bytes": set[str](), "process_cpu_seconds_total": set[str]()}
    for one in INSTRUMENTS:
        if isinstance(one, Histogram):
            found |= {f"{one.name}{end}": {*one.labels} for end in ("_sum", "_count")}
            found[f"{one.name}_bucket"] = {*one.labels, "le"}
        else:
            found[one.name] = {*one.labels}
    return found


def test_grafana_asks_for_names_and_labels_that_there_are() -> None:
    text = (ROOT / "deploy" / "dashboards" / "grafana.json").read_text()
    names = known()
    queries = re.findall(r'"expr": "(.*)"', text)
    assert len(queries) > 20
    for query in queries:
        used = re.findall(r"\b((?:linkflow|process)_[a-z_]+)", query)
        assert used
        assert set(used) <= set(names), query
        by = {label for group in re.findall(r"by \(([a-z, ]+)\)", query) for label in group.split(", ")}
        assert by <= set.union(*(names[name] for name in used)), query
    assert {re.sub("_(sum|count|bucket)$", "", n) for q in queries for n in re.findall(r"linkflow_[a-z_]+", q)} == {
        one.name for one in INSTRUMENTS
    }, "every number of ours is shown"


def test_the_dashboard_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/dashboards.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_cloudwatch_is_asked_for_what_functions_say() -> None:
    """The template's dashboard and alarms."""
    text = (ROOT / "template.yaml").read_text()
    drawn = re.findall(r'"LinkFlow",\s+"([a-z_]+)"', text)
    watched = re.findall(r"Namespace: LinkFlow\s+MetricName: (\S+)", text)
    said = {one.name for one in (metrics.EVENTS, *TIMES, *WORST, *SUMS, FAILED)}
    assert set(drawn) == said
    assert set(watched) == {"linkflow_queue_oldest_age_seconds", "linkflow_dead_letters"}
    types = set(re.findall(r'"type",\s+"([A-Z][A-Za-z]+)"', text))
    assert types
    assert types <= EVENTS
