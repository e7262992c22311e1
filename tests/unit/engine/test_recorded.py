"""Histories that earlier releases have recorded still mean what they meant."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.evolve import evolve, fold
from linkflow.domain.graph import Graph
from linkflow.domain.state import encode, new

HISTORIES = Path(__file__).parents[2] / "data" / "histories"


def _recorded() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(HISTORIES.glob("*/*.json")):
        found[f"{path.parent.name}/{path.stem}"] = json.loads(path.read_bytes())
    for path in sorted(HISTORIES.glob("*/drawn.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).splitlines():
            run = json.loads(line)
            found[f"{path.parent.name}/{run['name']}"] = run
    return found


RECORDED = _recorded()


def _essence(state: dict[str, Any]) -> dict[str, Any]:
    """What a later release may say in other words, but may not change."""
    runs = {
        key: [run["status"], run.get("attempt", 1), run.get("output")] for key, run in state.get("runs", {}).items()
    }
    told = ("status", "version", "at", "result", "answered", "failed_node", "closed_at", "trigger", "workflow_version")
    return {name: state.get(name) for name in told} | {"runs": runs, "code": (state.get("error") or {}).get("code")}


def test_there_are_histories():
    assert len(RECORDED) > 70


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_history_folds_to_what_it_meant(name: str):
    run = RECORDED[name]
    events = e.decode(msgspec.json.encode(run["events"]))
    state = fold(run["execution_id"], events)
    assert _essence(json.loads(encode(state))) == _essence(run["state"])


@pytest.mark.parametrize("name", RECORDED)
def test_it_reads_the_same_once_it_is_written_again(name: str):
    run = RECORDED[name]
    events = e.decode(msgspec.json.encode(run["events"]))
    assert e.decode(e.encode(events)) == events
    state = new(run["execution_id"])
    for event in events:
        state = evolve(state, event)
    assert encode(state) == encode(fold(run["execution_id"], events))


@pytest.mark.parametrize("name", RECORDED)
def test_its_definition_is_still_a_graph(name: str):
    definition = d.decode(msgspec.json.encode(RECORDED[name]["definition"]))
    assert Graph(definition, "t").nodes
