"""What checking finds in a definition that was read without a fault."""

from __future__ import annotations

import msgspec
import pytest

from linkflow.domain.definition import (
    Batch,
    Concurrency,
    Debounce,
    Definition,
    Edge,
    Node,
    RateLimit,
    Settings,
)
from linkflow.domain.errors import Problem
from linkflow.domain.validation import Places, check
from tests.unit.definition.literal_catalogue import CATALOGUE, definition, edges


def found(drawn: Definition) -> list[tuple[str, str]]:
    return [(problem.path, problem.code) for problem in check(drawn, CATALOGUE)]


def only(drawn: Definition) -> Problem:
    problems = check(drawn, CATALOGUE)
    assert len(problems) == 1, problems
    return problems[0]


def with_config(type: str, config: dict[str, object], name: str = "") -> Definition:
    nodes = (Node("t", "trigger_manual"), Node("a", type, name, config))
    return Definition("W", nodes, edges("t>a"))


@pytest.mark.parametrize(
    "text",
    [
        "t>a",
        "t>a t>b a>c b>c",
        "t>L L:each>a a>L L:done>b",
        "t>L L:each>a L:each>b a>c b>c c>L",
        "t>L L:each>L2 L2:each>a a>L2 L2:done>b b>L L:done>c",
        "t>L L:each>L2 L2:each>a L2:done>L",
        "t>L L:done>L2 L2:each>a a>L2",
        "t>a t2>b a>c b>c",
        "t>L t2>L L:each>a",
        "t>a a>b a:cancelled>x x>y b:cancelled>y",
        "t>a t:cancelled>x a:cancelled>x",
        "t>L L:each>a L:done>b L:cancelled>x",
        "t>a a:cancelled>L L:each>x x>L L:done>y",
    ],
)
def test_sound_structures(text: str) -> None:
    assert found(definition(text)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t>a a>b b>a", [("/edges/2", "cycle")]),
        ("t>a a>b b>a c>c", [("/edges/3", "self_edge"), ("/edges/2", "cycle"), ("/nodes/3", "unreachable")]),
        ("t>L L:each>a L:done>a", [("/edges/1", "loop_body_leaks")]),
        ("t>L L:each>a a:cancelled>x", [("/edges/2", "cleanup_in_loop_body")]),
        ("t>a a>b a:cancelled>b", [("/edges/2", "cleanup_joins_flow")]),
        ("t>a a>b a:cancelled>x x>b", [("/edges/3", "cleanup_joins_flow")]),
        ("t>a a>b b:cancelled>x x>a", [("/edges/3", "cleanup_joins_flow")]),
        ("t>a a:cancelled>x x:cancelled>y", [("/edges/2", "cleanup_of_cleanup")]),
        ("t>a a:cancelled>x x>y y>x", [("/edges/3", "cycle")]),
        ("t>a a:cancelled>L L:each>x L:done>x", [("/edges/2", "loop_body_leaks")]),
        ("t>a b:cancelled>x", [("/nodes/2", "unreachable"), ("/nodes/3", "unreachable")]),
        ("t>a a:cancelled>t", [("/edges/1", "trigger_with_incoming_edge"), ("/edges/1", "cleanup_joins_flow")]),
        ("t>L L:each>a t>a", [("/edges/2", "loop_body_entered_from_outside")]),
        ("t>L L:each>a t2>a", [("/edges/2", "loop_body_entered_from_outside")]),
        ("t>L L:each>a a>b L:done>b b>c", [("/edges/2", "loop_body_leaks")]),
        ("t>L L:each>a a>b b>c t>b", [("/edges/4", "loop_body_entered_from_outside")]),
        ("t>L L:each>L2 L2:each>a L:done>z a>z", [("/edges/4", "loop_body_leaks"), ("/edges/4", "loop_body_leaks")]),
        ("t>L L:each>L2 L2:each>a L2:done>b a>b", [("/edges/4", "loop_body_leaks")]),
        ("t>L L:each>p p>L2 L2:each>a p>a", [("/edges/4", "loop_body_entered_from_outside")]),
        ("t>a L:each>a", [("/nodes/2", "unreachable")]),
        ("t>a a>t", [("/edges/1", "trigger_with_incoming_edge"), ("/edges/1", "cycle")]),
        ("a>b", [("/nodes", "no_trigger")]),
    ],
)
def test_faulty_structures(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(definition(text)) == expected


def test_a_cycle_is_named_in_order_and_long_ones_are_cut() -> None:
    message = only(definition("t>b b>c c>a a>b")).message
    assert "'b' → 'c' → 'a' → 'b'" in message
    ring = " ".join(f"n{i}>n{(i + 1) % 20}" for i in range(20))
    assert "… (20 nodes)" in only(definition(f"t>n0 {ring}")).message


def test_separate_cycles_are_separate_problems() -> None:
    assert found(definition("t>a a>b b>a b>c c>d d>c")) == [("/edges/2", "cycle"), ("/edges/5", "cycle")]


def test_a_misspelt_type_gets_a_hint() -> None:
    assert "Did you mean 'action_http_request'?" in only(definition("t>a", a="action_htp_request")).message


def test_outputs_of_a_faulty_config_are_not_asked_for() -> None:
    drawn = with_config("condition", {"nope": 1})
    drawn = msgspec.structs.replace(drawn, edges=(*drawn.edges, Edge("e2", "a", "a2", "case-7")))
    drawn = msgspec.structs.replace(drawn, nodes=(*drawn.nodes, Node("a2", "transform")))
    assert found(drawn) == [("/nodes/1/config/nope", "unknown_field")]


@pytest.mark.parametrize(
    ("on_error", "codes"), [("branch", []), ("stop", ["unknown_output"]), ("continue", ["unknown_output"])]
)
def test_the_error_output_needs_on_error_branch(on_error: str, codes: list[str]) -> None:
    drawn = definition("t>a a:error>b")
    nodes = [msgspec.structs.replace(node, on_error=on_error) if node.id == "a" else node for node in drawn.nodes]
    assert [code for _, code in found(msgspec.structs.replace(drawn, nodes=tuple(nodes)))] == codes


def test_a_syntax_error_has_line_and_column() -> None:
    problem = only(with_config("action_http_request", {"url": "https://a/\n{{ input. }}"}))
    assert (problem.path, problem.code) == ("/nodes/1/config/url", "expression_syntax")
    assert "line 2, column" in problem.message


@pytest.mark.parametrize(
    "text",
    ["{{ input.a }}", "{{ trigger.body }}", "{{ $node.prev.output }}", '{{ $node["Get it"].json.x }}', "{{ a.x }}",
     "{{ API_KEY }}", "{{ vars.x + env.Y }}", "{{ [1].map(n => n + 1) }}", "no $node['x']", '{{ $node["t"].output }}'],
)  # fmt: skip
def test_names_that_are_known(text: str) -> None:
    assert found(with_config("action_http_request", {"url": text}, "Get it")) == []


def test_a_bare_name_that_is_no_node_is_only_a_warning() -> None:
    problem = only(with_config("action_http_request", {"url": "{{ total }}"}))
    assert (problem.code, problem.severity, problem.path) == ("unknown_name", "warning", "/nodes/1/config/url")


def test_a_name_two_nodes_have_is_a_warning_where_it_is_used() -> None:
    drawn = with_config("output_log", {"message": '{{ $node["Same"].output }}'}, "Same")
    drawn = msgspec.structs.replace(drawn, nodes=(Node("t", "trigger_manual", "Same"), drawn.nodes[1]))
    assert only(drawn).code == "ambiguous_node_in_expression"


@pytest.mark.parametrize(
    ("field", "codes"),
    [
        ("user.first name", []),
        ("items.0.x", []),
        ("{{ input.a }}", []),
        ("{{ input..a }}", ["expression_syntax"]),
        (5, []),
    ],
)
def test_a_field_that_may_hold_a_path_is_checked_within_braces(field: object, codes: list[str]) -> None:
    config: dict[str, object] = {"conditions": [{"field": field, "value": 1}, "odd"]}
    assert [code for _, code in found(with_config("condition", config))] == codes
    assert config == {"conditions": [{"field": field, "value": 1}, "odd"]}


def test_an_expression_field_is_an_expression_without_braces() -> None:
    assert only(with_config("condition", {"expression": "input.a =="})).code == "expression_syntax"
    assert found(with_config("condition", {"expression": "{{ input.a }} == 200"})) == []


def test_an_expression_field_is_found_in_the_items_of_a_list() -> None:
    config: dict[str, object] = {"conditions": [{"test": "a =="}, {"test": "{{ a.x }} == 1"}, 5, {"test": 5}]}
    problem = only(with_config("condition", config))
    assert (problem.path, problem.code) == ("/nodes/1/config/conditions/0/test", "expression_syntax")
    assert config["conditions"] == [{"test": "a =="}, {"test": "{{ a.x }} == 1"}, 5, {"test": 5}]


def test_links_are_those_of_approvals() -> None:
    drawn = with_config("condition", {"expression": "$approval.a.url == ''"})
    assert only(drawn).code == "unknown_node_in_expression"


def test_the_concurrency_key_is_an_expression_too() -> None:
    drawn = msgspec.structs.replace(
        definition("t>a"), settings=Settings(concurrency=Concurrency("{{ $node.x.output }}"))
    )
    assert found(drawn) == [("/settings/concurrency/key", "unknown_node_in_expression")]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(rate_limit=-1), ["/settings/rate_limit"]),
        (Settings(rate_limit=RateLimit("", 0, 0.5)), ["/settings/rate_limit/limit", "/settings/rate_limit/per"]),
        (Settings(concurrency=Concurrency("", 0)), ["/settings/concurrency/limit"]),
        (Settings(debounce=Debounce()), ["/settings/debounce/wait"]),
        (Settings(debounce=Debounce("", 10, 5)), ["/settings/debounce/max_wait"]),
        (Settings(batch=Batch("", 0, 0)), ["/settings/batch/size", "/settings/batch/wait"]),
        (Settings(batch=Batch("", 1_001, float("nan"))), ["/settings/batch/size", "/settings/batch/wait"]),
        (Settings(debounce=Debounce("", 1), batch=Batch("", 2, 1)), ["/settings/batch"]),
    ],
)
def test_limits_of_starts_have_bounds(settings: Settings, expected: list[str]) -> None:
    drawn = msgspec.structs.replace(definition("t>a"), settings=settings)
    assert found(drawn) == [(path, "invalid_settings") for path in expected]


@pytest.mark.parametrize(
    "key", ["{{ a }}", "{{ $node.a.output.x }}", "{{ credential.api_key }}", "{{ now() }}", "x-{{ random() }}"]
)
def test_a_key_can_read_only_what_is_there_before_a_node_ran(key: str) -> None:
    settings = Settings(
        concurrency=Concurrency(key), rate_limit=RateLimit(key), debounce=Debounce(key, 1), fairness_key=key
    )
    drawn = msgspec.structs.replace(definition("t>a"), settings=settings)
    places = ["concurrency/key", "rate_limit/key", "debounce/key", "fairness_key"]
    assert found(drawn) == [(f"/settings/{place}", "expression_not_allowed") for place in places]


@pytest.mark.parametrize("key", ["", "all", "{{ trigger.customer.id }}", "{{ input.id }}-{{ workflow.version }}"])
def test_keys_that_are_fine(key: str) -> None:
    settings = Settings(
        concurrency=Concurrency(key), rate_limit=RateLimit(key, per=1), batch=Batch(key, 5, 1), fairness_key=key
    )
    assert found(msgspec.structs.replace(definition("t>a"), settings=settings)) == []


def test_a_key_that_does_not_parse_is_told_once() -> None:
    drawn = msgspec.structs.replace(definition("t>a"), settings=Settings(batch=Batch("{{ trigger. }}", 5, 1)))
    assert found(drawn) == [("/settings/batch/key", "expression_syntax")]


def test_problems_are_told_where_the_author_wrote_them() -> None:
    where = Places()
    where.note("/nodes/1", "/workflow/nodes/4")
    where.note("/nodes/1/config", "/workflow/nodes/4/data")
    problems = check(with_config("action_http_request", {"uri": "x"}), CATALOGUE, where)
    assert [problem.path for problem in problems] == ["/workflow/nodes/4/data/url", "/workflow/nodes/4/data/uri"]


def test_what_was_reported_is_not_repeated() -> None:
    where = Places()
    where.mark("/nodes/1/config")
    assert check(with_config("action_http_request", {"uri": "x"}), CATALOGUE, where) == []


def test_a_definition_over_the_limits_is_not_looked_at() -> None:
    nodes = tuple(Node(str(number), "nope") for number in range(1_001))
    assert found(Definition("", nodes)) == [("/nodes", "too_many_nodes")]
