"""Cancel: cooperative where the definition says what to clean up, and at once where it does not."""

from __future__ import annotations

from . import commands as c
from . import events as e
from .draft import Draft
from .flow import let_in_all
from .state import ACTIVE, CANCELLING, DONE


def cancel(draft: Draft, command: c.Cancel) -> None:
    """Cancel what is active, then run the clean-up branches of all that had started. Without any, the run is closed."""
    if draft.state.closed or draft.state.status == CANCELLING:
        return
    asked = {"actor": command.actor, "reason": command.reason}
    if not _has_to_clean_up(draft):
        draft.cancel_all()
        draft.emit(e.ExecutionCancelled, **asked)
        return
    draft.emit(e.ExecutionCancelRequested, **asked)
    draft.cancel_all()
    let_in_all(draft)


def _has_to_clean_up(draft: Draft) -> bool:
    runs = (draft.state.runs.get(edge.source) for edge in draft.graph.leads)
    return any(run is not None and (run.status == DONE or run.status in ACTIVE) for run in runs)
