"""Waiting for events and for people: what the nodes ask the engine for."""

from __future__ import annotations

import importlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.graph import Graph
from linkflow.domain.importing import read
from linkflow.domain.outcomes import RequestApproval, WaitEvent
from linkflow.nodes import approval, log, noop, trigger_manual, wait_for_event
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.registry import GROUP, Registry
from tests.unit.nodes.peers import NOW, context

REGISTRY = Registry([approval.node, wait_for_event.node, trigger_manual.node, noop.node, log.node])


def run(type: str, config: dict[str, Any]) -> Any:
    node = REGISTRY.resolve(type)
    assert node is not None
    return node.run(node.params.model_validate(config), context({"in": 1}))


def codes(type: str, config: dict[str, Any]) -> list[tuple[str, str]]:
    return [(fault.path, fault.code) for fault in REGISTRY.check(type, config)]


def test_they_are_installed_pure_and_known_by_their_other_names():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    for type, others in (
        ("approval", ("action_approval", "logic_approval")),
        ("wait_for_event", ("wait", "logic_wait")),
    ):
        module, _, name = project["entry-points"][GROUP][type].partition(":")
        assert getattr(importlib.import_module(module), name) is REGISTRY.resolve(type)
        assert {REGISTRY.canonical(other) for other in others} == {type}
        assert REGISTRY.pure(type)


class TestWaitForEvent:
    def test_it_waits_for_ever_or_so_long(self):
        assert run("wait", {"event": "paid"}) == WaitEvent("paid")
        assert run("wait", {"event": "paid", "key": 42, "timeout": 1.5}) == WaitEvent("paid", "42", NOW + 1500)
        for value, ms in (("90", 90_000), ("1h30m", 5_400_000), ("PT2M", 120_000), (0, None), ("", None), (None, None)):
            until = 0 if ms is None else NOW + ms
            assert run("wait", {"event": "paid", "timeout": value}).until == until, value
        assert run("wait", {"event_name": "paid", "duration": "2s"}).until == NOW + 2000

    @pytest.mark.parametrize(
        ("config", "fault"),
        [
            ({}, ("/event", "missing_field")),
            ({"event": ""}, ("/event", "invalid_value")),
            ({"event": "x" * 201}, ("/event", "invalid_value")),
            ({"event": "a\nb"}, ("/event", "invalid_value")),
            ({"event": "a", "key": "\0"}, ("/key", "invalid_value")),
            ({"event": "a", "timeout": "soon"}, ("/timeout", "invalid_value")),
            ({"event": "a", "timeout": -1}, ("/timeout", "invalid_value")),
            ({"event": "a", "timeout": "367d"}, ("/timeout", "invalid_value")),
            ({"event": "a", "timeout": "9" * 400}, ("/timeout", "invalid_value")),
            ({"event": "a", "timeout": "9" * 400 + "w"}, ("/timeout", "invalid_value")),
            ({"event": "a", "timeout": 1e400}, ("/timeout", "invalid_value")),
            ({"event": "a", "timeuot": 1}, ("/timeuot", "unknown_field")),
        ],
        ids=str,
    )
    def test_faults_are_found_when_it_is_saved(self, config: dict[str, Any], fault: tuple[str, str]):
        assert codes("wait", config) == [fault]

    def test_expressions_are_for_later_and_then_checked(self):
        config = {"event": "{{ vars.NAME }}", "key": "order-{{ input.id }}", "timeout": "{{ input.wait }}"}
        assert codes("wait", config) == []
        with pytest.raises(ValidationError, match="200"):
            run("wait", {"event": "paid", "key": "k" * 201})


class TestApproval:
    def test_it_asks(self):
        assert run("approval", {}) == RequestApproval(context(None).node_name)
        config = {
            "title": "Ship?", "description": "All of it", "payload": {"a": 1}, "assignees": "ada, bob", "due": "2h",
            "escalate_after": 60, "escalate_to": ["eve"],
        }  # fmt: skip
        assert run("approval", config) == RequestApproval(
            "Ship?", "All of it", {"a": 1}, ("ada", "bob"), NOW + 7_200_000, NOW + 60_000, ("eve",)
        )

    def test_a_due_date_is_a_span_or_a_time(self):
        for value, due in (
            ("2027-01-16T08:00:00Z", 1_800_086_400_000),
            ("2020-01-01T00:00:00Z", NOW),
            (90, NOW + 90_000),
            ("PT1M", NOW + 60_000),
            ("", 0),
            (None, 0),
        ):
            assert run("approval", {"due": value}).until == due, value
        with pytest.raises(NodeFailure, match="366"):
            run("approval", {"due": "2999-01-01T00:00:00Z"})

    @pytest.mark.parametrize(
        ("config", "fault"),
        [
            ({"due": "2026-12-24"}, ("/due", "invalid_value")),
            ({"due": "tomorrow"}, ("/due", "invalid_value")),
            ({"due": -5}, ("/due", "invalid_value")),
            ({"escalate_after": "1h"}, ("", "invalid_value")),
            ({"escalate_to": "eve"}, ("", "invalid_value")),
            ({"title": "x" * 501}, ("/title", "invalid_value")),
            ({"who": "ada"}, ("/who", "unknown_field")),
        ],
        ids=str,
    )
    def test_faults_are_found_when_it_is_saved(self, config: dict[str, Any], fault: tuple[str, str]):
        assert codes("approval", config) == [fault]

    def test_the_originals_config_imports(self):
        nodes = [
            {"id": "1", "type": "trigger_manual", "position": {"x": 0, "y": 0}},
            {
                "id": "2",
                "type": "action_approval",
                "position": {"x": 1, "y": 0},
                "data": {
                    "label": "Ask",
                    "config": {"title": "Release", "description": "v2", "payload": {"n": "{{ trigger.n }}"}},
                },
            },
            {"id": "3", "type": "noop"},
            {"id": "4", "type": "noop"},
        ]
        edges = [
            {"id": "a", "source": "1", "target": "2"},
            {"id": "b", "source": "2", "target": "3"},
            {"id": "c", "source": "2", "target": "4", "sourceHandle": "rejected"},
        ]
        definition, warnings = read({"name": "W", "nodes": nodes, "edges": edges}, REGISTRY)
        assert not warnings
        assert [node.type for node in definition.nodes][:2] == ["trigger_manual", "approval"]
        assert {edge.source_output for edge in definition.edges if edge.source == "2"} == {"main", "rejected"}
        assert set(Graph(definition, "1").order) == {"1", "2", "3", "4"}
        with pytest.raises(InvalidDefinition):
            read({"name": "W", "nodes": nodes, "edges": [{**edges[2], "sourceHandle": "perhaps"}]}, REGISTRY)

    def test_its_form_is_json(self):
        (found,) = [entry for entry in json.loads(json.dumps(REGISTRY.describe())) if entry["type"] == "approval"]
        assert found["outputs"] == ["approved", "rejected", "main"]
        assert "escalate_after" in found["schema"]["properties"]
