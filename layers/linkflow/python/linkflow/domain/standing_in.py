"""What stands in for nodes in a run that people try: mocks, pinned errors, and the refusal of unmocked effects."""

from __future__ import annotations

from . import events as e
from .draft import Draft
from .failing import fail, fail_scope, give_up
from .firing import current
from .flow import advance, resume_scan
from .graph import GraphNode
from .outcomes import Failed, NodeError
from .passing import passed_ports
from .state import SCHEDULED
from .trial import Answer


def stand_in(draft: Draft) -> None:
    """Settle every attempt that came due and does not run, and what follows from it. The others are left to workers."""
    while draft.stand_ins and not draft.state.closed:
        key, attempt = draft.stand_ins.popleft()
        if current(draft, key, attempt, SCHEDULED) is not None:
            _settle(draft, key, attempt)
            resume_scan(draft)


def _settle(draft: Draft, key: str, attempt: int) -> None:
    planned, path = draft.node_of(key)
    trial, node = draft.state.trial, planned.node
    answer = trial.answer(key, node.id, path, attempt) if trial is not None else None
    if answer is not None:
        _answer(draft, planned, key, attempt, answer)
    elif node.pinned_error is not None:
        draft.emit(e.NodeFailed, node=key, attempt=attempt, error=node.pinned_error, pinned=True)
        give_up(draft, key, node.pinned_error)
    elif trial is not None and node.id in trial.blocked:
        message = f"{key!r} ({node.type}) may act outside, and nothing stands in for it: give it a mock, or allow it."
        error = NodeError("not_mocked", message, False)
        draft.emit(e.NodeFailed, node=key, attempt=attempt, error=error, mocked=True)
        fail_scope(draft, key, (), error)  # not by the node's own rule: a test must not go on from here


def _answer(draft: Draft, planned: GraphNode, key: str, attempt: int, answer: Answer) -> None:
    if answer.error is not None:
        fail(draft, key, Failed(answer.error), {"mocked": True})
        return
    ports = answer.outputs or passed_ports(planned, answer.output)
    draft.emit(
        e.NodeCompleted, node=key, attempt=attempt, output=draft.keep(answer.output), ports=ports, mocked=True
    )  # fmt: skip
    advance(draft, key)
