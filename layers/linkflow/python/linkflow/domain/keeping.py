"""The first transition of a fork: take over what is kept of the source, then go on from there."""

from __future__ import annotations

from typing import Any

from . import commands as c
from . import events as e
from .draft import Draft
from .flow import begin_items, end_item_if_done, let_in_all
from .state import split_key

_OWN = ("event_id", "at", "kept_at")


def take_over(draft: Draft, command: c.Start, fork: c.Fork) -> None:
    """Fold the kept events, then start whatever they leave ready."""
    draft.emit(
        e.ExecutionForked, source_id=command.source_id, node=fork.node, from_version=fork.from_version,
        to_version=command.workflow_version, kept=len(fork.kept), edited=fork.edited, input=fork.input,
        reset=fork.reset, reason=fork.reason, actor=command.actor, report=fork.report,
    )  # fmt: skip
    for event in fork.kept:
        draft.emit(type(event), kept_at=event.kept_at or event.at, **_attributes(event))
    let_in_all(draft)
    _go_on_with_loops(draft)


def _attributes(event: e.Event) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__ if name not in _OWN}


def _go_on_with_loops(draft: Draft) -> None:
    """Iterations whose nodes are all kept end here, and loops begin what their concurrency has room for. Inner loops
    first: an iteration around them is not over before they are."""
    for key in reversed(list(draft.state.loops)):
        outer, loop = split_key(key)[1], draft.state.loops[key]
        for index in loop.under_way():
            end_item_if_done(draft, key, (*outer, index))
        if key in draft.state.loops:
            begin_items(draft, key)
