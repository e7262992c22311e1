"""What a run came to, told from its events: the material of tests and of what is saved as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from linkflow.domain.state import split_key

_CLOSING = {
    "ExecutionCompleted": "completed",
    "ExecutionFailed": "failed",
    "ExecutionTimedOut": "timed_out",
    "ExecutionCancelled": "cancelled",
    "ExecutionTerminated": "terminated",
}
_WAITING = {
    "WaitStarted": "for the event {name!r}",
    "ApprovalRequested": "for people's decision",
    "TimerStarted": "until a date",
    "ChildStarted": "for a sub-workflow",
}
_TIMED_OUT = {"code": "execution_timeout", "message": "The run took longer than its timeout."}


class Came(Struct):
    """What one attempt came to: an output by these `outputs`, or an error. `by` is ``mocked`` or ``pinned`` where
    something stood in for the node."""

    output: Any = None
    outputs: tuple[str, ...] = ()
    error: dict[str, Any] | None = None
    by: str = ""


class Ran(Struct):
    """One node run: its attempts, and how it stands. `waits` says what for, where it does."""

    key: str
    status: str = "scheduled"
    attempts: list[Came] = []
    output: Any = None
    outputs: tuple[str, ...] = ()
    error: dict[str, Any] | None = None
    waits: str = ""

    @property
    def id(self) -> str:
        return split_key(self.key)[0]

    @property
    def has_run(self) -> bool:
        return self.status not in ("skipped", "scheduled")


class Facts(Struct):
    """A run. `runs` are node runs by key in the order of their coming up, without the trigger."""

    status: str = "running"
    result: Any = None
    error: dict[str, Any] | None = None
    node: str = ""
    trigger_node: str = ""
    trigger: Any = None
    runs: dict[str, Ran] = {}

    def of(self, id: str) -> list[Ran]:
        """The runs of a node, or the one with this key."""
        if id in self.runs:
            return [self.runs[id]]
        return [run for run in self.runs.values() if run.id == id]

    @property
    def path(self) -> list[str]:
        """Nodes that ran, by id."""
        return list(dict.fromkeys(run.id for run in self.runs.values() if run.has_run))


def facts_of(events: Iterable[Mapping[str, Any]]) -> Facts:
    """The facts that stored (flat) events tell."""
    facts = Facts()
    for event in events:
        kind = event["type"]
        if kind == "ExecutionStarted":
            facts.trigger_node, facts.trigger = event["trigger_node"], event.get("trigger")
        elif kind == "ExecutionRetried":
            facts.status, facts.error, facts.node = "running", None, ""
        elif kind in _CLOSING:
            _close(facts, kind, event)
        elif kind.startswith(("Execution", "Loop")) or "node" not in event:
            continue
        else:
            key = event["node"]
            _node(facts.runs.setdefault(key, Ran(key)), kind, event)
    return facts


def _close(facts: Facts, kind: str, event: Mapping[str, Any]) -> None:
    facts.status = _CLOSING[kind]
    facts.result = event.get("result")
    facts.error = _TIMED_OUT if kind == "ExecutionTimedOut" else event.get("error")
    facts.node = event.get("node", "")


def _node(run: Ran, kind: str, event: Mapping[str, Any]) -> None:
    by = "mocked" if event.get("mocked") else "pinned" if event.get("pinned") else ""
    if kind == "NodeSkipped":
        run.status = "skipped"
    elif kind == "NodeScheduled":
        run.status, run.waits = "scheduled", ""
    elif kind in ("NodeFailed", "NodeTimedOut"):
        run.status, run.error, run.waits = "failed", event["error"], ""
        run.attempts.append(Came(error=event["error"], by=by))
    elif kind == "NodeCompleted":
        outputs = tuple(event.get("ports", ("main",)))
        handled = run.status == "failed"  # the node's `on_error` made an output of the error
        run.status, run.output, run.outputs, run.waits = "completed", event.get("output"), outputs, ""
        if not handled:
            run.error = None
            run.attempts.append(Came(run.output, outputs, by=by))
    elif kind == "NodeCancelled":
        run.status = "cancelled"
    elif kind in _WAITING:
        run.status, run.waits = "waiting", _WAITING[kind].format(name=event.get("name", ""))
    elif kind in ("NodeStarted", "WhileStarted"):
        run.status = "running"
