"""Test files: reading, running, differences, saving a run as a test, and writing expectations anew."""

from __future__ import annotations

import json
import xml.etree.ElementTree as Xml
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.cli import main
from linkflow.cli.case_files import dump, load, with_expect
from linkflow.domain.cases.checking import check
from linkflow.domain.cases.facts import Facts, Ran, facts_of
from linkflow.domain.cases.paths import fits, parse, show
from linkflow.domain.cases.reading import read_case
from linkflow.domain.cases.saving import mocks_of, save
from linkflow.domain.graph import Graph
from linkflow.domain.importing import read
from linkflow.local.playing import Player
from linkflow.nodes.registry import Registry

CASES = Path(__file__).parents[2] / "data" / "cases"


def linkflow(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["test", *map(str, arguments)], catch_exceptions=False)


def written(folder: Path, value: Any, name: str = "a.json") -> Path:
    """A test file; the workflow beside it is that of the examples."""
    (folder / "order.json").write_text((CASES / "order.json").read_text())
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


SMALL = {
    "workflow": "order.json",
    "mocks": {
        "fetch": {"output": {"body": {"total": 5, "lines": [1]}}}, "pay": {"output": 1}, "ship": {"output": {"n": 1}}
    },
}  # fmt: skip


def test_the_example_tests_pass():
    result = linkflow(CASES)
    assert result.exit_code == 0, result.output
    assert "3 passed" in result.output


def test_what_differs_is_told_by_path(tmp_path: Path):
    expect = {"result": {"paid": 6, "extra": 1}, "path": ["fetch", "refused"], "status": "completed"}
    result = linkflow(written(tmp_path, {**SMALL, "ignore": ["result.at"], "expect": expect}))
    assert result.exit_code == 1
    for line in (
        "result.paid", "- expected 6", "+ actual   5", "result.extra", "+ actual   (missing)", "'refused' did not run",
        "'pay' ran, which the test does not expect", "1 failed",
    ):  # fmt: skip
        assert line in result.output, result.output
    assert "result.at" not in result.output


def test_what_acts_without_a_mock_fails_the_test(tmp_path: Path):
    mocks = {"fetch": SMALL["mocks"]["fetch"]}  # type: ignore[index]
    result = linkflow(written(tmp_path, {**SMALL, "mocks": mocks, "expect": {"status": "completed"}}))
    assert result.exit_code == 1
    assert "not_mocked" in result.output
    assert "'pay' (action_http_request)" in result.output


def test_a_run_that_waits_says_what_for(tmp_path: Path):
    value = {
        "workflow": {"nodes": [{"id": "t", "type": "trigger_manual"},
                               {"id": "w", "type": "wait_for_event", "config": {"event": "paid"}}],
                     "edges": [{"id": "e", "source": "t", "target": "w"}], "name": "W"},
        "allow": ["w"], "expect": {"status": "completed"},
    }  # fmt: skip
    result = linkflow(written(tmp_path, value))
    assert "w waits for the event 'paid': give it a mock." in result.output


def test_every_fault_of_a_file_is_told_with_its_line(tmp_path: Path):
    text = """\
name: Bad
workflow: {file: order.json}
mokcs: {}
mocks:
  fetsh: {output: 1}
  pay: {}
ignore: ["["]
allow: [nobody]
expect:
  stauts: completed
  check: "1 +"
  nodes:
    nowhere: {runs: -1}
"""
    result = linkflow(written(tmp_path, text, "bad.yaml"), "--json")
    assert result.exit_code == 2
    faults = {(fault["line"], fault["field"]) for fault in json.loads(result.stdout)["faults"]}
    assert faults == {
        (3, "/mokcs"), (5, "/mocks/fetsh"), (6, "/mocks/pay"), (7, "/ignore/0"), (8, "/allow/0"),
        (10, "/expect/stauts"), (11, "/expect/check"), (13, "/expect/nodes/nowhere/runs"), (13, "/expect/nodes/nowhere"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [("a: [1", "x.yaml", 1), ("a: 1\na: 2\n", "x.yml", 2), ('{\n "a": }', "x.json", 2), ("[1]", "x.json", 1),
     ("\t- a", "x.yaml", 1), ("", "x.yaml", 0)],
)  # fmt: skip
def test_files_that_cannot_be_read_are_told(tmp_path: Path, text: str, name: str, line: int):
    result = linkflow(written(tmp_path, text, name), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["faults"][0]["line"] == line


def test_a_broken_workflow_is_told_in_its_own_file(tmp_path: Path):
    path = written(tmp_path, {**SMALL, "expect": {"status": "completed"}})
    (tmp_path / "order.json").write_text('{"name": "x",\n "nodes": [\n  {"id": "a", "type": "nonsense"}]}')
    result = linkflow(path)
    assert result.exit_code == 2
    assert "order.json:3 /nodes/0/type" in result.output


def test_nothing_to_run_is_an_error(tmp_path: Path):
    assert linkflow(tmp_path).exit_code == 2


def test_junit_and_a_choice_of_tests(tmp_path: Path):
    written(tmp_path, {**SMALL, "name": "o\x1b[31mne", "expect": {"result": "<\x00>"}}, "a.json")
    written(tmp_path, {**SMALL, "name": "two", "expect": {"status": "completed"}}, "b.json")
    report = tmp_path / "out" / "junit.xml"
    told = linkflow(tmp_path, "--junit", report)
    assert (told.exit_code, "o\\x1b[31mne" in told.output, "\x1b" in told.output) == (1, True, False)
    suite = Xml.parse(report).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert linkflow(tmp_path, "--only", "TWO").exit_code == 0


def test_update_writes_what_came_and_keeps_the_rest(tmp_path: Path):
    text = """\
# why this test is here
workflow: order.json
mocks:
  fetch: {output: {body: {total: 5, lines: [1]}}}
  pay: {output: 1}   # never charge anybody
  ship: {output: 1}
ignore: [result.at]
expect:
  status: failed
  result: {paid: 4, at: whenever}
  nodes:
    ship: {runs: 7}

# the end
"""
    path = written(tmp_path, text, "a.yaml")
    assert linkflow(path).exit_code == 1
    result = linkflow(path, "--update")
    assert result.exit_code == 0, result.output
    assert "1 updated" in result.output
    assert linkflow(path).exit_code == 0
    new = path.read_text()
    assert new.startswith("# why this test is here")
    assert "# never charge anybody" in new
    assert new.endswith("# the end\n")
    assert load(path).value["expect"] == {
        "status": "completed", "result": {"paid": 5, "at": "whenever"}, "nodes": {"ship": {"runs": 1}},
    }  # fmt: skip


async def test_a_run_that_is_saved_as_a_test_passes():
    registry = Registry.load()
    loaded = load(CASES / "approved.yaml")
    case, problems = read_case(loaded.value, "approved")
    assert case is not None
    assert not problems
    document = json.loads((CASES / "order.json").read_text())
    definition, _ = read(document, registry)
    player = Player(registry, None, {}, None)
    facts = await player.play(case, definition)
    graph = Graph(definition, "start")
    acting = [node.id for node in definition.nodes if registry.acts(node.type)]
    saved = save(
        facts, graph, name="saved", workflow=document, acting=acting, started_at=case.now, execution_id="no such id",
        nodes=("check", "pay", "refused", "ship"),
    )  # fmt: skip
    assert saved["mocks"] == {
        "fetch": {
            "error": {"code": "http_timeout", "message": "Mocked: http_timeout."}, "fail_first": 2,
            "output": {"body": {"id": 7, "total": 150, "lines": [{"sku": "a"}, {"sku": "b"}]}},
        },
        "approve": {"output": {"decision": "approved", "decided_by": "ada"}},
        "pay": {"output": {"status": 201}},
        "ship": {
            "iterations": [
                {"output": {"status": 200}},
                {"error": {"code": "http_status", "message": "The parcel service is closed.", "retryable": False}},
            ]
        },
    }  # fmt: skip
    assert saved["expect"]["nodes"]["refused"] == {"runs": 0}
    again, problems = read_case(saved, "saved")
    assert again is not None
    assert not problems
    assert check(again, await player.play(again, definition)) == []


def test_the_id_of_the_run_is_ignored_in_what_is_saved():
    facts = Facts("completed", {"links": ["https://x/runs/id-1", 2]}, trigger_node="t")
    graph = Graph(read({"name": "x", "nodes": [{"id": "t", "type": "trigger_manual"}]}, Registry.load())[0], "t")
    saved = save(facts, graph, name="n", workflow={}, acting=(), started_at=0, execution_id="id-1")
    assert saved["ignore"] == ["result.links[0]"]


def test_iterations_that_did_not_all_run_are_named_one_by_one():
    nodes = [{"id": "t", "type": "trigger_manual"}, {"id": "l", "type": "loop", "config": {"items": "{{ input }}"}},
             {"id": "a", "type": "noop"}]  # fmt: skip
    edges = [
        {"id": "1", "source": "t", "target": "l"},
        {"id": "2", "source": "l", "target": "a", "source_output": "each"},
    ]
    graph = Graph(read({"name": "x", "nodes": nodes, "edges": edges}, Registry.load())[0], "t")
    done = [{"type": "NodeCompleted", "node": f"a[{i}]", "attempt": 1, "output": i} for i in (0, 2)]
    assert mocks_of(facts_of(done), graph, ["a"]) == {"a[0]": {"output": 0}, "a[2]": {"output": 2}}


def test_texts_that_fit_a_pattern_are_alike():
    value = {"workflow": "x", "ignore": [{"matching": "^[0-9a-f]{4}$"}], "expect": {"result": ["00ff", "zz"]}}
    case, problems = read_case(value, "n")
    assert case is not None
    assert not problems
    assert [one.path for one in check(case, Facts("completed", ["ab12", "zy"]))] == ["result[1]"]


def test_true_is_not_one_and_one_is_one_point_nought():
    case, _ = read_case({"workflow": "x", "expect": {"result": [1, True, 1.0]}}, "n")
    assert case is not None
    assert [one.path for one in check(case, Facts("completed", [True, 1, 1]))] == ["result[0]", "result[1]"]


def test_a_subset_may_leave_out_fields_but_no_items():
    case, _ = read_case({"workflow": "x", "expect": {"includes": {"a": [{"b": 1}]}}}, "n")
    assert case is not None
    assert check(case, Facts("completed", {"a": [{"b": 1, "c": 2}], "d": 3})) == []
    assert [one.path for one in check(case, Facts("completed", {"a": [{"b": 1}, 2]}))] == ["result.a[1]"]


def test_expressions_see_the_result_and_every_node():
    value = {"workflow": "x", "expect": {"check": ["result > fetch.n", "$node['a b'].output == null", "status == 'x'"]}}
    case, problems = read_case(value, "n")
    assert case is not None
    assert not problems
    facts = Facts("completed", 3, runs={"fetch": Ran("fetch", "completed", output={"n": 2})})
    assert [one.expected for one in check(case, facts)] == ["status == 'x'"]


@pytest.mark.parametrize(
    ("pattern", "place", "yes"),
    [
        ("result.id", ("result", "id"), True), ("result.id", ("result", "id", "x"), False),
        ("**.id", ("result", "a", 0, "id"), True), ("result.*", ("result", "id"), True),
        ("items[*].at", ("items", 3, "at"), True), ("items[0].at", ("items", 1, "at"), False),
        ('a["b.c"]', ("a", "b.c"), True), ("$.a", ("a",), True),
    ],
)  # fmt: skip
def test_patterns_of_places(pattern: str, place: tuple[str | int, ...], yes: bool):
    assert fits(parse(pattern), place) is yes


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | NAMES
    | st.sampled_from(["no", "1e3", "2026-11-23", "~", "0x1f", "1_000", "a\nb\n", " x\ny", "- a", "a: b", "#", "\t", "é\x85"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, value: Any):
    folder = tmp_path_factory.getbasetemp()
    for suffix in (".yaml", ".json"):
        path = folder / f"value{suffix}"
        path.write_text(dump({"v": value}, suffix), encoding="utf-8", newline="")
        loaded = load(path)
        assert not loaded.faults, loaded.text
        assert loaded.value == {"v": value}
        assert with_expect(loaded, {"status": "x"})


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMES | st.integers(0, 99), min_size=1, max_size=4).filter(lambda place: isinstance(place[0], str)))
def test_a_place_that_is_shown_is_the_pattern_of_it(place: list[str | int]):
    if any(step in ("*", "**") for step in place):
        return
    assert fits(parse(show(tuple(place))), tuple(place))
