"""A run's node runs, folded from its events: what came in, what came out, how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct, convert

from linkflow.contracts.history import LastBeat
from linkflow.domain.payloads import Part
from linkflow.domain.state import Loop, split_key

_ENDS = {
    "NodeCompleted": "completed",
    "NodeFailed": "failed",
    "NodeTimedOut": "failed",
    "NodeCancelled": "cancelled",
    "NodeSkipped": "skipped",
}
_WAITS = {
    "TimerStarted": "waiting",
    "WaitStarted": "waiting",
    "ApprovalRequested": "waiting",
    "LoopStarted": "waiting",
    "LoopItemsStarted": "waiting",
    "ChildStarted": "waiting",
    "NodeRetryScheduled": "retrying",
    "NodeHeld": "scheduled",
}

Parts = tuple[Part, ...]

PUBLIC_STATUS = {"held": "scheduled", "backoff": "retrying", "looping": "waiting", "calling": "waiting"}
"""Outside names of the state's own; the others are the same."""


class NodeView(Struct):
    """One node run. Times are ms since the epoch, 0 means not yet. `sources` are keys of the runs its input is from."""

    key: str
    status: str = "scheduled"
    attempt: int = 1
    scheduled_at: int = 0
    started_at: int = 0
    completed_at: int = 0
    duration_us: int = 0
    sources: tuple[str, ...] = ()
    output: Any = None
    error: Any = None
    child: str = ""
    logs: tuple[str, ...] = ()
    heartbeat: LastBeat | None = None
    kept: bool = False
    """A fork took its result over; the times are its own."""
    by: str = ""
    """What stood in for it: ``pinned`` or ``mocked``; empty where it ran, or is disabled."""
    edited: bool = False
    input: Any = None
    """What a fork gave it in place of its own input, where `edited`."""
    steps: list[dict[str, Any]] = []
    """What it did inside, as recorded."""


class NodeRuns:
    """The fold. Feed it stored events in order, then read `views` (in the order of their coming up) and `input_of`."""

    def __init__(self) -> None:
        self.views: dict[str, NodeView] = {}
        self._trigger_node = ""
        self._trigger: Any = None
        self._items: dict[str, Loop] = {}
        self._turns: dict[str, Any] = {}

    def feed(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            kind = event["type"]
            if kind == "ExecutionStarted":
                self._start(event)
            elif "node" in event and not kind.startswith("Execution"):
                self._node_event(kind, event)

    def beat(self, beats: Iterable[LastBeat]) -> None:
        """The latest heartbeats of attempts under way."""
        for beat in beats:
            if beat.node_key in self.views:
                self.views[beat.node_key].heartbeat = beat

    def input_of(self, view: NodeView) -> Any:
        """What the node was given: one source's output, or outputs by source id; a loop hands its item in."""
        if view.status == "skipped":
            return None
        if view.edited:
            return view.input
        if not view.sources:
            return self._trigger
        if len(view.sources) == 1:
            return self._handed(view.key, view.sources[0])
        return {split_key(source)[0]: self._handed(view.key, source) for source in view.sources}

    def _handed(self, key: str, source: str) -> Any:
        path, outer = split_key(key)[1], split_key(source)[1]
        loop = self._items.get(source)
        if loop is not None and len(path) == len(outer) + 1 and path[-1] < loop.total:
            return loop.item(path[-1])
        return self.views[source].output if source in self.views else None

    def _result(self, event: dict[str, Any]) -> Any:
        """What a turn of a while loop came to: the next one is given that."""
        if error := event.get("error"):
            return {"error": error}
        outputs = {split_key(key)[0]: self.views[key].output for key in event.get("sources", ())}
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs or None

    def _start(self, event: dict[str, Any]) -> None:
        node, at = event["trigger_node"], event["at"]
        self._trigger_node, self._trigger = node, event.get("trigger")
        # The trigger has no events of its own: its run is the start itself.
        self.views[node] = NodeView(
            node, "completed", scheduled_at=at, started_at=at, completed_at=at, output=self._trigger
        )

    def _node_event(self, kind: str, event: dict[str, Any]) -> None:
        key, at = event["node"], event.get("kept_at") or event["at"]
        view = self.views.setdefault(key, NodeView(key, scheduled_at=at))
        view.attempt = event.get("attempt", view.attempt)
        if kind == "NodeScheduled" and key in self._turns:
            view.status = "scheduled"  # a while loop asks its condition again
        elif kind == "NodeScheduled":
            self.views[key] = NodeView(
                key, attempt=view.attempt, scheduled_at=at, sources=tuple(event.get("sources", ())), error=view.error,
                heartbeat=view.heartbeat, steps=view.steps,
                edited=event.get("edited", False), input=event.get("input"),
            )  # fmt: skip
        elif kind == "StepCompleted":
            view.steps.append(event)
        elif kind == "NodeStarted":
            view.status, view.started_at = "running", at
        elif kind in _ENDS:
            self._end(view, kind, event)
            if event.get("final", True):
                self._turns.pop(key, None)
        elif kind in _WAITS:
            view.status, view.started_at = _WAITS[kind], view.started_at or at
            view.child = event.get("execution_id", view.child)
            if kind == "LoopStarted":
                self._items[key] = Loop(event.get("items", []), parts=convert(event.get("parts", ()), Parts))
            elif kind == "LoopItemsStarted" and key in self._turns:
                self._items[key].items.append(self._turns[key])
        elif kind == "WhileStarted":
            self._items[key], self._turns[key] = Loop([]), self.input_of(view)
        elif kind == "LoopItemCompleted" and key in self._turns:
            self._turns[key] = self._result(event)

    @staticmethod
    def _end(view: NodeView, kind: str, event: dict[str, Any]) -> None:
        view.status, view.completed_at = _ENDS[kind], event.get("kept_at") or event["at"]
        view.kept = "kept_at" in event
        view.by = "mocked" if event.get("mocked") else "pinned" if event.get("pinned") else ""
        view.started_at = event.get("started_at") or view.started_at or view.scheduled_at
        view.duration_us = event.get("duration_us") or (view.completed_at - view.started_at) * 1000
        view.logs = tuple(event.get("logs", ())) or view.logs  # an error that was handled ends it once more
        view.output = event.get("output")
        view.error = event.get("error")
        if event.get("beat_at") or event.get("heartbeat") is not None:
            told, at = event.get("heartbeat"), event.get("beat_at") or event["at"]
            view.heartbeat = LastBeat("", view.key, view.attempt, at, told)
