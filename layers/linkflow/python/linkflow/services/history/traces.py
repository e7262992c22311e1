"""A run that is over is the first span of its trace."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow import tracing
from linkflow.domain.state import State

from .batch import Item, Written


def traced(committed: Sequence[tuple[Item, Written]]) -> None:
    """Record those that have ended."""
    for _, written in committed:
        if written.row is not None and written.row.closed_at and not written.duplicate:
            _traced(written.decision.state)


def _traced(state: State) -> None:
    """A run that another one called is linked with that."""
    trace = tracing.trace_of(state.execution_id)
    about: dict[str, str | int | float | bool] = {
        "linkflow.execution.id": state.execution_id,
        "linkflow.workspace.id": state.workspace_id,
        "linkflow.workflow.id": state.workflow_id,
        "linkflow.workflow.version": state.workflow_version,
        "linkflow.mode": state.mode,
        "linkflow.status": state.status,
    }
    links: tuple[tuple[int, int], ...] = ()
    if state.parent is not None and (above := tracing.trace_of(state.parent.execution_id)):
        links = ((above, tracing.span_of(state.parent.execution_id)),)
    start, end = tracing.ns(state.started_at), tracing.ns(state.closed_at)
    error = state.status if state.status in ("failed", "timed_out") else ""
    id = tracing.span_of(state.execution_id)
    tracing.record(
        tracing.Span(trace, id, 0, "execution", start, max(start, end), attributes=about, error=error, links=links)
    )
