"""Forecasts that tasks of one run share.

A worker that is given many tasks of a run, say a loop's items, would otherwise copy and count a large state for each.
They go on from the same state, so one forecast does for all: each sees what the ones before it led to, as it would if
History had been quicker.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from linkflow.domain.decider import Session
from linkflow.domain.state import State

from .plans import Plan

LARGE = 64
"""Node runs in a state whose forecast is kept."""
MOST = 8
"""Runs."""


class _Kept(NamedTuple):
    base: State
    session: Session


class Forecasts:
    """By run, the latest used last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def of(self, plan: Plan, state: State, at_ms: int) -> Session:
        """The forecast that goes on from this very state, or a new one."""
        if len(state.runs) < LARGE:
            return Session(plan.graph, plan.definition.settings, state, at_ms)
        kept = self._kept.get(state.execution_id)
        if kept is None or kept.base is not state:
            kept = _Kept(state, Session(plan.graph, plan.definition.settings, state, at_ms))
            self._kept[state.execution_id] = kept
            if len(self._kept) > MOST:
                self._kept.popitem(last=False)
        self._kept.move_to_end(state.execution_id)
        return kept.session

    def drop(self, execution_id: str) -> None:
        """The next task begins anew."""
        self._kept.pop(execution_id, None)
