"""The engine's events in the interpreter's terms, and where the two differ.

What is compared: for every run and moment, which events came, with every attribute that means something, the time, and
the tables of tasks, timers, waits, kept events and messages. These freedoms are granted, because nothing says more:

- The order of events of one moment, as far as none of them follows from another (`out_of_order`).
- The words of the engine's own errors.
- Outputs taken that no edge leads from, and the number of iterations that one event begins.
- Which of several ready nodes gets in first where `max_parallel` has not room for all: the interpreter follows.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from linkflow.domain import events as e

from .interpreter import Run
from .visit import Fact

FIELDS: dict[str, tuple[str, ...]] = {
    "ExecutionStarted": ("trigger_node", "trigger", "mode", "parent", "timeout_at", "caused_by"),
    "ErrorWorkflowRefused": ("workflow_id", "error"),
    "ExecutionCompleted": ("result",),
    "ExecutionFailed": ("error", "node"),
    "ExecutionCancelled": ("error", "node"),
    "CleanupFailed": ("node", "error"),
    "TimeoutStopped": ("left",),
    "TimeoutResumed": ("timeout_at",),
    "ExecutionRetried": ("nodes", "timeout_at"),
    "NodeScheduled": ("node", "attempt", "sources", "start_by", "close_by"),
    "NodeHeld": ("node", "attempt"),
    "NodeStarted": ("node", "attempt", "timeout_at", "beat_by"),
    "NodeCompleted": ("node", "attempt", "output", "ports", "pinned", "signal_id", "answers", "respond", "mocked"),
    "NodeFailed": ("node", "attempt", "error", "final", "heartbeat", "pinned", "mocked"),
    "NodeTimedOut": ("node", "attempt", "timeout", "error", "final", "heartbeat"),
    "NodeRetryScheduled": ("node", "attempt", "due_at", "skipped"),
    "NodeCancelled": ("node", "attempt"),
    "NodeSkipped": ("node",),
    "TimerStarted": ("node", "attempt", "due_at", "output"),
    "TimerFired": ("node", "attempt", "skipped"),
    "TimerCancelled": ("node", "attempt"),
    "WaitStarted": ("node", "attempt", "name", "key", "due_at"),
    "SignalReceived": ("signal_id", "name", "key", "payload"),
    "ApprovalRequested": (
        "node", "attempt", "title", "payload", "assignees", "due_at", "escalate_at", "escalate_to",
    ),
    "ApprovalEscalated": ("node", "attempt", "assignees"),
    "ApprovalDecided": ("node", "attempt", "decision", "payload", "actor"),
    "LoopStarted": ("node", "attempt", "items", "concurrency", "on_item_error"),
    "WhileStarted": ("node", "attempt", "on_item_error"),
    "LoopItemsStarted": ("node", "index"),
    "LoopItemCompleted": ("node", "index", "sources", "error"),
    "ChildStarted": ("node", "attempt", "execution_id", "workflow_id", "wait", "close_policy", "input"),
    "ChildCompleted": ("node", "attempt", "execution_id", "result"),
    "ChildFailed": ("node", "attempt", "execution_id", "status", "error"),
}  # fmt: skip
"""Compared attributes by event; of the others their having come."""

SETTLING = ("NodeCompleted", "NodeSkipped", "NodeFailed", "NodeTimedOut", "NodeCancelled")
CLOSING = ("ExecutionCompleted", "ExecutionFailed", "ExecutionTimedOut", "ExecutionCancelled", "ExecutionTerminated")


def facts(event: e.Event, run: Run, names: Mapping[str, str]) -> list[Fact]:
    """An event as the interpreter would say it; `names` are what ids of runs and workflows are called there."""
    kind = type(event).__name__
    data = plain(msgspec.structs.asdict(event), names)
    if kind == "LoopItemsStarted":
        return [(kind, {"node": data["node"], "index": data["first"] + i}) for i in range(data["count"])]
    if kind == "NodeCompleted":
        node = data["node"].partition("[")[0]
        data["ports"] = sorted({x.source_output for x in run.plan.out(node)} & set(data["ports"]))
    if kind in ("LoopItemCompleted", "ExecutionRetried"):
        field = "sources" if kind == "LoopItemCompleted" else "nodes"
        data[field] = sorted(data[field])
    return [(kind, {name: data[name] for name in FIELDS.get(kind, ())})]


def plain(value: Any, names: Mapping[str, str]) -> Any:
    """Without ids that are nobody's business and without the words of errors."""
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        if "code" in value and "message" in value:
            details = plain(value.get("details") or {}, names)
            return {"code": value["code"], "retryable": value.get("retryable", True), "details": details}
        return {key: plain(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [plain(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value


def text(fact: Fact) -> str:
    kind, attributes = fact
    shown = {key: plain(value, {}) for key, value in attributes.items() if key in FIELDS.get(kind, ())}
    return f"{kind} {json.dumps(shown, sort_keys=True)}"


def difference(expected: Sequence[Fact], found: Sequence[Fact]) -> str:
    """Which facts one has and the other has not; empty where they agree."""
    want, have = Counter(map(text, expected)), Counter(map(text, found))
    missing, extra = list((want - have).elements()), list((have - want).elements())
    lines = [f"  only the interpreter: {line}" for line in missing] + [
        f"  only the engine:      {line}" for line in extra
    ]
    return "\n".join(lines)


def out_of_order(found: Sequence[Fact], before: set[str]) -> str:
    """What stands before something that it follows from. `before` are node runs that were settled earlier; it is kept
    up to date."""
    closed = False
    for kind, attributes in found:
        node = attributes.get("node", "")
        if closed and kind not in ("ExecutionRetried", "ErrorWorkflowRefused"):
            return f"{kind} {node} stands behind the run's end"
        closed = kind in CLOSING or (closed and kind == "ErrorWorkflowRefused")
        if kind == "NodeScheduled":
            before.discard(node)
        for source in attributes.get("sources", ()) if kind in ("NodeScheduled", "LoopItemCompleted") else ():
            around = _scope(node)[:-1] == _scope(source) and len(_scope(node)) > len(_scope(source))
            if source not in before and not around:
                return f"{kind} {node} stands before {source} was settled"
        if kind in SETTLING and attributes.get("final", True):
            before.add(node)
    return ""


def _scope(key: str) -> tuple[str, ...]:
    return tuple(key.partition("[")[2].rstrip("]").split(",")) if "[" in key else ()
