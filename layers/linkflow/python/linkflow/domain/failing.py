"""What a failed attempt leads to: another attempt, another branch, a failed iteration, or a failed run."""

from __future__ import annotations

from typing import Any

from . import events as e
from .definition import ERROR, MAIN, Retry
from .draft import Draft, Path
from .evolve import error_data
from .flow import advance, begin_items, emit_scheduled
from .outcomes import Failed, NodeError
from .state import ACTIVE, CANCELLING, PAUSED, key_of
from .timing import backoff_ms

_ONCE = Retry()


def fail(draft: Draft, key: str, outcome: Failed, how: dict[str, Any]) -> None:
    """An attempt failed. Retries follow the node's policy, then the workflow's, then there is one attempt."""
    run = draft.state.runs[key]
    policy = draft.node_of(key)[0].node.retry or draft.settings.retry or _ONCE
    error = outcome.error
    tried = run.attempt - _before(draft, key)
    again = error.retryable and error.code not in policy.non_retryable and tried < policy.max_attempts
    if outcome.timed_out:
        draft.emit(
            e.NodeTimedOut, node=key, attempt=run.attempt, timeout=outcome.timed_out, error=error, final=not again,
            worker=how.get("worker", ""), heartbeat=outcome.heartbeat, beat_at=how.get("beat_at", 0),
        )  # fmt: skip
    else:
        draft.emit(
            e.NodeFailed, node=key, attempt=run.attempt, error=error, final=not again, logs=outcome.logs,
            heartbeat=outcome.heartbeat, fresh=outcome.fresh, **how,
        )  # fmt: skip
    if again:
        wait = max(backoff_ms(policy, tried, draft.chance), outcome.retry_after)
        trial = draft.state.trial
        skipped = trial is not None and trial.skip_delays and draft.state.status != PAUSED
        draft.emit(e.NodeRetryScheduled, node=key, attempt=run.attempt + 1, due_at=draft.at + wait, skipped=skipped)
        if skipped:
            emit_scheduled(draft, key, run.sources, run.attempt + 1, run.close_by)
    else:
        give_up(draft, key, error)


def _before(draft: Draft, key: str) -> int:
    """Attempts that do not count against the policy: of before a retry by hand, a while loop's that answered, and those
    that ended by calling a workflow."""
    loop = draft.state.loops.get(key)
    floor = draft.state.floor if key not in draft.graph.nodes else 0
    progress = draft.state.runs[key].progress
    called = progress.called if progress else 0
    return max(draft.state.earlier.get(key, 0), loop.attempts if loop else 0, floor, called)


def give_up(draft: Draft, key: str, error: NodeError) -> None:
    """The last attempt failed: the node's `on_error` decides."""
    node, path = draft.node_of(key)
    attempt = draft.state.runs[key].attempt
    if node.node.on_error == "stop":
        fail_scope(draft, key, path, error)
        return
    port = ERROR if node.node.on_error == "branch" else MAIN
    ports = (port,) if port == ERROR or not node.is_loop else (port, "done")
    draft.emit(e.NodeCompleted, node=key, attempt=attempt, output={"error": error_data(error)}, ports=ports)
    advance(draft, key)


def fail_scope(draft: Draft, key: str, path: Path, error: NodeError) -> None:
    """Fail what encloses the node: its iteration (and by the loop's rule the loop), or the run."""
    if not path and draft.state.status == CANCELLING:
        draft.emit(e.CleanupFailed, node=key, error=error)
        advance(draft, key)
        return
    if not path:
        draft.cancel_all()
        draft.emit(e.ExecutionFailed, error=error, node=key)
        return
    loop_key = draft.loop_key(draft.node_of(key)[0], path)
    loop = draft.state.loops[loop_key]
    if loop.on_item_error == "collect":
        draft.cancel_scope(loop_key, path)
        draft.emit(e.LoopItemCompleted, node=loop_key, index=path[-1], error=error)
        begin_items(draft, loop_key)
        return
    _cancel_iterations(draft, loop_key, path[:-1])
    inside = NodeError(
        "loop_item_failed", f"Item {path[-1]} failed: {error.message}", False,
        {"index": path[-1], "node": key, "error": error_data(error)},
    )  # fmt: skip
    draft.emit(e.NodeFailed, node=loop_key, attempt=draft.state.runs[loop_key].attempt, error=inside)
    give_up(draft, loop_key, inside)


def _cancel_iterations(draft: Draft, loop_key: str, outer: Path) -> None:
    loop = draft.state.loops[loop_key]
    for index in loop.under_way():
        for id in loop.body:
            inner = key_of(id, (*outer, index))
            run = draft.state.runs.get(inner)
            if run is not None and run.status in ACTIVE:
                draft.cancel_run(inner)
