"""What is different between two definitions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain import definition as d
from linkflow.domain.differences import Difference
from linkflow.domain.revisions import MAX_CHANGES, lines, revision

JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab~/é", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def _flow(*nodes: d.Node, **more: Any) -> d.Definition:
    return d.Definition("f", (d.Node("t", "trigger_manual"), *nodes), **more)


def test_every_kind_of_change():
    before = _flow(
        d.Node("a", "noop", name="First", config={"url": "x", "headers": [{"name": "A"}]}), d.Node("gone", "noop"),
        edges=(d.Edge("e1", "t", "a"), d.Edge("e2", "a", "gone")), settings=d.Settings(timeout=5),
    )  # fmt: skip
    after = _flow(
        d.Node("a", "noop", name="First", config={"url": "y", "headers": [{"name": "B"}], "new": None}, on_error="branch"),
        d.Node("more", "delay"),
        edges=(d.Edge("other", "t", "a"), d.Edge("e2", "a", "more", "error")), settings=d.Settings(max_parallel=2),
        description="Now with words",
    )  # fmt: skip
    found = revision(before, after)
    assert lines(found) == [
        '~ description: "" → "Now with words"',
        "+ node more (delay)",
        "- node gone (noop)",
        "~ node First",
        '    ~ config/url: "x" → "y"',
        '    ~ config/headers/0/name: "A" → "B"',
        "    + config/new: null",
        '    + on_error: "branch"',
        "+ edge a [error] → more",
        "- edge a → gone",
        "~ settings",
        "    - timeout: 5",
        "    + max_parallel: 2",
    ]
    assert not found.is_empty


def test_places_on_the_canvas_and_ids_of_edges_are_no_revision():
    before = _flow(d.Node("a", "noop", position=d.Position(1, 1)), edges=(d.Edge("e1", "t", "a"),))
    after = _flow(d.Node("a", "noop", position=d.Position(2, 1)), edges=(d.Edge("e9", "t", "a"),))
    found = revision(before, after)
    assert (found.is_empty, found.moved, lines(found)) == (True, ("a",), [])


def test_true_is_not_one():
    found = revision(_flow(d.Node("a", "noop", config={"x": 1})), _flow(d.Node("a", "noop", config={"x": True})))
    assert found.changed[0].changes == (Difference("/config/x", 1, True),)


def test_what_is_too_much_is_counted():
    big = {str(n): n for n in range(MAX_CHANGES + 5)}
    found = revision(_flow(d.Node("a", "noop")), _flow(d.Node("a", "noop", config={"x": 0, **big})))
    assert len(found.changed[0].changes) == 1  # config as a whole came up
    found = revision(_flow(d.Node("a", "noop", config={"x": 0})), _flow(d.Node("a", "noop", config={"x": 0, **big})))
    assert (len(found.changed[0].changes), found.more) == (MAX_CHANGES, True)
    assert lines(found)[-1] == "… and more"


@given(JSON, JSON)
def test_equal_configs_and_only_those_have_no_changes(one: Any, other: Any):
    def flow(value: Any) -> d.Definition:
        return _flow(d.Node("a", "noop", config={"value": value}))

    assert revision(flow(one), flow(one)).is_empty
    same = d.encode(flow(one)) == d.encode(flow(other))
    assert revision(flow(one), flow(other)).is_empty is same or one == other  # the order of names is no difference
