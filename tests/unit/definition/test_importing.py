"""Every spelling a document may have, and the one stored form it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain.definition import Definition, Edge, Node, Position, Retry, Timeout
from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.importing import parse, read
from linkflow.domain.validation import MAX_EDGES, MAX_NODES, MAX_PROBLEMS
from tests.unit.definition.literal_catalogue import CATALOGUE

TRIGGER = {"id": "t", "type": "trigger_manual"}
LOG = {"id": "a", "type": "output_log"}


def parsed(document: Any, **more: Any) -> Definition:
    definition, problems = parse({"name": "W", **document, **more}, CATALOGUE)
    assert definition is not None, problems
    return definition


def one(node: dict[str, Any]) -> Node:
    """The node that `node` is read as."""
    return parsed({"nodes": [{"id": "a", "type": "http", **node}]}).nodes[0]


def joined(edge: dict[str, Any], type: str = "http") -> Edge:
    """The edge that `edge` is read as, between a node of that type and another."""
    nodes = [{"id": "a", "type": type}, {"id": "b", "type": "http"}]
    return parsed({"nodes": nodes, "edges": [{"id": "e", "source": "a", "target": "b", **edge}]}).edges[0]


def warnings(document: dict[str, Any]) -> list[tuple[str, str]]:
    _, problems = parse({"name": "W", **document}, CATALOGUE)
    assert all(problem.severity == "warning" for problem in problems), problems
    return [(problem.path, problem.code) for problem in problems]


@pytest.mark.parametrize(
    "node",
    [
        {"config": {"url": "x"}},
        {"data": {"config": {"url": "x"}}},
        {"data": {"url": "x"}},
        {"data": {"url": "x", "label": "Get", "onError": "stop", "credentialId": None}},
    ],
)
def test_config_may_be_in_three_places(node: dict[str, Any]) -> None:
    assert one(node).config == {"url": "x"}


@pytest.mark.parametrize("empty", [{}, {"data": {}}, {"data": []}, {"data": {"config": []}}, {"config": None}])
def test_an_empty_config_may_be_a_list_or_absent(empty: dict[str, Any]) -> None:
    assert one(empty).config == {}


@pytest.mark.parametrize(
    "node",
    [
        {"name": "Get"},
        {"label": "Get"},
        {"data": {"label": "Get"}},
        {"data": {"name": "Get"}},
        {"data": {"name": "Get", "config": {}}},
    ],
)
def test_a_name_may_be_a_label_and_in_data(node: dict[str, Any]) -> None:
    assert one(node).name == "Get"


@pytest.mark.parametrize("node", [{"on_error": "continue"}, {"onError": "continue"}, {"data": {"onError": "continue"}}])
def test_on_error_has_two_spellings(node: dict[str, Any]) -> None:
    assert one(node).on_error == "continue"


@pytest.mark.parametrize(
    "node",
    [
        {"credentials": {"default": "7"}},
        {"data": {"credentialId": "7"}},
        {"data": {"credential_id": 7}},
        {"credentialId": 7.0},
    ],
)
def test_a_lone_credential_goes_into_the_default_slot(node: dict[str, Any]) -> None:
    assert one(node).credentials == {"default": "7"}


@pytest.mark.parametrize(("given", "id"), [(1, "1"), (2.0, "2"), ("x", "x"), (1.5, "1.5")])
def test_ids_may_be_numbers(given: object, id: str) -> None:
    definition = parsed({"nodes": [{"id": given, "type": "http"}], "edges": [{"source": given, "target": given}]})
    assert definition.nodes[0].id == definition.edges[0].source == definition.edges[0].target == id


@pytest.mark.parametrize(
    ("alias", "type"),
    [("http", "action_http_request"), ("logic_loop", "loop"), ("transform_set", "transform"), ("?", "?")],
)
def test_types_become_canonical(alias: str, type: str) -> None:
    assert one({"type": alias}).type == type


def test_without_a_catalogue_types_stay_as_they_are() -> None:
    definition, _ = parse({"name": "W", "nodes": [{"id": "a", "type": "http"}]})
    assert definition is not None
    assert definition.nodes[0].type == "http"


@pytest.mark.parametrize("field", ["source_output", "sourceHandle", "source_handle", "handle", "condition"])
@pytest.mark.parametrize("value", ["true", True])
def test_an_edges_output_has_five_spellings(field: str, value: object) -> None:
    assert joined({field: value}).source_output == "true"


@pytest.mark.parametrize("edge", [{}, {"sourceHandle": None}, {"handle": ""}])
def test_an_edge_without_an_output_leaves_from_main_or_a_loops_done(edge: dict[str, Any]) -> None:
    assert joined(edge).source_output == "main"
    assert joined(edge, "logic_loop").source_output == "done"


def test_an_edge_without_an_output_is_taken_from_every_output_of_a_condition() -> None:
    document = {
        "nodes": [TRIGGER, {"id": "c", "type": "condition"}, LOG],
        "edges": [{"id": "e0", "source": "t", "target": "c"}, {"id": "e1", "source": "c", "target": "a"}],
    }
    edges = parsed(document).edges
    assert [(edge.id, edge.source_output) for edge in edges] == [("e0", "main"), ("e1", "true"), ("e1_1", "false")]
    assert warnings(document) == [("/edges/1", "every_output")]


def test_edges_get_ids_that_are_free() -> None:
    edges = [{"source": "a", "target": "a"}, {"id": "e1", "source": "a", "target": "a"}, {"source": "a", "target": "a"}]
    assert [edge.id for edge in parsed({"nodes": [LOG], "edges": edges}).edges] == ["e2", "e1", "e3"]


@pytest.mark.parametrize(
    ("retry", "read_as"),
    [
        ({"enabled": False, "max_attempts": 5, "delay_seconds": 3}, None),
        ({"enabled": True, "max_attempts": 5, "delay_seconds": 3}, Retry(5, 3.0, 1.0)),
        ({"enabled": True}, Retry(3, 1.0, 1.0)),
        ({"max_attempts": 2, "delay_seconds": 900}, Retry(2, 900.0, 1.0, 900.0)),
        ({"max_attempts": 2, "jitter": 0.5, "non_retryable": ["bad"]}, Retry(2, jitter=0.5, non_retryable=("bad",))),
        (None, None),
    ],
)
def test_retry_has_two_forms(retry: Any, read_as: Retry | None) -> None:
    assert parsed({"nodes": [TRIGGER]}, settings={"retry": retry}).settings.retry == read_as
    assert one({"retry": retry}).retry == read_as


def test_the_originals_timeouts_become_the_workflows_and_each_nodes() -> None:
    nodes = [TRIGGER, LOG, {**LOG, "id": "b", "timeout": {"start_to_close": 5}}, {"id": "d", "type": "delay"}]
    definition = parsed({"nodes": nodes}, settings={"timeout": {"workflow": 600, "node": 60}})
    assert definition.settings.timeout == 600
    assert [node.timeout for node in definition.nodes] == [None, Timeout(60), Timeout(5), None]


def test_whether_a_timeout_counts_waiting() -> None:
    assert not parsed({"nodes": [TRIGGER]}, settings={"timeout": 9}).settings.timeout_counts_waiting
    settings = {"timeout": 9, "timeout_counts_waiting": True}
    assert parsed({"nodes": [TRIGGER]}, settings=settings).settings.timeout_counts_waiting


def test_everything_of_the_stored_form_is_read() -> None:
    node = one({
        "position": {"x": 1, "y": -2.5}, "join": "any", "timeout": {"heartbeat": 3}, "credentials": {"smtp": "c"},
        "queue": "slow", "priority": 5, "disabled": True, "pinned_output": [1],
    })  # fmt: skip
    assert node.position == Position(1, -2.5)
    assert (node.join, node.queue, node.priority, node.disabled, node.pinned_output) == ("any", "slow", 5, True, [1])
    assert node.timeout == Timeout(heartbeat=3)
    assert node.credentials == {"smtp": "c"}


def test_trigger_config_is_merged_into_the_trigger_whose_own_words_win() -> None:
    trigger = {"id": "s", "type": "trigger_schedule", "data": {"config": {"cron": "1 * * * *"}}}
    config = {"cron": "2 * * * *", "timezone": "UTC", "start_date": None}
    document = {"nodes": [TRIGGER, trigger], "trigger_type": "schedule", "trigger_config": config}
    assert parsed(document).nodes[1].config == {"cron": "1 * * * *", "timezone": "UTC"}
    assert len(parsed(document).nodes) == 2


def test_a_missing_trigger_is_added_before_every_root() -> None:
    nodes = [LOG, {**LOG, "id": "b"}, {**LOG, "id": "trigger1", "position": {"x": 100, "y": 5}}]
    document = {
        "nodes": nodes,
        "edges": [{"source": "a", "target": "b"}],
        "trigger_type": "manual",
        "trigger_config": [],
    }
    definition = parsed(document)
    assert definition.nodes[3] == Node("trigger2", "trigger_manual", position=Position(-200, 5))
    assert [(edge.source, edge.target) for edge in definition.edges[1:]] == [
        ("trigger2", "a"),
        ("trigger2", "trigger1"),
    ]
    assert len({edge.id for edge in definition.edges}) == 3


def test_a_missing_trigger_leads_where_the_others_do_if_nothing_else_starts() -> None:
    document = {"nodes": [TRIGGER, LOG], "edges": [{"source": "t", "target": "a"}], "trigger_type": "trigger_webhook"}
    definition = parsed(document, trigger_config={"path": "hook"})
    assert definition.nodes[2].config == {"path": "hook"}
    assert [(edge.source, edge.target) for edge in definition.edges] == [("t", "a"), ("trigger1", "a")]


def test_trigger_config_alone_is_for_the_only_trigger() -> None:
    schedule = {"id": "s", "type": "trigger_schedule"}
    assert parsed({"nodes": [schedule]}, trigger_config={"cron": "x"}).nodes[0].config == {"cron": "x"}
    _, problems = parse({"name": "W", "nodes": [schedule, TRIGGER], "trigger_config": {"cron": "x"}}, CATALOGUE)
    assert [(problem.path, problem.code) for problem in problems] == [("/trigger_config", "missing_trigger_type")]


@pytest.mark.parametrize("wrapper", [{"version": "1.0", "exported_at": "2024-01-01T00:00:00Z", "metadata": {}}, {}])
def test_an_exports_wrapper_is_taken_off(wrapper: dict[str, Any]) -> None:
    inner = {"name": "W", "nodes": [{"id": "t", "type": "manual_trigger"}], "description": 5}
    definition, problems = parse({**wrapper, "workflow": {**inner, "description": "d"}})
    assert definition is not None
    assert (definition.description, problems) == ("d", [])
    with pytest.raises(InvalidDefinition) as refused:
        read({**wrapper, "workflow": inner}, CATALOGUE)
    paths = [problem.path for problem in refused.value.problems]
    assert paths == ["/workflow/description", "/workflow/nodes/0/type", "/workflow/nodes"]


def test_what_is_not_understood_is_warned_about_and_the_canvas_is_not() -> None:
    node = {**TRIGGER, "retires": {}, "width": 5, "selected": True, "data": {"config": {}, "colour": "red"}}
    document = {"nodes": [node], "edgs": [], "created_at": "x", "settings": {"time_zone": "UTC"}}
    assert warnings(document) == [
        ("/settings/time_zone", "unknown_field"),
        ("/nodes/0/retires", "unknown_field"),
        ("/nodes/0/data/colour", "unknown_field"),
        ("/edgs", "unknown_field"),
    ]


def test_two_spellings_that_differ_are_warned_about() -> None:
    edge = {"source": "t", "target": "a", "source_output": "main", "sourceHandle": "other", "handle": "main"}
    assert warnings({"nodes": [TRIGGER, LOG], "edges": [edge]}) == [("/edges/0/sourceHandle", "ignored_field")]


def test_the_node_wins_over_its_data_with_a_warning() -> None:
    node = {**TRIGGER, "label": "A", "config": {}, "data": {"label": "B", "config": {"x": 1}}}
    assert parsed({"nodes": [node]}).nodes[0] == Node("t", "trigger_manual", "A")
    found = warnings({"nodes": [node]})
    assert found == [("/nodes/0/data/label", "ignored_field"), ("/nodes/0/data/config", "ignored_field")]


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "document",
    [
        None, 0, "", [], {}, True, float("nan"), b"", (), object(), {1: 2}, {"workflow": None}, {"workflows": 1},
        nested(50_000), [nested(50_000)], {"nodes": nested(50_000)}, {"nodes": [nested(50_000)] * 3},
        {"nodes": [{"id": nested(50_000), "type": nested(50_000), "data": nested(50_000), "config": nested(50_000)}]},
        {"nodes": [{"name": nested(50_000), "label": nested(50_001)}]},
        {"nodes": [{"id": "i" * 10_000, "type": "t" * 10_000, "name": "\ud800", 5: 6, "\ud800": 1}]},
        {"nodes": [{"id": "a", "type": "http", "config": {"url": object(), "x" * 10_000: 1, 3: 4, "\ud800": 5}}]},
        {"nodes": [{"id": 10**400, "priority": 10**400, "position": {"x": 10**400}, "retry": {"max_attempts": 1e308}}]},
    ],
    ids=lambda _document: "",
)  # fmt: skip
def test_anything_is_refused_in_order(document: Any) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        read(document, CATALOGUE)
    for problem in refused.value.problems:
        (problem.path + problem.message).encode()
        assert len(problem.message) < 1_000


def test_a_document_over_the_limits_is_not_looked_at() -> None:
    nodes = [{"id": number} for number in range(100_000)]
    edges: list[Any] = [None] * (MAX_EDGES + 1)
    with pytest.raises(InvalidDefinition) as refused:
        read({"nodes": nodes, "edges": edges}, CATALOGUE)
    found = [(problem.path, problem.code) for problem in refused.value.problems]
    assert found == [("/nodes", "too_many_nodes"), ("/edges", "too_many_edges")]


def test_at_the_limits_it_is_read() -> None:
    nodes = [TRIGGER, *({**LOG, "id": number} for number in range(MAX_NODES - 1))]
    edges = [{"source": "t", "target": number % (MAX_NODES - 1)} for number in range(MAX_EDGES)]
    definition, problems = read({"name": "W", "nodes": nodes, "edges": edges}, CATALOGUE)
    assert len(definition.nodes) == MAX_NODES
    assert len({edge.id for edge in definition.edges}) == MAX_EDGES
    assert problems == []


def test_problems_are_capped_and_counted() -> None:
    nodes = [{"id": number, "type": "nope", "priority": "x", "join": 3} for number in range(MAX_NODES)]
    with pytest.raises(InvalidDefinition) as refused:
        read({"name": "W", "nodes": nodes}, CATALOGUE)
    problems = refused.value.problems
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].code == "too_many_problems"
