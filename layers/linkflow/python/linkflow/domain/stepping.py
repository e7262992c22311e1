"""What becomes of steps inside a node: each is recorded once, and one that is another workflow is waited for."""

from __future__ import annotations

from . import commands as c
from . import events as e
from .draft import Draft
from .firing import current
from .flow import emit_scheduled
from .outcomes import NodeError
from .state import HELD, SCHEDULED
from .steps import MAX_STEPS, NO_PROGRESS, Calling

WORKFLOW = "workflow"
"""The kind of a step that is another workflow."""


def record(draft: Draft, command: c.Record) -> None:
    """A step was done. One that is there already, or whose attempt is over, is refused: the first record counts."""
    run, step = current(draft, command.node, command.attempt, SCHEDULED), command.step
    if run is None:
        return
    progress = run.progress or NO_PROGRESS
    if progress.has(step.id) or len(progress.steps) >= MAX_STEPS:
        return
    usage = step.usage.bounded if step.usage is not None else None
    draft.emit(
        e.StepCompleted, node=command.node, attempt=command.attempt, step=step.id, kind=step.kind, name=step.name,
        input=step.input, output=step.output, error=step.error, usage=usage, started_at=step.started_at,
        duration_us=step.duration_us, worker=command.worker,
    )  # fmt: skip


def go_on(draft: Draft, command: c.CloseChild, step: Calling, error: NodeError | None) -> None:
    """The workflow that was a step has closed: the node goes on in another attempt, which finds what came of it."""
    key, run = command.node, draft.state.runs[command.node]
    draft.emit(
        e.StepCompleted, node=key, attempt=run.attempt, step=step.step, kind=WORKFLOW, name=step.name,
        output=None if error else command.result, error=error, started_at=step.at,
        duration_us=(draft.at - step.at) * 1000,
    )  # fmt: skip
    if draft.state.status in HELD:
        draft.emit(e.NodeHeld, node=key, attempt=run.attempt + 1)
    else:
        emit_scheduled(draft, key, run.sources, run.attempt + 1, run.close_by)
