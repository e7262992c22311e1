"""When each node run was queued, ran and waited: the material of a Gantt chart, folded from a run's events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from .state import CLOSED

QUEUED, RAN, WAITED, BACKOFF, PAUSED = "queued", "ran", "waited", "backoff", "paused"

_ENDS = {
    "NodeCompleted": "completed", "NodeFailed": "failed", "NodeTimedOut": "failed", "NodeCancelled": "cancelled",
    "NodeSkipped": "skipped",
}  # fmt: skip
_WAITS = ("TimerStarted", "WaitStarted", "ApprovalRequested", "LoopStarted", "WhileStarted", "ChildStarted")
_STATUS = {QUEUED: "scheduled", RAN: "running", WAITED: "waiting", BACKOFF: "retrying"}


class Span(Struct, omit_defaults=True):
    """A stretch of time (ms since the epoch); `end` 0: it goes on."""

    phase: str
    start: int
    end: int = 0
    attempt: int = 1


class Track(Struct):
    """The spans of one node run in their order. `kept`: a fork took its result over, and the times are its source's."""

    key: str
    status: str = "scheduled"
    attempt: int = 1
    kept: bool = False
    spans: list[Span] = []

    def total(self, phase: str, now: int) -> int:
        """How long it was in a phase so far, in ms."""
        return sum((span.end or now) - span.start for span in self.spans if span.phase == phase)


class Timelines:
    """Feed it stored events in order, then read `run` (when the run as a whole was held or paused) and `tracks`."""

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.run: list[Span] = []
        self.started_at = 0
        self.closed_at = 0
        self.latest = 0

    def feed(self, events: Iterable[dict[str, Any]]) -> None:
        for event in events:
            self.latest = event["at"]
            if event["type"].startswith("Execution"):
                self._whole(event["type"], event)
            elif "node" in event:
                self._node(event["type"], event)

    def _whole(self, kind: str, event: dict[str, Any]) -> None:
        at = event["at"]
        if kind in ("ExecutionQueued", "ExecutionCollecting"):
            self.started_at = at
            self.run.append(Span(QUEUED, at))
        elif kind == "ExecutionStarted":
            self.started_at = self.started_at or at
            self._close(self.run, at)
            # The trigger has no events of its own: its run is the start itself.
            trigger = event["trigger_node"]
            self.tracks[trigger] = Track(trigger, "completed", spans=[Span(RAN, at, at)])
        elif kind == "ExecutionPaused":
            self.run.append(Span(PAUSED, at))
        elif kind == "ExecutionResumed":
            self._close(self.run, at)
        elif kind == "ExecutionRetried":
            self.closed_at = 0
        elif _closes(kind):
            self.closed_at = at
            self._close(self.run, at)

    def _node(self, kind: str, event: dict[str, Any]) -> None:
        at, key = event.get("kept_at") or event["at"], event["node"]
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track(key, spans=[])
        attempt = track.attempt = event.get("attempt", track.attempt)
        if kind in ("NodeScheduled", "NodeHeld"):
            self._turn(track, QUEUED, at, attempt)
        elif kind == "NodeStarted":
            self._turn(track, RAN, at, attempt)
        elif kind in _WAITS:
            self._turn(track, WAITED, at, attempt)
        elif kind == "NodeRetryScheduled":
            self._turn(track, BACKOFF, at, attempt)
        elif kind in _ENDS:
            self._end(track, kind, event, at, attempt)

    def _turn(self, track: Track, phase: str, at: int, attempt: int) -> None:
        self._close(track.spans, at)
        if not track.spans or track.spans[-1].phase != phase or track.spans[-1].attempt != attempt:
            track.spans.append(Span(phase, at, 0, attempt))
        else:
            track.spans[-1].end = 0  # another turn of the same
        track.status = _STATUS[phase]

    def _end(self, track: Track, kind: str, event: dict[str, Any], at: int, attempt: int) -> None:
        track.status, track.kept = _ENDS[kind], "kept_at" in event
        last = track.spans[-1] if track.spans else None
        began = event.get("started_at", 0)
        if began and last is not None and last.phase == QUEUED and not last.end:
            # Where no timeout asked for a start of its own, the end tells when it was, by the worker's clock.
            began = min(max(began, last.start), at)
            last.end = began
            track.spans.append(Span(RAN, began, at, attempt))
        else:
            self._close(track.spans, at)

    @staticmethod
    def _close(spans: list[Span], at: int) -> None:
        if spans and not spans[-1].end:
            spans[-1].end = max(at, spans[-1].start)


def _closes(kind: str) -> bool:
    name = kind.removeprefix("Execution")
    return {"TimedOut": "timed_out"}.get(name, name.lower()) in CLOSED
