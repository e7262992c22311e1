"""What a history says of each node run as it stands now: the material that a fork keeps or drops."""

from __future__ import annotations

from collections.abc import Iterable

from . import events as e
from .graph import Graph
from .state import key_of, split_key


class LoopPast:
    """A loop's latest round. `turns` has each turn of a while loop, with the attempt that it came from."""

    __slots__ = ("begun", "ended", "items", "scheduled", "started", "turns")

    def __init__(self, scheduled: e.NodeScheduled, begun: e.LoopStarted | e.WhileStarted) -> None:
        self.scheduled = scheduled
        self.turns: dict[int, tuple[e.NodeScheduled, e.LoopItemsStarted]] = {}
        self.begun = begun
        self.items = e.LoopItemsStarted(event_id=begun.event_id, at=begun.at, node=begun.node, first=0, count=0)
        self.started = 0
        self.ended: dict[int, e.LoopItemCompleted] = {}


class Past:
    """`scheduled` and `done` hold each node run's latest events, `loops` the rounds of loops, all by key.

    Runs inside a loop that began anew (its node was retried) are those of the new round.
    """

    def __init__(self, events: Iterable[e.Event], graph: Graph) -> None:
        self.scheduled: dict[str, e.NodeScheduled] = {}
        self.done: dict[str, e.NodeCompleted] = {}
        self.loops: dict[str, LoopPast] = {}
        self.signals: dict[str, e.SignalReceived] = {}
        self._graph = graph
        for event in events:
            self._tell(event)

    def _tell(self, event: e.Event) -> None:
        if isinstance(event, e.NodeScheduled):
            self.scheduled[event.node] = event
            self.done.pop(event.node, None)
        elif isinstance(event, e.NodeCompleted):
            self.done[event.node] = event
        elif isinstance(event, e.NodeSkipped):
            self.scheduled.pop(event.node, None)
            self.done.pop(event.node, None)
        elif isinstance(event, e.LoopStarted | e.WhileStarted):
            if event.node in self.loops:
                self._forget_inside(event.node)
            self.loops[event.node] = LoopPast(self.scheduled[event.node], event)
        elif isinstance(event, e.LoopItemsStarted):
            loop = self.loops[event.node]
            loop.items, loop.started = event, event.first + event.count
            if isinstance(loop.begun, e.WhileStarted):
                loop.turns[event.first] = self.scheduled[event.node], event
        elif isinstance(event, e.LoopItemCompleted):
            self.loops[event.node].ended[event.index] = event
        elif isinstance(event, e.SignalReceived):
            self.signals[event.signal_id] = event

    def _forget_inside(self, key: str) -> None:
        loop, outer = split_key(key)
        for found in (self.scheduled, self.done, self.loops):
            for inner in [inner for inner in found if self._is_inside(inner, loop, outer)]:
                del found[inner]

    def _is_inside(self, key: str, loop: str, outer: tuple[int, ...]) -> bool:
        id, path = split_key(key)
        node = self._graph.nodes.get(id)
        return node is not None and loop in node.path and path[: len(outer)] == outer and len(path) > len(outer)

    def completed(self, ids: Iterable[str], path: tuple[int, ...]) -> list[str]:
        """Keys of the node runs of one scope that completed."""
        return [key for key in (key_of(id, path) for id in ids) if key in self.done and key in self.scheduled]
