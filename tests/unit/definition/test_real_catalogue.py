"""Reading with the node types there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.graph import Graph
from linkflow.domain.importing import read
from linkflow.nodes.registry import GROUP, Registry
from tests.unit.definition.test_malformed import FILES, load
from tests.unit.definition.test_properties import FOREIGN

TEMPLATE = Path(__file__).parents[2] / "data" / "all-nodes-template.json"
"""The original's showcase of every node type, as it was published."""


@pytest.fixture(scope="module")
def catalogue() -> Registry:
    try:
        return Registry.load()
    except RuntimeError:
        pytest.skip(f"the installed package has no entry points in {GROUP!r}; install it again")


def test_the_originals_template_imports_unchanged(catalogue: Registry) -> None:
    definition, warnings = read(json.loads(TEMPLATE.read_text()), catalogue)
    assert set(Graph(definition, "1").order) == {"1", "4", "6", "7", "8", "11"}
    assert [node.name for node in definition.nodes][:2] == ["Manual Start", "9 AM Daily"]
    assert {edge.source_output for edge in definition.edges if edge.source == "6"} == {"true", "false"}
    assert {warning.code for warning in warnings} == {"unreachable"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_malformed_documents_are_refused(file: Path, catalogue: Registry) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        read(load(file)["document"], catalogue)
    expected = {problem["path"] for problem in load(file)["expected"]}
    assert expected <= {problem.path for problem in refused.value.problems}


def test_no_value_of_a_field_crashes_a_type(catalogue: Registry) -> None:
    for about in catalogue.describe():
        for field in about["schema"].get("properties", {}):
            for value in ([], {}, [[]], [{}], {"a": []}, None, True, -1, 1e300, "", "x", "{{ x }}"):
                for fault in catalogue.check(about["type"], {field: value}):
                    assert fault.message, (about["type"], field, value)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_config_crashes_a_type(catalogue: Registry, data: st.DataObject) -> None:
    about = data.draw(st.sampled_from(catalogue.describe()))
    fields = [*about["schema"].get("properties", {}), "nope"]
    config = data.draw(st.dictionaries(st.sampled_from(fields), FOREIGN, max_size=6))
    node: dict[str, Any] = {"id": "a", "type": about["type"], "config": config}
    edges = [{"source": "t", "target": "a"}, {"source": "a", "target": "b"}]
    nodes = [{"id": "t", "type": "trigger_manual"}, node, {"id": "b", "type": "output_log"}]
    try:
        read({"name": "W", "nodes": nodes, "edges": edges}, catalogue)
    except InvalidDefinition as refused:
        json.dumps([problem.path for problem in refused.problems])
