"""Bringing in what is kept outside: just what one node run will read, before it runs.

It goes into the chain's own copy of the state, so a value is read once a chain, and what the chain itself makes stays
in hand: it is neither written for the chain nor read back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec

from linkflow.domain.definition import WHILE
from linkflow.domain.errors import Internal, NotFound, PayloadTooLarge
from linkflow.domain.graph import Graph
from linkflow.domain.outcomes import NodeError
from linkflow.domain.payloads import Part, item_of, whole
from linkflow.domain.state import Loop, State, key_of, split_key
from linkflow.services.payloads import Payloads

from .plans import Step

Slot = tuple[str, str, int]
"""A place in the state: a run's output, the trigger's data, an input that somebody gave, or of a loop an item, all
items, or a result."""
RUN, TRIGGER, EDITED, ITEM, ITEMS, RESULT = "run", "trigger", "edited", "item", "items", "result"


class Items(Sequence[Any]):
    """Items of which some have been brought in; the others are references."""

    def __init__(self, parts: Sequence[Part], count: int) -> None:
        self._parts = parts
        self._count = count
        self.found: dict[int, Any] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self._count))]
        return self.found[index] if index in self.found else item_of(self._parts, index)


class Hydration:
    """What a chain reads. `limit` is how many bytes one node run may bring in."""

    def __init__(self, payloads: Payloads, graph: Graph, limit: int, state: State) -> None:
        self._payloads = payloads
        self._state = state
        self._graph = graph
        self._limit = limit
        self._done: set[Slot] = set()

    async def prepare(self, step: Step, key: str) -> NodeError | None:
        """Bring in what this node run reads. An error where it cannot run. Raises where a store does not answer now."""
        slots = {slot: self._value(slot) for slot in self._needed(step, key) if slot not in self._done}
        if not slots:
            return None
        try:
            values = await self._payloads.resolve(self._state.workspace_id, list(slots.values()), self._limit)
        except PayloadTooLarge as error:
            return NodeError("input_too_large", error.message, False)
        except (NotFound, Internal) as error:
            return NodeError("payload_lost", error.message, False, error.details)
        for slot, value in zip(slots, values, strict=True):
            self._set(slot, value)
            if value is not None:  # what is not there yet may come, and be kept outside
                self._done.add(slot)
        return None

    def made(self, key: str) -> None:
        """The chain itself made this node run's output: it is in hand."""
        self._done.add((RUN, key, 0))

    def _needed(self, step: Step, key: str) -> Iterator[Slot]:
        yield from self._input(key)
        facts, path = step.facts, split_key(key)[1] if self._graph.entries else ()
        if TRIGGER in facts.fixed:
            yield (TRIGGER, "", 0)
        ids = self._graph.order if facts.any_node else [self._id(name) for name in facts.nodes | facts.names]
        for id in ids:
            if id and (run := self._nearest(id, path)):
                yield self._output(run)
        if self._graph.entries:
            yield from self._of_loop(key, path, facts.fixed)

    def _input(self, key: str) -> Iterator[Slot]:
        if key in self._state.edited:
            yield (EDITED, key, 0)
            return
        sources, path = self._state.runs[key].sources, split_key(key)[1]
        if not sources:
            yield (TRIGGER, "", 0)
        for source in sources:
            of_loop = source in self._state.loops and path
            if of_loop and self._graph.nodes[split_key(key)[0]].loop == split_key(source)[0]:
                yield from self._handed(source, path[-1])
            else:
                yield self._output(source)

    def _of_loop(self, key: str, path: tuple[int, ...], fixed: frozenset[str]) -> Iterator[Slot]:
        """What `loop` means here: the innermost loop around a node, or a while loop itself."""
        node = self._graph.nodes[split_key(key)[0]]
        own = node.node.type == WHILE
        loop_key = key if own else key_of(node.loop or "", path[:-1])
        loop = self._state.loops.get(loop_key)
        if loop is None:
            return
        index = loop.ended if own else path[-1]
        if fixed & {"loop", "loop.item"}:
            yield from self._handed(loop_key, index)
        if fixed & {"loop", "loop.items"} and loop.parts:
            yield (ITEMS, loop_key, 0)
        if fixed & {"loop", "loop.output"}:
            yield from self._result(loop_key, index - 1)

    def _handed(self, loop_key: str, index: int) -> Iterator[Slot]:
        """What an iteration is given: see `draft.item_of`."""
        loop = self._state.loops[loop_key]
        if loop.turns:
            yield from self._result(loop_key, index - 1) if index else self._input(loop_key)
        elif loop.parts and (ITEMS, loop_key, 0) not in self._done:
            yield (ITEM, loop_key, index)

    def _result(self, loop_key: str, index: int) -> Iterator[Slot]:
        if index in self._state.loops[loop_key].results:
            yield (RESULT, loop_key, index)

    def _output(self, key: str) -> Slot:
        return (TRIGGER, "", 0) if key == self._state.trigger_node else (RUN, key, 0)

    def _id(self, name: str) -> str | None:
        return name if name in self._graph.nodes else self._graph.labels.get(name)

    def _nearest(self, id: str, path: tuple[int, ...]) -> str:
        for depth in range(len(path), -1, -1):
            if key_of(id, path[:depth]) in self._state.runs:
                return key_of(id, path[:depth])
        return ""

    def _value(self, slot: Slot) -> Any:
        kind, key, index = slot
        if kind == TRIGGER:
            return self._state.trigger
        if kind == EDITED:
            return self._state.edited[key]
        if kind == RUN:
            run = self._state.runs.get(key)
            return run.output if run else None
        loop = self._state.loops[key]
        if kind == RESULT:
            return loop.results[index]
        return item_of(loop.parts, index) if kind == ITEM else whole(loop.parts)

    def _set(self, slot: Slot, value: Any) -> None:
        kind, key, index = slot
        if kind == TRIGGER:
            self._state.trigger = value
        elif kind == EDITED:
            self._state.edited = {**self._state.edited, key: value}
        elif kind == RUN:
            if (run := self._state.runs.get(key)) is not None and run.output is not value:
                self._state.runs[key] = msgspec.structs.replace(run, output=value)
        elif kind == RESULT:
            self._state.loops[key].results[index] = value
        elif kind == ITEMS:
            self._state.loops[key].items = value
        else:
            self._items(self._state.loops[key]).found[index] = value

    def _items(self, loop: Loop) -> Items:
        if not isinstance(loop.items, Items):
            items: Any = Items(loop.parts, loop.total)
            loop.items = items
        found: Any = loop.items
        return found  # type: ignore[no-any-return]
