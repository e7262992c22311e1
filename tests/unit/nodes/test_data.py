from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.nodes import patterns
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.compare import canonical, compare
from linkflow.nodes.paths import MISSING, get
from tests.unit.nodes.peers import codes, run


@pytest.mark.parametrize(
    ("left", "operator", "right", "holds"),
    [
        (200, "eq", "200", True), ("200", "eq", 200, True), (200, "eq", 200.0, True), ("1", "eq", "1.0", False),
        (True, "eq", "true", True), (True, "eq", 1, False), (0, "eq", False, False), (None, "eq", None, True),
        (None, "eq", "", False), (None, "eq", 0, False), ([1], "eq", [1], True), ("a", "ne", "b", True),
        (MISSING, "eq", None, True), ("nan", "eq", float("nan"), False),
        (10, "gt", "9", True), ("10", "gt", "9", True), ("b", "gt", "a", True), (None, "gt", 0, False),
        ("2026-01-02", "gt", "2026-01-01", True), ("a", "lt", 5, False), (True, "gt", 0, False), (5, "lte", 5, True),
        ("hello", "contains", "ell", True), ([1, 2], "contains", "2", True), ({"a": 1}, "contains", "a", True),
        (None, "contains", "a", False), ("abc", "not_contains", "z", True), ("a", "in", ["a"], True), ("b", "in",
        "a, b", True),
        (3, "in", [1, 2], False), (3, "not_in", [1, 2], True), ("x", "in", None, False),
        ("abc", "starts_with", "ab", True), ("abc", "endsWith", "bc", True), (None, "endsWith", "None", False),
        ("", "empty", None, True), ([], "empty", None, True), (0, "empty", None, False), (False, "empty", None, False),
        (None, "not_empty", None, False), (0, "exists", None, True), (None, "exists", None, False),
        (MISSING, "not_exists", None, True), ("order-17", "matches", r"^order-\d+$", True),
        (17, "matches", r"^\d+$", True),
        (None, "matches", ".*", False),
    ],
)  # fmt: skip
def test_comparing(left: Any, operator: str, right: Any, holds: bool):
    assert compare(left, canonical(operator), right) is holds


def test_paths():
    value = {"a": {"b": [{"c": 1}]}, "x.y": 2, "content-type": 3}
    assert get(value, "a.b.0.c") == get(value, "a.b[0].c") == get(value, "$.a.b[-1].c") == 1
    assert get(value, "x.y") == 2
    assert get(value, "content-type") == 3
    assert get(value, "a.b.7.c") is MISSING
    assert get(value, "a.b.c") is MISSING
    assert get(None, "a") is MISSING


class TestPatterns:
    @pytest.mark.parametrize(
        "text", ["", "a", "ab", "aab", "b", "hello world", "x9_", "A\nb", "foo.bar@x.org", "日本", "((", "--"]
    )
    @pytest.mark.parametrize(
        "pattern",
        ["", "a", "^a$", "a|b", "^(a|b)+$", "a*b", "(a*)*b", "a{2}", "a{1,2}b", "^a{0,1}$", "[a-c]+",
         "[^a]", r"\d+", r"\bworld\b",
         r"\w+@\w+\.\w{2,3}$", "(?i)HELLO", "(?:ab)?b", "(?P<n>a)b", ".", "(?s)A.b", "(?m)^b$",
         "o w", r"[\]\-]", "[]a]",
         r"\(",         "h.*?d", "a??b", "^$", r"\Aa", r"b\Z", "日+", "(|a)b", "x{0}a"],
    )  # fmt: skip
    def test_it_agrees_with_re(self, pattern: str, text: str):
        import re

        assert patterns.compile(pattern).search(text) is bool(re.search(pattern.replace("$", r"(?!\n)$"), text, 0))

    @given(st.text("ab|*+?()", max_size=8), st.text("ab", max_size=8))
    @settings(max_examples=1000, deadline=None)
    def test_it_agrees_with_re_on_anything(self, pattern: str, text: str):
        import re

        try:
            found = patterns.compile(pattern)
        except patterns.BadPattern:
            return
        assert found.search(text) is bool(re.search(pattern, text))

    @pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a|aa)+$", "a*a*a*a*a*a*b", "(.*)*x", "([a-z]+)*!"])
    def test_no_pattern_is_slow(self, pattern: str):
        started = time.perf_counter()
        assert not patterns.compile(pattern).search("a" * 3_000 + "?")
        assert time.perf_counter() - started < 2

    @pytest.mark.parametrize(
        "pattern",
        [r"(a)\1", "(?=a)", "(?<!a)", "(", ")", "a**", "*", "[a", "a{3,1}", "\\", "(?i:a)", r"\p{L}", "a" * 501,
         "(a{1000}){1000}", "(" * 400],
    )  # fmt: skip
    def test_what_is_refused(self, pattern: str):
        with pytest.raises(patterns.BadPattern):
            patterns.compile(pattern)

    def test_work_is_bounded(self):
        with pytest.raises(patterns.TooMuchWork):
            patterns.compile("(a?){300}b").search("a" * 20_000)
        with pytest.raises(NodeFailure) as caught:
            compare("x" * 20_001, "matches", "y")
        assert caught.value.error.code == "bad_pattern"


class TestMerge:
    def merge(self, config: dict[str, Any], *inputs: Any) -> Any:
        return run("merge", config, None, inputs={str(number): value for number, value in enumerate(inputs)}).output

    def test_append(self):
        assert self.merge({}, [1, 2], 3, None, [4]) == [1, 2, 3, 4]
        assert run("merge", {}, {"a": 1}).output == [{"a": 1}]

    def test_combine(self):
        assert self.merge({"mode": "combine"}, {"a": 1, "b": 1}, {"b": 2}) == {"a": 1, "b": 2}
        with pytest.raises(NodeFailure, match="objects"):
            self.merge({"mode": "combine"}, {"a": 1}, [1])

    def test_by_position(self):
        lists = ([{"a": 1}, {"a": 2}], [{"b": 1}])
        assert self.merge({"mode": "by_position"}, *lists) == [{"a": 1, "b": 1}, {"a": 2}]
        assert self.merge({"mode": "by_position", "join": "inner"}, *lists) == [{"a": 1, "b": 1}]

    def test_by_key(self):
        users, mails = [{"id": 1, "n": "x"}, {"id": 2, "n": "y"}], [{"id": 2, "m": "e"}, {"id": 3, "m": "f"}]
        joined = {"id": 2, "n": "y", "m": "e"}
        config = {"mode": "by_key", "key": "id"}
        assert self.merge(config, users, mails) == [{"id": 1, "n": "x"}, joined, {"id": 3, "m": "f"}]
        assert self.merge({**config, "join": "inner"}, users, mails) == [joined]
        assert self.merge({**config, "join": "left"}, users, mails) == [{"id": 1, "n": "x"}, joined]
        with pytest.raises(NodeFailure, match="nothing at 'id'"):
            self.merge(config, [{}])
        assert codes("merge", {"mode": "by_key"}) == [("", "invalid_value")]


class TestTransform:
    def shape(self, config: dict[str, Any], input: Any) -> Any:
        return run("transform", config, input).output

    def test_set(self):
        assert self.shape({"fields": {"b": 2, "c.d": 3}}, {"a": 1, "c": {"e": 4}}) == {
            "a": 1,
            "b": 2,
            "c": {"e": 4, "d": 3},
        }
        assert self.shape({"fields": {"b": 2}, "keep": False}, {"a": 1}) == {"b": 2}
        assert self.shape({"fields": {"b": 2}}, None) == {"b": 2}
        assert self.shape({"fields": {"b": 2}}, [{"a": 1}, {}]) == [{"a": 1, "b": 2}, {"b": 2}]

    def test_the_input_is_never_changed(self):
        given = {"a": {"b": 1}}
        self.shape({"operations": [{"fields": {"a.b": 2}}, {"operation": "delete", "fields": ["a.b"]}]}, given)
        assert given == {"a": {"b": 1}}

    def test_rename(self):
        assert self.shape({"operation": "rename", "fields": {"a": "b", "b": "a"}}, {"a": 1, "b": 2}) == {"b": 1, "a": 2}
        assert self.shape({"operation": "rename", "fields": {"a.x": "y", "no": "z"}}, {"a": {"x": 1}}) == {
            "a": {},
            "y": 1,
        }

    def test_delete(self):
        assert self.shape({"operation": "delete", "fields": ["a", "c.d"]}, {"a": 1, "b": 2, "c": {"d": 1}}) == {
            "b": 2,
            "c": {},
        }

    def test_remove_is_delete(self):
        for fields in (["a"], "a", {"a": None}):
            assert run("transform", {"operation": "remove", "fields": fields}, {"a": 1, "b": 2}).output == {"b": 2}

    def test_filter(self):
        assert self.shape({"operation": "filter"}, {"a": None, "b": 0}) == {"b": 0}
        config = {"operation": "filter", "items": "list", "conditions": [{"field": "n", "operator": "gt", "value": 1}]}
        assert self.shape(config, {"list": [{"n": 1}, {"n": 2}]}) == [{"n": 2}]
        with pytest.raises(NodeFailure, match="needs a list"):
            self.shape({**config, "items": "nope"}, {})

    def test_conditions_alone_are_a_filter(self):
        assert self.shape({"conditions": [{"field": "n", "value": 1}]}, [{"n": 1}, {"n": 2}]) == [{"n": 1}]
        step = {"conditions": [{"field": "n", "value": 1}]}
        assert self.shape({"operations": [step, {"fields": {"m": 2}}]}, [{"n": 1}, {}]) == [{"n": 1, "m": 2}]

    def test_one_form_only(self):
        assert codes("transform", {"fields": {}, "operations": [{"fields": {"a": 1}}]}) == [("", "invalid_value")]
