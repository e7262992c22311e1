"""A transition under way: the state being folded, the events so far, and what they touched."""

from __future__ import annotations

from collections import deque
from typing import Any

from . import events as e
from .cutting import cut
from .definition import EACH, Settings
from .evolve import apply, output_of
from .graph import Graph, GraphNode
from .limits import Limits
from .payloads import Stowage, whole
from .state import ACTIVE, BACKOFF, CALLING, DONE, HELD, SCHEDULED, WAITING, NodeRun, State, key_of, split_key

Path = tuple[int, ...]
Scope = tuple[str | None, Path]
"""A loop's id and the path of one of its iterations; `TOP` is the run itself."""
TOP: Scope = (None, ())
DEFAULTS = Limits()


class Draft:
    """Emits events and folds them at once. `before` keeps each touched node run as it was, for the outbox's diff."""

    __slots__ = (
        "_active", "at", "before", "chance", "events", "graph", "letting_in", "limits", "settings", "stand_ins",
        "state", "stow",
    )  # fmt: skip

    def __init__(
        self, graph: Graph, settings: Settings, state: State, at: int, chance: float, stow: Stowage | None = None,
        limits: Limits = DEFAULTS,
    ) -> None:  # fmt: skip
        self.graph = graph
        self.settings = settings
        self.state = state
        self.at = max(at, state.at)  # clocks differ: time never runs backwards within a run
        self.chance = chance
        self.limits = limits
        self.letting_in = False
        """Nodes that were held back are being let in: one that is ready may not have had its turn yet."""
        self.stow = stow
        self.events: list[e.Event] = []
        self.before: dict[str, NodeRun | None] = {}
        self._active: dict[Scope, int] | None = None
        self.stand_ins: deque[tuple[str, int]] | None = None
        """Attempts that came due, where something may stand in for them."""
        if state.version:
            self.take_up()

    def take_up(self) -> None:
        """What a run that people try goes by; known once it has started."""
        trial = self.state.trial
        if trial is not None or (self.graph.pinned_errors and self.state.goes_by_pins):
            self.stand_ins = deque()
        if trial is not None and (trial.up_to or trial.alone):
            self.graph = cut(self.graph, trial)

    def is_pinned(self, key: str, id: str) -> bool:
        """Does what is pinned to a node stand in for it in this run? A mock goes before."""
        state = self.state
        return state.goes_by_pins and (state.trial is None or not state.trial.has_mock(key, id))

    def emit(self, kind: type[e.Base], /, **attributes: Any) -> None:
        """Append an event and fold it."""
        state = self.state
        event: Any = kind(event_id=state.version + 1, at=self.at, **attributes)
        key = attributes.get("node")
        if key is None:
            apply(state, event)
        else:
            run = state.runs.get(key)
            if key not in self.before:
                self.before[key] = run
            apply(state, event)
            self._count(key, run, state.runs.get(key))
        self.events.append(event)

    def _count(self, key: str, was: NodeRun | None, now: NodeRun | None) -> None:
        if self._active is None:
            return
        change = (now is not None and now.status in ACTIVE) - (was is not None and was.status in ACTIVE)
        if change:
            scope = self._scope_of(key)
            self._active[scope] = self._active.get(scope, 0) + change

    def _scope_of(self, key: str) -> Scope:
        if not self.graph.entries:
            return TOP
        node, path = self.node_of(key)
        return (node.loop, path)

    def active(self, loop: str | None = None, path: Path = ()) -> int:
        """Active node runs of one scope: the top level, or an iteration. Counted once a transition, then kept."""
        if self._active is None:
            self._active = {}
            for key, run in self.state.runs.items():
                if run.status in ACTIVE:
                    scope = self._scope_of(key)
                    self._active[scope] = self._active.get(scope, 0) + 1
        return self._active.get((loop, path), 0)

    def node_of(self, key: str) -> tuple[GraphNode, Path]:
        """The graph node and iteration path of a node run."""
        if key in self.graph.nodes:
            return self.graph.nodes[key], ()
        id, path = split_key(key)
        return self.graph.nodes[id], path

    def loop_key(self, node: GraphNode, path: Path) -> str:
        """The key of the loop whose iteration `path` is."""
        return key_of(node.loop or "", path[:-1])

    def input_of(self, key: str) -> Any:
        """A node's input: its source's output; with several taken edges, outputs by source id."""
        return input_of(self.state, self.graph, key)

    def keep(self, value: Any) -> Any:
        """A value that was put together here, as it is recorded: by reference where it is large."""
        return value if self.stow is None else self.stow.keep(value)

    def keep_list(self, items: list[Any]) -> Any:
        """The same for a list: a large one is kept in parts."""
        parts = self.stow.split(items) if self.stow else ()
        return whole(parts) if parts else items

    def cancel_run(self, key: str) -> None:
        """Cancel one active node run, and whatever runs inside it."""
        run = self.state.runs[key]
        if key in self.state.loops:
            path = split_key(key)[1]
            for index in self.state.loops[key].under_way():
                self.cancel_scope(key, (*path, index))
        if run.status == WAITING and run.wait is None:
            self.emit(e.TimerCancelled, node=key, attempt=run.attempt)
        self.emit(e.NodeCancelled, node=key, attempt=run.attempt)

    def cancel_scope(self, loop: str, path: Path) -> None:
        """Cancel what is active in one iteration."""
        for id in self.state.loops[loop].body:
            run = self.state.runs.get(key_of(id, path))
            if run is not None and run.status in ACTIVE:
                self.cancel_run(key_of(id, path))

    def cancel_all(self) -> None:
        """Cancel what is active at the top level, and with it all that is inside."""
        for key in [key for key, run in self.state.runs.items() if run.status in ACTIVE and not split_key(key)[1]]:
            self.cancel_run(key)

    def has_room(self) -> bool:
        """May another node start? Not in a held run, nor over `max_parallel`, where backoffs keep their places."""
        if self.state.status in HELD:
            return False
        bound = self.settings.max_parallel
        if not bound:
            return True
        return sum(run.status in (SCHEDULED, BACKOFF, CALLING) for run in self.state.runs.values()) < bound


def input_of(state: State, graph: Graph, key: str) -> Any:
    """The input of a node run, from the outputs of its sources. An iteration's first nodes get the item."""
    if state.edited and key in state.edited:
        return state.edited[key]
    run = state.runs[key]
    sources = run.sources
    if not sources:
        return state.trigger
    if len(sources) == 1:
        return source_output(state, graph, key, sources[0])
    return {split_key(source)[0]: source_output(state, graph, key, source) for source in sources}


def source_output(state: State, graph: Graph, key: str, source: str) -> Any:
    """What came over the edge from `source`: a loop hands its items into its body, and its output elsewhere."""
    if source in state.loops:
        path = split_key(key)[1]
        if path and graph.nodes[split_key(key)[0]].loop == split_key(source)[0]:
            return item_of(state, graph, source, path[-1])
    return output_of(state, source)


def item_of(state: State, graph: Graph, key: str, index: int) -> Any:
    """What iteration `index` of a loop under way is given: its item; in a while loop the result before it, at first
    the loop's own input."""
    loop = state.loops[key]
    if not loop.turns:
        return loop.item(index)
    return loop.results.get(index - 1) if index else input_of(state, graph, key)


def terminal_outputs(draft: Draft, ids: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Node runs of a scope that ended it: completed, and no edge of theirs was taken."""
    found = []
    for id in ids:
        key = key_of(id, path)
        run = draft.state.runs.get(key)
        if run is None or run.status != DONE:
            continue
        node = draft.graph.nodes[id]
        if not any(edge.source_output in run.ports for edge in node.outgoing if edge.source_output != EACH):
            found.append(key)
    return tuple(found)
