"""What is told of runs: timelines, log lines, differences, portions of large values, statistics."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from linkflow.domain.comparison import Side, compared
from linkflow.domain.differences import differences
from linkflow.domain.errors import InvalidInput, NotFound
from linkflow.domain.loglines import lines
from linkflow.domain.portions import at_pointer, portion, preview
from linkflow.domain.statistics import bucket_of, histogram, quantile, summed
from linkflow.domain.timelines import Timelines

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def _events(*more: tuple[int, str, dict[str, Any]]) -> list[dict[str, Any]]:
    start = (0, "ExecutionStarted", {"trigger_node": "start"})
    return [
        {"event_id": place + 1, "at": at, "type": kind, **what} for place, (at, kind, what) in enumerate((start, *more))
    ]


def _spans(events: list[dict[str, Any]], key: str) -> list[tuple[str, int, int, int]]:
    drawn = Timelines()
    drawn.feed(events)
    return [(s.phase, s.start, s.end, s.attempt) for s in drawn.tracks[key].spans]


def test_a_node_run_is_queued_and_then_runs():
    done = {"node": "a", "attempt": 1, "started_at": 40, "duration_us": 9000}
    events = _events((10, "NodeScheduled", {"node": "a"}), (50, "NodeCompleted", done))
    assert _spans(events, "a") == [("queued", 10, 40, 1), ("ran", 40, 50, 1)]
    drawn = Timelines()
    drawn.feed(events)
    assert (drawn.tracks["a"].total("queued", 99), drawn.tracks["a"].total("ran", 99)) == (30, 10)


def test_a_worker_whose_clock_is_off_does_not_turn_time_round():
    for clock, until in ((-1000, 10), (9999, 50)):
        done = {"node": "a", "attempt": 1, "started_at": clock}
        events = _events((10, "NodeScheduled", {"node": "a"}), (50, "NodeCompleted", done))
        assert _spans(events, "a") == [("queued", 10, until, 1), ("ran", until, 50, 1)]


def test_retries_waits_and_what_goes_on():
    error = {"code": "x", "message": "y"}
    events = _events(
        (10, "NodeScheduled", {"node": "a"}),
        (12, "NodeStarted", {"node": "a", "attempt": 1}),
        (20, "NodeFailed", {"node": "a", "attempt": 1, "error": error, "final": False, "started_at": 12}),
        (20, "NodeRetryScheduled", {"node": "a", "attempt": 2}),
        (30, "NodeScheduled", {"node": "a", "attempt": 2}),
        (31, "TimerStarted", {"node": "a", "attempt": 2}),
    )
    assert _spans(events, "a") == [
        ("queued", 10, 12, 1), ("ran", 12, 20, 1), ("backoff", 20, 30, 2), ("queued", 30, 31, 2), ("waited", 31, 0, 2)
    ]  # fmt: skip
    drawn = Timelines()
    drawn.feed(events)
    assert drawn.tracks["a"].total("waited", 50) == 19


def test_a_run_that_was_held_and_paused():
    drawn = Timelines()
    drawn.feed([{"event_id": 1, "at": 5, "type": "ExecutionQueued", "trigger_node": "start"}])
    more = _events((30, "ExecutionPaused", {}), (40, "ExecutionResumed", {}), (60, "ExecutionTimedOut", {}))
    drawn.feed([{**event, "at": event["at"] or 20} for event in more])
    assert [(s.phase, s.start, s.end) for s in drawn.run] == [("queued", 5, 20), ("paused", 30, 40)]
    assert (drawn.started_at, drawn.closed_at) == (5, 60)


def test_log_lines_have_levels_and_failures_are_among_them():
    error = {"code": "http_500", "message": "Oh no"}
    events = _events(
        (1, "NodeCompleted", {"node": "a", "attempt": 1, "logs": ["WARNING Order: late", "ERRORS are many", "DEBUG"]}),
        (2, "NodeFailed", {"node": "b", "attempt": 2, "error": error, "logs": ["x"]}),
        (3, "NodeTimedOut", {"node": "b", "attempt": 3, "error": error}),
    )
    found = [(line.event_id, line.index, line.level, line.source, line.message) for line in lines(events)]
    assert found == [
        (2, 0, "warning", "node", "Order: late"), (2, 1, "info", "node", "ERRORS are many"), (2, 2, "info", "node", "DEBUG"),
        (3, 0, "info", "node", "x"), (3, 1, "error", "engine", "http_500: Oh no"),
        (4, 0, "error", "engine", "http_500: Oh no"),
    ]  # fmt: skip


@given(JSON, JSON)
def test_equal_values_have_no_differences_and_others_have(left: Any, right: Any):
    assert differences(left, left) == ([], False)
    same = json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)
    assert (differences(left, right)[0] == []) is same


def test_differences_name_their_places():
    found, more = differences({"a/b": [1, True], "c": 1}, {"a/b": [1, 1, 3], "d": None})
    assert [(one.path, one.before, one.after) for one in found] == [
        ("/a~1b/1", True, 1), ("/a~1b/2", UNSET, 3), ("/c", 1, UNSET), ("/d", UNSET, None)
    ]  # fmt: skip
    assert not more
    assert differences([1, 2, 3], [4, 5, 6], most=2)[1]


def test_two_runs_side_by_side():
    before = {"a": Side("completed", 1, {"n": 1}), "b": Side("failed", 3), "c": Side("completed", 1)}
    after = {"a": Side("completed", 1, {"n": 2}), "b": Side("failed", 3, duration_ms=5), "d": Side("completed", 1)}
    found = compared(before, after, (["a", "b"], ["a", "d"]))
    assert (found.same, found.only_before, found.only_after) == (("b",), ("c",), ("d",))
    assert [(one.key, one.changed, one.output[0].path) for one in found.changed] == [("a", ("output",), "/n")]
    assert found.path == (("a", "b"), ("a", "d"))


def test_portions_and_previews():
    rows = list(range(250))
    page = portion(rows, 100, 100)
    assert (page.data, page.total, page.next) == (rows[100:200], 250, 200)
    assert portion(rows, 200, 100).next is None
    assert portion({"a": 1, "b": 2, "c": 3}, 1, 1).data == {"b": 2}
    assert portion("héllo", 1, 2).data == "él"
    assert portion(7, 5, 1).data == 7
    assert at_pointer({"a/b": [{"x": 1}]}, "/a~1b/0/x") == 1
    for wrong, error in (("a", InvalidInput), ("/nope", NotFound), ("/a~1b/7", NotFound), ("/a~1b/-1", NotFound)):
        with pytest.raises(error):
            at_pointer({"a/b": [{"x": 1}]}, wrong)
    text = json.dumps(rows).encode()
    shown = preview(rows, text)
    assert (shown.type, shown.size, shown.count, shown.head) == ("array", len(text), 250, text[:500].decode())


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.lists(st.integers(0, 10**9), max_size=50))
def test_quantiles_are_right_to_within_a_bucket(left: list[int], right: list[int]):
    both = summed(histogram(left), histogram(right))
    assert both == histogram([*left, *right])
    ordered = sorted([*left, *right])
    for share in (0.5, 0.95):
        exact = ordered[max(0, -(-int(share * 100) * len(ordered) // 100) - 1)]
        found = quantile(both, share)
        assert found is not None
        assert abs(bucket_of(round(found)) - bucket_of(exact)) <= 1


def test_no_durations_have_no_quantile():
    assert quantile([], 0.5) is None
    assert quantile([4], 0.5) == 0.5
