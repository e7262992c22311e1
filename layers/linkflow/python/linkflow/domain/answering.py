"""Error workflows: which failures of a run another workflow is started for, and what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from . import events as e
from .decider import Decision
from .definition import Definition
from .evolve import TIMED_OUT, error_data
from .ids import derived_id, shard_of_workflow
from .state import State

ERROR_MODE = "error"


class Call(Struct, frozen=True):
    """An error workflow to be started for the failure at event `failure`. The id follows from the failure, so that
    starting it twice is starting it once."""

    execution_id: str
    failure: int
    trigger: dict[str, Any]


def in_error(state: State) -> bool:
    """Does the run belong to an error workflow's? What fails there starts no further one, so there are no loops."""
    return state.mode == ERROR_MODE or (state.parent is not None and state.parent.in_error)


def error_calls(decision: Decision, definition: Definition) -> Iterator[Call]:
    """One for each time that the run failed or timed out in this transition."""
    state, workflow = decision.state, definition.settings.error_workflow
    if not workflow or in_error(state):
        return
    for event in decision.events:
        if isinstance(event, e.ExecutionFailed | e.ExecutionTimedOut):
            text = f"{state.execution_id}/{ERROR_MODE}/{event.event_id}"
            id = derived_id(text, event.at, shard_of_workflow(workflow))
            yield Call(id, event.event_id, _trigger(state, definition, event))


def _trigger(state: State, definition: Definition, event: e.ExecutionFailed | e.ExecutionTimedOut) -> dict[str, Any]:
    execution = {
        "id": state.execution_id,
        "status": "failed" if isinstance(event, e.ExecutionFailed) else "timed_out",
        "mode": state.mode,
        "started_at": e.iso(state.started_at),
        "closed_at": e.iso(event.at),
        "error": error_data(event.error if isinstance(event, e.ExecutionFailed) else TIMED_OUT),
        "failed_node": (event.node or None) if isinstance(event, e.ExecutionFailed) else None,
        "trigger_node": state.trigger_node,
        "trigger": state.trigger,
    }
    workflow = {"id": state.workflow_id, "name": definition.name, "version": state.workflow_version}
    return {"execution": execution, "workflow": workflow}
