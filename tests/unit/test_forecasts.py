"""A forecast that several tasks of a run share."""

from __future__ import annotations

from linkflow.domain import commands as c
from linkflow.domain import definition as d
from linkflow.domain.decider import start
from linkflow.domain.outcomes import Completed, Iterate
from linkflow.domain.state import State
from linkflow.nodes.registry import Registry
from linkflow.services.worker.forecasts import MOST, Forecasts
from linkflow.services.worker.plans import Plan

NODES = (
    d.Node("t", "trigger_manual"),
    d.Node("loop", "loop", config={"items": "{{ trigger }}"}),
    d.Node("each", "transform", config={"fields": {"n": 1}}),
)
EDGES = (d.Edge("a", "t", "loop"), d.Edge("b", "loop", "each", "each"))
PLAN = Plan(d.Definition("w", NODES, EDGES), "t", Registry.load())
ITEMS = 100


def begun(id: str = "0197a000-0000-7000-8000-000000000001", items: int = ITEMS) -> State:
    command = c.Start(id, "w", "wf", 1, "t", None, mode="api", actor="me")
    state = start(PLAN.graph, PLAN.definition, command, 1000).state
    session = Forecasts().of(PLAN, state, 1000)
    session.complete(c.Complete("loop", 1, Iterate(list(range(items)), concurrency=items)), 1000)
    return session.state


def test_tasks_of_one_state_share_a_forecast_and_leave_the_state_alone() -> None:
    forecasts, state = Forecasts(), begun()
    first = forecasts.of(PLAN, state, 2000)
    first.complete(c.Complete("each[0]", 1, Completed({"n": 1})), 2000)
    again = forecasts.of(PLAN, state, 2000)
    assert again is first
    assert again.state.version > state.version
    again.complete(c.Complete("each[1]", 1, Completed({"n": 1})), 2000)
    assert again.state.loops["loop"].ended == 2
    assert state.loops["loop"].ended == 0


def test_another_state_of_the_run_begins_anew() -> None:
    forecasts, state = Forecasts(), begun()
    first = forecasts.of(PLAN, state, 2000)
    assert forecasts.of(PLAN, state.copy(), 2000) is not first


def test_a_dropped_one_begins_anew() -> None:
    forecasts, state = Forecasts(), begun()
    first = forecasts.of(PLAN, state, 2000)
    forecasts.drop(state.execution_id)
    forecasts.drop("unknown")
    assert forecasts.of(PLAN, state, 2000) is not first


def test_small_states_and_too_many_runs_are_not_kept() -> None:
    forecasts, small = Forecasts(), begun(items=3)
    assert forecasts.of(PLAN, small, 2000) is not forecasts.of(PLAN, small, 2000)
    states = [begun(f"0197a000-0000-7000-8000-0000000000{n:02}") for n in range(MOST + 1)]
    made = [forecasts.of(PLAN, state, 2000) for state in states]
    assert forecasts.of(PLAN, states[-1], 2000) is made[-1]
    assert forecasts.of(PLAN, states[0], 2000) is not made[0]
