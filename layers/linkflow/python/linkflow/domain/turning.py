"""While loops: the condition is asked, the body runs, the condition is asked again.

Each asking is an attempt of the loop's node with a number of its own, so task and fence are as for any other attempt.
"""

from __future__ import annotations

from typing import Any

from . import events as e
from .definition import DONE, MAIN
from .draft import Draft
from .failing import fail
from .flow import advance, begin_turn
from .outcomes import Failed, NodeError, Repeat

TOO_MANY = "while_too_many_iterations"


def repeat(draft: Draft, key: str, outcome: Repeat, how: dict[str, Any]) -> None:
    """The condition was evaluated. `how` tells of the attempt: when it began, how long it took, and where."""
    loop, attempt = draft.state.loops.get(key), draft.state.runs[key].attempt
    if not outcome.holds:
        _complete(draft, key)
        return
    if (loop.ended if loop else 0) >= outcome.max_iterations:
        message = f"The condition still holds after {outcome.max_iterations:,} iterations; raise `max_iterations`."
        details = {"max_iterations": outcome.max_iterations}
        fail(draft, key, Failed(NodeError(TOO_MANY, message, False, details)), how)
        return
    if loop is None:
        body = draft.graph.body.get(draft.node_of(key)[0].id, ())
        draft.emit(e.WhileStarted, node=key, attempt=attempt, body=body, on_item_error=outcome.on_item_error)
    begin_turn(draft, key)


def _complete(draft: Draft, key: str) -> None:
    """The output of a loop without a turn is what the first one would have been given."""
    state = draft.state
    loop, attempt = state.loops.get(key), state.runs[key].attempt
    results = list(loop.results.values()) if loop else []
    last = results[-1] if results else draft.keep(draft.input_of(key))
    output: dict[str, Any] = {"results": draft.keep_list(results), "count": loop.ended if loop else 0, "output": last}
    if loop and loop.errors:
        output["errors"] = loop.errors
    draft.emit(e.NodeCompleted, node=key, attempt=attempt, output=output, ports=(DONE, MAIN))
    advance(draft, key)
