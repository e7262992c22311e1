"""A run's own clock: its timeout counts the time in which something is done, not that in which all only waits."""

from __future__ import annotations

from . import events as e
from .draft import Draft
from .state import BACKOFF, CALLING, PAUSED, SCHEDULED

_COUNTS = (SCHEDULED, BACKOFF, CALLING)


def keep_time(draft: Draft) -> None:
    """After a decision: stop the clock of a run that is paused or waits for the world alone, or set it going again.

    One that has run out already is left to its timer.
    """
    state, settings = draft.state, draft.settings
    if not settings.timeout or settings.timeout_counts_waiting or state.closed:
        return
    goes = state.status != PAUSED and any(run.status in _COUNTS for run in state.runs.values())
    if goes and state.timeout_left:
        draft.emit(e.TimeoutResumed, timeout_at=draft.at + state.timeout_left)
    elif not goes and state.timeout_at > draft.at:
        draft.emit(e.TimeoutStopped, left=state.timeout_at - draft.at)
