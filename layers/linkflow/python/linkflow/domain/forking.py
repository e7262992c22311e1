"""Planning a fork: what a new run keeps of its source, and what it runs again. Pure.

Kept are completed node runs that are not behind the node it goes on from, in the old wiring or in the new. Inside an
iteration the loop is opened again: it keeps its other ended iterations, and what else had completed in this one.
Whatever failed, was cancelled or waits runs again; what was skipped is decided anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from . import commands as c
from . import events as e
from .comparing import OpenLoop, Plan, Report, compare
from .decider import Decision, decide
from .definition import Definition
from .errors import InvalidInput, Problem
from .evolve import fold
from .graph import Graph, GraphNode, reachable
from .past import LoopPast, Past
from .state import State, key_of, new, split_key

_replace = msgspec.structs.replace
FORK = "fork"
Path = tuple[int, ...]


class Ask(Struct, frozen=True):
    """From which node (key) on, and with which input if `edited`. `version` is that of the definition it goes by.

    Results of `stale` nodes and of all behind them are not kept. With `on_the_way` what leads to the node may have to
    run first.
    """

    node: str
    version: int
    edited: bool = False
    input: Any = None
    reset: bool = False
    reason: str = ""
    stale: tuple[str, ...] = ()
    on_the_way: bool = False


class Planned(Struct, frozen=True):
    """The fork's command with its trigger data, what it comes to, and the source's state."""

    fork: c.Fork
    trigger: Any
    plan: Plan
    source: State


def plan(execution_id: str, events: Sequence[e.Event], before: Definition, after: Definition, ask: Ask) -> Planned:
    """Plan the fork of a history. `before` is the definition it went by, `after` the one that the fork goes by.

    Raises `InvalidInput` for a node that is not there, or that what is kept does not lead to.
    """
    state = fold(execution_id, events)
    if state.trigger_node not in {node.id for node in after.nodes}:
        raise _refusal("no_trigger", f"Version {ask.version} has no node {state.trigger_node!r} to start from.")
    graphs = Graph(before, state.trigger_node), Graph(after, state.trigger_node)
    keeper = _Keeper(Past(events, graphs[0]), *graphs, ask)
    kept = keeper.keep(state)
    fork = c.Fork(ask.node, state.workflow_version, kept, ask.edited, ask.input, ask.reset, ask.reason)
    trigger = state.trigger
    if ask.edited and ask.node == state.trigger_node:  # the trigger's input is the trigger data
        fork, trigger = _replace(fork, edited=False, input=None), ask.input
    if ask.version != state.workflow_version:
        fork = _replace(fork, report=keeper.report(before, after))
    start = c.Start(
        execution_id, state.workspace_id, state.workflow_id, ask.version, state.trigger_node, trigger, FORK, fork=fork,
        pins=state.goes_by_pins,
    )  # fmt: skip
    # The fork's first transition, with room for all that is ready.
    settings = _replace(after.settings, max_parallel=0)
    forecast = decide(graphs[1], settings, new(execution_id), (start,), state.at)
    if not ask.on_the_way:
        _check(forecast, state, ask, keeper.reached)
    return Planned(fork, trigger, _told(graphs[1], forecast, fork, keeper), state)


def _check(forecast: Decision, state: State, ask: Ask, reached: bool) -> None:
    if ask.node == state.trigger_node:
        return
    fresh = [event for event in forecast.events if not event.kept_at]
    if any(isinstance(event, e.NodeScheduled) and event.node == ask.node for event in fresh):
        return
    if any(isinstance(event, e.NodeSkipped) and event.node == ask.node for event in fresh):
        raise _refusal("not_on_the_way", f"Nothing leads to {ask.node!r}: what is kept takes another way.")
    if not reached:
        message = f"The run never reached {ask.node!r}, and what it has done does not give the node its input."
        raise _refusal("never_reached", f"{message} Fork from an earlier node.")


def _told(graph: Graph, forecast: Decision, fork: c.Fork, keeper: _Keeper) -> Plan:
    kept = tuple(
        event.node for event in fork.kept if isinstance(event, e.NodeCompleted) and event.node not in keeper.inside
    )
    skipped = {event.node for event in forecast.events if isinstance(event, e.NodeSkipped)}
    standing = {*kept, graph.trigger}
    top = [id for id in graph.top if id not in standing]
    return Plan(
        kept,
        tuple(id for id in top if id not in skipped),
        tuple(id for id in top if id in skipped),
        tuple(keeper.opened),
        fork.report,
    )


class _Keeper:
    """Chooses the events of a source that its fork keeps."""

    def __init__(self, past: Past, before: Graph, after: Graph, ask: Ask) -> None:
        self._past = past
        self._before = before
        self._after = after
        self._ask = ask
        self._events: list[e.Event] = []
        self._keys: set[str] = set()
        self.inside: set[str] = set()
        """Keys in iterations that have ended."""
        self._dropped: list[str] = []
        self.opened: list[OpenLoop] = []
        self.node, self.path = self._target()
        self._stale = {behind for id in ask.stale for behind in self._behind(id)}
        self.reached = ask.node in past.scheduled

    def _target(self) -> tuple[GraphNode, Path]:
        id, path = (self._ask.node, ()) if self._ask.node in self._after.nodes else split_key(self._ask.node)
        node = self._after.nodes.get(id)
        if node is None:
            known = id in self._before.nodes
            where = f"version {self._ask.version} of the workflow" if known else "the workflow"
            raise _refusal("unknown_node", f"There is no node {self._ask.node!r} in {where}.")
        if node.cleanup:
            raise _refusal("unknown_node", f"{id!r} cleans up after a cancel: fork from a node of the ordinary flow.")
        if len(path) != len(node.path):
            if not node.path:
                raise _refusal("unknown_node", f"{id!r} is in no loop: name it without an iteration.")
            inside = ",".join("0" for _ in node.path)
            loops = " and ".join(repr(loop) for loop in node.path)
            raise _refusal("unknown_node", f"{id!r} runs inside {loops}: name the iteration, as in {id}[{inside}].")
        if path and not self._same_place(id):
            raise _refusal("unknown_node", f"{id!r} is in another place in version {self._ask.version}.")
        return node, path

    def keep(self, source: State) -> tuple[e.Event, ...]:
        """The kept events in their order."""
        if self.node.id != self._after.trigger:
            self._spine((), (None, *self.node.path))
        waiting = {signal.id for signal in source.signals}
        self._events += [event for id, event in self._past.signals.items() if id in waiting]
        return tuple(sorted(self._events, key=lambda event: event.event_id))

    def _spine(self, path: Path, loops: tuple[str | None, ...]) -> None:
        """A scope that holds the target: the top level, or the target's iteration of the loops around it."""
        inner = loops[1] if len(loops) > 1 else None
        behind = self._behind(inner or self.node.id)
        self._keep_scope(loops[0], path, without={*behind, inner or self.node.id})
        if inner is not None:
            self._open(inner, path, loops)

    def _open(self, id: str, path: Path, loops: tuple[str | None, ...]) -> None:
        """Open a loop that the target is in."""
        key, index = key_of(id, path), self.path[len(path)]
        loop = self._past.loops.get(key)
        if loop is None or index >= loop.started:
            raise _refusal("never_reached", f"The run never began iteration {index} of {key!r}.")
        ended = {i: item for i, item in loop.ended.items() if i != index and self._stands(item)}
        started = _enough(loop, ended, index)
        # One event stands for all that began iterations: an ended one may come before a later one that began.
        scheduled, begins = loop.scheduled, [_replace(loop.items, event_id=loop.begun.event_id, count=started, first=0)]
        if isinstance(loop.begun, e.WhileStarted):  # later turns follow from this one, as this one from those before
            started, scheduled = index + 1, loop.turns[index][0]
            begins = [loop.turns[turn][1] for turn in range(started)]
            ended = {i: item for i, item in ended.items() if i < index}
            if len(ended) < index:
                raise _refusal("not_on_the_way", f"An earlier turn of {key!r} ended in a node that is gone.")
        body = self._after.body.get(id, ())
        self._events.append(_replace(scheduled, event_id=loop.scheduled.event_id, start_by=0, close_by=0))
        self._events.append(_replace(loop.begun, body=body))
        self._keys.add(key)
        self._events += begins
        for other in range(started):
            if other == index:
                continue
            if other not in ended:
                self._keep_scope(id, (*path, other))
                continue
            self._events.append(ended[other])
            if ended[other].error is None:
                self.inside.update(self._keep_scope(id, (*path, other)))
        self.opened.append(OpenLoop(key, len(ended), tuple(i for i in range(started) if i not in ended)))
        self._spine((*path, index), loops[1:])

    def _keep_scope(self, loop: str | None, path: Path, without: Iterable[str] = ()) -> list[str]:
        """Keep what completed in one scope, without some nodes; returns the keys."""
        kept: list[str] = []
        ids = self._before.body.get(loop, ()) if loop else self._before.top
        for key in self._past.completed(ids, path):
            id = split_key(key)[0] if path else key
            if id in without or id in self._stale:
                continue
            if not self._same_place(id):
                self._dropped.append(key)
                continue
            kept.append(key)
            self._events.append(_replace(self._past.scheduled[key], start_by=0, close_by=0))
            self._events.append(self._past.done[key])
        self._keys.update(kept)
        return kept

    def _behind(self, id: str) -> set[str]:
        """Nodes of the same scope that something leads to from `id`, in the old wiring or in the new."""
        found: set[str] = set()
        for graph in (self._before, self._after):
            if id in graph.nodes:
                found |= reachable((id,), {known: node.outgoing for known, node in graph.nodes.items()})
        return found

    def _same_place(self, id: str) -> bool:
        old, now = self._before.nodes.get(id), self._after.nodes.get(id)
        return old is not None and now is not None and (old.path, old.cleanup) == (now.path, now.cleanup)

    def _stands(self, item: e.LoopItemCompleted) -> bool:
        """Its result is made of outputs that are kept."""
        return all(self._same_place(split_key(key)[0]) for key in item.sources)

    def report(self, before: Definition, after: Definition) -> Report:
        found = compare(before, after)
        kept = {split_key(key)[0] if key not in self._before.nodes else key for key in self._keys}
        touched = dict.fromkeys((*(change.node for change in found.changed), *found.rewired))
        return _replace(
            found, kept_although_changed=tuple(id for id in touched if id in kept), dropped=tuple(self._dropped)
        )


def _enough(loop: LoopPast, ended: dict[int, e.LoopItemCompleted], index: int) -> int:
    """How many iterations count as begun. The last ones that had not ended begin anew later, where more would be under
    way than the loop allows; one in front of an ended one cannot, and is under way beside the others."""
    started = loop.started
    under_way = started - len(ended)
    bound = loop.begun.concurrency if isinstance(loop.begun, e.LoopStarted) else 0
    while bound and under_way > bound and started - 1 not in ended:
        if started - 1 == index:
            break
        started -= 1
        under_way -= 1
    return started


def _refusal(code: str, message: str) -> InvalidInput:
    field = {"no_trigger": "/version"}.get(code, "/node")
    return InvalidInput(message, problems=[Problem(field, code, message)])
