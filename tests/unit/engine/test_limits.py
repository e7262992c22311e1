"""Limits of a run in the decider: what stops before it starts, and warnings that are given once."""

from __future__ import annotations

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import decide
from linkflow.domain.limits import LimitReached, Limits, Use, near, too_much
from linkflow.domain.outcomes import Iterate
from tests.unit.engine.support import AT, Run, done, fails, flow, iterates

FEW = Limits(events=100, pending_nodes=10, signals=10, history_bytes=1000, payload_bytes=100)


def _iterate(run: Run, count: int, concurrency: int) -> None:
    command = c.Complete("loop", 1, Iterate(tuple(range(count)), concurrency))
    decide(run.graph, run.definition.settings, run.state, (command,), AT, limits=FEW)


def test_a_fan_out_over_the_limit_stops_before_it_starts():
    run = Run.given(flow("t > loop", "loop:each > a"))
    with pytest.raises(LimitReached) as reached:
        _iterate(run, 500_000, 0)
    assert reached.value.use == Use("pending_nodes", 500_000, 10)
    error = too_much(reached.value.use)
    assert error is not None
    assert (error.code, error.retryable) == ("pending_limit", False)


@pytest.mark.parametrize(("count", "concurrency"), [(10, 0), (500, 10)])
def test_one_within_it_goes_on(count: int, concurrency: int):
    _iterate(Run.given(flow("t > loop", "loop:each > a")), count, concurrency)


def test_nothing_is_near_at_first_and_each_is_named_from_four_fifths_on():
    run = Run.given(flow("t > a"))
    assert list(near(run.state, FEW, 799, 79)) == []
    assert list(near(run.state, FEW, 800, 80)) == [Use("history_bytes", 800, 1000), Use("payload_bytes", 80, 100)]
    fanned = Run.given(flow("t > loop", "loop:each > a"), iterates("loop", *range(7), concurrency=7))
    assert list(near(fanned.state, FEW, 0)) == [Use("pending_nodes", 8, 10)]


@pytest.mark.parametrize(("use", "code"), [
    (Use("events", 101, 100), "history_limit"), (Use("history_bytes", 1001, 1000), "history_bytes_limit"),
    (Use("pending_nodes", 11, 10), "pending_limit"), (Use("events", 100, 100), ""), (Use("signals", 11, 10), ""),
    (Use("payload_bytes", 101, 100), ""),
])  # fmt: skip
def test_what_is_too_much(use: Use, code: str):
    error = too_much(use)
    assert (error.code if error else "") == code


def test_a_warning_is_given_once_for_each_limit():
    run = Run.given(flow("t > a > b"))
    assert run.when(c.Warn("events", 80, 100), done("a")) == ["LimitApproached", "NodeCompleted a", "NodeScheduled b"]
    assert run.when(c.Warn("events", 90, 100), c.Warn("signals", 8, 10)) == ["LimitApproached"]
    assert [(said.limit, said.value, said.max, said.at) for said in run.state.warnings] == [
        ("events", 80, 100, AT), ("signals", 8, 10, AT),
    ]  # fmt: skip
    run.when(fails("b"))
    assert run.when(c.Warn("history_bytes", 8, 10)) == []
    assert run.last(e.LimitApproached).limit == "signals"
