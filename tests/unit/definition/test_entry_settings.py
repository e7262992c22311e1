"""The settings that say how runs are let in, as authors write them."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.admission import gate_of, rate_of
from linkflow.domain.definition import Batch, Concurrency, Debounce, RateLimit, Settings, decode, encode
from linkflow.domain.importing import parse
from tests.unit.definition.literal_catalogue import CATALOGUE, definition


def settings(**given: Any) -> Settings:
    document = {"name": "W", "nodes": [{"id": "t", "type": "trigger_manual"}], "settings": given}
    read, problems = parse(document, CATALOGUE)
    assert problems == []
    assert read is not None
    assert decode(encode(read)) == read
    return read.settings


def faults(**given: Any) -> list[tuple[str, str]]:
    document = {"name": "W", "nodes": [{"id": "t", "type": "trigger_manual"}], "settings": given}
    return [(problem.path, problem.code) for problem in parse(document, CATALOGUE)[1]]


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"rate_limit": 5}, "rate_limit", 5),
        ({"rate_limit": {}}, "rate_limit", RateLimit()),
        (
            {"rate_limit": {"key": "{{ trigger.a }}", "limit": 3, "per": 10, "policy": "queue"}},
            "rate_limit",
            RateLimit("{{ trigger.a }}", 3, 10.0, "queue"),
        ),
        ({"debounce": {"key": "k", "wait": 2, "max_wait": 9}}, "debounce", Debounce("k", 2.0, 9.0)),
        ({"batch": {"size": 7, "wait": 1.5}}, "batch", Batch("", 7, 1.5)),
        ({"fairness_key": "{{ trigger.a }}"}, "fairness_key", "{{ trigger.a }}"),
        (
            {"concurrency": {"limit": 2, "policy": "cancel_oldest"}},
            "concurrency",
            Concurrency("", 2, "cancel_oldest"),
        ),
    ],
)
def test_what_is_written_is_what_is_stored(given: dict[str, Any], field: str, expected: object) -> None:
    assert getattr(settings(**given), field) == expected


def test_every_fault_is_told_at_once() -> None:
    assert faults(
        rate_limit={"limit": "many", "policy": "wait", "window": 5},
        debounce={"key": 5, "waits": 1},
        batch=[1],
        fairness_key={},
    ) == [
        ("/settings/rate_limit/limit", "invalid_type"),
        ("/settings/rate_limit/policy", "invalid_value"),
        ("/settings/rate_limit/window", "unknown_field"),
        ("/settings/debounce/key", "invalid_type"),
        ("/settings/debounce/waits", "unknown_field"),
        ("/settings/batch", "invalid_type"),
        ("/settings/fairness_key", "invalid_type"),
    ]


def test_a_workflow_without_such_settings_has_no_gate() -> None:
    assert gate_of(definition("t>a")) is None
    assert rate_of(0) is None
    assert rate_of(5) == RateLimit("", 5, 60.0, "reject")
