"""Nodes that shape lists: sort, limit, aggregate, summarize, split, deduplicate, compare."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.items import MAX_ITEMS
from tests.unit.nodes.peers import codes, run

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | st.text("ab1", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=4,
)


def output(type: str, config: dict[str, Any], input: Any = None, **more: Any) -> Any:
    return run(type, config, input, **more).output


def failure(type: str, config: dict[str, Any], input: Any = None, **more: Any) -> str:
    with pytest.raises(NodeFailure) as caught:
        run(type, config, input, **more)
    assert not caught.value.error.retryable
    return caught.value.error.code


@pytest.mark.parametrize("type", ["sort", "limit", "aggregate", "summarize", "deduplicate"])
def test_where_the_list_comes_from(type: str):
    assert output(type, {}, [3]) == output(type, {"items": [3]}) == output(type, {"items": "a.b"}, {"a": {"b": [3]}})
    for config, input in (
        ({}, {"a": 1}),
        ({}, None),
        ({"items": "nope"}, {}),
        ({"items": "{{ x"}, {}),
        ({"items": 5}, []),
    ):
        assert failure(type, config, input) == "not_a_list"
    assert failure(type, {}, [0] * (MAX_ITEMS + 1)) == "too_many_items"


class TestSort:
    def test_keys(self):
        rows = [{"n": 2, "t": "b"}, {"n": 1, "t": "c"}, {"n": 2, "t": "a"}, {"t": "z"}]
        assert [row["t"] for row in output("sort", {"by": "-n,t"}, rows)] == ["a", "b", "c", "z"]
        assert [row["t"] for row in output("sort", {"by": [{"field": "n", "nulls": "first"}]}, rows)] == [
            "z",
            "c",
            "b",
            "a",
        ]
        assert output("sort", {"by": ["a.b"]}, [{"a": {"b": 2}}, {"a": {"b": 1}}])[0] == {"a": {"b": 1}}
        falling = {"by": ["n", {"field": "t", "order": "asc"}], "order": "desc"}
        assert [row["t"] for row in output("sort", falling, rows)] == ["a", "b", "c", "z"]

    def test_kinds(self):
        mixed = ["10", 9, None, True, "b", [1], 10.5]
        assert output("sort", {}, mixed) == [True, 9, 10.5, "10", "b", [1], None]
        assert output("sort", {"by": [{"kind": "number"}]}, ["10", 9, "x"]) == [9, "10", "x"]
        assert output("sort", {"by": [{"kind": "text_nocase"}]}, ["b", "A", "a"]) == ["A", "a", "b"]
        assert output("sort", {"by": [{"kind": "text", "order": "desc"}]}, ["a", 5]) == ["a", 5]

    @given(st.lists(JSON, max_size=8))
    def test_anything_can_be_sorted(self, items: list[Any]):
        once = output("sort", {}, items)
        assert len(once) == len(items)
        assert output("sort", {}, once) == once

    def test_bad_keys(self):
        assert codes("sort", {"by": []}) == [("/by", "invalid_value")]
        assert codes("sort", {"by": [{"kind": "date"}]}) == [("/by/0/kind", "invalid_value")]


def test_limit():
    assert output("limit", {"count": 2}, [1, 2, 3]) == [1, 2]
    assert output("limit", {"count": 2, "offset": 5}, [1, 2, 3]) == []
    assert output("limit", {"count": 2, "keep": "last"}, [1, 2, 3]) == [2, 3]
    assert output("limit", {"max": 2, "skip": 1, "keep": "last"}, [1, 2, 3]) == [1, 2]
    assert output("limit", {"count": 0}, [1]) == output("limit", {"count": 1, "offset": 9, "keep": "last"}, [1]) == []


class TestAggregate:
    def test_fields(self):
        rows = [{"a": 1, "b": [1, 2]}, {"a": None}, {"b": [3]}]
        assert output("aggregate", {"fields": "a"}, rows) == {"a": [1, None]}
        assert output("aggregate", {"fields": ["a"], "keep_missing": True}, rows) == {"a": [1, None, None]}
        assert output("aggregate", {"fields": [{"field": "b", "as": "x.y"}], "flatten": True}, rows) == {
            "x": {"y": [1, 2, 3]}
        }

    def test_unique(self):
        assert output("aggregate", {"unique": True}, [1, "1", True, 1, {"a": 1, "b": 2}, {"b": 2, "a": 1}]) == {
            "items": [1, "1", True, {"a": 1, "b": 2}]
        }

    def test_whole_items(self):
        assert output("aggregate", {"remove": "a.b, c"}, [{"a": {"b": 1, "d": 2}, "c": 3}, 5]) == {
            "items": [{"a": {"d": 2}}, 5]
        }
        assert codes("aggregate", {"into": ""}) == [("/into", "invalid_value")]


class TestSummarize:
    ROWS = ({"k": "a", "n": 1}, {"k": "b", "n": "2.5"}, {"k": "a", "n": 4}, {"k": "a"})

    def measured(self, op: str, items: Any = ROWS, **more: Any) -> Any:
        measure = {"op": op, "field": "n", "as": "m", **more}
        return [row["m"] for row in output("summarize", {"by": "k", "measures": [measure]}, list(items))]

    def test_measures(self):
        assert self.measured("count") == [2, 1]
        assert self.measured("count", field="") == [3, 1]
        assert self.measured("sum") == [5, 2.5]
        assert self.measured("average") == [2.5, 2.5]
        assert self.measured("median") == [2.5, 2.5]
        assert self.measured("min") == [1, 2.5]
        assert self.measured("max") == [4, 2.5]
        assert self.measured("first") == [1, "2.5"]
        assert self.measured("last") == [4, "2.5"]
        assert self.measured("list") == self.measured("unique") == [[1, 4], ["2.5"]]
        assert self.measured("count_unique") == [2, 1]
        assert self.measured("join", separator="|") == ["1|4", "2.5"]
        assert self.measured("max", [{"k": 1, "n": "b"}, {"k": 1, "n": 5}]) == ["b"]

    def test_nothing(self):
        assert output("summarize", {}, []) == [{"count": 0}]
        assert output("summarize", {"by": "k"}, []) == []
        for op, none in (("sum", 0), ("average", None), ("median", None), ("min", None), ("first", None), ("list", [])):
            assert self.measured(op, [{"k": 1}]) == [none]

    def test_names(self):
        rows = [{"a": {"id": 1}, "b": {"id": 2}}]
        assert output("summarize", {"by": ["a.id", "b.id"]}, rows) == [{"a.id": 1, "b.id": 2, "count": 1}]
        assert output("summarize", {"by": ["a.id"]}, rows) == [{"id": 1, "count": 1}]
        assert output("summarize", {"measures": [{"op": "sum", "field": "b.id"}]}, rows) == [{"sum_b_id": 2}]

    def test_sums_are_exact(self):
        assert self.measured("sum", [{"k": 1, "n": 2**53}, {"k": 1, "n": 1}]) == [2**53 + 1]
        assert self.measured("sum", [{"k": 1, "n": 0.1}] * 10) == [1.0]

    @pytest.mark.parametrize("value", ["x", True, [1], {"a": 1}, "nan", "1e999", ""])
    def test_what_is_no_number(self, value: Any):
        config = {"measures": [{"op": "sum", "field": "n"}]}
        assert failure("summarize", config, [{"n": value}]) == "not_a_number"


class TestSplit:
    def test_out(self):
        rows = [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": []}, {"id": 3}, {"id": 4, "tags": "c"}]
        assert output("split", {"field": "tags"}, rows) == [
            {"id": 1, "tags": "a"}, {"id": 1, "tags": "b"}, {"id": 4, "tags": "c"},
        ]  # fmt: skip
        assert output("split", {"field": "tags", "keep": False}, rows) == ["a", "b", "c"]
        assert output("split", {"field": "a.b", "items": "x"}, {"x": [{"a": {"b": [1], "c": 2}}]}) == [
            {"a": {"c": 2}, "b": 1}
        ]

    def test_it_does_not_spell_out_what_is_huge(self):
        """A row repeats the other fields of its item: 100 KB can stand for gigabytes."""
        item = {"big": "x" * 100_000, "list": [0] * 90_000}
        assert failure("split", {"field": "list"}, item) == "too_many_items"
        assert len(output("split", {"field": "list", "keep": False}, item)) == 90_000
        assert failure("split", {"field": "list"}, [{"list": [0] * 60_000}] * 2) == "too_many_items"

    def test_batches(self):
        assert output("split", {"mode": "batches", "size": 2}, [1, 2, 3]) == [[1, 2], [3]]
        assert output("split", {"mode": "batches"}, []) == []

    def test_text(self):
        assert output("split", {"mode": "text"}, " a \n\nb") == ["a", "b"]
        assert output("split", {"mode": "text", "trim": False, "drop_empty": False}, " a \n\nb") == [" a ", "", "b"]
        assert output("split", {"mode": "text", "separator": "", "items": " a  b "}) == ["a", "b"]
        assert failure("split", {"mode": "text"}, 5) == "not_a_text"
        assert failure("split", {"mode": "text", "separator": ","}, "," * (MAX_ITEMS + 1)) == "too_many_items"


class TestDeduplicate:
    def test_whole_items(self):
        assert output("deduplicate", {}, [1, 1.0, "1", True, None, None]) == [1, 1.0, "1", True, None]

    def test_by_fields(self):
        rows = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"b": 2}, {"a": None}]
        assert output("deduplicate", {"by": "a"}, rows) == [{"a": 1, "b": 1}, {"b": 2}]
        assert output("deduplicate", {"by": ["a"], "keep": "last"}, rows) == [{"a": 1, "b": 2}, {"a": None}]

    @given(st.lists(JSON, max_size=8))
    def test_once_is_enough(self, items: list[Any]):
        once = output("deduplicate", {}, items)
        assert output("deduplicate", {}, once) == once


class TestCompare:
    LEFT = ({"id": 1, "a": 1, "b": 1}, {"id": 2, "a": 1})
    RIGHT = ({"id": 2, "a": 1.0}, {"id": 1, "a": 1, "b": 2})

    def compared(self, left: Any = LEFT, right: Any = RIGHT, **config: Any) -> Any:
        return output("compare", {"left": list(left), "right": list(right), **config})

    def test_by_key(self):
        found = self.compared(key="id")
        assert [changed["fields"] for changed in found["changed"]] == [["b"], ["a"]]  # 1 and 1.0 are not written alike
        assert self.compared(key="id", ignore="a")["same"] == [{"id": 2, "a": 1}]
        assert self.compared(key="id", fields="a")["same"] == [self.LEFT[0]]

    def test_whole_items(self):
        assert self.compared([1, 2], [2, 3]) == {"left_only": [1], "right_only": [3], "same": [2], "changed": []}
        assert self.compared([1], ["a"], key="x")["changed"][0]["fields"] == [""]

    def test_where_the_lists_come_from(self):
        assert output("compare", {}, None, inputs={"a": [1], "b": [1]})["same"] == [1]
        assert output("compare", {"left": "x", "right": [1]}, {"x": [1]})["same"] == [1]
        assert failure("compare", {}, [1]) == "not_two_lists"
        assert failure("compare", {"left": [1]}, [1]) == "not_two_lists"
        assert failure("compare", {}, None, inputs={"a": [1], "b": 5}) == "not_a_list"

    @given(st.lists(JSON, max_size=6), st.lists(JSON, max_size=6))
    def test_every_item_is_somewhere(self, left: list[Any], right: list[Any]):
        found = self.compared(left, right)
        distinct = output("deduplicate", {}, left)
        assert len(found["left_only"]) + len(found["same"]) == len(distinct)
        assert found["changed"] == []


def test_large_lists_are_worked_on_in_one_go():
    """None is worse than n log n (a square would take minutes here): they run in History's process, too."""
    rows = [{"id": index % 5_000, "n": index, "t": f"name {index % 97}"} for index in range(20_000)]
    assert len(output("sort", {"by": "t,-n"}, rows)) == 20_000
    assert len(output("deduplicate", {"by": "id"}, rows)) == len(output("summarize", {"by": "id"}, rows)) == 5_000
    assert len(output("aggregate", {"fields": "n", "unique": True}, rows)["n"]) == 20_000
    assert len(output("compare", {"left": rows, "right": rows, "key": "n"})["same"]) == 20_000
    assert len(output("split", {"mode": "batches", "size": 10}, rows)) == 2_000
